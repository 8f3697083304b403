"""analysis.comparison: differences of groups, their intervals and their picture."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stored_calls import BEGAN_S, sample_rows, samples_of

from plivo_nb.analysis.comparison import Comparison, block_means, call_means, effect
from plivo_nb.analysis.figures import CallFigure

SCORES = arrays(np.float64, st.integers(0, 6), elements=st.floats(1, 4.5) | st.just(math.nan))


def group(*scores: float, seconds: int = 12) -> pd.DataFrame:
    """The samples of a call for each score."""
    frames = [
        samples_of(f"call {number} {score}", sample_rows(seconds, mos=score, began_s=BEGAN_S + 100 * number))
        for number, score in enumerate(scores)
    ]
    return pd.concat([frame.astype({"call_uuid": object, "codec": object}) for frame in frames])


def test_the_interval_holds_the_true_difference_as_often_as_it_says():
    random = np.random.default_rng(7)
    held = 0
    for trial in range(150):
        found = effect(random.normal(4.0, 0.3, 8), random.normal(3.7, 0.3, 6), seed=trial)
        held += found.low <= -0.3 <= found.high
    assert 0.85 < held / 150 <= 1.0


def test_a_difference_without_doubt_and_none():
    random = np.random.default_rng(1)
    lan, wifi = random.normal(4.3, 0.1, 20), random.normal(3.3, 0.1, 20)
    found = effect(lan, wifi)
    assert found.difference == pytest.approx(-1.0, abs=0.1)
    assert found.high < -0.5
    assert found.size_high < -2.0
    same = effect(lan, random.normal(4.3, 0.1, 20))
    assert same.low < 0 < same.high
    assert same.size_low < 0 < same.size_high


@given(SCORES, SCORES)
def test_any_values_give_intervals_around_the_difference_or_nothing(one, other):
    found = effect(one, other)
    counts = [int(np.isfinite(values).sum()) for values in (one, other)]
    assert math.isfinite(found.difference) == (min(counts) > 0)
    assert math.isfinite(found.low) == (min(counts) > 1)
    if min(counts) > 1:
        assert found.low - 1e-9 <= found.high


def test_calls_are_compared_by_their_means():
    comparison = Comparison(
        {"lan": group(4.4, 4.2, 4.3), "wifi": group(3.2, 3.0, 3.1)}, ["mos", "rtt_ms"], by="net"
    )
    row = comparison.table.loc[("mos", "wifi")]
    assert (row["calls"], row["unit"]) == (3, "call")
    assert row["difference"] == pytest.approx(-1.2)
    assert row["high"] < -0.9
    assert comparison.table.loc[("rtt_ms", "wifi"), "difference"] == pytest.approx(0.0)
    assert math.isnan(comparison.table.loc[("mos", "lan"), "difference"])
    assert "lan, wifi" in repr(comparison)
    assert "Compared with lan" in comparison._repr_html_()


def test_a_group_without_a_name_has_one():
    compared = Comparison({"": group(4.0, 4.1), "wifi": group(3.0, 3.1)}, ["mos"])
    assert list(compared.table.loc["mos"].index) == ["(empty)", "wifi"]


def test_single_calls_are_compared_by_blocks_of_ten_seconds():
    comparison = Comparison({"lan": group(4.4, seconds=40), "wifi": group(3.2, seconds=40)}, ["mos"])
    row = comparison.table.loc[("mos", "wifi")]
    assert (row["calls"], row["unit"]) == (1, "10 s")
    assert row["low"] <= row["difference"] <= row["high"] < -1.0
    assert row[["effect_size", "effect_low", "effect_high"]].isna().all(), "one call has no spread"
    (note,) = comparison.notes
    assert "no spread" in note
    assert note in comparison._repr_html_()


def test_a_comparison_of_several_calls_needs_no_note():
    comparison = Comparison({"lan": group(4.4, 4.2), "wifi": group(3.2, 3.0)}, ["mos"])
    assert math.isfinite(comparison.table.loc[("mos", "wifi"), "effect_size"])
    assert comparison.notes == ()


def test_loss_is_weighted_by_the_packets_that_it_is_about():
    samples = samples_of("a", sample_rows(2)).assign(loss_in=[0.5, 0.0], packets_expected_in=[10.0, 90.0])
    assert call_means([samples], "loss_in").tolist() == [0.05]
    assert call_means([samples.assign(packets_expected_in=np.nan)], "loss_in").tolist() == [0.25]
    assert call_means([samples.iloc[:0]], "mos").tolist() == []
    assert block_means([samples.iloc[:0]], "mos").tolist() == []


def test_what_cannot_be_compared_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="needs two"):
        Comparison({"lan": group(4.0)}, ["mos"], by="label")
    with pytest.raises(ValueError, match="no column nonsense"):
        Comparison({"lan": group(4.0), "wifi": group(4.0)}, ["nonsense"])


@pytest.mark.parametrize("count", [1, 3, 14])
def test_the_picture_has_a_line_for_each_group_and_a_dot_for_each_call(count):
    groups = {"lan": group(*[4.2] * count), "wifi": group(*[3.2] * count), "none": group(4.0).iloc[:0]}
    figure = Comparison(groups, ["mos", "loss_in"]).plot(title="Two networks")
    assert isinstance(figure, CallFigure)
    panels = [panel for side in figure.axes[0].child_axes for panel in side.child_axes]
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == ["lan", "wifi", "none"]
    assert len(panels[2].lines[0].get_xdata()) == count
    figure._repr_png_()
