"""quality.rules: presets, the option `rules`, and what a rule of the user must be."""

from __future__ import annotations

import math

import pytest

from plivo_nb.codec_table import CODECS
from plivo_nb.quality.rules import PRESETS, SDK_2_2, V2_1, Rule, SpanRule, resolve


@pytest.mark.spec("2 rules", "6 sdk-2.2")
def test_presets_are_what_the_option_names() -> None:
    assert resolve("v2.1") is V2_1
    assert resolve("sdk-2.2") is SDK_2_2
    assert set(PRESETS) == {"v2.1", "sdk-2.2"}
    for preset in PRESETS.values():
        assert {rule.type for rule in preset} == {
            "high_jitter",
            "high_rtt",
            "high_packetloss",
            "low_mos",
            "no_audio_received",
            "no_microphone_access",
            "ice_timeout",
            "ice_connection",
        }


@pytest.mark.parametrize("wrong", ["v3", 7, None, {"a": 1}, ["high_rtt"]], ids=repr)
def test_a_wrong_option_is_refused_with_what_is_allowed(wrong: object) -> None:
    with pytest.raises(ValueError, match="sdk-2"):
        resolve(wrong)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"column": "codec"}, "codec"),
        ({"column": "jitter"}, "jitter"),
        ({"count": 6}, "count"),
        ({"clear": 3}, "clear"),
        ({"over": "=>"}, "=>"),
        ({"value": "max"}, "max"),
        ({"every": 0}, "every"),
        ({"interval_s": -1}, "interval_s"),
    ],
)
def test_a_rule_that_does_not_fit_together_says_why(change: dict, names: str) -> None:
    good = {"type": "t", "group": "g", "desc": "d", "column": "mos", "over": "<", "limit": 3}
    Rule(**good)
    with pytest.raises(ValueError, match=names):
        Rule(**{**good, **change})


def test_a_span_rule_needs_a_column_and_a_span() -> None:
    good = {"type": "t", "group": "g", "desc": "d", "column": "source_bytes", "limit": 1, "span_s": 3}
    SpanRule(**good)
    with pytest.raises(ValueError, match="span_s"):
        SpanRule(**{**good, "span_s": 0})
    with pytest.raises(ValueError, match="bytes"):
        SpanRule(**{**good, "column": "bytes"})


@pytest.mark.parametrize(
    ("over", "verdicts"),
    [(">", (False, False, True)), (">=", (False, True, True)), ("<", (True, False, False)),
     ("<=", (True, True, False)), ("repeats", (False, False, False))],
)  # fmt: skip
def test_a_value_is_compared_with_the_limit_as_the_rule_says(over, verdicts: tuple[bool, ...]) -> None:
    rule = Rule(type="t", group="g", desc="d", column="rtt_ms", over=over, limit=10)
    assert tuple(rule.is_over(value, "OPUS") for value in (9.0, 10.0, 11.0)) == verdicts
    assert not rule.is_over(math.nan, "OPUS")


def test_the_documented_limits_of_loss_know_every_codec() -> None:
    (loss, _) = [rule for rule in V2_1 if rule.type == "high_packetloss"]
    for name, row in CODECS.items():
        assert not loss.is_over(row.loss_limit, name)
        assert loss.is_over(row.loss_limit + 0.01, name)


@pytest.mark.parametrize(("codec", "limit"), [("OPUS", 0.10), ("PCMU", 0.02), ("PCMA", 0.02), ("", 0.02)])
def test_the_published_packages_warn_at_their_limit_of_loss(codec: str, limit: float) -> None:
    (loss, _) = [rule for rule in SDK_2_2 if rule.type == "high_packetloss"]
    assert loss.is_over(limit, codec)
    assert not loss.is_over(limit - 0.001, codec)


def test_the_published_packages_evaluate_every_second_sample_of_five_seconds() -> None:
    for rule in SDK_2_2:
        if isinstance(rule, Rule):
            assert (rule.window, rule.count, rule.clear) == (3, 2, 1)
            assert (rule.every, rule.interval_s, rule.repeat, rule.cleared_value) == (2, 5.0, True, 0)
