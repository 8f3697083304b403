"""Messages of Plivo's statistics service, JSON lines or a list: what a Browser SDK, or this kit, has sent.

CALL_STATS has counters and figures of 5 s; CALL_SUMMARY the times of the call. A line is a message, or has it
under ``message``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from plivo_nb.analysis.importers.audio_report import AudioReport
from plivo_nb.analysis.importers.imported_call import ImportedCall, frames_of
from plivo_nb.analysis.importers.source import is_since_1970, mapping, milliseconds, number, word

if TYPE_CHECKING:
    from plivo_nb.analysis.call_frames import CallFrames
    from plivo_nb.analysis.importers.source import Source

Message = dict[str, Any]

_KINDS = {
    "CALL_RINGING", "CALL_ANSWERED", "CALL_STATS", "CALL_STATS_DUMP", "CALL_SUMMARY", "TOGGLE_MUTE",
    "FEEDBACK", "ICE_FAILURE", "MEDIA_FAILURE", "SDP_FAILURE",
}  # fmt: skip
_LONGEST_MS = 86_400_000.0  # a delay that is longer is a point in time, as some versions send


def recognises(source: Source) -> bool:
    """Whether there is such a message in it."""
    return bool(_messages(source)[1])


def _messages(source: Source) -> tuple[Any, list[Message]]:
    """What the messages were found in, the document or the lines, and the messages."""
    values = source.lines
    if isinstance(source.document, list) and len(values) < 2:
        values = source.document
    found = []
    for value in values:
        message = mapping(value)
        message = mapping(message.get("message")) or message
        if word(message.get("msg")) in _KINDS:
            found.append(message)
    return values, found


def read(source: Source) -> CallFrames:
    """The calls that the messages are about: one for each call and user."""
    used, messages = _messages(source)
    source.warn_of_damage(used)
    ends: dict[str, set[str]] = {}
    for message in messages:
        ends.setdefault(_uuid(message), set()).add(word(message.get("userName")))
    calls: dict[str, ImportedCall] = {}
    owner: dict[str, str] = {}
    for message in messages:
        uuid, user = _uuid(message), word(message.get("userName"))
        if not uuid:
            source.warn("A message says not which call it is about and was left out.")
            continue
        users = ends[uuid] - {""}
        if not user and len(users) > 1:
            continue  # CALL_STATS_DUMP of one of two ends: it says not of which
        name = f"{uuid}/{user}" if len(users) > 1 else uuid
        owner[name] = user or next(iter(users), "")
        _take(calls.setdefault(name, ImportedCall(name, about={"state": None})), message)
    for call in calls.values():
        call.reports.sort(key=lambda item: item[0])
    return frames_of(calls.values(), source.warnings)


def _uuid(message: Message) -> str:
    return (
        word(message.get("xcallUUID")) or word(message.get("callUUID")) or word(message.get("corelationId"))
    )


def _take(call: ImportedCall, message: Message) -> None:
    at_ms, kind = milliseconds(message.get("timeStamp")), word(message.get("msg"))
    if kind == "CALL_STATS":
        call.reports.append((at_ms, _report(message)))
        call.about["post_dial_delay_ms"] = _delay(number(message.get("pdd")))
        call.about["media_setup_ms"] = _delay(number(message.get("mediaSetupTime")))
    elif kind == "CALL_ANSWERED":
        call.started_ms = at_ms if math.isnan(call.started_ms) else call.started_ms
        call.about["direction"] = (
            "INCOMING" if "incoming" in word(message.get("info")).lower() else "OUTGOING"
        )
    elif kind == "TOGGLE_MUTE":
        call.muted.append((at_ms, word(message.get("action")) == "mute"))
    elif kind == "FEEDBACK":
        info = mapping(message.get("info"))
        call.about["feedback_score"] = number(info.get("overall"))
        call.about["feedback_comment"] = word(info.get("comment")) or None
    elif kind in ("CALL_RINGING", "CALL_SUMMARY"):
        _take_signalling(call, mapping(message.get("signalling")), ended=kind == "CALL_SUMMARY")
        times = {key: milliseconds(value) for key, value in mapping(message.get("mediaConnection")).items()}
        states = (times.get(f"ice_connection_state_{state}", math.nan) for state in ("checking", "connected"))
        began, done = states
        call.about["ice_ms"] = _delay(done - began)
    elif kind.endswith("_FAILURE"):
        call.about |= {"state": "failed", "reason": word(message.get("info")) or kind}


def _take_signalling(call: ImportedCall, signalling: dict[str, Any], *, ended: bool) -> None:
    times = {key: milliseconds(value) for key, value in signalling.items()}
    nan = math.nan
    incoming = "invite_time" in times
    ringing = times.get("call_progress_time", times.get("ring_start_time", nan))
    answered = times.get("call_confirmed_time", times.get("answer_time", nan))
    call.about["direction"] = "INCOMING" if incoming else "OUTGOING"
    call.about["post_dial_delay_ms"] = _delay(ringing - times.get("call_initiation_time", nan))
    call.about["answer_delay_ms"] = _delay(times.get("answer_time", nan) - ringing)
    if not math.isnan(answered):
        call.started_ms = answered
    if ended:
        call.about["duration_s"] = _delay(times.get("hangup_time", nan) - answered) / 1e3
        call.about["originator"] = word(signalling.get("hangup_party")) or None
        call.about["reason"] = word(signalling.get("hangup_reason")) or None
        call.about["state"] = call.about["state"] or ("failed" if math.isnan(answered) else "ended")


def _delay(ms: float) -> float:
    return ms if 0.0 <= ms < _LONGEST_MS else math.nan


def _report(message: Message) -> AudioReport:
    local, remote = mapping(message.get("local")), mapping(message.get("remote"))
    report = AudioReport(
        steady=True, codec=word(message.get("codec")).upper(), score=number(local.get("mos"))
    )
    report.source_level = _linear(number(local.get("audioLevel")))
    stamp = milliseconds(message.get("timeStamp"))
    values = {
        "outbound": {"packetsSent": local.get("packetsSent"), "bytesSent": local.get("bytesSent")},
        "remote_inbound": {
            "packetsLost": local.get("packetsLost"),
            "fractionLost": local.get("fractionLoss"),
            "jitter": _seconds(local.get("jitter")),
            "roundTripTime": _seconds(local.get("rtt")),
            "timestamp": stamp if is_since_1970(stamp) else None,
        },
        "inbound": {
            **{key: remote.get(key) for key in ("packetsReceived", "bytesReceived", "packetsLost")},
            "packetsDiscarded": remote.get("packetsDiscarded"),
            "jitter": _seconds(remote.get("jitter")),
            "playoutDelay": _seconds(remote.get("jitterBufferDelay")),
            "audioLevel": _linear(number(remote.get("audioLevel"))),
        },
    }
    for name, ssrc in (("outbound", local), ("remote_inbound", local), ("inbound", remote)):
        numbers = {
            key: known for key, value in values[name].items() if not math.isnan(known := number(value))
        }
        if numbers:
            getattr(report, name)[str(ssrc.get("ssrc"))] = numbers
    return report


def _seconds(value: Any) -> float:
    return number(value) * 1e-3


def _linear(dbfs: float) -> float:
    """The linear level of one in dBFS."""
    return 10.0 ** (dbfs / 20.0) if dbfs <= 0.0 else math.nan
