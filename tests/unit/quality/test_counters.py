"""quality.counters: one value from RTP to the sample; parts of a stream add up."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.quality.columns import columns_of
from plivo_nb.quality.counters import CUMULATIVE, Counters, added
from plivo_nb.quality.sampler import SampleRow


def test_counters_are_frozen_and_say_what_each_field_is() -> None:
    with pytest.raises(FrozenInstanceError):
        Counters().packets_sent = 1  # type: ignore[misc]
    described = Counters.__doc__ or ""
    assert [item.name for item in fields(Counters) if f"        {item.name}: " not in described] == []


def test_counts_begin_at_zero_and_what_is_not_known_is_missing() -> None:
    nothing = Counters()
    assert {getattr(nothing, name) for name in CUMULATIVE} == {0}
    assert math.isnan(nothing.rtt_s)
    assert math.isnan(nothing.remote_packets_lost)
    assert nothing.codec == ""


@given(st.lists(st.integers(0, 1000), max_size=5))
def test_parts_of_a_stream_add_up(numbers: list[int]) -> None:
    parts = [dict.fromkeys(CUMULATIVE, float(number)) for number in numbers]
    whole = Counters(**added(*parts), codec="OPUS")
    assert {getattr(whole, name) for name in CUMULATIVE} == {sum(numbers)}


def test_a_count_that_one_part_does_not_have_is_that_of_the_others() -> None:
    assert added({"packets_late": 1}, {}, {"packets_received": 50}) == {
        "packets_late": 1,
        "packets_received": 50,
    }


def test_a_column_that_is_the_growth_of_a_counter_names_one() -> None:
    named = [column.growth_of for column in columns_of(SampleRow) if column.growth_of]
    assert {"packets_reordered", "packets_recovered"} <= set(named) <= set(CUMULATIVE)
