"""quality.rule_arrays: the events are those of the live rule engine, for rules and samples of any kind."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.quality.rule_arrays import SampleArrays, columns_of_rules, events_of
from plivo_nb.quality.rule_engine import RuleEngine
from plivo_nb.quality.rules import PRESETS, AnyRule, EventRule, Rule, SpanRule
from plivo_nb.quality.sampler import SampleRow

KEYS: dict[str, Any] = {"group": "g", "desc": "d", "stream": "local"}
NUMBERS = st.sampled_from([0.0, 0.02, 0.3, 1.0, 5.0, 40.0, 500.0, math.nan])
ROWS = st.fixed_dictionaries(
    {
        "rtt_ms": NUMBERS, "rtt_age_s": NUMBERS, "report_age_s": NUMBERS, "jitter_in_ms": NUMBERS,
        "jitter_out_ms": NUMBERS, "loss_in": NUMBERS, "loss_out": NUMBERS, "mos": NUMBERS,
        "source_bytes": st.sampled_from([0.0, 79.0, 4000.0, math.nan]),
        "packets_expected_in": st.sampled_from([0.0, 50.0, math.nan]),
        "packets_expected_out": st.sampled_from([0.0, 50.0, math.nan]),
        "interval_s": st.sampled_from([1.0, 1.0, 0.4, math.nan]),
        "muted": st.booleans(), "direction": st.sampled_from(["sendrecv", "inactive"]),
        "codec": st.sampled_from(["OPUS", "PCMU", ""]),
    }
)  # fmt: skip


@st.composite
def window_rules(draw: st.DrawFn) -> Rule:
    window = draw(st.integers(1, 6))
    count = draw(st.integers(1, window))
    limit = draw(st.sampled_from([0.1, 30.0, {"OPUS": 0.01, "": 10.0}, {"PCMU": 1.0}]))
    return Rule(
        type="r", column=draw(st.sampled_from(["rtt_ms", "jitter_in_ms", "loss_in", "loss_out", "mos"])),
        over=draw(st.sampled_from([">", ">=", "<", "<=", "repeats"])), limit=limit, window=window,
        count=count, clear=draw(st.integers(0, count - 1)),
        value=draw(st.sampled_from(["current", "mean over"])),
        cleared_value=draw(st.sampled_from([None, 0])), every=draw(st.integers(1, 3)),
        interval_s=draw(st.sampled_from([0.0, 0.0, 2.0])), repeat=draw(st.booleans()),
        unless=draw(st.sampled_from([(), ("muted",), ("held", "silent source")])), **KEYS,
    )  # fmt: skip


SPANS = st.builds(
    lambda span_s, unless: SpanRule(
        type="s", column="source_bytes", limit=80, span_s=span_s, unless=unless, **KEYS
    ),
    st.sampled_from([0.5, 1.0, 3.0]),
    st.sampled_from([(), ("muted", "held")]),
)
RULES = st.lists(st.one_of(window_rules(), SPANS), min_size=1, max_size=4)
CALLS = st.lists(st.lists(ROWS, min_size=1, max_size=14), min_size=0, max_size=3)


def rows_of(call: list[dict[str, Any]]) -> list[SampleRow]:
    return [SampleRow(time_utc_ns=0, time_monotonic_s=float(at), **row) for at, row in enumerate(call)]


def arrays_of(calls: list[list[SampleRow]], rules: list[AnyRule]) -> SampleArrays:
    rows = [(number, row) for number, call in enumerate(calls) for row in call]
    at_s = [row.time_monotonic_s for _, row in rows]
    since_s = [
        now - row.interval_s if now == 0.0 else now - 1.0 for now, (_, row) in zip(at_s, rows, strict=True)
    ]
    return SampleArrays(
        np.array([number for number, _ in rows], dtype=np.int64),
        np.array(at_s, dtype=np.float64),
        np.array(since_s, dtype=np.float64),
        {
            name: np.array([getattr(row, name) for _, row in rows], dtype=np.float64)
            for name in columns_of_rules(rules)
        },
        np.array([row.codec for _, row in rows], dtype=object),
        np.array([row.muted for _, row in rows], dtype=np.bool_),
        np.array([row.direction == "inactive" for _, row in rows], dtype=np.bool_),
    )


def live(calls: list[list[SampleRow]], rules: list[AnyRule], silent: bool) -> list[tuple[Any, ...]]:
    found, number = [], 0
    for call in calls:
        engine = RuleEngine(rules, started_at_s=-call[0].interval_s)
        for row in call:
            for event in engine.sample(row, silent_source=silent):
                found.append((number, event["type"], event["desc"], event["value"], event["active"]))
            number += 1
    return found


def at_once(calls: list[list[SampleRow]], rules: list[AnyRule], silent: bool) -> list[tuple[Any, ...]]:
    events = events_of(arrays_of(calls, rules), rules, silent_source=silent)
    return [(event.row, event.rule.type, event.rule.desc, event.value, event.active) for event in events]


@settings(max_examples=150, deadline=None)
@given(
    calls=CALLS,
    rules=st.lists(st.one_of(window_rules(), SPANS), min_size=1, max_size=4),
    silent=st.booleans(),
)
def test_rules_of_any_kind_give_the_live_events(calls: Any, rules: Any, silent: bool) -> None:
    made = [rows_of(call) for call in calls]
    assert at_once(made, rules, silent) == live(made, rules, silent)


@settings(max_examples=50, deadline=None)
@given(calls=CALLS, preset=st.sampled_from(sorted(PRESETS)))
def test_the_presets_give_the_live_events(calls: Any, preset: str) -> None:
    rules = [rule for rule in PRESETS[preset] if not isinstance(rule, EventRule)]
    made = [rows_of(call) for call in calls]
    assert at_once(made, list(rules), False) == live(made, list(rules), False)


def test_only_the_columns_that_rules_need_are_asked_for() -> None:
    rule = Rule(type="r", column="rtt_ms", over=">", limit=1, **KEYS)
    assert columns_of_rules([rule]) == ["interval_s", "rtt_ms", "rtt_age_s"]
    assert "packets_expected_out" in columns_of_rules(PRESETS["sdk-2.2"])
