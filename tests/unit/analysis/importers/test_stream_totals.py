"""analysis.importers.stream_totals: the counters of several streams in one."""

from __future__ import annotations

import math

import pytest

from plivo_nb.analysis.importers.audio_report import AudioReport
from plivo_nb.analysis.importers.stream_totals import StreamTotals, dbfs


def received(**streams: tuple[float, float]) -> AudioReport:
    inbound = {key: {"packetsReceived": got, "packetsLost": lost} for key, (got, lost) in streams.items()}
    return AudioReport(inbound=inbound)


def test_late_packets_are_taken_back_and_streams_may_leave() -> None:
    totals = StreamTotals()
    totals.add(received(a=(100, 10)), 0.0, baseline=True)
    assert totals.add(received(a=(150, 12), b=(5, 1)), 1.0, baseline=False)[0].packets_lost == 3
    counters, reset = totals.add(received(b=(9, 0)), 2.0, baseline=False)
    assert (counters.packets_received, counters.packets_lost, reset) == (59, 2, False)
    counters, _ = totals.add(received(a=(160, 12)), 3.0, baseline=False)
    assert counters.packets_received == 69
    assert math.isnan(counters.packets_sent)


def test_a_stream_that_begins_anew_loses_nothing_backwards() -> None:
    totals = StreamTotals()
    totals.add(received(a=(100, 10)), 0.0, baseline=True)
    counters, reset = totals.add(received(a=(20, 1)), 1.0, baseline=False)
    assert (counters.packets_received, counters.packets_lost, reset) == (20, 0, True)


def test_whether_packets_are_due() -> None:
    totals = StreamTotals()
    silent = received(a=(0, 0))
    totals.add(silent, 0.0, baseline=True)
    assert not totals.is_due(AudioReport())
    assert not totals.is_due(silent)
    assert totals.is_due(AudioReport(inbound={"a": {}}, steady=True))
    assert totals.is_due(AudioReport(inbound={"a": {}}, remote_outbound={"a": {}}))
    totals.add(received(a=(5, 0)), 1.0, baseline=False)
    assert totals.is_due(silent)


def test_of_a_stream_that_the_far_end_never_reported_on_nothing_is_known() -> None:
    totals = StreamTotals()
    for second in range(60):
        report = AudioReport(
            outbound={"a": {"packetsSent": 50.0 * second}},
            remote_outbound={"b": {"packetsSent": 50.0 * second, "remoteTimestamp": 1000.0 * second}},
            pair_rtt_s=0.04,
        )
        counters, _ = totals.add(report, float(second), baseline=not second)
    assert counters.packets_sent == 50 * 59
    assert math.isnan(counters.rtcp_at_s), "or it would count as a far end that receives nothing"
    reported = AudioReport(
        outbound={"a": {"packetsSent": 3000.0}},
        remote_inbound={"a": {"packetsLost": 1.0, "roundTripTimeMeasurements": 1.0}},
    )
    assert totals.add(reported, 60.0, baseline=False)[0].rtcp_at_s == 60.0


def reported(second: int, *, polled: bool = False, **marks: float) -> AudioReport:
    """A report of a call in which the far end says the same again and again."""
    said = {"packetsLost": 0.0, "jitter": 0.004, "fractionLost": 0.0, **marks}
    sent = {"packetsSent": 50.0 * second}
    if polled:  # all objects have the time at which the statistics were read
        sent["timestamp"] = said["timestamp"] = 1e3 * second
    return AudioReport(outbound={"a": sent}, remote_inbound={"a": said})


@pytest.mark.parametrize("mark", ["timestamp", "roundTripTimeMeasurements", "totalRoundTripTime"])
def test_a_report_that_says_the_same_again_is_told_by_what_changes_with_each(mark: str) -> None:
    totals = StreamTotals()
    for second in range(60):
        counters, _ = totals.add(
            reported(second, **{mark: float(second // 5)}), float(second), baseline=not second
        )
    assert (counters.remote_report_at_s, counters.rtcp_at_s) == (55.0, 55.0)


@pytest.mark.parametrize("polled", [False, True])
def test_where_nothing_tells_it_the_far_end_does_not_count_as_one_that_receives_nothing(polled: bool) -> None:
    totals = StreamTotals()
    for second in range(60):
        report = reported(second, polled=polled)
        report.remote_outbound["b"] = {"packetsSent": 50.0 * second}
        counters, _ = totals.add(report, float(second), baseline=not second)
    assert counters.remote_report_at_s == 0.0
    assert math.isnan(counters.rtcp_at_s)


def test_sender_reports_that_are_left_out_are_no_new_ones() -> None:
    totals = StreamTotals()
    totals.add(AudioReport(remote_outbound={"b": {"remoteTimestamp": 1.0}}), 0.0, baseline=True)
    counters, _ = totals.add(AudioReport(), 12.0, baseline=False)
    assert counters.sender_report_at_s == 0.0


@pytest.mark.parametrize(("mark", "expected"), [(7.0, 0.0), (math.nan, 9.0)])
def test_a_round_trip_that_is_not_measured_again_gets_old(mark: float, expected: float) -> None:
    totals = StreamTotals()
    for second in range(10):
        report = AudioReport(pair_rtt_s=0.04, pair_mark=mark)
        counters, _ = totals.add(report, float(second), baseline=not second)
    assert counters.rtt_at_s == expected


def test_a_round_trip_that_nothing_dates_gets_old_where_nothing_arrives() -> None:
    totals = StreamTotals()
    for second in range(10):
        report = received(a=(50.0 * min(second, 4), 0))
        report.pair_rtt_s = 0.04
        counters, _ = totals.add(report, float(second), baseline=not second)
    assert counters.rtt_at_s == 4.0


@pytest.mark.parametrize(
    ("level", "expected"), [(1.0, 0.0), (0.1, -20.0), (0.0, -100.0), (2.0, 0.0), (1e-9, -100.0)]
)
def test_levels(level: float, expected: float) -> None:
    assert dbfs(level) == pytest.approx(expected)
    assert math.isnan(dbfs(-1.0))
