"""The softphone that lives in a notebook: the Plivo Browser SDK V2.1 in Python.

    import plivo_nb

    async with plivo_nb.Lab() as lab:                       # an embedded Plivo: no account, no network
        client = lab.client()
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
        call.play(plivo_nb.speech_path())
        ...
        client.samples                                      # jitter, RTT, loss, MOS: a DataFrame
        await client.close()

The packages, from the top; imports go downwards only:

    notebook cell / widgets / cli
            |  methods, await, events                          the kernel's event loop
    client, call       the methods, variables and events of Plivo's page; they delegate
            |          analysis: diagrams and files made of DataFrames, imported late
    engine             accounts, calls, the rules of several calls, samples, log
            |          engine.audio: which device, tone and source is used when
            |          plane.wire: messages only - - - - - - - - - - - - - - - - - - - - - - - -
    plane              one daemon thread with a loop of its own: sockets, media sessions, the 20 ms ticker
            |
    sip   media   sound   quality                              sans-I/O or pure; none imports another
    insights                                                   Plivo's statistics service
            |
    operation   options   events   errors                      leaves; the types of users' scripts
    ring_buffer   thread_priority                              leaves, for threads that carry sound
    audio_types   dtmf_table   addresses                       leaves: PCM, Source and Sink; DTMF; loopback
    codec_table                                                leaf: the speech codecs, a row each

    media      sdp, transport (ICE, DTLS-SRTP), rtp, playout, audio (sources and sinks)
    sound      sound cards: devices, routes, microphone, speaker
    lab        the embedded Plivo, a process of its own: sip, network, robots; uses client, sip and media.sdp
    preflight  check()
    widgets    phone, dashboard, app                           data        the spoken sample
    testing    a fake server and fake sound for users' own tests
"""

from typing import TYPE_CHECKING

from plivo_nb._version import __version__

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.client import Client, Plivo
    from plivo_nb.data import speech_path
    from plivo_nb.engine.engine import Engine
    from plivo_nb.errors import (
        CallFailed,
        EngineError,
        InvalidFeedback,
        InvalidOption,
        InvalidState,
        LabError,
        LoginFailed,
        MediaError,
        NoRunningLoop,
        PlaneDied,
        PlivoError,
        SourceError,
    )
    from plivo_nb.events import CallInfo
    from plivo_nb.lab import Lab
    from plivo_nb.media.audio.sinks import Recorder
    from plivo_nb.media.audio.sources import AudioFile, Silence, Tone
    from plivo_nb.operation import Operation
    from plivo_nb.preflight import check
    from plivo_nb.quality.frames import schema
    from plivo_nb.widgets.app import app
    from plivo_nb.widgets.dashboard import Dashboard
    from plivo_nb.widgets.phone import Phone

# A module is imported when one of its names is first used (PEP 562): `plivo-nb --version` and the process of
# the lab import neither pandas nor aiortc.
_NAMES_OF = {
    "plivo_nb.call": ["Call"],
    "plivo_nb.client": ["Client", "Plivo"],
    "plivo_nb.data": ["speech_path"],
    "plivo_nb.engine.engine": ["Engine"],
    "plivo_nb.errors": [
        "CallFailed",
        "EngineError",
        "InvalidFeedback",
        "InvalidOption",
        "InvalidState",
        "LabError",
        "LoginFailed",
        "MediaError",
        "NoRunningLoop",
        "PlaneDied",
        "PlivoError",
        "SourceError",
    ],
    "plivo_nb.events": ["CallInfo"],
    "plivo_nb.lab": ["Lab"],
    "plivo_nb.media.audio.sinks": ["Recorder"],
    "plivo_nb.media.audio.sources": ["AudioFile", "Silence", "Tone"],
    "plivo_nb.operation": ["Operation"],
    "plivo_nb.preflight": ["check"],
    "plivo_nb.quality.frames": ["schema"],
    "plivo_nb.widgets.app": ["app"],
    "plivo_nb.widgets.dashboard": ["Dashboard"],
    "plivo_nb.widgets.phone": ["Phone"],
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names}

__all__ = [
    "AudioFile",
    "Call",
    "CallFailed",
    "CallInfo",
    "Client",
    "Dashboard",
    "Engine",
    "EngineError",
    "InvalidFeedback",
    "InvalidOption",
    "InvalidState",
    "Lab",
    "LabError",
    "LoginFailed",
    "MediaError",
    "NoRunningLoop",
    "Operation",
    "Phone",
    "PlaneDied",
    "Plivo",
    "PlivoError",
    "Recorder",
    "Silence",
    "SourceError",
    "Tone",
    "__version__",
    "app",
    "check",
    "schema",
    "speech_path",
]


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return value
    raise AttributeError(f"module 'plivo_nb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
