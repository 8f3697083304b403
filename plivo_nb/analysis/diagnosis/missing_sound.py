"""Sound that is missing altogether: outages, one-way audio, silent microphones, mute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.analysis.diagnosis.findings import Evidence, Finding, Severity
from plivo_nb.analysis.diagnosis.series import CallSeries, Span, mean
from plivo_nb.quality.limits import SILENCE_LIMIT_DBFS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from plivo_nb.analysis.diagnosis.causes import Cause, Direction
    from plivo_nb.analysis.diagnosis.series import BoolArray

_ALL_LOST = 0.999
_SHORTEST_OUTAGE_S = 2.0
_SHORTEST_ONE_WAY_S = 4.0
_SILENT_S, _SILENT_SHARE = 10.0, 0.4  # a speaker's pauses are shorter
_SHORT_CALL_S = 4.0
_LOST_DEVICE_S = 3.0
_REPORTED_LATE_S = 8.0  # RTCP reports come each 1 to 7.5 s


@dataclass(frozen=True, slots=True)
class Dead:
    """Where nothing arrived that was due: here, and at the far end."""

    incoming: BoolArray
    outgoing: BoolArray

    @classmethod
    def of(cls, series: CallSeries) -> Dead:
        """By the loss of each direction; by the packets where a whole call has no loss."""
        arrived, sent = series.number("packets_in"), series.number("packets_out")
        incoming = (series.number("loss_in") >= _ALL_LOST) & ~series.flag("not_sent_in") & series.receives
        if np.nansum(arrived) == 0.0 and np.isfinite(arrived).any():
            incoming |= (sent > 0.0) & series.receives & ~series.flag("not_sent_in")
        return cls(incoming, (series.number("loss_out") >= _ALL_LOST) & series.sends)

    @property
    def either(self) -> BoolArray:
        """Rows of either direction."""
        return self.incoming | self.outgoing


def dead_directions(series: CallSeries, dead: Dead, media_metrics: pd.DataFrame) -> Iterator[Finding]:
    """Outages, and one-way audio: a direction that never works, or that dies for good."""
    outages = _connection_lost(media_metrics)
    found: list[tuple[Direction, Span]] = []
    ways: tuple[tuple[Direction, BoolArray], ...] = (("in", dead.incoming), ("out", dead.outgoing))
    for direction, rows in ways:
        for run in series.runs(rows, _SHORTEST_OUTAGE_S):
            lost_both = any(run.since <= at <= run.until for at in outages)
            if not lost_both and _is_for_good(series, run):
                yield _one_way(series, direction, run)
            else:
                found.append(("" if lost_both else direction, run))
    yield from _outages(series, found)


def _connection_lost(media_metrics: pd.DataFrame) -> list[pd.Timestamp]:
    rows = media_metrics[(media_metrics["type"] == "ice_connection") & media_metrics["active"]]
    return list(rows.index)


def _is_for_good(series: CallSeries, run: Span) -> bool:
    """Whether it lasted from the beginning of the call, or to its end."""
    if run.seconds < _SHORTEST_ONE_WAY_S:
        return False
    places = np.flatnonzero(run.rows)
    early = float(series.interval_s[: places[0]].sum()) <= _REPORTED_LATE_S
    late = float(series.interval_s[places[-1] + 1 :].sum()) <= 1.5
    return late or (early and run.seconds >= 0.5 * series.seconds)


def _one_way(series: CallSeries, direction: Direction, run: Span) -> Finding:
    packets = "packets_in" if direction == "in" else "packets_out"
    total = float(np.nansum(series.number(packets)[run.rows]))
    evidence = (Evidence(f"loss_{direction}", 1.0, "0..1"), Evidence(packets, total, "packets"))
    return Finding.of("one_way_audio", direction, "critical", run, *evidence)


def _outages(series: CallSeries, found: list[tuple[Direction, Span]]) -> Iterator[Finding]:
    """Spans of both directions that overlap are one outage; reports of the far end come later."""
    if not found:
        return
    ways: set[Direction] = {way for way, _ in found}
    direction: Direction = ways.pop() if len(ways) == 1 else ""
    rows = series.nothing
    for _, run in found:
        rows |= run.rows
    span = series.span(rows)
    severity: Severity = "critical" if span.seconds >= 3.0 else "major"
    columns = [name for name in ("loss_in", "loss_out") if (series.number(name)[rows] >= _ALL_LOST).any()]
    evidence = [Evidence(name, 1.0, "0..1") for name in columns]
    yield Finding.of("outage", direction, severity, span, *evidence)


# ---------------------------------------------------------------- silence


def silence(series: CallSeries, dead: Dead, media_metrics: pd.DataFrame) -> Iterator[Finding]:
    """A far end or a microphone that is silent, a microphone that was lost, mute."""
    arriving = series.receives & ~dead.incoming & ~(series.number("packets_in") <= 0.0)
    level_in = series.number("level_in_dbfs")
    quiet = _long_enough(series, (level_in <= SILENCE_LIMIT_DBFS) & arriving & ~series.flag("not_sent_in"))
    if quiet is not None:
        yield _silent(series, "far_end_silent", "in", "level_in_dbfs", quiet)
    muted = _long_enough(series, series.flag("muted") & series.sends)
    if muted is not None:
        share = muted.seconds / max(series.seconds, 1e-9)
        yield Finding.of("muted", "out", "major", muted, Evidence("muted", share, "0..1"))
    lost = _lost_device(series, media_metrics)
    if lost is not None:
        yield Finding.of("device_lost", "out", "critical", lost, *_no_source(series, lost))
        return
    level_out = series.number("level_out_dbfs")
    no_sound = (level_out <= SILENCE_LIMIT_DBFS) | _without_source(series)
    still = _long_enough(series, no_sound & ~series.flag("muted") & series.sends)
    if still is not None:
        yield _silent(series, "microphone_silent", "out", "level_out_dbfs", still)


def _long_enough(series: CallSeries, rows: BoolArray) -> Span | None:
    """The longest run, if it is no pause in speech: 10 s and two fifths of the call, or a short call."""
    run = series.longest(rows)
    if run is None:
        return None
    whole = run.seconds >= 0.9 * series.seconds and run.seconds >= _SHORT_CALL_S
    return run if whole or run.seconds >= max(_SILENT_S, _SILENT_SHARE * series.seconds) else None


def _silent(series: CallSeries, cause: Cause, direction: Direction, column: str, run: Span) -> Finding:
    levels = series.number(column)[run.rows]
    loudest = float(np.nanmax(levels)) if np.isfinite(levels).any() else np.nan
    evidence = [Evidence(column, loudest, "dBFS", SILENCE_LIMIT_DBFS)] if np.isfinite(loudest) else []
    return Finding.of(cause, direction, "critical", run, *evidence)


def _without_source(series: CallSeries) -> BoolArray:
    """Packets are sent, and none of their sound is of the source."""
    return (series.number("source_bytes") <= 0.0) & (series.number("packets_out") > 0.0)


def _lost_device(series: CallSeries, media_metrics: pd.DataFrame) -> Span | None:
    """From the loss of the microphone on: reported, or a source that gives nothing any more."""
    silent = _without_source(series) & ~series.flag("muted") & series.sends
    told = (media_metrics["type"] == "no_microphone_access") & media_metrics["active"]
    worked = np.cumsum(series.number("source_bytes") > 0.0) > 0
    rows = silent & worked
    if not told.any() or not rows.any() or series.span(rows).seconds < _LOST_DEVICE_S:
        return None
    return series.span(rows)


def _no_source(series: CallSeries, lost: Span) -> tuple[Evidence, ...]:
    return (Evidence("source_bytes", mean(series.number("source_bytes"), lost.rows, 0.0), "bytes"),)
