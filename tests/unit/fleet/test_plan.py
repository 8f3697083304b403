"""fleet.plan: a plan is checked as a whole before its first call."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.fleet import PlanError, read_plan
from plivo_nb.fleet.plan import COLUMNS, PlannedCall

ROW: dict[str, Any] = {"at_s": 0.0, "account": "ann", "destination": "echo", "duration_s": 5.0}


def of(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{**ROW, **row} for row in rows])


def test_a_row_becomes_a_call_with_all_that_it_says() -> None:
    (call,) = read_plan(
        of({
            "source": "tone", "codec": "pcmu", "scenario": "commute", "headers": "X-PH-Leg=2; X-PH-Run=7",
            "label": "wifi", "loss": 0.05, "reorder": "false", "tag_region": "north",
        })
    ).calls  # fmt: skip
    assert call == PlannedCall(
        0, 0.0, "ann", "echo", 5.0, "tone", "PCMU", "commute", {"loss": 0.05, "reorder": False},
        {"X-PH-Leg": "2", "X-PH-Run": "7"}, "wifi", {"region": "north"},
    )  # fmt: skip
    assert call.network == "commute, loss 0.05, reorder False"


def test_cells_may_be_empty_where_they_are_not_needed() -> None:
    plan = read_plan(of({"label": None, "loss": float("nan")}, {"label": "wifi", "loss": 0.1}))
    assert [call.label for call in plan.calls] == [None, "wifi"]
    assert [call.knobs for call in plan.calls] == [{}, {"loss": 0.1}]
    assert plan.needs_lab == [1]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"at_s": -1}, "Row 1, column at_s: -1.0 is no number of seconds"),
        ({"at_s": "soon"}, "Row 1, column at_s: 'soon' is no number"),
        ({"account": "a b"}, "Row 1, column account: 'a b' is no name"),
        ({"account": None}, "Row 1, column account: it is empty"),
        ({"destination": ""}, "Row 1, column destination: it is empty"),
        ({"destination": "x" * 600}, "Row 1, column destination: call: the number or address has 600"),
        ({"duration_s": 0}, "Row 1, column duration_s: 0.0 is no number"),
        ({"codec": "G729"}, "Row 1, column codec: 'G729' is no codec; choose one of OPUS"),
        ({"scenario": "nowhere"}, "Row 1, column scenario: There is no scenario"),
        ({"loss": 2}, "Row 1, column loss: loss must be a number from 0 to 1"),
        ({"headers": "Subject=hi"}, "Row 1, column headers: 'Subject' is no such header"),
        ({"headers": {"X-PH-A": "two words"}}, "Row 1, column headers: 'X-PH-A' is no such header"),
    ],
)
def test_what_is_wrong_is_named_with_row_and_column(row: dict[str, Any], sentence: str) -> None:
    frame = pd.DataFrame([ROW, {**ROW, **row}])
    with pytest.raises(PlanError, match=re.escape(sentence)):
        read_plan(frame)


def test_all_problems_are_named_at_once_and_many_are_counted() -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(of(*({"at_s": -1, "codec": "x"} for _ in range(8))))
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 6 more."


def test_columns_that_are_missing_or_unknown_are_named() -> None:
    with pytest.raises(PlanError, match="no column destination, duration_s; a row needs at_s, account"):
        read_plan(pd.DataFrame({"at_s": [0], "account": ["ann"]}))
    with pytest.raises(PlanError, match=r"the column 'los', which is unknown.*loss.*tag_region"):
        read_plan(of({"los": 0.1}))
    with pytest.raises(PlanError, match="1 to 1000000 rows, not 0"):
        read_plan(pd.DataFrame({column.name: [] for column in COLUMNS}))


def test_an_account_has_one_codec() -> None:
    with pytest.raises(PlanError, match="Row 1, column codec: ann has OPUS in an earlier row"):
        read_plan(of({"codec": "OPUS"}, {"codec": "PCMU"}))
    read_plan(of({"codec": "OPUS"}, {"codec": "PCMU", "account": "bob"}))


def test_numbers_that_are_called_are_read_from_csv_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    path.write_text("at_s,account,destination,duration_s,label\n0,0042,0800123,5,7\n1,ann,echo,5,\n")
    plan = read_plan(path)
    assert [(call.account, call.destination) for call in plan.calls] == [("0042", "0800123"), ("ann", "echo")]
    assert read_plan(str(path)).fingerprint == plan.fingerprint
    assert read_plan(plan) is plan
    with pytest.raises(FileNotFoundError):
        read_plan(tmp_path / "none.csv")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlanError, match="is no CSV file"):
        read_plan(path)


calls = st.fixed_dictionaries(
    {
        "at_s": st.floats(0, 1000),
        "account": st.sampled_from(["ann", "bob"]),
        "destination": st.sampled_from(["echo", "+14155550100"]),
        "duration_s": st.floats(0.1, 100),
    },
    optional={
        "source": st.sampled_from(["speech", "silence", "sound.wav"]),
        "label": st.sampled_from(["a", "b"]),
        "loss": st.floats(0, 1),
        "headers": st.sampled_from(["X-PH-A=1", "X-PH-A=1; X-PH-B=2"]),
        "tag_site": st.sampled_from(["x", "y"]),
    },
)


@given(st.lists(calls, min_size=1, max_size=5))
def test_the_frame_of_a_plan_is_the_same_plan(rows: list[dict[str, Any]]) -> None:
    plan = read_plan(pd.DataFrame(rows))
    again = read_plan(plan.frame())
    assert again == plan
    assert again.fingerprint == plan.fingerprint
    assert len(plan.frame()) == len(rows) == len(plan)
    assert plan.seconds >= max(row["at_s"] for row in rows)


@given(st.lists(calls, min_size=2, max_size=4), st.data())
def test_another_plan_has_another_fingerprint(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(rows) - 1))
    other = [{**row, "duration_s": 200.0} if at == number else row for at, row in enumerate(rows)]
    assert read_plan(pd.DataFrame(rows)).fingerprint != read_plan(pd.DataFrame(other)).fingerprint
