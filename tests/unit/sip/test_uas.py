"""Incoming calls until the ACK: ringing, refusal, CANCEL, time-outs (RFC 3261 section 13.3)."""

from __future__ import annotations

import pytest
from sip_world import (
    ANSWER,
    OFFER,
    RECORDED_INVITE,
    World,
    all_ended,
    methods,
    names,
    ringing,
    statuses,
)

from plivo_nb.sip.events import (
    CallFailed,
    Ended,
    InviteReceived,
    NoAnswer,
    Rejected,
)


@pytest.mark.parametrize("code", [486, 480, 603, 488])
def test_reject(world: World, code: int) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    other = ringing(world)
    world.agents["bob"].reject(other, world.now, code)
    world.run()
    assert world.take("bob") == [Rejected(other, code)]
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.code, failed.originator) == (key, code, "remote")
    all_ended(world)


def test_no_answer_is_408_after_a_minute_also_when_ignored(world: World) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    other = ringing(world)
    world.wait(59)
    assert world.take("bob") == []
    world.wait(2)
    assert world.take("bob") == [NoAnswer(other)]
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.code, failed.originator) == (key, 408, "remote")
    all_ended(world)


def test_expires_of_the_invite_shortens_the_ringing(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [("Expires", "10")], world.now)
    world.run()
    other = ringing(world)
    world.wait(11)
    assert world.take("bob") == [NoAnswer(other)]
    assert statuses(world, "bob")[-1] == 487
    all_ended(world)


def test_bye_before_the_ack_waits_for_it(world: World) -> None:
    alice, bob = world.agents["alice"], world.agents["bob"]
    alice.invite("bob", OFFER, [], world.now)
    world.run()
    other = ringing(world)
    bob.accept(other, ANSWER, world.now)
    bob.hangup(other, world.now)
    assert world.take("bob") == [Ended(other, "local", None, "", None)]
    world.collect()
    assert methods(world, "bob") == []
    world.run()
    assert methods(world, "bob") == ["BYE"]
    assert names(world.take("alice")) == ["Answered", "Ended"]
    all_ended(world)


@pytest.mark.parametrize(
    ("uri", "caller"),
    [
        ("sip:gw.example.com", "gw.example.com"),
        ("tel:+14155550100", "+14155550100"),
        ("sip:bob@x;self=1", "bob@x"),
        ("tel:+14155550100;self=1", "tel:+14155550100;self=1"),
        ("sip:%0d%0a%1b[2J@x", "sip:%0d%0a%1b[2J@x"),
        ("sip:%E2%80%AE321@x", "sip:%E2%80%AE321@x"),
    ],
)
def test_a_caller_without_a_user_or_a_host_is_called_by_what_there_is(uri: str, caller: str) -> None:
    agent = World("bob", register=False).agents["bob"]
    lines = [f"From: <{uri}>;tag=1" if x.startswith("From:") else x for x in RECORDED_INVITE.split("\r\n")]
    agent.receive("\r\n".join(lines), 1000.0)
    (received,) = agent.events()
    assert isinstance(received, InviteReceived)
    assert received.caller == caller


def test_a_callers_name_has_no_terminal_sequence_and_changes_no_writing_direction() -> None:
    agent = World("bob", register=False).agents["bob"]
    sender = 'From: "a\\\x1b[31m\u202eb" <sip:bob@x>;tag=1'
    lines = [sender if x.startswith("From:") else x for x in RECORDED_INVITE.split("\r\n")]
    agent.receive("\r\n".join(lines), 1000.0)
    (received,) = agent.events()
    assert isinstance(received, InviteReceived)
    assert received.display_name == "a[31mb"
