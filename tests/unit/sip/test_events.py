"""Events: immutable, without secrets, one end for each call."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
from sip_world import World, ringing

from plivo_nb.sip import events

EVENTS = [item for _, item in inspect.getmembers(events, dataclasses.is_dataclass)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_an_event_cannot_be_changed_and_is_documented(event: type) -> None:
    assert event.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert hasattr(event, "__slots__")
    assert not (event.__doc__ or "").startswith(event.__name__)


@pytest.mark.parametrize("answered", [False, True])
def test_a_call_ends_in_exactly_one_event_on_each_side(world: World, answered: bool) -> None:
    if answered:
        key, other = world.call()
    else:
        key = world.agents["alice"].invite("bob", b"v=0", [], world.now)
        world.run()
        other = ringing(world)
    for _ in range(2):
        world.agents["alice"].hangup(key, world.now)
        world.agents["bob"].hangup(other, world.now)
        world.run()
    world.wait(200)
    ends = ("CallFailed", "Canceled", "NoAnswer", "Rejected", "Ended")
    for name in ("alice", "bob"):
        assert len([event for event in world.take(name) if type(event).__name__ in ends]) == 1


def test_events_of_refused_calls_show_no_nonce() -> None:
    world = World("alice")
    world.proxy.passwords["alice"] = "another"
    world.agents["alice"].invite("bob", b"v=0", [], world.now)
    world.run()
    (failed,) = [event for event in world.take("alice") if type(event).__name__ == "CallFailed"]
    assert failed.code == 407  # type: ignore[attr-defined]
    assert "nonce-" not in repr(failed)
