"""Each mediaMetrics warning has words: what happens, how much, since when, and what helps."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plivo_nb.quality.columns import Column
from plivo_nb.quality.frames import SAMPLES
from plivo_nb.quality.rules import PRESETS, AnyRule
from plivo_nb.widgets import plain_warnings
from plivo_nb.widgets.plain_warnings import WARNING_WORDS, WarningSpan, WarningSpans, spans_of, words_of

RULES = sorted({(rule.type, rule.stream) for rules in PRESETS.values() for rule in rules})
VALUES: dict[str, tuple[Any, str]] = {
    "high_jitter": (41.3, "41 ms"),
    "high_rtt": (612.4, "612 ms"),
    "high_packetloss": (0.123, "12 %"),
    "low_mos": (2.44, "MOS 2.4, bad"),
    "no_audio_received": (-72.0, "level −72 dB"),
    "no_microphone_access": (0, ""),
    "ice_timeout": (2000, "2.0 s"),
    "ice_connection": ("disconnected", "no answer"),
}


def event(
    type_: str, stream: str, *, active: bool = True, value: Any = 1.0, desc: str = ""
) -> dict[str, Any]:
    return {"type": type_, "stream": stream, "active": active, "value": value, "desc": desc or stream}


@pytest.mark.parametrize(("type_", "stream"), RULES)
def test_every_type_and_direction_of_the_rules_has_plain_words(type_: str, stream: str) -> None:
    words = WARNING_WORDS[type_, stream]
    value, amount = VALUES[type_]
    assert WarningSpan(type_, stream, "", value, 41.0).amount() == amount
    for text in (words.what, words.name, words.helps, amount):
        assert "_" not in text
    assert re.fullmatch(r"[A-Z][^.]*[^.]", words.what)
    assert words.helps.endswith((".", ")."))
    assert len(words.what) <= 50  # fits beside the amount in the narrowest dashboard


def test_no_words_are_of_a_type_that_no_rule_has() -> None:
    assert set(WARNING_WORDS) == set(RULES)


def test_directions_have_words_of_their_own() -> None:
    texts = [words.what for words in WARNING_WORDS.values()]
    assert len(set(texts)) == len(texts)
    assert "to you" in words_of("high_packetloss", "remote").what
    assert "from you" in words_of("high_packetloss", "local").what


def test_the_columns_are_those_of_the_rules() -> None:
    rules: dict[tuple[str, str], AnyRule] = {
        (rule.type, rule.stream): rule for rule in PRESETS["v2.1"] if hasattr(rule, "over")
    }
    assert rules
    for key, rule in rules.items():
        words = WARNING_WORDS[key]
        assert words.column == rule.column  # type: ignore[union-attr]
        assert words.lowest == (rule.over in ("<", "<="))  # type: ignore[union-attr]


def test_every_ice_state_that_raises_it_has_a_word() -> None:
    rule = next(rule for rule in PRESETS["v2.1"] if rule.type == "ice_connection")
    assert {value for value, _ in WARNING_WORDS["ice_connection", "None"].words} == set(rule.raised_by)  # type: ignore[union-attr]


def test_a_rule_of_the_users_own_is_named() -> None:
    words = words_of("too_quiet", "remote")
    assert (words.what, words.name) == ("Too quiet on the way to you", "too quiet on the way to you")
    assert WarningSpan("too_quiet", "None", "", -40.0, 0.0).amount() == "-40"
    assert words_of("", "None").what == "Warning"


def recent(**columns: list[float]) -> dict[str, np.ndarray]:
    return {name: np.array(values) for name, values in columns.items()}


def test_the_amount_is_the_worst_of_the_samples_that_the_rule_looks_at() -> None:
    loss = WarningSpan("high_packetloss", "remote", "", 0.11, 0.0)
    assert loss.amount(recent(loss_in=[0.9, 0.12, 0.25, math.nan, 0.0, 0.02, 0.05])) == "25 %"
    assert loss.amount(recent(loss_in=[math.nan])) == "11 %"
    assert loss.amount(recent()) == "11 %"
    score = WarningSpan("low_mos", "None", "", 2.9, 0.0)
    assert score.amount(recent(mos=[4.0, 1.52, 2.9])) == "MOS 1.5, bad"
    assert WarningSpan("no_audio_received", "remote", "", -80, 0).amount(recent(level_in_dbfs=[-100.0])) == (
        "complete silence"
    )


def test_of_the_far_ends_reports_each_counts_once() -> None:
    loss = WarningSpan("high_packetloss", "local", "", 0.11, 0.0)
    columns = recent(
        loss_out=[0.5, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
        report_age_s=[0.1, 0.1, 1.1, 0.1, 0.1, 0.1, 0.1, 1.1, 2.1],
        interval_s=[1.0] * 9,
    )
    assert loss.amount(columns) == "20 %"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0.0 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (1.0, "100 %")]
)
def test_percent(share: float, text: str) -> None:
    assert plain_warnings.percent(share) == text


def test_warnings_are_active_from_raised_to_cleared_the_worst_first() -> None:
    spans = WarningSpans()
    spans.add(event("high_jitter", "remote"), 3.0)
    spans.add(event("high_packetloss", "remote"), 5.0)
    spans.add(event("high_packetloss", "remote", value=0.5), 7.0)  # sdk-2.2 repeats them
    spans.add(event("my_rule", "None"), 6.0)
    spans.add(event("high_jitter", "local", active=False), 6.5)  # was never raised
    assert [span.type for span in spans.at(8.0)] == ["high_packetloss", "high_jitter", "my_rule"]
    assert spans.at(8.0)[0].since_s == 5.0
    spans.add(event("high_packetloss", "remote", active=False), 9.0)
    assert [span.type for span in spans.at(9.0)] == ["high_jitter", "my_rule"]
    assert [span.type for span in spans.at(4.0)] == ["high_jitter"]
    spans.end(12.0)
    assert spans.at(12.0) == []
    assert len(spans) == 3
    assert plain_warnings.summary(spans, 12.0) == (
        "Packets lost on the way to you (4 s), jitter on the way to you (9 s), my rule (6 s)."
    )


def test_a_warning_that_is_never_cleared_is_shown_for_a_while() -> None:
    spans = WarningSpans()
    spans.add(event("ice_timeout", "None", value=2000), -2.0)  # before the answer
    assert [span.type for span in spans.at(1.0)] == ["ice_timeout"]
    assert spans.at(20.0) == []
    assert plain_warnings.summary(spans, 30.0) == "Slow search for network addresses."
    assert plain_warnings.summary([], 30.0) == "No warning in this call."


def test_the_spans_of_a_frame() -> None:
    began = pd.Timestamp("2026-11-25 12:00:00", tz="UTC")
    frame = pd.DataFrame(
        [event("high_rtt", "None", value=500.0), event("high_rtt", "None", active=False)],
        index=[began + pd.Timedelta(seconds=4), began + pd.Timedelta(seconds=9)],
    )
    assert [(span.since_s, span.until_s, span.value) for span in spans_of(frame, began)] == [
        (4.0, 9.0, 500.0)
    ]
    assert list(spans_of(frame.iloc[:0], began)) == []


def test_columns_exist() -> None:
    names = {column.name for column in SAMPLES if isinstance(column, Column)}
    assert {words.column for words in WARNING_WORDS.values()} - {""} <= names
