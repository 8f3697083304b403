"""The 2xx to INVITE and its ACK, repeated end to end (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from sip_world import (
    ANSWER,
    OFFER,
    World,
    methods,
    ringing,
    statuses,
)

from plivo_nb.sip.events import (
    Ended,
)


def test_a_200_without_an_ack_is_repeated_and_then_hung_up(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    other = ringing(world)
    del world.agents["alice"]
    world.agents["bob"].accept(other, ANSWER, world.now)
    world.wait(31)
    assert 8 <= statuses(world, "bob").count(200) <= 11
    assert world.take("bob") == []
    world.wait(2)
    (ended,) = [event for event in world.take("bob") if isinstance(event, Ended)]
    assert (ended.originator, ended.code) == ("system", 408)
    assert methods(world, "bob")[-1] == "BYE"


def test_a_repeated_200_gets_its_ack_again(world: World) -> None:
    world.call()
    ok = next(text for name, text in reversed(world.log) if name == "bob" and text.startswith("SIP/2.0 200"))
    before = methods(world, "alice").count("ACK")
    for _, text in world.proxy.handle("bob", ok):
        world.agents["alice"].receive(text, world.now)
    world.run()
    assert methods(world, "alice").count("ACK") == before + 1
    assert world.take("alice") == []
