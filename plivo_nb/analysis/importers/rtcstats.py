"""Dumps of the rtcstats library, as its servers store them: JSON lines, an array each.

A line is ``[method, peer connection, value, ..., time]``, or has that under ``data``, as Jitsi's clients send
it; the lines may also be the items of one array. What ``getstats`` carries is the difference to the
report before: keys that did not change are left out. Known forms: the servers of Jitsi and of the library's
first versions (times in ms since 1970); file format 3, which begins with the line ``RTCStatsDump``, and has
differences of times and short names for methods, types and keys; and the first form, one JSON document.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from plivo_nb.analysis.importers.audio_report import audio_report
from plivo_nb.analysis.importers.imported_call import ImportedCall, frames_of
from plivo_nb.analysis.importers.source import is_since_1970, mapping, milliseconds, number, parsed, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivo_nb.analysis.call_frames import CallFrames
    from plivo_nb.analysis.importers.source import Source

    Event = tuple[str, str, Any, float]

_MAGIC = "RTCStatsDump"
_METHODS = {
    "g": "getStats", "1": "getStats",
    "24": "oniceconnectionstatechange", "25": "onconnectionstatechange",
}  # fmt: skip
_TYPES = {
    "1": "inbound-rtp", "2": "outbound-rtp", "3": "remote-inbound-rtp", "4": "remote-outbound-rtp",
    "5": "transport", "6": "candidate-pair", "7": "local-candidate", "8": "remote-candidate",
    "12": "media-source", "13": "media-playout", "14": "codec",
}  # fmt: skip
#: Short names of keys in file format 3, as far as they are read here.
_KEYS = {
    "t": "timestamp", "6": "mimeType", "7": "clockRate", "10": "ssrc", "11": "kind", "12": "codecId",
    "14": "packetsReceived", "15": "packetsLost", "16": "jitter", "20": "framesDecoded", "26": "qpSum",
    "35": "headerBytesReceived", "36": "packetsDiscarded", "37": "fecPacketsReceived",
    "41": "bytesReceived", "43": "firCount", "44": "pliCount", "47": "jitterBufferDelay",
    "48": "jitterBufferTargetDelay", "49": "jitterBufferEmittedCount", "51": "totalSamplesReceived",
    "52": "concealedSamples", "53": "silentConcealedSamples", "54": "concealmentEvents",
    "55": "insertedSamplesForDeceleration", "56": "removedSamplesForAcceleration", "57": "audioLevel",
    "58": "totalAudioEnergy", "59": "totalSamplesDuration", "60": "framesReceived",
    "75": "roundTripTime", "76": "totalRoundTripTime", "77": "fractionLost",
    "78": "roundTripTimeMeasurements", "79": "packetsSent", "80": "bytesSent",
    "84": "headerBytesSent", "89": "framesSent", "91": "framesEncoded", "100": "active",
    "102": "remoteTimestamp", "103": "reportsSent", "118": "state", "125": "selectedCandidatePairId",
    "150": "nominated", "152": "currentRoundTripTime", "157": "responsesReceived",
}  # fmt: skip
_STATISTICS = "getstats"
_ENOUGH = 20  # lines that are looked at to recognise the format


def recognises(source: Source) -> bool:
    """Whether this is such a dump."""
    if source.text.startswith(_MAGIC):
        return True
    if source.text.lstrip()[:1] not in ("[", "{"):
        return False
    return any(map(_is_event, _lines(source)[1][:_ENOUGH])) or "peerConnections" in mapping(source.document)


def _lines(source: Source) -> tuple[Any, list[Any]]:
    """What the lines were found in, the document or the lines, and the lines."""
    document = source.document
    if isinstance(document, list) and len(source.lines) < 2 and not _is_event(document):
        return document, [_unpacked(line) for line in document]
    return source.lines, [_unpacked(line) for line in source.lines]


def _unpacked(line: Any) -> Any:
    """The event in a message of Jitsi's clients; anything else as it is."""
    data = mapping(line).get("data")
    return (parsed(data)[0] if isinstance(data, str) else data) if _is_event_in(line) else line


def _is_event_in(message: Any) -> bool:
    return word(mapping(message).get("type")).startswith("stats-entry")


def _is_event(line: Any) -> bool:
    """Whether this is a method, a peer connection or none, a value, and a time."""
    if not isinstance(line, list) or len(line) < 3:
        return False
    method, connection = line[0], line[1]
    is_method = isinstance(method, str) and method.replace(".", "").isalnum()
    return (
        is_method and (connection is None or isinstance(connection, str)) and not isinstance(line[-1], dict)
    )


def read(source: Source) -> CallFrames:
    """The calls of a dump, one a peer connection."""
    calls: dict[str, ImportedCall] = {}
    base: dict[str, dict[str, Any]] = {}
    names_gone = source.text.startswith(_MAGIC)
    for method, connection, value, at_ms in _events(source):
        if not connection:
            continue
        call = calls.setdefault(connection, ImportedCall(f"{source.name}/{connection}"))
        if method.lower() == _STATISTICS:
            report = base[connection] = _restored(base.get(connection, {}), value, names_gone=names_gone)
            if report:
                call.reports.append((_time_of(value, at_ms), audio_report(report)))
        elif method.endswith("connectionstatechange") and value == "connected":
            call.started_ms = at_ms if math.isnan(call.started_ms) else min(at_ms, call.started_ms)
    if not calls:
        source.warn("There is no peer connection in the dump.")
    return frames_of(calls.values(), source.warnings)


def _events(source: Source) -> Iterator[Event]:
    """Method, peer connection, value and time (ms since 1970; NaN: not known) of each event."""
    used, lines = _lines(source)
    if not any(map(_is_event, lines)) and not source.text.startswith(_MAGIC):
        source.warn_of_damage(source.document)
        yield from _events_of_document(mapping(source.document))
        return
    relative = source.text.startswith(_MAGIC)
    source.warn_of_damage(used, titles=int(relative))
    clock = 0.0
    for line in lines:
        if not isinstance(line, list) or len(line) < 3:
            continue
        at_ms = number(line[-1]) if len(line) > 3 else number(mapping(line[2]).get("time"))
        if relative:
            clock += 0.0 if math.isnan(at_ms) else at_ms
            at_ms = clock
        method = str(line[0])
        yield _METHODS.get(method, method), word(line[1]) or _numbered(line[1]), line[2], milliseconds(at_ms)


def _numbered(connection: Any) -> str:
    return str(connection) if isinstance(connection, int) and not isinstance(connection, bool) else ""


def _events_of_document(document: dict[str, Any]) -> Iterator[Event]:
    for connection, events in mapping(document.get("peerConnections")).items():
        for event in map(mapping, events if isinstance(events, list) else []):
            yield word(event.get("type")), connection, event.get("value"), milliseconds(event.get("time"))


def _restored(base: dict[str, Any], delta: Any, *, names_gone: bool) -> dict[str, Any]:
    """The whole report, of the one before and the difference to it.

    A library that names objects in which nothing changed leaves out those that are gone; another one leaves
    out those in which nothing changed, and sets those that are gone to null.

    Args:
        base: the report before.
        delta: the difference.
        names_gone: the library is known to be the second one; else the difference itself tells it.
    """
    if isinstance(delta, str):  # some clients send it as text
        delta = parsed(delta)[0]
    if isinstance(delta, list):  # a whole report
        return {str(item.get("id")): item for item in delta if isinstance(item, dict)}
    changes = {
        key: {_KEYS.get(name, name): value for name, value in item.items()}
        for key, item in mapping(delta).items()
        if isinstance(item, dict)
    }
    gone = {key for key, item in mapping(delta).items() if item is None}
    names_unchanged = not names_gone and any(item.keys() <= {"timestamp"} for item in changes.values())
    kept = base if not names_unchanged else {key: base[key] for key in changes if key in base}
    report = {key: item for key, item in kept.items() if key not in gone}
    for key, item in changes.items():
        if "type" in item:
            item["type"] = _TYPES.get(str(item["type"]), item["type"])
        report[key] = {**base.get(key, {}), **item}
    return report


def _time_of(value: Any, at_ms: float) -> float:
    """When the report was made: its own time, else that of the line."""
    stamp = mapping(value).get("timestamp", mapping(value).get("t"))
    own = milliseconds(stamp)
    return own if is_since_1970(own) else at_ms
