"""What the dashboard keeps of a call: new rows, a bounded history, marks, and scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.widgets.call_series import COLUMNS, MOST_BUCKETS, RECENT_ROWS, SAMPLE_COLUMNS, CallSeries

START = np.datetime64("2026-11-23T10:00:00", "us")


def rows(first: int, count: int, **more: object) -> dict[str, np.ndarray]:
    """Samples of a call from row `first` on; `mos` is the number of the row, modulo 4, plus 1."""
    number = np.arange(first, first + count)
    arrays = {name: np.full(count, 0.5) for name in SAMPLE_COLUMNS}
    arrays |= {
        "time": START + number * np.timedelta64(1, "s"),
        "codec": np.array(["OPUS"] * count, object),
        "direction": np.array(["sendrecv"] * count, object),
        "muted": np.zeros(count, bool),
        "mos": number % 4 + 1.0,
        "jitter_in_ms": number.astype(float),
    }
    return arrays | {name: np.array([value] * count, object) for name, value in more.items()}


def series_of(count: int, step: int = 5000) -> CallSeries:
    series = CallSeries()
    for first in range(0, count, step):
        series.extend(rows(first, min(step, count - first)))
    return series


def test_nothing_is_known_before_the_first_row() -> None:
    series = CallSeries()
    series.extend(rows(0, 0))
    assert (series.rows, series.seconds, series.codec, series.latest) == (0, 0.0, None, {})
    assert math.isnan(series.mos_mean)
    assert series.seconds_at(0.0) is None
    assert series.history().shape == (0, len(COLUMNS))


def test_rows_have_seconds_percent_and_gaps() -> None:
    series = CallSeries()
    missing = np.array([np.nan, 0.05])
    series.extend({**rows(0, 2), "loss_out": missing})
    columns = series.columns()
    assert list(columns["t"]) == [1, 2]
    assert np.isnan(columns["loss_out"][0])
    assert columns["loss_out"][1] == pytest.approx(5)
    assert series.latest["loss_out"] == 0.05
    assert series.codec == "OPUS"
    start_s = START.astype("datetime64[s]").astype(int)
    assert series.seconds_at(start_s + 1.5) == pytest.approx(2.5)


def test_scores_are_those_of_all_rows() -> None:
    series = series_of(10_000, 3)
    assert series.mos_mean == pytest.approx(2.5)
    assert series.mos_min == 1.0


def test_new_rows_are_those_after_the_ones_a_reader_has() -> None:
    series = series_of(5)
    assert series.since(3)[:, 1].tolist() == [3, 4]
    assert series.since(5).shape == (0, len(COLUMNS))
    long = series_of(4 * RECENT_ROWS)
    assert long.since(0) is None
    assert len(long.since(long.rows - RECENT_ROWS)) == RECENT_ROWS


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 90_000), st.integers(1, 9000))
def test_a_history_is_bounded_in_order_and_loses_no_extreme(count: int, step: int) -> None:
    series = series_of(count, max(step, count // 40))
    history = series.history()
    assert series.rows == count
    assert len(history) <= 2 * MOST_BUCKETS + 3 * RECENT_ROWS
    assert (np.diff(history[:, 0]) >= 0).all()
    assert history[0, 0] == 1
    assert history[-1, 0] == count
    assert (history[:, 1].min(), history[:, 1].max()) == (0, count - 1)
    assert np.array_equal(history[-min(count, RECENT_ROWS) :, 1], np.arange(count)[-RECENT_ROWS:])


def test_changes_of_a_state_are_marks() -> None:
    series = CallSeries()
    series.extend(rows(0, 3))
    series.extend(rows(3, 2, muted=True))
    series.extend(rows(5, 1, codec="PCMU"))
    series.extend(rows(6, 2, codec="PCMU", direction="recvonly"))
    series.extend(rows(8, 1, codec=None))
    marks = [(mark.t, mark.text) for mark in series.marks]
    assert marks == [(3, "muted"), (5, "codec PCMU"), (5, "unmuted"), (6, "on hold"), (8, "resumed")]


async def test_a_frame_gives_the_same_series(client) -> None:
    call = client.answered()
    call.rows = 4
    frame = call.samples
    whole = CallSeries.of_frame(frame)
    assert whole.rows == 4
    assert list(whole.columns()["rtt"]) == [60, 61, 62, 63]
    partly = CallSeries.of_frame(frame.drop(columns=["rtt_ms", "muted"]))
    assert np.isnan(partly.columns()["rtt"]).all()
    assert partly.marks == []


def test_the_true_loss_is_kept_beside_the_rows_it_is_told_with() -> None:
    series = CallSeries()
    series.extend(rows(0, 2))
    series.extend(rows(2, 1), true_loss=(0.1, 0.02))
    columns = series.columns()
    assert np.isnan(columns["true_loss_in"][:2]).all()
    assert (columns["true_loss_in"][2], columns["true_loss_out"][2]) == pytest.approx((10, 2))
