"""A softphone for Jupyter notebooks: the Plivo Browser SDK V2.1 in Python.

Make a call in the lab, an embedded Plivo that needs neither an account nor a network:

    import plivo_nb

    async with plivo_nb.Lab() as lab:
        client = lab.client()
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
        call.play(plivo_nb.speech_path())
        await asyncio.sleep(5)
        print(client.samples[["rtt_ms", "jitter_in_ms", "loss_in", "mos"]])
        await client.close()

In a notebook, `await plivo_nb.app()` starts a lab and displays a phone and a dashboard.

The main names:

    Client, Plivo        the Browser SDK's methods and events, see help(plivo_nb.Client)
    Call, CallInfo       a call, and its state as events report it
    Operation            what methods return: await it for the result, or ignore it
    Lab                  the embedded Plivo: accounts, robots to call, an impaired network, faults
    app, Phone, Dashboard, ClassBoard          widgets
    AudioFile, Tone, Silence, Recorder         sources and sinks of sound
    read, CallSet        calls from files, or of clients: select, compare, plot
    check, schema, speech_path                 test the installation; explain columns; a spoken sample
    PlivoError and its subclasses              see help(plivo_nb.errors)

The packages, from the top. A package imports only packages below it:

    notebook cell / widgets / cli
            |  methods, await, events                          the kernel's event loop
    client, call       the methods and events that Plivo documents
            |          call_archive: calls stored in a folder
            |          analysis: plots and files of frames; imported when needed
    engine             accounts, calls, samples, log
            |          engine.audio: selects devices, tones and sources
            |          plane.wire: messages only - - - - - - - - - - - - - - - - - - - - - - - -
    plane              a daemon thread with its own event loop: sockets, media sessions, 20 ms timer
            |
    sip   media   sound   quality                              mostly without I/O; none imports another
    insights                                                   Plivo's statistics service
            |
    operation   options   events   errors                      leaves
    ring_buffer   thread_priority   late_import   switch_interval          leaves, for threads
    atomic_file                                                leaf: files that are replaced as a whole
    audio_types   dtmf_table   addresses                       leaves: PCM, Source and Sink; DTMF; loopback
    connections                                                WebSockets and TLS; uses addresses
    codec_table   palette                                      leaves: speech codecs; colours of pictures

    media      sdp, transport (ICE, DTLS-SRTP), rtp, playout, audio (sources and sinks)
    sound      sound cards: devices, routes, microphone, speaker
    lab        the embedded Plivo, in a separate process: sip, network, robots; uses client, sip, media.sdp
    preflight  check()                                         fleet       campaigns of calls, with Dask
    widgets    phone, dashboard, app                           data        the spoken sample
    testing    a fake server and fake sound devices for users' tests
"""

from typing import TYPE_CHECKING

from plivo_nb._version import __version__

if TYPE_CHECKING:
    from plivo_nb.analysis.call_set import CallSet
    from plivo_nb.analysis.reading import read
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
    from plivo_nb.widgets.class_board import ClassBoard
    from plivo_nb.widgets.dashboard import Dashboard
    from plivo_nb.widgets.phone import Phone

# A module is imported when one of its names is first used (PEP 562), so that `plivo-nb --version` and the
# lab's process start without pandas and aiortc.
_MODULES = {
    "plivo_nb.analysis.call_set": ["CallSet"],
    "plivo_nb.analysis.reading": ["read"],
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
    "plivo_nb.widgets.class_board": ["ClassBoard"],
    "plivo_nb.widgets.dashboard": ["Dashboard"],
    "plivo_nb.widgets.phone": ["Phone"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AudioFile",
    "Call",
    "CallFailed",
    "CallInfo",
    "CallSet",
    "ClassBoard",
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
    "read",
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
