"""Sound that arrives, but badly or late: loss, jitter, delay."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.analysis.diagnosis.findings import Evidence, Finding, Severity
from plivo_nb.analysis.diagnosis.loss import loss_model
from plivo_nb.analysis.diagnosis.series import CallSeries, mean
from plivo_nb.quality.limits import JITTER_LIMIT_MS, RTT_LIMIT_MS
from plivo_nb.quality.mos import one_way_delay_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from plivo_nb.analysis.diagnosis.causes import Direction
    from plivo_nb.analysis.diagnosis.series import BoolArray, FloatArray

_DIRECTIONS: tuple[Direction, ...] = ("in", "out")
_WINDOW = 5  # samples
_AUDIBLE_LOSS = 0.03  # 0.3 points of MOS and more with each codec, ITU-T G.107 with Bpl of about 12
_LEAST_S = 4.0
_AUDIBLE_DISCARDS, _OFTEN = 0.03, 0.15  # in a sample; share of the call in which that is so
_DELAY_LIMIT_MS = 400.0  # mouth to ear, ITU-T G.114: not to be exceeded for network planning


def choppy(series: CallSeries, samples: pd.DataFrame, usable: BoolArray) -> Iterator[Finding]:
    """Loss of each direction. `usable`: rows in which the connection was up."""
    for direction in _DIRECTIONS:
        loss = np.where(usable, series.number(f"loss_{direction}"), np.nan)
        weights = series.number(f"packets_expected_{direction}") if direction == "in" else series.interval_s
        weights = np.where(np.isfinite(weights), weights, series.interval_s)
        bad = series.smoothed(loss, weights, _WINDOW) >= _AUDIBLE_LOSS
        bad &= np.isfinite(loss)
        if not bad.any() or series.span(bad).seconds < _LEAST_S:
            continue
        span = series.span(bad)
        share = mean(loss, bad)
        severity: Severity = "critical" if share >= 0.2 else "major" if share >= 0.05 else "minor"
        evidence = [Evidence(f"loss_{direction}", share, "0..1", _AUDIBLE_LOSS)]
        made = Finding.of("choppy", direction, severity, span, *evidence)
        yield replace(made, loss=loss_model(samples[bad])) if direction == "in" else made


def robotic(series: CallSeries, usable: BoolArray) -> Iterator[Finding]:
    """Jitter of each direction, and packets that came too late to be played."""
    for direction in _DIRECTIONS:
        jitter_ms = np.where(usable, series.number(f"jitter_{direction}_ms"), np.nan)
        bad = jitter_ms > JITTER_LIMIT_MS
        discards = _discards(series, usable) if direction == "in" else np.full(len(series), np.nan)
        late_rows = discards >= _AUDIBLE_DISCARDS
        if float(series.interval_s[late_rows].sum()) >= _OFTEN * series.seconds:
            bad |= late_rows
        if not bad.any() or series.span(bad).seconds < _LEAST_S:
            continue
        late = mean(discards, bad, 0.0)
        mean_ms = mean(jitter_ms, bad)
        severity: Severity = "major" if mean_ms >= 1.2 * JITTER_LIMIT_MS else "minor"
        evidence = [Evidence(f"jitter_{direction}_ms", mean_ms, "ms", JITTER_LIMIT_MS)]
        if late > 0.0:
            evidence.append(Evidence("packets_discarded", late, "0..1", _AUDIBLE_DISCARDS))
        yield Finding.of("robotic", direction, severity, series.span(bad), *evidence)


def lag(series: CallSeries, usable: BoolArray, uneven: BoolArray) -> Iterator[Finding]:
    """Round-trip time, and delay from mouth to ear. `uneven`: rows whose play-out is late by jitter."""
    rtt_ms = np.where(usable, series.number("rtt_ms"), np.nan)
    playout_ms = np.where(usable, series.number("playout_delay_ms"), np.nan)
    delay_ms = np.asarray(one_way_delay_ms(rtt_ms, playout_ms, "PCMU"), dtype=np.float64)
    bad = (rtt_ms > RTT_LIMIT_MS) | ((delay_ms > _DELAY_LIMIT_MS) & ~uneven)
    if not bad.any() or series.span(bad).seconds < _LEAST_S:
        return
    trip_ms = mean(rtt_ms, bad)
    evidence = [Evidence("rtt_ms", trip_ms, "ms", RTT_LIMIT_MS)]
    if np.isfinite(playout_ms[bad]).any():
        evidence.append(Evidence("playout_delay_ms", mean(playout_ms, bad), "ms"))
    severity: Severity = "major" if trip_ms >= 1.2 * RTT_LIMIT_MS else "minor"
    yield Finding.of("lag", "", severity, series.span(bad), *evidence)


def _discards(series: CallSeries, usable: BoolArray) -> FloatArray:
    """Share of the packets that arrived and were not played, 0..1."""
    late, arrived = series.number("packets_discarded"), series.number("packets_in")
    known = usable & (arrived > 0.0) & np.isfinite(late)
    shares: FloatArray = np.divide(late, arrived, out=np.full(len(series), np.nan), where=known)
    return shares
