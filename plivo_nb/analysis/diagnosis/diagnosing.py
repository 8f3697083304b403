"""`diagnose`: from the frames of calls to the causes of bad quality."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.analysis.diagnosis import bad_sound, missing_sound, surroundings
from plivo_nb.analysis.diagnosis.findings import Finding, Findings
from plivo_nb.analysis.diagnosis.series import CallSeries, readable
from plivo_nb.analysis.partitions import check_whole, of_partitions
from plivo_nb.quality.limits import JITTER_LIMIT_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from plivo_nb.analysis.diagnosis.series import BoolArray

_BEFORE_S, _AFTER_S = 2.0, 5.0  # an outage and a busy process show in jitter, loss and delay for so long


def diagnose(
    samples: pd.DataFrame,
    *,
    calls: pd.DataFrame | None = None,
    media_metrics: pd.DataFrame | None = None,
) -> Findings:
    """Name the causes of bad quality in calls.

    Args:
        samples: rows of `client.samples`, of one or more calls; or imported ones, where missing columns
            are NaN and tell nothing. A frame of Dask is diagnosed in its partitions.
        calls: rows of `client.calls`: without them, slow set-ups and codecs that were not preferred are not
            found.
        media_metrics: rows of `client.media_metrics`: without them, a lost microphone counts as a silent
            one, and some outages as one-way audio.

    Returns:
        The findings, the worst of each call first, calls in the order of their beginnings; empty where
        nothing is wrong.

    Raises:
        ValueError: a call is in two partitions of a Dask frame.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"interval_s": 1.0, "loss_in": [0.0] * 5 + [0.2] * 10, "packets_in": 50.0},
        ...     index=pd.date_range("2026-11-25", periods=15, freq="s", tz="UTC"))
        >>> [(finding.cause, finding.direction) for finding in diagnose(frame)]
        [('choppy', 'in')]
    """
    about = _About(readable("calls", calls), readable("media_metrics", media_metrics))
    parts = of_partitions(about.diagnosed, samples)
    check_whole([item.call_uuid for item in part] for part in parts)
    found = [item for part in parts for item in part]
    found += about.without_samples({item.call_uuid for item in found})
    found.sort(key=lambda item: (item.began, item.call_uuid))
    return Findings(finding for item in found for finding in item.findings)


@dataclass(frozen=True, slots=True)
class _Diagnosed:
    """The findings of one call.

    Attributes:
        call_uuid: the call; ``""``: rows without one.
        began: the time of its first row.
        findings: what was found.
    """

    call_uuid: str
    began: pd.Timestamp
    findings: list[Finding]


class _About:
    """What is known of the calls beside their samples."""

    def __init__(self, calls: pd.DataFrame, events: pd.DataFrame) -> None:
        self._calls = calls
        self._events = events

    def diagnosed(self, samples: pd.DataFrame) -> list[_Diagnosed]:
        """The calls of these samples."""
        by_call = _by_call(readable("samples", samples))
        return self._of(list(by_call), by_call)

    def without_samples(self, others: set[str]) -> list[_Diagnosed]:
        """The calls but these, which have no samples."""
        return self._of([uuid for uuid in _by_call(self._calls) if uuid not in others], {})

    def _of(self, uuids: list[str], samples: dict[str, pd.DataFrame]) -> list[_Diagnosed]:
        calls, events = (_by_call(_of_calls(frame, uuids)) for frame in (self._calls, self._events))
        empty = readable("samples", None)
        found = []
        for uuid in uuids:
            rows, call = samples.get(uuid, empty), calls.get(uuid, self._calls.iloc[:0])
            findings = _diagnose_call(rows, call, events.get(uuid, self._events.iloc[:0]))
            began = (rows if len(rows) else call).index[0]
            with np.errstate(over="ignore", invalid="ignore"):  # figures of a damaged file may be of any size
                found.append(_Diagnosed(uuid, began, [replace(item, call_uuid=uuid) for item in findings]))
        return found


def _of_calls(frame: pd.DataFrame, uuids: list[str]) -> pd.DataFrame:
    names = frame["call_uuid"].astype(object)
    return frame[names.where(names.notna(), "").isin(uuids)]


def _by_call(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each call, in the order of their first rows; ``""``: rows without one."""
    names = frame["call_uuid"].astype(object)
    return {str(name): rows for name, rows in frame.groupby(names.where(names.notna(), ""), sort=False)}


def _diagnose_call(samples: pd.DataFrame, calls: pd.DataFrame, events: pd.DataFrame) -> Iterator[Finding]:
    call: Any = calls.iloc[-1] if len(calls) else None
    yield from surroundings.slow_set_up(call)
    if not len(samples):
        return
    series = CallSeries(samples)
    dead = missing_sound.Dead.of(series)
    yield from missing_sound.dead_directions(series, dead, events)
    yield from missing_sound.silence(series, dead, events)
    yield from surroundings.busy_kernel(series)
    yield from surroundings.overloaded(series)
    yield from surroundings.server_away(series)
    yield from surroundings.codec_fall_back(series, call)
    yield from _bad_sound(series, samples, dead.either)


def _bad_sound(series: CallSeries, samples: pd.DataFrame, dead: BoolArray) -> Iterator[Finding]:
    """Loss, jitter and delay that neither an outage nor a busy process explains."""
    up = ~series.near(dead, _BEFORE_S, _AFTER_S)
    yield from bad_sound.choppy(series, samples, up)
    busy = surroundings.busy_rows(series) | surroundings.starved_rows(series) | surroundings.late_rows(series)
    timely = up & ~series.near(busy, _BEFORE_S, _AFTER_S)
    yield from bad_sound.robotic(series, timely)
    jitter_ms = series.number("jitter_in_ms")
    yield from bad_sound.lag(series, timely, np.asarray(jitter_ms > JITTER_LIMIT_MS))
