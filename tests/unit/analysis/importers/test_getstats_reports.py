"""analysis.importers.getstats_reports: the shapes in which people save getStats() reports."""

from __future__ import annotations

import json
from typing import Any

import foreign_dumps
import pytest

from plivo_nb.analysis.importers import getstats_reports
from plivo_nb.analysis.importers.source import Source

REPORTS = foreign_dumps.reports(3)


@pytest.mark.parametrize(
    "value",
    [
        REPORTS,
        [list(report.values()) for report in REPORTS],
        [list(report.items()) for report in REPORTS],
        [{"timestamp": 1, "stats": report} for report in REPORTS],
        {"url": "x", "getStats": REPORTS},
        {"calls": [{"reports": list(report.values())} for report in REPORTS]},
        [stats for report in REPORTS for stats in report.values()],
        [{key: [stats] for key, stats in report.items()} for report in REPORTS],
        {foreign_dumps.iso(foreign_dumps.START_MS + 1000 * n): report for n, report in enumerate(REPORTS)},
    ],
)
def test_every_shape_is_found(value: Any) -> None:
    source = Source("f", json.dumps(value).encode())
    assert getstats_reports.recognises(source)
    assert getstats_reports.read(source).samples["packets_in"].tolist() == [50.0, 50.0, 50.0]


def test_times_that_count_from_the_start_of_the_page_are_named() -> None:
    reports = [foreign_dumps.report(n, at_ms=5000.0 + 1000 * n) for n in range(4)]
    frames = getstats_reports.read(Source("f", json.dumps(reports).encode()))
    assert "do not say the date" in frames.warnings[0]
    assert frames.samples["interval_s"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "value",
    [
        {"pc0": {"samples": REPORTS}, "pc1": {"samples": REPORTS}},
        {"pc0": REPORTS, "pc1": REPORTS},
        {"connections": {"pc0": {"stats": REPORTS}, "pc1": {"stats": REPORTS}}},
        [{"pcId": f"pc{number}", "stats": report} for report in REPORTS for number in (0, 1)],
    ],
)
def test_two_peer_connections_are_two_calls(value: Any) -> None:
    source = Source("f", json.dumps(value).encode())
    assert getstats_reports.recognises(source)
    frames = getstats_reports.read(source)
    assert sorted(frames.calls["call_uuid"]) == ["f/pc0", "f/pc1"]
    assert frames.samples.groupby("call_uuid", observed=True)["packets_in"].sum().tolist() == [150.0, 150.0]


def test_the_state_of_a_connection_is_not_its_name() -> None:
    states = ["new", "connecting", *["connected"] * (len(REPORTS) - 2)]
    value = [
        {"connectionState": state, "stats": report} for state, report in zip(states, REPORTS, strict=True)
    ]
    frames = getstats_reports.read(Source("f", json.dumps(value).encode()))
    assert frames.calls["call_uuid"].tolist() == ["f"]


def test_one_peer_connection_has_the_name_of_the_file() -> None:
    source = Source("f", json.dumps({"pc0": {"samples": REPORTS}}).encode())
    assert getstats_reports.recognises(source)
    assert getstats_reports.read(source).calls["call_uuid"].tolist() == ["f"]


@pytest.mark.parametrize("before", ["2026-11-26 12:00:01 INFO stats: ", "[12:00:01.5] ", "app.js:12 "])
def test_lines_of_a_log_are_read_behind_what_the_logger_wrote(before: str) -> None:
    text = "\n".join(before + json.dumps(report) for report in REPORTS)
    source = Source("f", text.encode())
    assert getstats_reports.recognises(source)
    frames = getstats_reports.read(source)
    assert frames.samples["packets_in"].tolist() == [50.0, 50.0, 50.0]
    assert not any("no JSON" in sentence for sentence in frames.warnings)
