"""analysis.importers.imported_call: gaps, clocks that are set, counters and streams that begin anew."""

from __future__ import annotations

import foreign_dumps
import pandas as pd
import pytest

from plivo_nb.analysis.importers.audio_report import audio_report
from plivo_nb.analysis.importers.imported_call import ImportedCall, frames_of

START_MS = foreign_dumps.START_MS


def call_of(reports: list[tuple[float, foreign_dumps.Report]], **about: object) -> ImportedCall:
    return ImportedCall("u", [(ms, audio_report(report)) for ms, report in reports], **about)  # type: ignore[arg-type]


def each_second(seconds: int) -> list[tuple[float, foreign_dumps.Report]]:
    return [(START_MS + 1000.0 * n, foreign_dumps.report(n, video=False)) for n in range(seconds + 1)]


def samples_of(call: ImportedCall) -> tuple[pd.DataFrame, list[str]]:
    warnings: list[str] = []
    return frames_of([call], warnings).samples, warnings


def test_a_call_has_a_row_a_second_and_its_totals() -> None:
    warnings: list[str] = []
    frames = frames_of([call_of(each_second(10), started_ms=float(START_MS - 1))], warnings)
    rows = frames.samples
    assert len(rows) == 10
    assert warnings == []
    assert rows["concealed_ms"].tolist() == pytest.approx([10.0] * 10)
    assert rows["playout_delay_ms"].tolist() == pytest.approx([60.0] * 10)
    assert rows["packets_discarded"].tolist() == [1.0] * 10
    assert rows["level_in_dbfs"].iloc[0] == pytest.approx(-20.0)
    assert rows["mos_g107"].notna().all()
    assert rows[["packets_reordered", "packets_recovered", "source_bytes", "loss_runs_1"]].isna().all().all()
    assert rows["direction"].isna().all()
    whole = frames.calls.iloc[0]
    assert (whole["packets_in"], whole["codec"]) == (500.0, "OPUS")
    assert whole["loss_in"] == pytest.approx(2 / 52)
    assert whole["rtt_mean_ms"] == pytest.approx(80.0)
    assert whole["duration_s"] == pytest.approx(10.0, abs=0.01)


def test_reports_that_come_faster_are_put_together_by_second() -> None:
    reports = [(START_MS + 250.0 * n, foreign_dumps.report(n, at_ms=START_MS + 250 * n)) for n in range(41)]
    rows, _ = samples_of(call_of(reports))
    assert rows["interval_s"].tolist() == [1.0] * 10
    assert rows["packets_in"].tolist() == [200.0] * 10


def test_a_gap_is_one_row_of_its_length() -> None:
    reports = [item for n, item in enumerate(each_second(20)) if not 5 < n < 15]
    rows, warnings = samples_of(call_of(reports))
    assert rows["interval_s"].max() == 10.0
    assert rows["packets_in"].sum() == 1000.0
    assert rows["bitrate_in_kbps"].tolist() == pytest.approx([40.0] * len(rows))
    assert warnings == [
        "u: 1 gaps without reports, 10 s in all, first after 2023-11-14 22:13:25 UTC; each is one row."
    ]


@pytest.mark.parametrize("jump_ms", [-3_600_000.0, 400 * 86_400_000.0])
def test_a_clock_that_is_set_does_not_tear_the_call(jump_ms: float) -> None:
    reports = [(ms + (jump_ms if n > 5 else 0.0), report) for n, (ms, report) in enumerate(each_second(10))]
    rows, warnings = samples_of(call_of(reports))
    assert rows["interval_s"].tolist() == [1.0] * 10
    assert rows.index.is_monotonic_increasing
    assert "the clock was set 1 times" in warnings[0]


def test_counters_that_begin_anew_are_counted_on() -> None:
    reports = each_second(4) + [
        (START_MS + 1000.0 * (5 + n), foreign_dumps.report(n, video=False)) for n in range(5)
    ]
    rows, warnings = samples_of(call_of(reports))
    assert (rows["packets_in"] >= 0.0).all()
    assert rows["packets_in"].sum() == 400.0
    assert rows["packets_lost_in"].min() >= 0.0
    assert any("began anew" in sentence for sentence in warnings)


def test_several_streams_are_added_up() -> None:
    reports = each_second(6)
    for n, (_, report) in enumerate(reports):
        if n >= 3:
            second = {**report["IT01A1"], "ssrc": 9, "packetsReceived": 10 * (n - 3), "packetsLost": 0}
            report["IT01A9"] = second
    rows, _ = samples_of(call_of(reports))
    assert rows["packets_in"].tolist() == [50.0, 50.0, 50.0, 60.0, 60.0, 60.0]


def test_one_report_alone_gives_the_figures_since_the_beginning() -> None:
    rows, warnings = samples_of(call_of(each_second(30)[-1:]))
    assert rows["packets_in"].tolist() == [1500.0]
    assert rows["interval_s"].isna().all()
    assert rows["loss_in"].iloc[0] == pytest.approx(60 / 1560)
    assert "one report only" in warnings[0]


def test_a_far_end_that_falls_silent_is_lost_unless_its_reports_say_that_it_sends_nothing() -> None:
    def silent(n: int, sent: int) -> foreign_dumps.Report:
        report = foreign_dumps.report(n, video=False)
        report["IT01A1"] |= {"packetsReceived": 250, "packetsLost": 10, "bytesReceived": 25_000}
        report["ROA1"]["packetsSent"] = sent
        return report

    at = [START_MS + 1000.0 * n for n in range(6, 13)]
    lost, _ = samples_of(call_of(each_second(5) + [(ms, silent(n, 52 * n)) for n, ms in enumerate(at, 6)]))
    assert lost["loss_in"].iloc[-1] == 1.0
    paused, _ = samples_of(call_of(each_second(5) + [(ms, silent(n, 260)) for n, ms in enumerate(at, 6)]))
    assert paused["loss_in"].iloc[-5:].isna().all()
    assert paused["not_sent_in"].iloc[-1]


def test_calls_without_audio_are_named_and_left_out() -> None:
    report = {"v": {"type": "inbound-rtp", "kind": "video", "ssrc": 1, "packetsReceived": 5}}
    warnings: list[str] = []
    frames = frames_of([call_of([(1.7e12, report)])], warnings)
    assert len(frames.calls) == 0
    assert len(warnings) == 2
