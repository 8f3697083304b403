"""analysis.partitions: a Dask frame gives the numbers that a pandas frame gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.dataframe.utils import clear_known_categories
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.analysis import compare_rules, comparison, diagnose, replay, sweep
from plivo_nb.analysis.call_frames import CallFrames, conformed
from plivo_nb.analysis.call_set import CallSet
from plivo_nb.analysis.partitions import check_whole, is_dask, of_partitions
from plivo_nb.quality.rules import Rule

BEGAN = pd.Timestamp("2026-11-25 10:00:00", tz="UTC")
GOOD: dict[str, Any] = {
    "codec": "OPUS", "direction": "sendrecv", "interval_s": 1.0, "rtt_ms": 40.0, "rtt_age_s": 0.5,
    "report_age_s": 0.5, "jitter_in_ms": 4.0, "jitter_out_ms": 4.0, "loss_in": 0.0, "loss_out": 0.0,
    "mos": 4.3, "packets_in": 50.0, "packets_out": 50.0, "packets_expected_in": 50.0,
    "packets_expected_out": 50.0, "level_in_dbfs": -20.0, "level_out_dbfs": -20.0, "source_bytes": 4000.0,
    "loop_lag_ms": 2.0,
}  # fmt: skip
NUMBERS = {
    "rtt_ms": [40.0, 500.0, math.nan], "jitter_in_ms": [4.0, 50.0, math.nan], "jitter_out_ms": [4.0, 80.0],
    "loss_in": [0.0, 0.02, 0.5, 1.0, math.nan], "loss_out": [0.0, 0.3], "mos": [4.3, 2.0, math.nan],
    "rtt_age_s": [0.5, 1.5], "level_in_dbfs": [-20.0, -100.0], "source_bytes": [4000.0, 0.0],
    "packets_expected_in": [50.0, 0.0],
}  # fmt: skip


def call_of(number: int, seed: int, rows: int) -> pd.DataFrame:
    """The samples of one call: stretches of seconds in which a number is another one."""
    random = np.random.default_rng(seed)
    began = BEGAN + pd.Timedelta(seconds=float(number * 7))
    index = pd.DatetimeIndex([began + pd.Timedelta(seconds=row + 1) for row in range(rows)], name="time")
    columns = {name: [value] * rows for name, value in GOOD.items()}
    for _ in range(int(random.integers(0, 6))):
        name = str(random.choice(list(NUMBERS)))
        since, value = int(random.integers(0, rows)), random.choice(NUMBERS[name])
        length = int(random.integers(1, 12))
        columns[name][since : since + length] = [float(value)] * len(columns[name][since : since + length])
    codec = "PCMU" if random.random() < 0.4 else "OPUS"
    return pd.DataFrame({**columns, "codec": codec, "call_uuid": f"call-{number}"}, index=index)


@st.composite
def datasets(draw: st.DrawFn) -> tuple[list[pd.DataFrame], list[list[int]], int]:
    """Calls, which of them are in each partition, and how many calls have no samples."""
    rows = draw(st.lists(st.integers(1, 25), min_size=0, max_size=7))
    seed = draw(st.integers(0, 10_000))
    calls = [call_of(number, seed + number, count) for number, count in enumerate(rows)]
    count = draw(st.integers(1, 5))
    places = draw(st.lists(st.integers(0, count - 1), min_size=len(calls), max_size=len(calls)))
    partitions = [[number for number, place in enumerate(places) if place == part] for part in range(count)]
    return calls, partitions, draw(st.integers(0, 3))


def pandas_of(calls: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return conformed("samples", pd.concat(calls) if calls else None)


def dask_of(calls: Sequence[pd.DataFrame], partitions: Sequence[Sequence[int]]) -> Any:
    parts = [pandas_of([calls[number] for number in part]) for part in partitions]
    meta = clear_known_categories(conformed("samples", None))
    return dd.from_delayed([dask.delayed(part) for part in parts], meta=meta, verify_meta=False)


def rows_of_calls(calls: Sequence[pd.DataFrame], without: int) -> pd.DataFrame:
    """The frame `calls`: of every call with samples, and of some that failed."""
    count = len(calls) + without
    failed = [number >= len(calls) for number in range(count)]
    frame = pd.DataFrame(
        {
            "call_uuid": [f"call-{number}" for number in range(count)],
            "state": ["failed" if one else "ended" for one in failed],
            "network": [["lan", "wifi", None][number % 3] for number in range(count)],
        },
        index=pd.DatetimeIndex([BEGAN + pd.Timedelta(seconds=7 * number) for number in range(count)]),
    )
    return conformed("calls", frame)


def both(calls: list[pd.DataFrame], partitions: list[list[int]], without: int) -> tuple[CallSet, CallSet]:
    rows = rows_of_calls(calls, without)
    empty = conformed("media_metrics", None)
    pandas, lazy = pandas_of(calls), dask_of(calls, partitions)
    events = replay(pandas) if calls else empty
    return CallSet(CallFrames(rows, pandas, events)), CallSet(CallFrames(rows, lazy, events))


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.fixture(autouse=True)
def in_this_thread() -> Any:
    with dask.config.set(scheduler="synchronous"):
        yield


@settings(max_examples=12, deadline=None)
@given(dataset=datasets())
def test_figures_cohorts_and_replays_are_equal(dataset: Any) -> None:
    pandas, lazy = both(*dataset)
    assert is_dask(lazy.samples)
    same(pandas.calls, lazy.calls)
    for by in ((), "codec", "network", ("codec", "network")):
        same(pandas.cohorts(by), lazy.cohorts(by))
        same(pandas.warning_counts(by), lazy.warning_counts(by))
    for rules in ("v2.1", "sdk-2.2"):
        same(replay(pandas.samples, rules), replay(lazy.samples, rules))
        same(pandas.replay(rules).calls, lazy.replay(rules).calls)


@settings(max_examples=8, deadline=None)
@given(dataset=datasets())
def test_findings_are_equal(dataset: Any) -> None:
    pandas, lazy = both(*dataset)
    same(pandas.diagnose().frame(), lazy.diagnose().frame())
    same(diagnose(pandas.samples).frame(), diagnose(lazy.samples).frame())


@settings(max_examples=6, deadline=None)
@given(dataset=datasets())
def test_comparisons_are_equal(dataset: Any) -> None:
    pandas, lazy = both(*dataset)
    if pandas.calls["network"].nunique() > 1:
        one, other = pandas.compare("network"), lazy.compare("network")
        same(one.table, other.table)
        same(one.worst(), other.worst())


@settings(max_examples=6, deadline=None)
@given(dataset=datasets())
def test_comparisons_of_rules_are_equal(dataset: Any) -> None:
    pandas, lazy = both(*dataset)
    bad = pandas.samples["loss_in"] > 0.1, lazy.samples["loss_in"] > 0.1
    one = compare_rules(pandas.samples, ["v2.1", "sdk-2.2"], bad=bad[0])
    other = compare_rules(lazy.samples, ["v2.1", "sdk-2.2"], bad=bad[1])
    same(one.table, other.table)
    same(one.periods, other.periods)
    assert one.bad == other.bad
    rule = Rule(type="loss", group="network", desc="", column="loss_in", over=">")
    same(
        sweep(pandas.samples, rule, [0.01, 0.3], bad=bad[0]),
        sweep(lazy.samples, rule, [0.01, 0.3], bad=bad[1]),
    )


def test_a_selection_and_a_join_stay_in_dask_and_are_equal() -> None:
    calls = [call_of(number, number, 12) for number in range(6)]
    calls[2]["mos"] = 3.0
    pandas, lazy = both(calls, [[0, 3], [], [1, 2, 4], [5]], 1)
    chosen, lazily = pandas.query("mos_mean < 4.2"), lazy.query("mos_mean < 4.2")
    assert 0 < len(chosen) < len(pandas)
    assert is_dask(lazily.samples)
    same(chosen.calls, lazily.calls)
    same(chosen.samples, lazily.compute().samples)
    same(pandas[2].samples, lazy["call-2"].compute().samples)
    same(pandas.tagged(label="x").calls, lazy.tagged(label="x").calls)
    joined = lazy[:3] + lazy[3:]
    assert is_dask(joined.samples)
    same(pandas.calls, joined.calls)
    assert repr(lazy) == "<CallSet of 7 calls, samples in 4 partitions of Dask>"
    assert "7 calls" in lazy._repr_html_()


def test_a_frame_of_dask_without_the_schema_is_enough() -> None:
    frame = pd.concat([call_of(number, number, 9)[["call_uuid", "mos"]] for number in range(4)])
    lazy = dd.from_pandas(frame.sort_values("call_uuid").reset_index(), npartitions=1).set_index("time")
    same(CallSet.of(frame).calls, CallSet.of(lazy).calls)


def test_a_call_in_two_partitions_is_refused_with_its_name() -> None:
    call = call_of(0, 1, 20)
    lazy = dask_of([call[:10], call[10:]], [[0], [1]])
    with pytest.raises(ValueError, match=r"call 'call-0' are in more than one partition.*shuffle"):
        CallSet(CallFrames(rows_of_calls([call], 0), lazy, conformed("media_metrics", None))).calls  # noqa: B018
    with pytest.raises(ValueError, match="more than one partition"):
        replay(lazy)
    with pytest.raises(ValueError, match="more than one partition"):
        diagnose(lazy)
    check_whole([["a"], ["b"]])


def test_only_the_columns_that_are_needed_reach_the_function() -> None:
    frame = dask_of([call_of(0, 1, 5)], [[0], []])
    found = of_partitions(lambda part: list(part.columns), frame, columns=["mos", "call_uuid", "no such"])
    assert found == [["call_uuid", "mos"]] * 2


def test_many_calls_are_not_drawn_out_of_dask() -> None:
    calls = [call_of(number, number, 2) for number in range(60)]
    _, lazy = both(calls, [list(range(60))], 0)
    with pytest.raises(ValueError, match=r"60 calls.*choose some"):
        lazy.plot()
    assert lazy[:2].plot() is not None


def test_a_comparison_draws_an_extract_of_many_calls_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [call_of(number, number, 3) for number in range(12)]
    monkeypatch.setattr(comparison, "_MOST_DRAWN", 2)
    pandas, lazy = both(calls, [list(range(6)), list(range(6, 12))], 0)
    axes = lazy.compare("network", ["mos"]).plot().axes[0].child_axes[0].child_axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["lan (2 of 4 calls)", "wifi (2 of 4 calls)"]
    whole = pandas.compare("network", ["mos"]).plot().axes[0].child_axes[0].child_axes[0].get_legend()
    assert whole is not None
    assert [text.get_text() for text in whole.get_texts()] == ["lan", "wifi"]
