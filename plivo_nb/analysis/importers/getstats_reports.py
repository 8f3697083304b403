"""Lists of getStats() reports, as people save them from a browser's console: JSON, or JSON lines.

A report is a list of statistics objects, a map of them by id, or the entries of that map. A file holds one
of them, a list of them, each alone or under a key such as ``stats`` beside its time, a map of them by time,
or the objects of all in one list. The objects of a report may also be in several lists, such as one a type.

Several peer connections are several calls, where the file names them: by keys such as ``pc0`` and
``peerConnection-2``, or by a value such as ``"pcId": 2`` beside each report.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from plivo_nb.analysis.importers.audio_report import audio_report
from plivo_nb.analysis.importers.imported_call import ImportedCall, frames_of
from plivo_nb.analysis.importers.source import is_since_1970, milliseconds, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivo_nb.analysis.call_frames import CallFrames
    from plivo_nb.analysis.importers.source import Source

    Stats = dict[str, dict[str, Any]]
    #: Time in ms, objects by id, and the peer connection ("": the file names none).
    Report = tuple[float, Stats, str]

_UNDER = ("stats", "report", "reports", "statsReport", "getStats", "results", "value", "data", "samples")
_TIMES = ("timestamp", "time", "t", "date")
_CONNECTION = re.compile(
    r"(rtc|my)?[-_ ]?(pc|peer|conn|(peer[-_ ]?)?connection)s?[-_ .:#]?(id)?[-_ .:#]?\d*", re.IGNORECASE
)
_DEEPEST = 4
_LONGEST_NAME = 60
_STREAMS = ("rtp", "ssrc")


def recognises(source: Source) -> bool:
    """Whether there is a statistics object of an RTP stream in it."""
    return any(_has_stream(report) for _, report, _ in _reports(source)[1])


def read(source: Source) -> CallFrames:
    """The calls in it, one a peer connection."""
    used, reports = _reports(source)
    source.warn_of_damage(used)
    calls: dict[str, ImportedCall] = {}
    named = len({connection for _, _, connection in reports}) > 1
    for at_ms, report, connection in reports:
        name = f"{source.name}/{connection}" if named and connection else source.name
        calls.setdefault(name, ImportedCall(name)).reports.append((at_ms, audio_report(report)))
    for name, call in calls.items():
        if not is_since_1970(call.reports[0][0]):
            source.warn(f"{name}: the reports do not say the date; it is shown as 1970.")
            call.reports = [
                (at if at == at else 1e3 * number, report) for number, (at, report) in enumerate(call.reports)
            ]
    return frames_of(calls.values() or [ImportedCall(source.name)], source.warnings)


def _has_stream(report: dict[str, dict[str, Any]]) -> bool:
    types = (word(stats.get("type")).replace("-", "") for stats in report.values())
    return any(kind.endswith(_STREAMS) for kind in types)


def _reports(source: Source) -> tuple[Any, list[Report]]:
    """What the reports were found in, the document or the lines, and the reports."""
    found = list(_found(source.document, math.nan, 0)) if source.document is not None else []
    if len(source.lines) > 1 or source.document is None:
        by_line = [report for line in source.lines for report in _found(line, math.nan, 0)]
        if len(by_line) > len(found):
            return source.lines, by_line
    return source.document, found


def _found(value: Any, at_ms: float, depth: int, connection: str = "") -> Iterator[Report]:
    """The reports in a JSON value."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        yield from _found_in_object(value, at_ms, depth, connection)
    elif isinstance(value, list):
        entries = [
            item[1] for item in value if isinstance(item, list) and len(item) == 2 and _is_stats(item[1])
        ]
        objects = [item for item in value if _is_stats(item)] or entries
        if objects:
            yield from _split(objects, at_ms, connection)
            return
        for item in value:
            yield from _found(item, at_ms, depth + 1, connection)


def _found_in_object(value: dict[str, Any], at_ms: float, depth: int, connection: str) -> Iterator[Report]:
    at_ms = next((t for key in _TIMES if (t := milliseconds(value.get(key))) == t), at_ms)
    connection = next((str(item) for key, item in value.items() if _names_connection(key, item)), connection)
    whole = {key: item for key, item in value.items() if _is_stats(item)}
    if whole:
        yield _timed(at_ms, whole, connection)
        return
    for key in _UNDER:
        if isinstance(value.get(key), dict | list):
            yield from _found(value[key], at_ms, depth + 1, connection)
            return
    together = _together(value)
    if together and not any(map(_CONNECTION.fullmatch, value)):
        yield _timed(at_ms, together, connection)
        return
    for key, item in value.items():
        if isinstance(item, dict | list) and _CONNECTION.fullmatch(key):
            yield from _found(item, at_ms, depth + 1, key)
        elif isinstance(item, list):
            yield from _found(item, at_ms, depth + 1, connection)
        elif isinstance(item, dict) and is_since_1970(key_ms := milliseconds(key)):
            yield from _found(item, key_ms, depth + 1, connection)


def _names_connection(key: str, value: Any) -> bool:
    """Whether a value beside reports is the name or number of their peer connection."""
    plain = isinstance(value, str | int) and not isinstance(value, bool)
    return plain and _CONNECTION.fullmatch(key) is not None and len(str(value)) <= _LONGEST_NAME


def _together(value: dict[str, Any]) -> Stats:
    """The objects of one report that are in several lists; empty where an id comes again."""
    lists = [item for item in value.values() if isinstance(item, list) and any(map(_is_stats, item))]
    objects = [item for part in lists for item in part if _is_stats(item)]
    report = {_place(stats, number): stats for number, stats in enumerate(objects)}
    return report if len(lists) > 1 and len(report) == len(objects) else {}


def _place(stats: dict[str, Any], number: int) -> str:
    """What an object is recognised by."""
    return str(stats.get("id", f"{stats['type']} {stats.get('ssrc', number)}"))


def _is_stats(value: Any) -> bool:
    if not isinstance(value, dict) or not word(value.get("type")):
        return False
    return "timestamp" in value or "id" in value or "ssrc" in value


def _split(objects: list[dict[str, Any]], at_ms: float, connection: str) -> Iterator[Report]:
    """The reports of a list of objects: where an id comes again, the next one begins."""
    report: Stats = {}
    for place, stats in enumerate(objects):
        key = _place(stats, place)
        if key in report:
            yield _timed(at_ms, report, connection)
            report = {}
        report[key] = stats
    yield _timed(at_ms, report, connection)


def _timed(at_ms: float, report: Stats, connection: str) -> Report:
    """The report with its time: the latest of its own streams, else of all, else the one given."""
    of_streams, of_all = [], []
    for stats in report.values():
        at = milliseconds(stats.get("timestamp"))
        if at == at:
            kind = word(stats.get("type"))
            of_all.append(at)
            if kind.replace("-", "") in ("inboundrtp", "outboundrtp", "ssrc"):
                of_streams.append(at)
    for times in (of_streams, of_all):
        if times:
            return max(times), report, connection
    return at_ms, report, connection
