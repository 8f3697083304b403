"""Calls between two user agents through a registrar and proxy, as RFC 3261 section 13 to 15 tell them."""

from __future__ import annotations

from sip_world import ANSWER, OFFER, World

from plivo_nb.sip.events import (
    Answered,
    Confirmed,
    Ended,
    IncomingCall,
    InfoAnswered,
    InfoReceived,
    Progress,
    Registered,
    Unregistered,
)


def test_register_refresh_unregister() -> None:
    world = World("alice")
    assert world.take("alice") == [Registered(120.0, False)]
    world.wait(110)
    assert world.take("alice") == [Registered(120.0, True)]
    world.agents["alice"].unregister(world.now)
    world.run()
    assert world.take("alice") == [Unregistered()]
    assert world.proxy.bindings["alice"] == []
    world.wait(300)
    assert world.take("alice") == []


def test_call_from_invite_to_bye() -> None:
    world = World("alice", "bob")
    world.proxy.x_call_uuid = "uuid-1"
    alice, bob = world.agents["alice"], world.agents["bob"]
    world.take("alice"), world.take("bob")
    key = alice.invite("bob", OFFER, [("X-PH-Test1", "hello_1")], world.now)
    world.run()
    (incoming,) = world.take("bob")
    assert isinstance(incoming, IncomingCall)
    assert incoming.caller == "alice@phone.plivo.com"
    assert incoming.body == OFFER
    assert incoming.x_call_uuid == "uuid-1"
    assert ("X-PH-Test1", "hello_1") in incoming.headers
    bob.ring(incoming.call, world.now)
    world.run()
    (progress,) = world.take("alice")
    assert isinstance(progress, Progress)
    assert (progress.call, progress.code, progress.reason, progress.x_call_uuid) == (
        key,
        180,
        "Ringing",
        "uuid-1",
    )
    bob.accept(incoming.call, ANSWER, world.now)
    world.run()
    (answered,) = world.take("alice")
    assert isinstance(answered, Answered)
    assert answered.body == ANSWER
    assert world.take("bob") == [Confirmed(incoming.call, b"")]
    alice.info(key, "application/dtmf-relay", b"Signal=1\r\nDuration=100", world.now)
    world.run()
    assert world.take("bob") == [
        InfoReceived(incoming.call, "application/dtmf-relay", b"Signal=1\r\nDuration=100")
    ]
    assert world.take("alice") == [InfoAnswered(key, 200)]
    bob.hangup(incoming.call, world.now)
    world.run()
    assert world.take("bob") == [Ended(incoming.call, "local", None, "", None)]
    assert world.take("alice") == [Ended(key, "remote", None, "", None)]
    world.wait(40)
    for agent in (alice, bob):
        assert (agent.calls.calls, agent.calls.dialogs, agent.calls.transactions) == (0, 0, 0)
