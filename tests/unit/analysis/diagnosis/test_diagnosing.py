"""diagnose: the causes of recorded calls, of several calls, and of any frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulation import labelled_recipes
from simulation.made_samples import during, samples

import plivo_nb.analysis
from plivo_nb.analysis.diagnosis import diagnose
from plivo_nb.quality.frames import SCHEMA


def causes(frame: pd.DataFrame, **more: Any) -> list[str]:
    return [finding.cause for finding in diagnose(frame, **more)]


@pytest.mark.parametrize("name", labelled_recipes.SETS)
def test_the_right_cause_comes_first_in_recorded_calls(name: labelled_recipes.SetName) -> None:
    frames = labelled_recipes.load(name)
    wrong, false_alarms = [], []
    for row, of_call in labelled_recipes.each(frames):
        found = causes(of_call.samples, calls=of_call.calls, media_metrics=of_call.media_metrics)
        if found[:1] != [row["label"]][: bool(row["label"])]:
            wrong.append(f"{row['number']} {row['label']} ({row['what']}): {found}")
        if found and not row["label"]:
            false_alarms.append(f"{row['number']} {row['what']}: {found}")
    assert len(frames.calls) >= 40
    assert false_alarms == []
    assert len(wrong) <= 0.05 * len(frames.calls), wrong


def test_analysis_has_the_function_too() -> None:
    assert plivo_nb.analysis.diagnose is diagnose
    with pytest.raises(AttributeError, match="no attribute 'diagnosee'"):
        plivo_nb.analysis.diagnosee  # noqa: B018


def test_a_good_call_has_no_finding() -> None:
    assert causes(samples()) == []


def test_the_findings_of_each_call_stand_together() -> None:
    lossy = samples(loss_in=0.1, rtt_ms=900.0)
    other = samples(call_uuid="v", loss_in=0.3)
    found = diagnose(pd.concat([lossy, other]))
    assert [(item.call_uuid, item.cause) for item in found] == [
        ("u", "choppy"), ("u", "lag"), ("v", "choppy"),
    ]  # fmt: skip


def test_an_outage_explains_the_loss_and_jitter_after_it() -> None:
    loss, jitter = during(30, 10, 16, 1.0, 0.0), during(30, 10, 19, 80.0, 4.0)
    loss[16] = 0.5
    assert causes(samples(loss_in=loss, jitter_in_ms=jitter)) == ["outage"]


def test_a_busy_kernel_explains_jitter() -> None:
    lags, jitter = during(30, 10, 14, 1500.0, 2.0), during(30, 9, 16, 60.0, 4.0)
    assert causes(samples(loop_lag_ms=lags, jitter_in_ms=jitter)) == ["busy_kernel"]


def test_a_machine_that_does_not_send_in_time_does_not_receive_in_time() -> None:
    late = {"packets_discarded": 9.0, "jitter_in_ms": 40.0}
    assert causes(samples(**late)) == ["robotic"]
    assert causes(samples(**late, packets_out=30.0)) == []


def test_a_process_that_cannot_keep_up_explains_jitter_and_delay() -> None:
    bad = {"jitter_in_ms": 60.0, "packets_discarded": 9.0, "rtt_ms": 900.0}
    assert set(causes(samples(**bad))) == {"robotic", "lag"}
    assert causes(samples(**bad, late_ticks=25.0)) == ["overloaded"]


@pytest.mark.parametrize("column", [column.name for column in SCHEMA["samples"]])
def test_imported_samples_may_lack_any_column(column: str) -> None:
    assert causes(samples().drop(columns=column)) == []


def test_imported_samples_with_few_columns_are_diagnosed() -> None:
    index = pd.date_range("2026-11-25", periods=20, freq="s")
    frame = pd.DataFrame({"loss_in": 0.12, "jitter_in_ms": 55.0, "rtt_ms": 700.0}, index=index)
    assert causes(frame) == ["choppy", "robotic", "lag"]


_NUMBERS = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, -100.0, 1e300, -1e300, np.inf, np.nan]))
_VALUES: dict[str, Any] = {
    "float": _NUMBERS,
    "bool": st.booleans(),
    "category": st.sampled_from(["", "OPUS", "PCMU", "sendrecv", "inactive", "u", "v", "opus?", None]),
    "string": st.sampled_from(["", "OPUS", "u", None]),
    "object": _NUMBERS,
}
_TIMES = st.one_of(st.none(), st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2090-01-01")))


@st.composite
def frames(draw: Any, name: str) -> pd.DataFrame:
    rows = draw(st.integers(0, 12))
    wanted = draw(st.sets(st.sampled_from([column.name for column in SCHEMA[name]])))
    columns = {
        column.name: draw(st.lists(_VALUES[column.kind], min_size=rows, max_size=rows))
        for column in SCHEMA[name]
        if column.name in wanted
    }
    times = draw(st.lists(_TIMES, min_size=rows, max_size=rows))
    return pd.DataFrame(columns, index=pd.DatetimeIndex(pd.to_datetime(times)))


def test_figures_of_any_size_in_a_damaged_file_raise_nothing() -> None:
    index = pd.DatetimeIndex(["2026-11-25"], tz="UTC")
    huge = pd.DataFrame({"call_uuid": ["a"], "interval_s": [1.0], "loss_in": [-1e300],
                         "packets_expected_in": [1e200]}, index)  # fmt: skip
    assert {finding.call_uuid for finding in diagnose(huge)} <= {"a"}
    assert {finding.call_uuid for finding in diagnose(huge.assign(jitter_in_ms=1e308, rtt_ms=1e308))} <= {"a"}


@given(frames("samples"), frames("calls"), frames("media_metrics"))
def test_no_frame_makes_it_raise(one: pd.DataFrame, two: pd.DataFrame, three: pd.DataFrame) -> None:
    found = diagnose(one, calls=two, media_metrics=three)
    assert len(found.frame()) == len(found)
    assert repr(found)
    assert found._repr_html_()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame({"loss_in": [0.1, 0.2]}),
        pd.DataFrame({"loss_in": ["much", None]}, index=["yesterday", "today"]),
        pd.concat([samples(), samples()], axis=1),
    ],
    ids=["empty", "no times", "words", "each column twice"],
)
def test_odd_frames_are_read_as_far_as_possible(frame: pd.DataFrame) -> None:
    assert causes(frame) == []
