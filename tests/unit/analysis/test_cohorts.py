"""analysis.cohorts: the figures of groups of calls, held against numpy's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from plivo_nb.analysis.call_frames import conformed
from plivo_nb.analysis.cohorts import UNKNOWN, cohort_table, warning_table

MOS = [4.4, 4.2, 3.0, 2.0, float("nan"), 4.0]
CALLS = pd.DataFrame(
    {
        "call_uuid": list("abcdef"),
        "codec": ["OPUS", "OPUS", "PCMU", "PCMU", None, "OPUS"],
        "network": ["lan", "wifi", "lan", "wifi", "wifi", "lan"],
        "state": ["ended", "ended", "ended", "ended", "failed", "lost"],
        "mos_mean": MOS, "loss_in": [0.0, 0.01, 0.1, 0.2, np.nan, 0.0], "duration_s": 10.0,
        "warnings": [0.0, 1.0, 2.0, np.nan, 0.0, 0.0],
    }
)  # fmt: skip


def test_figures_of_groups_are_those_of_numpy() -> None:
    table = cohort_table(CALLS, ["codec"])
    assert table.index.tolist() == [UNKNOWN, "OPUS", "PCMU"]
    opus = table.loc["OPUS"]
    assert (opus["calls"], opus["failed"], opus["warned"], opus["warnings"]) == (3, 1, 1, 1)
    assert opus["failed_share"] == pytest.approx(1 / 3)
    assert opus["mos_p5"] == np.percentile([4.4, 4.2, 4.0], 5)
    assert opus["mos_p50"] == 4.2
    assert opus["loss_in_mean"] == pytest.approx(0.01 / 3)
    assert np.isnan(table.loc[UNKNOWN, "mos_p50"])
    assert np.isnan(opus["rtt_p50_ms"])
    assert table["duration_s"].sum() == 60.0


def test_groups_of_two_columns_and_of_none() -> None:
    table = cohort_table(CALLS, ["network", "codec"])
    assert table.loc[("wifi", "PCMU"), "mos_p50"] == 2.0
    assert table["calls"].sum() == len(CALLS)
    assert cohort_table(CALLS, []).loc["all", "calls"] == 6
    assert len(cohort_table(CALLS[:0], ["codec"])) == len(cohort_table(CALLS[:0], [])) == 0
    mixed = cohort_table(CALLS.assign(tag=[1, "x", 1, None, 2.5, "x"]), ["tag"])
    assert sorted(mixed["calls"]) == [1, 1, 2, 2]


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"no column 'region' to group by; CallSet.tagged makes one"):
        cohort_table(CALLS, ["region"])


def test_warnings_are_counted_by_calls_and_events() -> None:
    rows = [("b", "low_mos", True), ("c", "low_mos", True), ("c", "low_mos", False), ("c", "low_mos", True)]
    times = pd.date_range("2026-11-25", periods=len(rows), freq="s", tz="UTC")
    frame = pd.DataFrame(rows, columns=["call_uuid", "type", "active"], index=times).assign(desc="x")
    events = conformed("media_metrics", frame)
    whole = warning_table(CALLS, events, [])
    assert whole.loc[("low_mos", "x")].tolist() == [2, pytest.approx(2 / 6), 3]
    by = warning_table(CALLS, events, ["network"])
    assert by.loc[("wifi", "low_mos", "x"), "events"] == 1
    assert by.loc[("lan", "low_mos", "x"), "events"] == 2
    assert len(warning_table(CALLS, events[:0], ["network"])) == 0
