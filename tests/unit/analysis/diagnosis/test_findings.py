"""Findings: their order, their frame, how they are shown."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from simulation.made_samples import BEGAN

from plivo_nb.analysis.diagnosis import Evidence, Finding, Findings

LAG = Finding(
    cause="lag", severity="minor", what="Answers come late", since=BEGAN,
    until=BEGAN + pd.Timedelta(seconds=8), seconds=7.0,
    evidence=(Evidence("rtt_ms", 512.25, "ms", 400.0), Evidence("codec", "PCMU")),
    remedy="Turn a VPN off.", call_uuid="<b>u</b>",
)  # fmt: skip
LOSS = replace(LAG, cause="choppy", direction="in", severity="major", what="Loss <script>")
OUTAGE = replace(LAG, cause="outage", severity="critical")


def test_the_worst_comes_first() -> None:
    assert list(Findings([LAG, LOSS, OUTAGE])) == [OUTAGE, LOSS, LAG]


def test_causes_of_one_severity_have_an_order() -> None:
    robotic = replace(LOSS, cause="robotic")
    assert list(Findings([robotic, LOSS])) == [LOSS, robotic]


def test_calls_stay_in_their_order() -> None:
    other = replace(OUTAGE, call_uuid="v")
    assert [item.call_uuid for item in Findings([LAG, other, LOSS])] == ["<b>u</b>", "<b>u</b>", "v"]


def test_findings_are_a_sequence() -> None:
    found = Findings([LAG, LOSS])
    assert (len(found), found[0], found[-1]) == (2, LOSS, LAG)
    assert list(found[:1]) == [LOSS]
    with pytest.raises(IndexError):
        found[2]


def test_the_text_names_cause_span_evidence_and_remedy() -> None:
    assert repr(Findings([LAG])) == (
        "minor: Answers come late "
        "(10:00:00 to 10:00:08 UTC, 7 s; rtt_ms 512.2 ms (limit 400 ms); codec PCMU). "
        "Turn a VPN off."
    )
    assert repr(Findings([])) == "No cause of bad quality found."


def test_a_share_is_shown_in_percent() -> None:
    assert str(Evidence("loss_in", 0.0743, "0..1", 0.03)) == "loss_in 7.43 % (limit 3 %)"


def test_html_is_escaped() -> None:
    shown = Findings([LOSS])._repr_html_()
    assert "Loss &lt;script&gt;" in shown
    assert "<script>" not in shown
    assert "No cause" in Findings([])._repr_html_()


def test_the_frame_has_a_row_each_finding() -> None:
    frame = Findings([LAG, LOSS]).frame()
    assert frame["cause"].tolist() == ["choppy", "lag"]
    assert frame.loc[1, "evidence"] == "rtt_ms 512.2 ms (limit 400 ms); codec PCMU"
    assert str(frame["since"].dtype).endswith("UTC]")
    empty = Findings([]).frame()
    assert list(empty.columns) == list(frame.columns)
    assert str(empty["until"].dtype).endswith("UTC]")
