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
from plivo_nb.quality.sampler import ClockAnchor, Sampler

FIRST = Counters(
    packets_received=50,
    packets_expected=50,
    packets_lost=0,
    last_rtp_at_s=100.99,
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
    remote_report_interval_s=1.0,
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
    assert row.mos_fb == mos.g107_fb(50 + 40 + 20 + 6.5, 0, "OPUS")
    assert math.isnan(row.loss_out)
    assert math.isnan(row.mos_out)


def test_next_interval_is_the_difference():
    made = sampler()
    made.sample(FIRST, 101.0)
    second = replace(
        FIRST,
        packets_received=90,
        packets_expected=100,
        packets_lost=10,
        packets_discarded=5,
        concealed_samples=9_600,
        bytes_received=8_000,
    )
    row = made.sample(second, 102.0)
    assert row.loss_in == pytest.approx(10 / 50)
    assert (row.packets_in, row.packets_lost_in, row.packets_discarded) == (40, 10, 5)
    assert row.packets_expected_in == 50
    assert row.concealed_ms == pytest.approx(200)
    assert row.mos_g107 == mos.g107(116.5, 0.2, "OPUS"), "what was concealed counts, whatever was lost"
    assert row.mos_fb == mos.g107_fb(116.5, 0.2, "OPUS")
    assert mos.explain(row)["mos"] == pytest.approx(row.mos_g107, abs=1e-3)


def test_what_fec_repaired_is_heard():
    made = sampler()
    made.sample(FIRST, 101.0)
    second = replace(
        FIRST,
        packets_received=90,
        packets_expected=100,
        packets_lost=10,
        packets_recovered=10,
        bytes_received=8_000,
    )
    row = made.sample(second, 102.0)
    assert row.loss_in == pytest.approx(0.2)
    assert row.mos_g107 == mos.g107(116.5, 0, "OPUS")


def test_a_packet_that_was_only_late_is_taken_back():
    made = sampler()
    made.sample(replace(FIRST, packets_lost=2, packets_expected=52), 101.0)
    row = made.sample(replace(FIRST, packets_lost=1, packets_received=101, packets_expected=102), 102.0)
    assert row.packets_lost_in == -1
    assert row.loss_in == 0.0
    later = replace(FIRST, packets_lost=2, packets_received=150, packets_expected=152)
    assert made.sample(later, 103.0).loss_in == 0.0, "and from the next loss"


def test_nothing_arrived_while_packets_are_due_is_a_loss_of_1_and_a_mos_of_1():
    made = sampler()
    made.sample(FIRST, 101.0)
    row = made.sample(FIRST, 102.0)
    assert row.packets_in == 0
    assert row.loss_in == 1.0
    assert (row.mos, row.mos_in, row.mos_g107, row.mos_fb, row.r_factor) == (1.0, 1.0, 1.0, 1.0, 0.0)
    assert row.packets_expected_in == 0, "what was due is counted when the sequence numbers tell how much"


def test_a_dead_direction_has_a_mos_of_1_without_a_round_trip_time():
    made = sampler()
    silent = Counters(packets_received=1, packets_expected=1, last_rtp_at_s=100.1, codec="OPUS")
    made.sample(silent, 101.0)
    row = made.sample(silent, 102.0)
    assert math.isnan(row.rtt_ms)
    assert (row.mos_in, row.mos) == (1.0, 1.0)


def test_a_packet_on_its_way_is_not_lost_until_32_have_overtaken_it():
    made = sampler()
    first = replace(FIRST, packets_received=46, packets_expected=50, packets_unsettled=32, packets_missing=3)
    row = made.sample(first, 101.0)
    assert (row.packets_expected_in, row.loss_in) == (18, 1 / 18)
    second = replace(first, packets_received=99, packets_expected=100, packets_missing=0)
    row = made.sample(second, 102.0)
    assert (row.packets_expected_in, row.loss_in) == (50, 0.0)
    third = replace(first, packets_received=110, packets_expected=112, packets_missing=1)
    row = made.sample(third, 102.3, last=True)
    assert row.interval_s == pytest.approx(0.3)
    assert row.packets_expected_in == 44
    assert row.loss_in == pytest.approx(1 / 44), "at the end nothing more can come"


def test_before_32_packets_loss_is_that_of_what_there_is():
    made = sampler()
    few = replace(FIRST, packets_received=8, packets_expected=10, packets_lost=2, packets_unsettled=10)
    row = made.sample(replace(few, packets_missing=2), 100.2)
    assert (row.loss_in, row.packets_expected_in) == (pytest.approx(0.2), 0)


def test_far_end_reports_by_their_counts():
    made = sampler()
    first = replace(
        FIRST,
        remote_packets_lost=5,
        remote_packets_expected=50,
        remote_fraction_lost=25 / 256,
        remote_report_at_s=100.9,
        remote_report_packets_sent=50,
        jitter_out_s=0.012,
    )
    row = made.sample(first, 101.0)
    assert row.loss_out == pytest.approx(0.1)
    assert (row.packets_lost_out, row.packets_expected_out) == (5, 50)
    assert row.report_age_s == pytest.approx(0.1)
    assert row.jitter_out_ms == pytest.approx(12)
    assert row.mos == row.mos_out < row.mos_in
    row = made.sample(first, 102.0)
    assert row.loss_out == pytest.approx(0.1), "no newer report: the last one holds"
    assert (row.packets_lost_out, row.packets_expected_out) == (0, 0)
    assert row.report_age_s == pytest.approx(1.1)
    assert row.report_age_s > row.interval_s
    second = replace(
        first,
        remote_packets_lost=6,
        remote_packets_expected=150,
        remote_fraction_lost=0,
        remote_report_at_s=102.5,
        rtt_at_s=102.5,
    )
    row = made.sample(second, 103.0)
    assert row.loss_out == pytest.approx(0.01)
    assert made.sample(second, 104.9).loss_out == pytest.approx(0.01)
    row = made.sample(second, 105.1)
    for name in ("loss_out", "jitter_out_ms", "mos_out", "rtt_ms"):
        assert math.isnan(getattr(row, name)), "after 2.5 report intervals it says nothing about now"
    assert row.report_age_s == row.rtt_age_s == pytest.approx(2.6)


def test_the_far_ends_losses_are_not_counted_twice_when_a_packet_came_late():
    made = sampler()
    rows = []
    for second, (lost, expected) in enumerate([(2, 50), (0, 100), (2, 150), (5, 200)], 1):
        reported = replace(
            FIRST, remote_packets_lost=lost, remote_packets_expected=expected, remote_report_at_s=100 + second
        )
        rows.append(made.sample(reported, 100.0 + second))
    assert [row.loss_out for row in rows] == [0.04, 0.0, 0.0, 0.06]
    assert [row.packets_lost_out for row in rows] == [2, -2, 2, 3], "the counts are as reported"


def test_far_end_reports_by_their_fraction_where_counts_are_unknown():
    made = sampler()
    row = made.sample(replace(FIRST, remote_fraction_lost=0.25, remote_report_at_s=100.9), 101.0)
    assert row.loss_out == 0.25
    assert math.isnan(row.packets_lost_out)


def test_what_is_not_known_is_missing_not_zero():
    row = Sampler().sample(Counters(**dict.fromkeys(CUMULATIVE, NAN)), 5.0, direction="")
    for name, value in row.values().items():
        if name in ("codec", "direction"):
            assert value == ""
        elif name in ("muted", "not_sent_in"):
            assert value is False
        else:
            assert math.isnan(value), name


def test_rows_fit_the_schema():
    names = {column.name for column in SAMPLES}
    assert set(sampler().sample(FIRST, 101.0).values()) == names - {"call_uuid", "loop_lag_ms", "server_away"}


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 50)), min_size=1, max_size=30))
def test_intervals_add_up_to_the_whole(steps):
    made = sampler()
    received = lost = 0
    rows = []
    for number, (more, missed) in enumerate(steps):
        received, lost = received + more, lost + missed
        snapshot = replace(
            FIRST, packets_received=received, packets_lost=lost, packets_expected=received + lost
        )
        rows.append(made.sample(snapshot, 101.0 + number))
    assert sum(row.packets_in for row in rows) == received
    assert sum(row.packets_lost_in for row in rows) == lost
    assert all(math.isnan(row.loss_in) or 0 <= row.loss_in <= 1 for row in rows)
    weighted = sum(row.loss_in * row.packets_expected_in for row in rows if row.packets_expected_in)
    assert weighted == pytest.approx(lost)
