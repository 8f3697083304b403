"""A made-up call with everything that a report can have, and the words that must not be in a masked one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.call_set import CallSet
from plivo_nb.analysis.clip import CallClip
from plivo_nb.analysis.ladder import Ladder
from plivo_nb.analysis.report.content import ReportedCall
from plivo_nb.data import speech_path

BEGAN = pd.Timestamp("2026-11-25 14:00:00", tz="UTC")
#: What stands for people and their addresses in the call.
PRIVATE = (
    "zoe.example",
    "+14155550123",
    "14155550123",
    "4155550123",
    "Marguerite",
    "Yourcenar",
    "192.0.2.77",
    "sip:",
)
TIMINGS = {
    "socket_connecting": 96.0,
    "socket_connected": 96.08,
    "register_sent": 96.1,
    "registered": 96.19,
    "dialled": 100.0,
    "invite_sent": 100.02,
    "ringing": 100.4,
    "answered": 102.4,
    "ice_checking": 102.41,
    "ice_connected": 102.47,
    "dtls_connected": 102.52,
    "first_rtp_received": 102.55,
}


@dataclass(frozen=True, slots=True)
class Message:
    """A SIP message of the ladder."""

    time_monotonic_s: float
    direction: str
    start: str
    cseq: str
    call: str = "8c3f@192.0.2.77"


MESSAGES = [
    Message(100.02, "out", "INVITE", "1 INVITE"),
    Message(100.05, "in", "407 Proxy Authentication Required", "1 INVITE"),
    Message(100.06, "out", "INVITE", "2 INVITE"),
    Message(100.4, "in", "180 Ringing", "2 INVITE"),
    Message(102.4, "in", "200 OK", "2 INVITE"),
    Message(102.41, "out", "ACK", "2 ACK"),
    Message(162.0, "in", "BYE", "1 BYE"),
    Message(162.01, "out", "200 OK", "1 BYE"),
]


def samples_of(uuid: str = "call-1", seconds: int = 60, loss: float = 0.15) -> pd.DataFrame:
    """Samples of a call whose middle third loses packets; the same ones each time."""
    chance = np.random.default_rng(7)
    middle = np.zeros(seconds)
    middle[seconds // 3 : 2 * seconds // 3] = 1.0
    lost = np.clip(chance.normal(loss, 0.03, seconds), 0.0, 1.0) * middle
    return pd.DataFrame(
        {
            "call_uuid": uuid,
            "codec": "OPUS",
            "direction": "sendrecv",
            "interval_s": 1.0,
            "loss_in": lost,
            "loss_out": lost / 3,
            "packets_expected_in": 50.0,
            "packets_expected_out": 50.0,
            "packets_discarded": chance.poisson(0.1 + middle),
            "packets_recovered": np.round(20 * lost),
            "concealed_ms": 600 * lost,
            "mos": 4.38 - 9 * lost,
            "mos_in": 4.38 - 9 * lost,
            "mos_out": 4.38 - 3 * lost,
            "mos_g107": 4.2 - 7 * lost,
            "mos_fb": 4.3 - 7 * lost,
            "jitter_in_ms": chance.gamma(2.0, 2.0, seconds) + 14 * middle,
            "jitter_out_ms": chance.gamma(2.0, 1.5, seconds),
            "rtt_ms": 40 + chance.gamma(2.0, 3.0, seconds) + 120 * middle,
            "rtt_age_s": 0.4,
            "report_age_s": 0.4,
            "playout_delay_ms": 45 + 40 * middle,
            "loop_lag_ms": chance.gamma(1.0, 2.0, seconds),
        },
        index=pd.date_range(BEGAN + pd.Timedelta(seconds=4), periods=seconds, freq="s", name="time"),
    )


def call_set(count: int = 1, seconds: int = 60) -> CallSet:
    """So many calls, one after the other, each with more loss than the one before."""
    calls, samples, events = [], [], []
    for number in range(count):
        uuid, later = f"call-{number + 1}", pd.Timedelta(minutes=5 * number)
        rows = samples_of(uuid, seconds, 0.15 + 0.02 * number)
        samples.append(rows.set_axis(rows.index + later))
        row = {
            "call_uuid": uuid,
            "direction": "OUTGOING",
            "src": "sip:Marguerite@zoe.example",
            "dest": "+14155550123",
            "state": "ended",
            "originator": "remote",
            "post_dial_delay_ms": 400.0,
            "answer_delay_ms": 2000.0,
            "media_setup_ms": 150.0,
            "duration_s": float(seconds),
            "codec": "OPUS",
            "feedback_score": 2.0,
        }
        calls.append(pd.DataFrame([row], index=pd.DatetimeIndex([BEGAN + later])))
        at = [BEGAN + later + pd.Timedelta(seconds=after) for after in (26.0, 48.0)]
        event = {"call_uuid": uuid, "group": "network", "level": "warning", "stream": "remote"}
        values = {"type": "high_packetloss", "value": [0.14, 0.01], "active": [True, False]}
        events.append(pd.DataFrame({**event, **values}, index=pd.DatetimeIndex(at)))
    return CallSet(CallFrames.of(pd.concat(calls), pd.concat(samples), pd.concat(events)))


def clip(seconds: float = 8.0) -> CallClip:
    """The spoken sample, with packets of every fate."""
    from plivo_nb.analysis.compare import load

    pcm = (load(speech_path(), 16_000)[: round(seconds * 16_000)] * 32767).astype(np.int16)
    began = BEGAN + pd.Timedelta(seconds=24)
    times = [began + pd.Timedelta(milliseconds=20 * number) for number in range(len(pcm) // 320)]
    words = ["missing", "recovered", "concealed", "late"] * 8
    at = pd.DatetimeIndex([began + pd.Timedelta(seconds=0.23 * number) for number in range(len(words))])
    return CallClip.of_frames(16_000, pcm, times, pd.DataFrame({"fate": pd.Categorical(words)}, index=at))


def reported(with_clip: bool = True) -> ReportedCall:
    """A call with all that a report can have."""
    from dataclasses import replace

    from plivo_nb.analysis.report.content import reported_calls

    ladder = Ladder(
        MESSAGES,
        TIMINGS | {"first_rtp_sent": 102.54},
        us="Marguerite",
        them="server, for +14155550123",
        title="SIP of the call with +14155550123",
    )
    call = reported_calls(call_set())[0]
    return replace(
        call,
        timings=TIMINGS,
        ladder=ladder,
        configuration=(("codecs", "OPUS, PCMU"), ("sample_interval", "1 s")),
        clip=clip() if with_clip else None,
        names=(*call.names, "Marguerite Yourcenar", "Yourcenar"),
    )
