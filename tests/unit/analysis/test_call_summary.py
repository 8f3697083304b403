"""analysis.call_summary: the figures that `client.calls` has, from samples alone."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.call_summary import FIGURES, summarized
from plivo_nb.engine.records import CallTotals
from plivo_nb.quality.frames import CALLS, MEDIA_METRICS, SAMPLES, ColumnStore
from plivo_nb.quality.sampler import SampleRow

NAN = float("nan")


def random_rows(seed: int, count: int) -> list[tuple[SampleRow, float]]:
    """Samples with holes and reports that are held, and the greatest lag of the loop in each."""
    chance = random.Random(seed)
    rows = []
    for second in range(count):
        missing = chance.random() < 0.2
        row = SampleRow(
            time_utc_ns=(second + 1) * 10**9,
            time_monotonic_s=float(second),
            codec=chance.choice(["OPUS", "PCMU", ""]),
            interval_s=1.0,
            rtt_ms=NAN if missing else chance.uniform(1, 400),
            rtt_age_s=chance.choice([0.2, 1.4, NAN]),
            report_age_s=chance.choice([0.2, 1.4]),
            jitter_in_ms=NAN if missing else chance.uniform(0, 80),
            jitter_out_ms=chance.uniform(0, 80),
            loss_in=NAN if missing else chance.choice([1.0, chance.random()]),
            loss_out=chance.choice([1.0, chance.random()]),
            packets_in=chance.choice([0.0, 50.0, NAN]),
            packets_out=50.0,
            packets_expected_in=chance.choice([0.0, 0.0, 50.0]),
            packets_expected_out=chance.choice([0.0, 50.0, NAN]),
            mos=NAN if missing else chance.uniform(1, 4.5),
        )
        rows.append((row, chance.choice([0.0, 20.0, 150.0])))
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_they_are_those_that_the_client_counts(seed):
    totals, columns = CallTotals(), ColumnStore(SAMPLES)
    for row, lag_ms in random_rows(seed, 40):
        totals.add(row, [lag_ms])
        columns.append(row.time_utc_ns, call_uuid="a", loop_lag_ms=lag_ms, **row.values())
    calls = pd.DataFrame({"call_uuid": ["a"]}, pd.DatetimeIndex([pd.Timestamp(0, tz="UTC")]))
    frames = CallFrames.of(calls, columns.frame())
    found = summarized(frames.calls, frames.samples, frames.media_metrics).iloc[0]
    wanted = {**totals.values(), "warnings": NAN}  # without mediaMetrics events nothing is known of warnings
    for name, value in wanted.items():
        if isinstance(value, str):
            assert found[name] == value
        else:
            assert found[name] == pytest.approx(value, nan_ok=True), name
    assert found["duration_s"] == 40.0


def test_figures_that_are_there_stay_and_warnings_are_counted():
    events = ColumnStore(MEDIA_METRICS)
    for active in (True, False, True):
        events.append(0, call_uuid="a", type="high_rtt", value=500, active=active)
    calls = pd.DataFrame(
        {"call_uuid": ["a", "b"], "mos_mean": [1.5, NAN], "label": ["x", "y"]},
        pd.to_datetime([0, 1], utc=True),
    )
    frames = CallFrames.of(calls, media_metrics=events.frame())
    found = summarized(frames.calls, frames.samples, frames.media_metrics)
    assert found["mos_mean"].tolist() == pytest.approx([1.5, NAN], nan_ok=True)
    assert found["warnings"].tolist() == pytest.approx([2, NAN], nan_ok=True)
    assert found["samples"].tolist() == [0, 0]
    assert list(found.columns) == [*(c.name for c in CALLS), *(c.name for c in FIGURES), "label"]
    assert found["codec"].isna().all()


def test_nothing_gives_nothing_with_the_right_types():
    frames = CallFrames.of()
    found = summarized(frames.calls, frames.samples, frames.media_metrics)
    assert len(found) == 0
    assert {str(found[column.name].dtype) for column in FIGURES} == {"float64"}
    assert found["dest"].dtype == frames.calls["dest"].dtype
    assert np.issubdtype(found["mos_mean"].dtype, np.floating)
