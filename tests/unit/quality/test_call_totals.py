"""quality.call_totals: the figures of a whole call, from its samples."""

from __future__ import annotations

import math

import pytest

from plivo_nb.quality.call_totals import CallTotals
from plivo_nb.quality.sampler import SampleRow


def row(at_s: float, **values: float) -> SampleRow:
    return SampleRow(time_utc_ns=10**9, time_monotonic_s=at_s, interval_s=1.0, **values)  # type: ignore[arg-type]


def test_loss_is_weighted_by_the_packets_and_a_report_counts_once() -> None:
    totals = CallTotals()
    totals.add(
        row(1.0, loss_in=0.5, packets_expected_in=10.0, rtt_ms=40.0, rtt_age_s=0.5, mos=4.0), [250.0, 1.0]
    )
    totals.add(row(2.0, loss_in=0.0, packets_expected_in=30.0, rtt_ms=40.0, rtt_age_s=1.5, mos=2.0), [])
    values = totals.values()
    assert values["loss_in"] == pytest.approx(5 / 40)
    assert (values["rtt_mean_ms"], values["mos_mean"], values["mos_min"]) == (40.0, 3.0, 2.0)
    assert math.isnan(values["loss_out"])


def test_a_call_in_which_nothing_arrives_has_lost_everything() -> None:
    totals = CallTotals()
    for second in range(1, 6):  # the far end's reports repeat one sequence number, or there are none
        dead = 1.0 if second > 2 else math.nan
        totals.add(row(second, loss_in=dead, packets_expected_in=0.0, packets_out=50.0, loss_out=dead), [])
    assert (totals.values()["loss_in"], totals.values()["loss_out"]) == (1.0, 1.0)


def test_packets_that_are_counted_after_an_outage_count_once() -> None:
    totals = CallTotals()
    totals.add(row(1.0, loss_in=0.0, packets_expected_in=50.0), [])
    totals.add(row(2.0, loss_in=1.0, packets_expected_in=0.0), [])
    totals.add(row(3.0, loss_in=0.5, packets_expected_in=100.0), [])
    assert totals.values()["loss_in"] == pytest.approx(50 / 150)
    totals.add(row(4.0, loss_in=1.0, packets_expected_in=0.0), [])
    assert totals.values()["loss_in"] == pytest.approx(100 / 200)


def test_a_call_without_samples_has_no_figures() -> None:
    values = CallTotals().values()
    assert math.isnan(values["packets_in"])
    assert values["codec"] is None
