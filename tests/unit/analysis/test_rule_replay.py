"""analysis.rule_replay: recorded samples give the events that the live rule engine gave."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.analysis.rule_replay import replay
from plivo_nb.quality.frames import SCHEMA, build_frame
from plivo_nb.quality.rule_engine import RuleEngine
from plivo_nb.quality.rules import PRESETS, V2_1, EventRule, Rule
from plivo_nb.quality.sampler import COLUMNS, SampleRow

STEP_NS = 1_000_000_000
GOOD: dict[str, Any] = {
    "codec": "OPUS", "direction": "sendrecv", "interval_s": 1.0, "rtt_ms": 20.0, "rtt_age_s": 0.4,
    "report_age_s": 0.4, "jitter_in_ms": 2.0, "jitter_out_ms": 2.0, "loss_in": 0.0, "loss_out": 0.0,
    "mos": 4.4, "level_in_dbfs": -20.0, "level_out_dbfs": -20.0, "packets_in": 50.0, "packets_out": 50.0,
    "packets_expected_in": 50.0, "packets_expected_out": 50.0, "source_bytes": 4000.0,
}  # fmt: skip

CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "rtt_ms": st.sampled_from([20.0, 450.0, 600.0, math.nan]),
        "rtt_age_s": st.sampled_from([0.4, 1.4]),
        "report_age_s": st.sampled_from([0.4, 1.4]),
        "jitter_in_ms": st.sampled_from([2.0, 35.0, math.nan]),
        "jitter_out_ms": st.sampled_from([2.0, 35.0, math.nan]),
        "loss_in": st.sampled_from([0.0, 0.3, 1.0, math.nan]),
        "loss_out": st.sampled_from([0.0, 0.3, math.nan]),
        "mos": st.sampled_from([4.4, 2.0, math.nan]),
        "level_in_dbfs": st.sampled_from([-20.0, -100.0]),
        "level_out_dbfs": st.sampled_from([-20.0, -100.0]),
        "source_bytes": st.sampled_from([4000.0, 0.0]),
        "muted": st.booleans(),
        "direction": st.sampled_from(["sendrecv", "recvonly"]),
        "codec": st.sampled_from(["OPUS", "PCMU"]),
    },
)


def sample_rows(changes: list[dict[str, Any]], begin_ns: int = 1_700_000_000 * STEP_NS) -> list[SampleRow]:
    return [
        SampleRow(time_utc_ns=begin_ns + at * STEP_NS, time_monotonic_s=float(at), **{**GOOD, **change})
        for at, change in enumerate(changes)
    ]


def frame_of(**calls: list[SampleRow]) -> pd.DataFrame:
    rows = [(call, row) for call, its_rows in calls.items() for row in its_rows]
    values: dict[str, list[Any]] = {
        column.name: [getattr(row, column.name) for _, row in rows] for column in COLUMNS
    }
    values |= {column.name: [None] * len(rows) for column in SCHEMA["samples"] if column.name not in values}
    values["call_uuid"] = [call for call, _ in rows]
    return build_frame("samples", [row.time_utc_ns for _, row in rows], values)


def live(rows: list[SampleRow], rules: Any) -> list[tuple[int, dict[str, Any]]]:
    engine = RuleEngine(rules, started_at_s=rows[0].time_monotonic_s - rows[0].interval_s)
    return [(row.time_utc_ns, event) for row in rows for event in engine.sample(row)]


def replayed(frame: pd.DataFrame, rules: Any) -> list[tuple[int, dict[str, Any]]]:
    events = replay(frame, rules)
    times_ns = events.index.as_unit("ns").asi8
    records = events.drop(columns="call_uuid").to_dict("records")
    return [(int(at), record) for at, record in zip(times_ns, records, strict=True)]


@pytest.mark.parametrize("preset", PRESETS)
@settings(max_examples=25)
@given(changes=st.lists(CHANGES, min_size=1, max_size=40))
def test_a_replay_gives_what_the_live_engine_gave(preset: str, changes: list[dict[str, Any]]) -> None:
    rows = sample_rows(changes)
    assert replayed(frame_of(a=rows), preset) == live(rows, PRESETS[preset])


def test_calls_at_the_same_time_do_not_mix() -> None:
    bad, good = sample_rows([{"jitter_in_ms": 80.0}] * 8), sample_rows([{}] * 8)
    events = replay(frame_of(a=bad, b=good))
    assert set(events["call_uuid"]) == {"a"}
    assert events["type"].tolist() == ["high_jitter"]
    assert events.columns.tolist() == [column.name for column in SCHEMA["media_metrics"]]


def test_the_short_last_sample_of_a_call_that_is_over_is_left_out() -> None:
    rows = sample_rows([{}, {}, {}, {"mos": 1.0}, {"mos": 1.0}, {"mos": 1.0, "interval_s": 0.3}])
    rule = next(rule for rule in V2_1 if rule.type == "low_mos")
    assert len(replay(frame_of(a=rows), [rule])) == 0
    assert replay(frame_of(a=rows), [rule], ended=False)["value"].tolist() == [1.0]


def test_a_source_of_silence_is_no_lost_microphone() -> None:
    frame = frame_of(a=sample_rows([{"source_bytes": 0.0}] * 12))
    assert "no_microphone_access" in set(replay(frame)["type"])
    assert "no_microphone_access" not in set(replay(frame, silent_source=True)["type"])


def test_rules_about_states_are_left_out_and_missing_columns_are_not_measured() -> None:
    frame = pd.DataFrame({"mos": np.full(9, 1.0)}, pd.date_range("2026-11-25", periods=9, freq="s", tz="UTC"))
    states = [rule for rule in V2_1 if isinstance(rule, EventRule)]
    assert len(replay(frame, states)) == 0
    events = replay(frame, "v2.1")
    assert events["type"].tolist() == ["low_mos"]
    assert events["call_uuid"].isna().all()


def test_no_samples_give_no_events() -> None:
    empty = replay(frame_of())
    assert (len(empty), str(empty["value"].dtype)) == (0, "object")


def test_a_wrong_preset_is_named() -> None:
    with pytest.raises(ValueError, match=r"'v2.1', 'sdk-2.2'"):
        replay(frame_of(), "v3")


def test_rules_of_your_own() -> None:
    rule = Rule(type="quiet", group="audio", desc="remote", column="level_in_dbfs", over="<", limit=-40)
    frame = frame_of(a=sample_rows([{"level_in_dbfs": -50.0}] * 5))
    assert replay(frame, [rule])["type"].tolist() == ["quiet"]
