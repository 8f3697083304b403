"""What a report says of a call: figures in words, what is not known left out."""

import numpy as np
import pandas as pd
import pytest
from simulation.reported_call import BEGAN, call_set, samples_of

from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.call_set import CallSet
from plivo_nb.analysis.diagnosis import diagnose
from plivo_nb.analysis.report.content import (
    ReportedCall,
    environment,
    findings_of,
    known_names,
    overview_of,
    reported_calls,
    summary_of,
    warnings_of,
)

NOTHING = CallFrames.of()


def test_the_worst_call_is_first_and_one_without_samples_last() -> None:
    calls = call_set(3)
    unanswered = pd.DataFrame([{"call_uuid": "none", "dest": "bob"}], index=pd.DatetimeIndex([BEGAN]))
    both = CallSet(CallFrames.joined([calls.call_frames(), CallFrames.of(unanswered)]))
    ordered = reported_calls(both)
    assert [call.facts["call_uuid"] for call in ordered] == ["call-3", "call-2", "call-1", "none"]
    assert [len(call.samples) for call in ordered] == [60, 60, 60, 0]


def test_the_summary_has_the_call_s_own_figures() -> None:
    call = reported_calls(call_set())[0]
    words = dict(summary_of(call))
    share = np.average(call.samples["loss_in"], weights=call.samples["packets_expected_in"])
    assert words["Lost, received"] == f"{100 * share:.1f} %"
    assert words["Duration"] == "1 min 0 s"
    assert words["MOS"].startswith(f"{call.samples['mos'].mean():.2f} on average (")
    assert words["Began"] == "2026-11-25 14:00:00 UTC"
    assert words["Rating"] == "2 of 5"
    assert words["To ringing"] == "400 ms"


def test_the_row_of_the_call_counts_before_its_samples() -> None:
    call = ReportedCall(
        "x", samples_of(), NOTHING.media_metrics, {"mos_mean": 3.5, "loss_in": 0.5, "time": 1e9}
    )
    words = dict(summary_of(call))
    assert words["MOS"].startswith("3.50 on average (poor)")
    assert words["Lost, received"] == "50.0 %"
    assert words["Began"] == "2001-09-09 01:46:40 UTC"


def test_what_is_not_known_is_left_out_of_the_summary_and_named_in_the_table() -> None:
    call = ReportedCall("x", NOTHING.samples, NOTHING.media_metrics)
    assert summary_of(call) == []
    assert overview_of(call) == {
        "Call": "x",
        **dict.fromkeys(
            [
                "Began (UTC)",
                "Duration",
                "MOS, mean",
                "MOS, lowest",
                "Lost, received",
                "Lost, sent",
                "Round trip",
            ],
            "not known",
        ),
    }


def test_the_findings_are_those_of_the_diagnosis() -> None:
    call = reported_calls(call_set())[0]
    rows = findings_of(call)
    found = diagnose(call.samples, media_metrics=call.media_metrics)
    assert "choppy" in {finding.cause for finding in found}
    assert {finding.what for finding in found} <= {row["What"] for row in rows}
    assert all(row["What helps"] and row["Evidence"] for row in rows)
    assert findings_of(ReportedCall("x", NOTHING.samples, NOTHING.media_metrics)) == []


def test_warnings_have_their_time_in_the_call() -> None:
    rows = warnings_of(reported_calls(call_set())[0])
    assert [row["State"] for row in rows] == ["raised", "cleared"]
    assert rows[0] == {
        "Time (UTC)": "14:00:26",
        "Into the call": "26 s",
        "Warning": "high_packetloss",
        "Stream": "received",
        "Value": "0.14",
        "State": "raised",
    }


def test_the_environment_names_versions_and_no_machine() -> None:
    import platform

    words = dict(environment())
    assert words["Python"] == platform.python_version()
    assert words["numpy"] == np.__version__
    assert platform.node() == "" or platform.node() not in " ".join(words.values())


@pytest.mark.parametrize(("values", "names"), [([None, "a", "", " ", "a", 3, "b"], ("a", "b")), ([], ())])
def test_names_are_words_and_each_once(values: list[object], names: tuple[str, ...]) -> None:
    assert known_names(values) == names
