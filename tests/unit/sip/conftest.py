"""Two registered user agents for the tests of calls."""

import pytest
from sip_world import World


@pytest.fixture
def world() -> World:
    """Alice and Bob, registered; their events and messages so far are dropped."""
    world = World("alice", "bob")
    world.take("alice")
    world.take("bob")
    world.log.clear()
    return world
