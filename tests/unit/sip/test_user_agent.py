"""The methods of the user agent, and a whole call between two of them through a registrar and proxy."""

from __future__ import annotations

import pytest
from sip_world import (
    ANSWER,
    EMPTY,
    OFFER,
    World,
    all_ended,
    names,
)

from plivo_nb.sip.events import (
    Answered,
    Confirmed,
    Ended,
    InviteReceived,
    Progress,
)
from plivo_nb.sip.message import Request
from plivo_nb.sip.user_agent import UserAgent


def test_call_from_invite_to_bye(world: World) -> None:
    world.proxy.x_call_uuid = "uuid-1"
    alice, bob = world.agents["alice"], world.agents["bob"]
    key = alice.invite("bob", OFFER, [("X-PH-Test1", "hello_1")], world.now)
    world.run()
    (incoming,) = world.take("bob")
    assert isinstance(incoming, InviteReceived)
    assert incoming.caller == "alice@phone.plivo.com"
    assert incoming.caller_uri == "sip:alice@phone.plivo.com"
    assert incoming.to_uri == "sip:bob@phone.plivo.com"
    assert incoming.body == OFFER
    assert incoming.x_call_uuid == "uuid-1"
    assert ("X-PH-Test1", "hello_1") in incoming.headers
    bob.ring(incoming.call, world.now)
    world.run()
    (progress,) = world.take("alice")
    assert isinstance(progress, Progress)
    assert (progress.call, progress.code, progress.reason) == (key, 180, "Ringing")
    assert progress.x_call_uuid == "uuid-1"
    bob.accept(incoming.call, ANSWER, world.now)
    world.run()
    (answered,) = world.take("alice")
    assert isinstance(answered, Answered)
    assert (answered.body, answered.x_call_uuid) == (ANSWER, "uuid-1")
    assert world.take("bob") == [Confirmed(incoming.call, b"")]
    bob.hangup(incoming.call, world.now)
    world.run()
    assert world.take("bob") == [Ended(incoming.call, "local", None, "", None)]
    assert world.take("alice") == [Ended(key, "remote", None, "", None)]
    all_ended(world)


def test_methods_about_a_call_that_is_over_do_nothing(world: World) -> None:
    key, other = world.call()
    alice, bob = world.agents["alice"], world.agents["bob"]
    bob.ring(other, world.now)
    bob.reject(other, world.now)
    bob.accept(other, ANSWER, world.now)
    world.run()
    assert world.take("alice") == []
    alice.hangup(key, world.now)
    world.run()
    world.take("alice")
    for agent in (alice, bob):
        for call in (key, other, "no such call"):
            agent.hangup(call, world.now)
            agent.ring(call, world.now)
            agent.accept(call, b"", world.now)
            agent.reject(call, world.now)
            agent.info(call, "a/b", b"", world.now)
            agent.reinvite(call, b"", world.now)
            agent.accept_reinvite(call, b"", world.now)
            agent.reject_reinvite(call, 488, world.now)
    assert world.take("alice") == []
    assert names(world.take("bob")) == ["Ended"]
    all_ended(world)


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("echo", "sip:echo@phone.plivo.com"),
        ("+1 (415) 555-0100", "sip:+14155550100@phone.plivo.com"),
        ("sip:bob@phone.plivo.com", "sip:bob@phone.plivo.com"),
        ("bob@host1", "sip:bob@host1"),
        ("SIP:Bob@Example.com:5070;transport=ws", "SIP:Bob@Example.com:5070;transport=ws"),
        ("two words", "sip:two%20words@phone.plivo.com"),
    ],
)
def test_targets(world: World, target: str, uri: str) -> None:
    world.agents["alice"].invite(target, OFFER, [], world.now)
    world.collect()
    (invite,) = world.sent("alice")
    assert isinstance(invite, Request)
    assert invite.uri == uri
    assert invite.to.uri == uri


@pytest.mark.parametrize(
    ("target", "header"),
    [
        ("sip:", None),
        ("bob@", None),
        ("sip:bob@phone\r\nX-Evil: 1", None),
        ("bob", ("X-PH-A", "1\r\nX-Evil: 2")),
        ("bob", ("X-PH-A\r\nX-Evil", "1")),
        ("bob", ("X-PH-A", "1\nX-Evil: 2")),
        ("bob", ("", "1")),
    ],
)
def test_nothing_that_would_forge_headers_is_sent(
    world: World, target: str, header: tuple[str, str] | None
) -> None:
    alice = world.agents["alice"]
    with pytest.raises(ValueError):
        alice.invite(target, OFFER, [header] if header else [], world.now)
    world.collect()
    assert world.log == []
    assert alice.calls == EMPTY


def test_a_name_that_would_forge_headers_cannot_register() -> None:
    world = World("alice")
    with pytest.raises(ValueError, match="line break"):
        world.agents["alice"].register("alice\r\nX-Evil: 1", "x", world.now)


@pytest.mark.parametrize("frame", ["\r\n\r\n", b"\r\n\r\n"])
def test_two_line_breaks_are_answered_with_one(frame: str | bytes) -> None:
    agent = UserAgent()
    agent.receive(frame, 0.0)
    assert agent.outgoing() == []  # there is no connection
    agent.transport_up(0.0)
    agent.receive(frame, 1.0)
    assert agent.outgoing() == ["\r\n"]
    for other in ("\r\n", "", " "):
        agent.receive(other, 2.0)
    assert agent.outgoing() == []
