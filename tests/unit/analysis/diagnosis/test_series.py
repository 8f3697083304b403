"""The samples of one call as arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulation.made_samples import BEGAN, during, samples

from plivo_nb.analysis.diagnosis.series import CallSeries, mean, readable


def test_runs_have_their_span() -> None:
    series = CallSeries(samples(30))
    (first, second) = series.runs((during(30, 3, 5, 1, 0) + during(30, 10, 20, 1, 0)) > 0)
    assert (first.since, first.until) == (BEGAN + pd.Timedelta(seconds=3), BEGAN + pd.Timedelta(seconds=5))
    assert second.seconds == 10.0
    assert series.longest(first.rows | second.rows).rows.sum() == 10  # type: ignore[union-attr]
    assert [run.seconds for run in series.runs(first.rows | second.rows, least_s=3.0)] == [10.0]
    assert series.longest(series.nothing) is None


def test_rows_near_others() -> None:
    series = CallSeries(samples(30))
    near = series.near(during(30, 10, 12, 1, 0) > 0, before_s=2.0, after_s=3.0)
    assert np.flatnonzero(near).tolist() == list(range(8, 15))


def test_the_length_of_intervals_is_known_without_the_column() -> None:
    assert CallSeries(samples(10).assign(interval_s=np.nan)).interval_s.tolist() == [1.0] * 10
    assert CallSeries(samples(1).assign(interval_s=np.nan)).interval_s.tolist() == [1.0]
    assert CallSeries(samples(0)).seconds == 0.0


def test_a_smoothed_value_is_of_the_rows_before() -> None:
    series = CallSeries(samples(4))
    values, weights = np.array([0.0, np.nan, 0.3, 0.6]), np.array([1.0, 1.0, 2.0, 0.0])
    assert series.smoothed(values, weights, 2) == pytest.approx([0.0, 0.0, 0.3, 0.3])


def test_infinite_numbers_are_missing() -> None:
    assert np.isnan(CallSeries(samples(2, rtt_ms=np.inf)).number("rtt_ms")).all()


def test_a_mean_of_nothing_is_missing() -> None:
    assert np.isnan(mean(np.array([np.nan]), np.array([True])))
    assert mean(np.array([1.0, 3.0, np.nan]), np.array([True, True, True])) == 2.0


def test_rows_without_a_time_are_left_out() -> None:
    frame = pd.DataFrame({"rtt_ms": [1.0, 2.0]}, index=[pd.NaT, pd.Timestamp("2026-01-01")])
    assert readable("samples", frame)["rtt_ms"].tolist() == [2.0]
