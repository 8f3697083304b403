"""From the reports of a call to its frames: one row a second, or a report where they are further apart.

The figures are worked out by the sampler of live calls (`plivo_nb.quality.sampler`), from counters that this
module follows through gaps, clocks that are set, and streams that begin anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.analysis.call_frames import CallFrames, conformed
from plivo_nb.analysis.importers.source import is_since_1970
from plivo_nb.analysis.importers.stream_totals import StreamTotals
from plivo_nb.quality.call_totals import CallTotals
from plivo_nb.quality.counters import NAN
from plivo_nb.quality.frames import CALLS, SAMPLES, build_frame
from plivo_nb.quality.sampler import ClockAnchor, Sampler, SampleRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plivo_nb.analysis.importers.audio_report import AudioReport

_ROW_S = 0.95  # reports that come faster than each second are put together, with room for jitter of timers
_JUMP_S = 86_400.0  # nobody leaves a call without a report for a day: the clock was set
_HOLE = 4.0  # median intervals without a report that are named
_STEP_S = 1.0  # assumed where a clock does not say how much time passed
_NUMBERS = [item.name for item in fields(SampleRow) if item.type == "float" and "column" in item.metadata]


@dataclass(slots=True)
class ImportedCall:
    """One call as another program recorded it.

    Attributes:
        uuid: what it is called in the frames.
        reports: time (ms since 1970) and report, in the order of the file.
        started_ms: when the counters began at 0; NaN where it is not known.
        about: columns of `plivo_nb.schema("calls")` that the file says; None or NaN: not known.
        muted: when the source was muted (True) or not (False) from.
    """

    uuid: str
    reports: list[tuple[float, AudioReport]] = field(default_factory=list)
    started_ms: float = NAN
    about: dict[str, Any] = field(default_factory=dict)
    muted: list[tuple[float, bool]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SampledCall:
    """A call with its rows.

    Attributes:
        uuid: what it is called in the frames.
        rows: its samples.
        about: columns of `calls`, those worked out from the rows included.
        began_ns: when it began, ns since 1970.
    """

    uuid: str
    rows: list[SampleRow]
    about: dict[str, Any]
    began_ns: int


def frames_of(calls: Iterable[ImportedCall], warnings: list[str]) -> CallFrames:
    """The frames of calls; calls without audio are left out, and named.

    Args:
        calls: as the file has them.
        warnings: what could not be read so far; more are added.
    """
    return frames_of_sampled(
        [made for call in calls if (made := _sampled(call, warnings)) is not None], warnings
    )


def frames_of_sampled(calls: Sequence[SampledCall], warnings: list[str]) -> CallFrames:
    """The frames of calls whose samples are known."""
    rows = [(call.uuid, row) for call in calls for row in call.rows]
    told = [{**row.values(), "call_uuid": uuid} for uuid, row in rows]
    # what only this package's engine knows is missing
    values = {c.name: [values.get(c.name) for values in told] for c in SAMPLES}
    samples = build_frame("samples", [row.time_utc_ns for _, row in rows], values)
    calls = sorted(calls, key=lambda call: call.began_ns)
    columns = {c.name: [call.about.get(c.name) for call in calls] for c in CALLS}
    frame = build_frame("calls", [call.began_ns for call in calls], columns)
    return CallFrames(frame, samples, conformed("media_metrics", None), tuple(warnings))


def about_with_totals(call: ImportedCall, rows: Sequence[SampleRow]) -> dict[str, Any]:
    """The columns of `calls`: what the file says, and the figures of the samples."""
    totals = CallTotals()
    for row in rows:
        totals.add(row, ())
    figures = totals.values() | {"stalls": NAN, "warnings": NAN}
    said = {name: value for name, value in call.about.items() if value is not None and value == value}
    return {**figures, **said, "call_uuid": call.uuid}


def _sampled(call: ImportedCall, warnings: list[str]) -> SampledCall | None:
    video = max((report.video for _, report in call.reports), default=0)
    if video:
        warnings.append(f"{call.uuid}: {video} video streams were left out; only audio is read.")
    timed = _from_first_audio(call.reports)
    if not timed and not call.about:
        warnings.append(f"{call.uuid}: there is no report about audio in it; it was left out.")
        return None
    times_s = _steady([ms * 1e-3 for ms, _ in timed], call.uuid, warnings)
    reports = [report for _, report in timed]
    began_s = call.started_ms * 1e-3 if is_since_1970(call.started_ms) else (times_s[0] if times_s else 0.0)
    rows = _rows(call, times_s, reports, warnings) if reports else []
    about = about_with_totals(call, rows)
    if rows and "duration_s" not in call.about:
        about["duration_s"] = rows[-1].time_monotonic_s - rows[0].time_monotonic_s + rows[0].interval_s
    return SampledCall(call.uuid, rows, about, round(began_s * 1e3) * 1_000_000)


def _from_first_audio(reports: list[tuple[float, AudioReport]]) -> list[tuple[float, AudioReport]]:
    first = next((place for place, (_, report) in enumerate(reports) if report.has_audio), None)
    return [] if first is None else [item for item in reports[first:] if not math.isnan(item[0])]


def _steady(times_s: list[float], uuid: str, warnings: list[str]) -> list[float]:
    """The times without the jumps of a clock that was set; they never go backwards."""
    if not times_s:
        return []
    times = np.asarray(times_s)
    steps = np.diff(times)
    forward = steps[(steps > 0.0) & (steps < _JUMP_S)]
    usual = float(np.median(forward)) if forward.size else _STEP_S
    jumps = (steps < 0.0) | (steps >= _JUMP_S)
    if jumps.any():
        at = times_s[int(np.argmax(jumps))]
        warnings.append(
            f"{uuid}: the clock was set {int(jumps.sum())} times, first after {_clock(at)}; the rows after "
            f"it go on from there, with {usual:.3g} s in place of the jump."
        )
    holes = ~jumps & (steps > max(_HOLE * usual, 2.0))
    if holes.any():
        first = _clock(times_s[int(np.argmax(holes))])
        warnings.append(
            f"{uuid}: {int(holes.sum())} gaps without reports, {steps[holes].sum():.0f} s in all, first "
            f"after {first}; each is one row."
        )
    steps = np.where(jumps, usual, steps)
    return [float(value) for value in times[0] + np.concatenate([[0.0], np.cumsum(steps)])]


def _clock(seconds: float) -> str:
    if not is_since_1970(seconds * 1e3):
        return f"{seconds:.1f} s"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _rows(
    call: ImportedCall, times_s: list[float], reports: Sequence[AudioReport], warnings: list[str]
) -> list[SampleRow]:
    started_s = _start(call, times_s)
    origin_s = times_s[0] if math.isnan(started_s) else started_s
    anchor = ClockAnchor(round(origin_s * 1e3) * 1_000_000, 0.0)
    sampler = Sampler(NAN if math.isnan(started_s) and len(reports) == 1 else 0.0, anchor=anchor)
    totals = StreamTotals()
    if len(reports) == 1 and math.isnan(started_s):
        warnings.append(f"{call.uuid}: there is one report only; its figures are those since the call began.")
    elif math.isnan(started_s):
        totals.add(reports[0], 0.0, baseline=True)
        sampler.sample(totals.counters(reports[0]), 0.0)
        times_s, reports = times_s[1:], reports[1:]
    rows: list[SampleRow] = []
    last_s, resets = 0.0, 0
    for place, (at_s, report) in enumerate(zip(times_s, reports, strict=True)):
        now = at_s - origin_s
        counters, reset = totals.add(report, now, baseline=False)
        resets += reset
        last = place == len(reports) - 1
        if now - last_s < _ROW_S and not (last and (now > last_s or not rows)):
            continue
        muted = _is_muted(call, at_s * 1e3)
        counters = counters if muted is None else replace(counters, muted=muted)
        row = sampler.sample(counters, now, direction="sendrecv" if totals.is_due(report) else "sendonly")
        rows.append(_finished(row, at_s, report))
        last_s = now
    if resets:
        warnings.append(f"{call.uuid}: counters began anew {resets} times; what they lost then is missing.")
    return rows


def _start(call: ImportedCall, times_s: list[float]) -> float:
    """When the counters began at 0; NaN where it is not known, or too long before the first report."""
    if not is_since_1970(call.started_ms):
        return NAN
    usual = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 5.0
    before = times_s[0] - call.started_ms * 1e-3
    return call.started_ms * 1e-3 if 0.0 < before <= 1.5 * usual + 1.0 else NAN


def _is_muted(call: ImportedCall, ms: float) -> bool | None:
    """Whether the source was muted then; None where nothing says it."""
    return next((muted for since_ms, muted in reversed(call.muted) if since_ms <= ms), None)


def _finished(row: SampleRow, at_s: float, report: AudioReport) -> SampleRow:
    """The row without what other programs do not know, and never with an infinite number."""
    changes: dict[str, Any] = {"direction": "", "time_utc_ns": round(at_s * 1e3) * 1_000_000}
    for name in _NUMBERS:
        if math.isinf(getattr(row, name)):
            changes[name] = NAN
    if math.isnan(row.mos) and 1.0 <= report.score <= 5.0:
        changes["mos"] = report.score
    if not row.interval_s > 0.0:
        changes["interval_s"] = NAN
    return replace(row, **changes)
