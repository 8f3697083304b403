"""analysis.rule_comparison: what warned and when, false alarms against missed, thresholds swept."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest

from plivo_nb.analysis.rule_comparison import (
    Alarms,
    Period,
    bad_periods,
    compare_rules,
    sweep,
    sweep_figure,
    warning_periods,
)
from plivo_nb.analysis.rule_replay import replay
from plivo_nb.quality.rules import V2_1, Rule

JITTER = Rule(type="shaky", group="network", desc="in", column="jitter_in_ms", over=">", limit=50)


def samples(**jitter: list[float]) -> pd.DataFrame:
    """Calls one after another, each with a sample a second."""
    frames = []
    for number, (call, values) in enumerate(jitter.items()):
        start = pd.Timestamp("2026-11-25", tz="UTC") + pd.Timedelta(minutes=number)
        index = pd.date_range(start, periods=len(values), freq="s", name="time")
        frames.append(
            pd.DataFrame({"call_uuid": call, "interval_s": 1.0, "jitter_in_ms": values}, index=index)
        )
    return pd.concat(frames)


def test_bad_periods_are_the_runs_of_each_call() -> None:
    frame = samples(a=[0, 0, 9, 9, 0, 9], b=[9, 0, 0])
    assert bad_periods(frame, (frame["jitter_in_ms"] > 5).to_numpy()) == (
        Period("a", 2.0, 4.0),
        Period("a", 5.0, 6.0),
        Period("b", 0.0, 1.0),
    )


def test_warning_periods_end_when_cleared_or_with_the_call() -> None:
    frame = samples(a=[5.0] * 2 + [80.0] * 4 + [5.0] * 8, b=[80.0] * 6)
    periods = warning_periods(frame, replay(frame, [JITTER]))
    assert periods.values.tolist() == [["a", "shaky", "in", 5.0, 11.0], ["b", "shaky", "in", 3.0, 6.0]]


def test_a_set_that_warns_early_late_wrongly_and_not_at_all() -> None:
    frame = samples(a=[5.0] * 10 + [80.0] * 10, b=[80.0] * 8 + [5.0] * 12, c=[5.0] * 20)
    bad = pd.Series([False] * 10 + [True] * 10 + [False] * 20 + [True] * 10 + [False] * 10, frame.index)
    comparison = compare_rules(frame, {"own": [JITTER], "documented": "v2.1"}, bad=bad)
    row = comparison.table.loc[("own", "shaky", "in")]
    assert (row["calls"], row["events"], row["false_alarms"]) == (2, 2, 1)
    assert (row["bad"], row["missed"], row["delay_s"]) == (2, 1, 3.0)
    assert comparison.table.loc[("documented", "any", ""), "events"] == 2
    assert "own, documented" in repr(comparison)
    assert "false_alarms" in comparison._repr_html_()


def test_without_truth_nothing_is_said_of_alarms() -> None:
    comparison = compare_rules(samples(a=[80.0] * 9))
    assert list(comparison.table.columns) == ["calls", "events", "first_s"]
    assert set(comparison.table.index.get_level_values("rules")) == {"v2.1", "sdk-2.2"}


def test_a_warning_that_still_stands_when_the_call_turns_bad_is_early() -> None:
    frame = samples(a=[80.0] * 12)
    bad = pd.Series([False] * 6 + [True] * 6, frame.index)
    comparison = compare_rules(frame, {"own": [JITTER]}, bad=bad)
    assert comparison.table.loc[("own", "shaky", "in"), "delay_s"] == -3.0


def test_shares_without_anything_are_missing() -> None:
    nothing = Alarms(0, 0, 0, 0, ())
    assert all(math.isnan(x) for x in (nothing.missed_share, nothing.false_share, nothing.median_delay_s))


def test_flags_of_another_length_are_refused() -> None:
    frame = samples(a=[1.0, 2.0])
    with pytest.raises(ValueError, match="1 values for 2 samples"):
        compare_rules(frame, bad=pd.Series([True]))


def test_flags_go_with_their_samples_when_those_are_not_in_order() -> None:
    frame = samples(a=[5.0] * 5 + [80.0] * 10)
    bad = frame["jitter_in_ms"] > 50
    straight = compare_rules(frame, {"own": [JITTER]}, bad=bad)
    mixed = compare_rules(frame[::-1], {"own": [JITTER]}, bad=bad[::-1])
    pd.testing.assert_frame_equal(straight.table, mixed.table)


def noisy() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(3)
    calls = {
        f"call-{number}": (rng.normal(20, 8, 60) + (number % 2) * np.repeat([0, 30, 0], 20)).clip(0).tolist()
        for number in range(8)
    }
    bad = pd.Series(np.tile(np.repeat([0, 0, 0, 0, 1, 0], 20).astype(bool), 4))
    frame = samples(**calls)
    return frame, bad.set_axis(frame.index)


def test_a_higher_limit_gives_fewer_alarms_and_more_misses() -> None:
    frame, bad = noisy()
    swept = sweep(frame, JITTER, [10, 25, 35, 45, 70], bad=bad)
    assert swept["warned"].iloc[-1] == 0
    assert swept["missed"].is_monotonic_increasing
    assert (swept["missed_share"].iloc[0], swept["missed_share"].iloc[-1]) == (0.0, 1.0)
    assert swept["false_alarms"].iloc[0] > swept["false_alarms"].iloc[3]
    assert swept.index.tolist() == [10, 25, 35, 45, 70]


@pytest.mark.parametrize("named", [False, True])
def test_the_picture_of_a_sweep_has_a_point_for_each_limit(named: bool) -> None:
    frame, bad = noisy()
    swept = sweep(frame, JITTER, [10, 25, 35, 45], bad=bad)
    figure = sweep_figure({"jitter": swept, "the same": swept} if named else swept, current=35)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 4]
    assert len(lines) == (2 if named else 1)
    assert (figure.axes[0].get_legend() is not None) == named
    figure.savefig(io.BytesIO())


def test_the_picture_of_a_comparison_shows_who_warned_over_what_was_bad() -> None:
    frame, bad = noisy()
    comparison = compare_rules(frame, {"strict": [JITTER], "documented": V2_1}, bad=bad)
    figure = comparison.plot()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert {"strict", "documented", "bad"} >= set(labels)
    figure.savefig(io.BytesIO())
