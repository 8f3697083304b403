"""The table of the network's knobs, and everything that is made from it."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, get_args

import pytest

from plivo_nb.lab.network.impairment import Impairment
from plivo_nb.lab.network.knobs import KNOBS, NetworkKnobs
from plivo_nb.lab.network.scenarios import SCENARIOS, ScenarioName, read_scenario
from plivo_nb.lab.remote import RemoteNetwork

NUMBERS = [name for name, knob in KNOBS.items() if knob.kind == "number"]


def test_the_keyword_types_and_the_impairment_have_the_knobs_of_the_table() -> None:
    assert list(NetworkKnobs.__annotations__) == list(KNOBS)
    assert [field.name for field in fields(Impairment)] == list(KNOBS)


def test_a_clean_network_has_the_defaults() -> None:
    assert Impairment().to_dict() == {name: knob.default for name, knob in KNOBS.items()}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_accepted_within_its_range_only(name: str) -> None:
    knob = KNOBS[name]
    for value in (knob.low, knob.high):
        knob.check(name, value)
    wrong: list[Any] = [knob.low - 0.1, knob.high * 1.1, float("nan"), float("inf"), "1", True]
    for value in wrong:
        with pytest.raises(ValueError, match=re.escape(f"{name} must be a number from {knob.low:g} to")):
            knob.check(name, value)


def test_only_the_rate_may_be_none() -> None:
    assert [name for name, knob in KNOBS.items() if knob.optional] == ["rate_kbps"]
    KNOBS["rate_kbps"].check("rate_kbps", None)
    with pytest.raises(ValueError, match="loss must be a number"):
        KNOBS["loss"].check("loss", None)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("reorder", 1, "True or False"),
        ("black_hole", "yes", "True or False"),
        ("jitter_shape", "flat", "'uniform' or 'normal'"),
        ("jitter_shape", ["uniform"], "'uniform' or 'normal'"),
    ],
)
def test_switches_and_texts_are_checked(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KNOBS[name].check(name, value)


def test_the_help_of_set_describes_every_knob() -> None:
    text = RemoteNetwork.set.__doc__ or ""
    assert "{knobs}" not in text
    for name, knob in KNOBS.items():
        assert f"``{name}`` ({knob.range}" in text
        assert knob.meaning in text


def test_the_names_of_the_shipped_scenarios_are_a_type() -> None:
    assert get_args(ScenarioName) == tuple(SCENARIOS)
    assert [read_scenario(name).name for name in get_args(ScenarioName)] == list(SCENARIOS)
