"""Dumps of chrome://webrtc-internals: the current form, with times and types, and the forms before.

A dump is a JSON object. Under ``PeerConnections``, each connection has ``stats``: for each statistics object
and key a series, ``{"startTime", "endTime", "statsType", "values": "[...]"}``. Since Chrome 117 the times are
in a series ``<id>-timestamp``; before, they are spread from the start to the end. Before Chrome 88 there is
no ``statsType``, and with the statistics before the standard, ids such as ``ssrc_1_send``.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.analysis.importers.audio_report import KEYS, TYPES, audio_report, stats_type
from plivo_nb.analysis.importers.imported_call import ImportedCall, frames_of
from plivo_nb.analysis.importers.source import mapping, milliseconds, word

if TYPE_CHECKING:
    import numpy.typing as npt

    from plivo_nb.analysis.call_frames import CallFrames
    from plivo_nb.analysis.importers.source import Source

    Series = tuple[npt.NDArray[np.float64], list[Any]]

_TOGETHER_MS = 300.0  # what is collected at once has times that differ by less
_HELD_MS = 12_000.0  # the far end's reports stay until the next one, which may take so long
_STREAMS = ("inbound-rtp", "outbound-rtp", "ssrc")
_MARKS = ('"PeerConnections"', '"getUserMedia"', '"UserAgent"')


def recognises(source: Source) -> bool:
    """Whether this is such a dump."""
    head = source.text[:65_536].lstrip()
    if head[:1] != "{" or not any(mark in head for mark in _MARKS):
        return '"PeerConnections"' in source.text[-65_536:] and "PeerConnections" in mapping(source.document)
    return mapping(source.document).keys() & {"PeerConnections", "getUserMedia", "UserAgent"} != set()


def read(source: Source) -> CallFrames:
    """The calls of a dump, one a peer connection."""
    source.warn_of_damage(source.document)
    connections = mapping(mapping(source.document).get("PeerConnections"))
    if not connections:
        source.warn("There is no peer connection in the dump.")
    calls = [_call(f"{source.name}/{key}", mapping(value), source) for key, value in connections.items()]
    return frames_of(calls, source.warnings)


def _call(uuid: str, connection: dict[str, Any], source: Source) -> ImportedCall:
    call = ImportedCall(uuid)
    log = connection.get("updateLog")
    for event in map(mapping, log if isinstance(log, list) else []):
        kind, value = word(event.get("type")).lower(), str(event.get("value")).strip('"').lower()
        if kind.endswith("connectionstatechange") and value.rpartition("state")[2] == "connected":
            at = milliseconds(event.get("time"))
            call.started_ms = at if math.isnan(call.started_ms) else min(at, call.started_ms)
    series, damaged, video = _series(mapping(connection.get("stats")))
    if video:
        source.warn(f"{uuid}: {video} video streams were left out; only audio is read.")
    if damaged:
        source.warn(f"{uuid}: {damaged} series of statistics are damaged and were left out.")
    set_back = _go_on(series)
    if set_back:
        source.warn(f"{uuid}: the clock was set back {set_back} times; the rows after it go on from there.")
    ticks = _ticks(series)
    reports: list[dict[str, dict[str, Any]]] = [defaultdict(dict) for _ in ticks]
    for (identifier, kind), keys in series.items():
        hold_ms = _HELD_MS if kind.startswith("remote-") or kind in ("codec", "transport") else _TOGETHER_MS
        for key, (times, values) in keys.items():
            places = np.searchsorted(times, ticks + _TOGETHER_MS / 2, side="right") - 1
            known = (places >= 0) & ((times[places] >= ticks - hold_ms) | (len(values) == 1))
            for row in np.flatnonzero(known).tolist():
                reports[row][identifier].setdefault("type", kind)
                reports[row][identifier][key] = values[places[row]]
    call.reports = [(float(tick), audio_report(report)) for tick, report in zip(ticks, reports, strict=True)]
    return call


def _series(stats: dict[str, Any]) -> tuple[dict[tuple[str, str], dict[str, Series]], int, int]:
    """The series by statistics object (id, type) and key; how many are damaged; how many are video."""
    objects: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    damaged, video = 0, set()
    for name, entry in stats.items():
        identifier, _, key = name.rpartition("-")
        entry = mapping(entry)
        kind = stats_type(identifier, {"type": entry.get("statsType")})
        if kind in TYPES and key in KEYS and identifier:
            if "video" not in identifier.lower():
                objects[identifier, kind][key] = entry
            elif kind in _STREAMS:
                video.add(identifier)
    found: dict[tuple[str, str], dict[str, Series]] = {}
    for place, entries in objects.items():
        read: dict[str, Series] = {}
        stamps = _values(mapping(entries.get("timestamp")))
        for key, entry in entries.items():
            values = _values(entry)
            times = None if values is None else _times(entry, values, stamps)
            if values is None or times is None:
                damaged += 1
            elif values:
                read[key] = times, values
        if not _is_video(read):
            found |= {place: read} if read else {}
        elif place[1] in _STREAMS:
            video.add(place[0])
    return found, damaged, len(video)


def _is_video(read: dict[str, Series]) -> bool:
    return any("video" in read[key][1] for key in ("kind", "mediaType") if key in read)


def _values(entry: dict[str, Any]) -> list[Any] | None:
    """The values of a series; None where there is none, or it is damaged."""
    values = entry.get("values")
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except (ValueError, RecursionError):
            return None
    return values if isinstance(values, list) else None


def _times(
    entry: dict[str, Any], values: list[Any], stamps: list[Any] | None
) -> npt.NDArray[np.float64] | None:
    """When each value was read, ms since 1970, by Chrome's clock; None where that is not known."""
    if stamps is not None and len(stamps) >= len(values) > 0:
        times = np.array([milliseconds(stamp) for stamp in stamps[len(stamps) - len(values) :]])
        if not np.isnan(times).any():
            return times
    start, end = milliseconds(entry.get("startTime")), milliseconds(entry.get("endTime"))
    if math.isnan(start):
        return None
    if math.isnan(end) or end < start:
        end = start + 1e3 * max(len(values) - 1, 0)
    return np.linspace(start, end, len(values))


def _go_on(series: dict[tuple[str, str], dict[str, Series]]) -> int:
    """Let the times go on where Chrome's clock was set back; returns how often it was.

    All objects of a report have the same time, so that one that came later is moved like the others.
    """
    reference = max(_read_here(series), key=len, default=np.array([]))
    forward = _going_on(reference)
    moved_ms = dict(zip(reference.tolist(), (forward - reference).tolist(), strict=True))
    set_back = int((np.diff(reference) < 0.0).sum())
    for keys in series.values() if set_back else ():
        for key, (times, values) in keys.items():
            going_on = _going_on(times)
            if not (np.diff(times) < 0.0).any():
                going_on = times + next((moved_ms[at] for at in times[::-1].tolist() if at in moved_ms), 0.0)
            keys[key] = going_on, values
    return set_back


def _going_on(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The times with a usual step in place of each step back."""
    steps = np.diff(times)
    forward = steps[steps > 0.0]
    steps[steps < 0.0] = np.median(forward) if forward.size else 0.0
    found: npt.NDArray[np.float64] = np.concatenate([times[:1], times[:1] + np.cumsum(steps)])
    return found


def _read_here(series: dict[tuple[str, str], dict[str, Series]]) -> list[npt.NDArray[np.float64]]:
    """When the counters of this end were read, by stream."""
    return [
        keys[key][0]
        for (_, kind), keys in series.items()
        if kind in _STREAMS
        for key in ("packetsReceived", "packetsSent")
        if key in keys
    ]


def _ticks(series: dict[tuple[str, str], dict[str, Series]]) -> npt.NDArray[np.float64]:
    """The times at which the counters of this end were read."""
    times = _read_here(series)
    if not times:
        return np.array([])
    every = np.unique(np.concatenate(times))
    every = every[np.isfinite(every)]
    firsts = np.concatenate([[True], np.diff(every) > _TOGETHER_MS]) if every.size else np.array([], bool)
    found: npt.NDArray[np.float64] = every[firsts]
    return found
