"""analysis.figures: columns and calls of any frame, limits that do not squash."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from plivo_nb.analysis.figures import axes_or_new, call_name, calls_of, limit_line, numbers, starts_at


def test_a_column_that_is_missing_is_nan() -> None:
    frame = pd.DataFrame({"a": pd.array([1, None], dtype="Int64")})
    assert np.isnan(numbers(frame, "b")).tolist() == [True, True]
    assert numbers(frame, "a")[0] == 1.0
    assert np.isnan(numbers(frame, "a")[1])


def test_calls_come_in_the_order_in_which_they_begin() -> None:
    frame = pd.DataFrame({"call_uuid": ["b", "a", "b", None]})
    assert [(uuid, len(rows)) for uuid, rows in calls_of(frame)] == [("b", 2), ("a", 1), ("", 1)]
    assert [uuid for uuid, _ in calls_of(pd.DataFrame({"mos": [1.0]}))] == [""]


def test_the_first_interval_may_be_shorter() -> None:
    index = pd.DatetimeIndex(["2026-01-01 00:00:10"], tz="UTC")
    assert starts_at(pd.DataFrame({"mos": [1.0]}, index=index)).second == 9
    assert starts_at(pd.DataFrame({"interval_s": [0.5]}, index=index)).microsecond == 500_000


@pytest.mark.parametrize(("highest", "drawn"), [(10.0, False), (250.0, True), (900.0, True), (0.0, True)])
def test_a_limit_is_a_line_where_the_range_reaches_it(highest: float, drawn: bool) -> None:
    axes = Figure().subplots()
    limit_line(axes, 400.0, "limit 400 ms", np.array([0.0, highest, np.nan]))
    assert bool(axes.get_lines()) is drawn
    assert axes.get_ylim()[1] > highest


def test_axes_that_are_given_are_used() -> None:
    figure = Figure()
    axes = figure.subplots()
    assert axes_or_new(axes, 1, 1) == (figure, axes)


def test_names_of_calls_are_short() -> None:
    assert call_name("b60282dd-475b-4d97", 0) == "b60282dd"
    assert call_name("", 1) == "call 2"
