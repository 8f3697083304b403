"""`diagnose`: from the frames of calls to the causes of bad quality."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.analysis.diagnosis import bad_sound, missing_sound, surroundings
from plivo_nb.analysis.diagnosis.findings import Finding, Findings
from plivo_nb.analysis.diagnosis.series import CallSeries, readable
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
            are NaN and tell nothing.
        calls: rows of `client.calls`: without them, slow set-ups and codecs that were not preferred are not
            found.
        media_metrics: rows of `client.media_metrics`: without them, a lost microphone counts as a silent
            one, and some outages as one-way audio.

    Returns:
        The findings, the worst of each call first; empty where nothing is wrong.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"interval_s": 1.0, "loss_in": [0.0] * 5 + [0.2] * 10, "packets_in": 50.0},
        ...     index=pd.date_range("2026-11-25", periods=15, freq="s", tz="UTC"))
        >>> [(finding.cause, finding.direction) for finding in diagnose(frame)]
        [('choppy', 'in')]
    """
    known_samples, known_calls = readable("samples", samples), readable("calls", calls)
    events = readable("media_metrics", media_metrics)
    found: list[Finding] = []
    for uuid in _uuids(known_samples, known_calls):
        own = [_of_call(frame, uuid) for frame in (known_samples, known_calls, events)]
        found += [replace(item, call_uuid=uuid) for item in _diagnose_call(*own)]
    return Findings(found)


def _uuids(samples: pd.DataFrame, calls: pd.DataFrame) -> list[str]:
    """The calls, in the order of their first rows; ``""``: rows without one."""
    named = [*samples["call_uuid"].astype(object), *calls["call_uuid"].astype(object)]
    return list(dict.fromkeys(name if isinstance(name, str) else "" for name in named))


def _of_call(frame: pd.DataFrame, uuid: str) -> pd.DataFrame:
    names = frame["call_uuid"].astype(object)
    return frame[(names == uuid) if uuid else names.isna() | (names == "")]


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
