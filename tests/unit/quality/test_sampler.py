"""quality.sampler: the numbers of an interval from counters that only grow."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.quality import mos
from plivo_nb.quality.counters import CUMULATIVE, NAN, Counters
from plivo_nb.quality.frames import SAMPLES
from plivo_nb.quality.sampler import REPORT_VALID_S, ClockAnchor, Sampler

FIRST = Counters(
    packets_received=50,
    packets_lost=0,
    packets_discarded=0,
    bytes_received=4_000,
    packets_sent=51,
    bytes_sent=4_080,
    source_bytes=4_000,
    concealed_samples=0,
    sample_rate_hz=48_000,
    jitter_in_s=0.004,
    rtt_s=0.1,
    rtt_at_s=100.5,
    playout_delay_s=0.04,
    level_in_dbfs=-20.0,
    level_out_dbfs=-6.0,
    codec="OPUS",
)


def sampler() -> Sampler:
    return Sampler(100.0, anchor=ClockAnchor(utc_ns=1_000_000_000_000, monotonic_s=100.0))


def test_first_interval_counts_from_the_beginning():
    row = sampler().sample(FIRST, 101.0)
    assert row.time_utc_ns == 1_001_000_000_000
    assert row.time_monotonic_s == 101.0
    assert (row.packets_in, row.packets_out, row.packets_lost_in) == (50, 51, 0)
    assert row.source_bytes == 4_000
    assert row.bitrate_in_kbps == pytest.approx(32.0)
    assert row.bitrate_out_kbps == pytest.approx(32.64)
    assert row.rtt_ms == pytest.approx(100)
    assert row.rtt_age_s == pytest.approx(0.5)
    assert row.jitter_in_ms == pytest.approx(4)
    assert row.playout_delay_ms == pytest.approx(40)
    assert row.level_in_dbfs == pytest.approx(-20)
    assert row.mos_in == mos.sdk(100, 4, 0, "OPUS")
    assert row.mos == row.mos_in, "the other direction is not known yet"
    assert row.mos_g107 == mos.g107(50 + 40 + 20 + 6.5, 0, "OPUS")
    assert math.isnan(row.loss_out)
    assert math.isnan(row.mos_out)


def test_next_interval_is_the_difference():
    made = sampler()
    made.sample(FIRST, 101.0)
    second = replace(
        FIRST,
        packets_received=90,
        packets_lost=10,
        packets_discarded=5,
        concealed_samples=9_600,
        bytes_received=8_000,
    )
    row = made.sample(second, 102.0)
    assert row.loss_in == pytest.approx(10 / 50)
    assert (row.packets_in, row.packets_lost_in, row.discarded) == (40, 10, 5)
    assert row.concealed_ms == pytest.approx(200)
    assert row.mos_g107 == mos.g107(116.5, 15 / 50, "OPUS"), "late packets are not heard either"


def test_a_packet_that_was_only_late_is_taken_back():
    made = sampler()
    made.sample(replace(FIRST, packets_lost=2), 101.0)
    row = made.sample(replace(FIRST, packets_lost=1, packets_received=101), 102.0)
    assert row.packets_lost_in == -1
    assert row.loss_in == 0.0


def test_nothing_arrived_means_loss_is_unknown():
    made = sampler()
    made.sample(FIRST, 101.0)
    row = made.sample(FIRST, 102.0)
    assert row.packets_in == 0
    assert math.isnan(row.loss_in)
    assert math.isnan(row.mos)


def test_far_end_reports_by_their_counts():
    made = sampler()
    first = replace(
        FIRST,
        remote_packets_lost=5,
        remote_packets_expected=50,
        remote_fraction_lost=25 / 256,
        remote_report_at_s=100.9,
        jitter_out_s=0.012,
    )
    row = made.sample(first, 101.0)
    assert row.loss_out == pytest.approx(0.1)
    assert row.packets_lost_out == 5
    assert row.jitter_out_ms == pytest.approx(12)
    assert row.mos == row.mos_out < row.mos_in
    row = made.sample(first, 102.0)
    assert row.loss_out == pytest.approx(0.1), "no newer report: the last one holds"
    assert row.packets_lost_out == 0
    second = replace(
        first,
        remote_packets_lost=6,
        remote_packets_expected=150,
        remote_fraction_lost=0,
        remote_report_at_s=102.5,
    )
    row = made.sample(second, 103.0)
    assert row.loss_out == pytest.approx(0.01)
    row = made.sample(second, 102.5 + REPORT_VALID_S + 0.1)
    assert math.isnan(row.loss_out), "an old report says nothing about now"
    assert math.isnan(row.jitter_out_ms)


def test_far_end_reports_by_their_fraction_where_counts_are_unknown():
    made = sampler()
    row = made.sample(replace(FIRST, remote_fraction_lost=0.25, remote_report_at_s=100.9), 101.0)
    assert row.loss_out == 0.25
    assert math.isnan(row.packets_lost_out)


def test_what_is_not_known_is_missing_not_zero():
    row = Sampler().sample(Counters(**dict.fromkeys(CUMULATIVE, NAN)), 5.0)
    for name, value in row.values().items():
        if name == "codec":
            assert value == ""
        elif name == "muted":
            assert value is False
        else:
            assert math.isnan(value), name


def test_rows_fit_the_schema():
    names = {column.name for column in SAMPLES}
    assert set(sampler().sample(FIRST, 101.0).values()) == names - {"call_uuid", "loop_lag_ms"}


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 50)), min_size=1, max_size=30))
def test_intervals_add_up_to_the_whole(steps):
    made = sampler()
    received = lost = 0
    rows = []
    for number, (more, missed) in enumerate(steps):
        received, lost = received + more, lost + missed
        snapshot = replace(FIRST, packets_received=received, packets_lost=lost)
        rows.append(made.sample(snapshot, 101.0 + number))
    assert sum(row.packets_in for row in rows) == received
    assert sum(row.packets_lost_in for row in rows) == lost
    assert all(math.isnan(row.loss_in) or 0 <= row.loss_in <= 1 for row in rows)
