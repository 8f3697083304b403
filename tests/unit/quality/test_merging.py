"""quality.merging: one sample of several."""

from __future__ import annotations

import math
from typing import Any

import pytest

from plivo_nb.quality import mos
from plivo_nb.quality.merging import merged
from plivo_nb.quality.sampler import SampleRow

NAN = math.nan
GOOD = {
    "codec": "OPUS", "rtt_ms": 40.0, "jitter_in_ms": 2.0, "jitter_out_ms": 3.0,
    "loss_in": 0.0, "loss_out": 0.0,
    "packets_expected_in": 50.0, "packets_expected_out": 50.0, "interval_s": 1.0, "report_age_s": 0.5,
}  # fmt: skip
DEAD = {"loss_in": 1.0, "packets_expected_in": 0.0}
HELD = {"report_age_s": 1.5, "packets_expected_out": 0.0}


def rows(*changes: dict[str, Any]) -> list[SampleRow]:
    return [
        SampleRow(time_utc_ns=0, time_monotonic_s=float(number), **{**GOOD, **change})
        for number, change in enumerate(changes)
    ]


def test_loss_is_that_of_all_packets() -> None:
    found = merged(rows({"loss_in": 0.5, "packets_expected_in": 20.0}, {"loss_in": 0.0}, {"loss_in": 0.1}))
    assert found["loss_in"] == pytest.approx((10 + 0 + 5) / 120)
    assert found["mos_in"] == found["mos"] == mos.sdk(40.0, 2.0, 15 / 120, "OPUS")


def test_a_dead_second_counts_as_much_as_the_others() -> None:
    found = merged(rows({}, {}, DEAD, DEAD, DEAD))
    assert found["loss_in"] == pytest.approx(0.6)
    assert found["mos"] < 1.5


def test_a_dead_line_has_a_mos_of_1_without_a_round_trip_time() -> None:
    found = merged(rows(*[{**DEAD, "rtt_ms": NAN, "loss_out": NAN, "jitter_out_ms": NAN}] * 5))
    assert (found["loss_in"], found["mos_in"], found["mos"]) == (1.0, 1.0, 1.0)


def test_a_report_counts_once_however_long_it_is_held() -> None:
    found = merged(rows({"loss_out": 0.4}, {"loss_out": 0.4, **HELD}, {"loss_out": 0.4, **HELD}, {}))
    assert found["loss_out"] == pytest.approx(0.2)
    found = merged(rows(*[{"loss_out": 0.4, **HELD}] * 3))
    assert found["loss_out"] == 0.4, "no report came: the last one holds"


def test_what_went_missing_is_missing() -> None:
    found = merged(rows({"loss_out": 0.4}, {"loss_out": NAN, "jitter_out_ms": NAN, "report_age_s": 4.0}))
    assert math.isnan(found["loss_out"])
    assert math.isnan(merged(rows({"loss_in": NAN, "packets_expected_in": 0.0}))["loss_in"])


def test_the_rest_is_that_of_the_last_sample() -> None:
    found = merged(rows({"jitter_in_ms": 9.0}, {"jitter_in_ms": 4.0, "muted": True}))
    assert (found["jitter_in_ms"], found["muted"], found["codec"]) == (4.0, True, "OPUS")
