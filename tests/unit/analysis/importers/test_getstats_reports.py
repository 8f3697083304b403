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
