"""The description of a sound device."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.sound.devices import Device, stable_id


def test_a_device_is_read_by_attribute_and_like_a_dict() -> None:
    device = Device("id", "audioinput", "Microphone", "group")
    assert device.label == device["label"] == "Microphone"
    assert dict(device) == {
        "deviceId": "id",
        "kind": "audioinput",
        "label": "Microphone",
        "groupId": "group",
    }
    assert len(device) == 4
    with pytest.raises(KeyError):
        device["rate"]


@given(st.lists(st.text(), min_size=1, max_size=4), st.lists(st.text(), min_size=1, max_size=4))
def test_an_id_depends_on_all_names_and_on_nothing_else(one: list[str], other: list[str]) -> None:
    if any("\0" in name for name in one + other):
        return
    assert (stable_id(*one) == stable_id(*other)) == (one == other)
    assert len(stable_id(*one)) == 32


def test_an_id_is_the_same_in_every_process() -> None:
    assert stable_id("pulse", "audioinput", "mic") == "51df947292841bc2f3940e0b3aef9c98"
