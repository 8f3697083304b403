"""Outgoing calls until the answer: CANCEL, forks, redirections, time-outs (RFC 3261 section 13.2)."""

from __future__ import annotations

import pytest
from sip_world import (
    ANSWER,
    HELD,
    OFFER,
    World,
    all_ended,
    methods,
    names,
    requests,
    responses,
    ringing,
    statuses,
)

from plivo_nb.sip.events import (
    Answered,
    CallFailed,
    Canceled,
    Confirmed,
    Progress,
)
from plivo_nb.sip.message import Request, Response


def test_hangup_of_a_ringing_call_cancels_it(world: World) -> None:
    world.proxy.x_call_uuid = "u"
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    other = ringing(world)
    world.agents["bob"].ring(other, world.now)
    world.run()
    world.take("alice")
    world.agents["alice"].hangup(key, world.now)
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert (failed.code, failed.originator, failed.x_call_uuid) == (487, "local", "u")
    world.run()
    assert world.take("bob") == [Canceled(other)]
    assert statuses(world, "bob") == [100, 180, 200, 487]
    assert len({message.to.tag for message in world.sent("bob")} - {None}) == 1
    assert world.take("alice") == []
    all_ended(world)


def test_cancel_waits_for_a_provisional_response(world: World) -> None:
    alice = world.agents["alice"]
    key = alice.invite("bob", OFFER, [], world.now)
    world.step()  # the 407 is back, the second INVITE on its way
    assert methods(world, "alice") == ["INVITE", "ACK", "INVITE"]
    alice.hangup(key, world.now)
    world.collect()
    assert "CANCEL" not in methods(world, "alice")
    world.run()
    sent = world.sent("alice")
    cancel = next(m for m in sent if isinstance(m, Request) and m.method == "CANCEL")
    invite = [m for m in sent if isinstance(m, Request) and m.method == "INVITE"][-1]
    assert cancel.via == invite.via
    assert cancel.uri == invite.uri
    assert cancel.cseq.sequence == invite.cseq.sequence
    assert cancel.to.tag is None
    assert names(world.take("bob")) == ["InviteReceived", "Canceled"]
    all_ended(world)


def test_hangup_before_the_challenge_never_rings(world: World) -> None:
    alice = world.agents["alice"]
    key = alice.invite("bob", OFFER, [], world.now)
    alice.hangup(key, world.now)
    world.run()
    assert methods(world, "alice") == ["INVITE", "ACK"]
    assert world.take("bob") == []
    assert names(world.take("alice")) == ["CallFailed"]
    all_ended(world)


def test_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up(world: World) -> None:
    alice, bob = world.agents["alice"], world.agents["bob"]
    key = alice.invite("bob", OFFER, [], world.now)
    world.run()
    other = ringing(world)
    bob.accept(other, ANSWER, world.now)
    alice.hangup(key, world.now)
    world.run()
    assert names(world.take("alice")) == ["CallFailed"]
    assert methods(world, "alice")[-3:] == ["CANCEL", "ACK", "BYE"]
    assert names(world.take("bob")) == ["Confirmed", "Ended"]
    all_ended(world)


def test_a_server_that_never_answers_the_invite(world: World) -> None:
    world.proxy.mute = True
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.wait(33)
    events = world.take("alice")
    assert names(events) == ["ServerFailed", "CallFailed"]
    failed = events[1]
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.code, failed.originator) == (key, 408, "system")
    all_ended(world)


def test_a_call_that_rings_for_ever_is_given_up(world: World) -> None:
    world.add("carol", no_answer_timeout_s=1000.0)
    world.agents["alice"].invite("carol", OFFER, [], world.now)
    world.wait(179)
    assert "CallFailed" not in names(world.take("alice"))
    world.wait(2)
    (failed,) = [event for event in world.take("alice") if isinstance(event, CallFailed)]
    assert (failed.code, failed.originator) == (408, "system")
    assert names(world.take("carol"))[-1] == "Canceled"
    all_ended(world)


def test_early_media_and_delayed_offer(world: World) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    world.take("alice")
    (invite,) = [m for m in world.received("bob") if isinstance(m, Request) and m.method == "INVITE"]
    early = Response.to_request(invite, 183, to_tag="gateway")
    early.headers.add("Content-Type", "application/sdp")
    early.body = b"v=0 early"
    for agent, text in world.proxy.handle("bob", str(early)):
        world.agents[agent].receive(text, world.now)
    (progress,) = world.take("alice")
    assert isinstance(progress, Progress)
    assert (progress.call, progress.code, progress.body) == (key, 183, b"v=0 early")


def forked() -> World:
    world = World("alice", "bob")
    world.add("bob2", user="bob", seed=77)
    for name in world.agents:
        world.take(name)
    return world


def test_forked_call_the_first_answer_wins_and_the_other_is_hung_up() -> None:
    world = forked()
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    calls = {}
    for name in ("bob", "bob2"):
        calls[name] = world.take(name)[0].call  # type: ignore[attr-defined]
        world.agents[name].ring(calls[name], world.now)
    world.run()
    assert names(world.take("alice")) == ["Progress", "Progress"]
    assert world.agents["alice"].calls.dialogs == 2
    world.agents["bob2"].accept(calls["bob2"], ANSWER, world.now)
    world.agents["bob"].accept(calls["bob"], HELD, world.now)
    world.run()
    (answered,) = world.take("alice")
    assert isinstance(answered, Answered)
    assert answered.body in (ANSWER, HELD)
    winner, loser = ("bob2", "bob") if answered.body == ANSWER else ("bob", "bob2")
    assert world.take(winner) == [Confirmed(calls[winner], b"")]
    assert names(world.take(loser)) == ["Confirmed", "Ended"]
    assert world.agents["alice"].calls.dialogs == 1
    world.agents["alice"].hangup(key, world.now)
    world.run()
    assert names(world.take(winner)) == ["Ended"]
    all_ended(world)


def test_two_copies_of_one_invite_at_one_phone_are_a_loop() -> None:
    world = World("alice", "bob")
    world.take("bob")
    bindings = world.proxy.bindings["bob"]
    bindings.append(bindings[0])
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    assert names(world.take("bob")) == ["InviteReceived"]
    assert 482 in [r.status for r in responses(world, "bob")]


def test_a_redirection_is_followed_the_best_first(world: World) -> None:
    world.proxy.redirects["old"] = ["<sip:nobody@phone.plivo.com>;q=0.5", "<sip:bob@phone.plivo.com>;q=0.9"]
    key = world.agents["alice"].invite("old", OFFER, [], world.now)
    world.run()
    (incoming,) = world.take("bob")
    world.agents["bob"].accept(incoming.call, ANSWER, world.now)  # type: ignore[attr-defined]
    world.run()
    assert names(world.take("alice")) == ["Answered"]
    invites = requests(world, "alice", "INVITE")
    assert len({invite.call_id for invite in invites}) == 1
    assert [invite.cseq.sequence for invite in invites] == sorted({i.cseq.sequence for i in invites})
    world.agents["alice"].hangup(key, world.now)
    world.run()
    all_ended(world)


def test_the_next_target_is_tried_and_the_last_failure_told(world: World) -> None:
    world.proxy.redirects["old"] = ["<sip:nobody@phone.plivo.com>;q=0.9", "<sip:busy@phone.plivo.com>"]
    world.proxy.redirects["old"][1] += ";q=0.1"
    world.proxy.fixed["busy"] = 486
    world.agents["alice"].invite("old", OFFER, [], world.now)
    world.run()
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert failed.code == 486
    all_ended(world)


@pytest.mark.parametrize(
    "contacts",
    [[], ["<sip:old@phone.plivo.com>"], ["<mailto:a@b.c>"], ["<sip:bob@phone.plivo.com?Replaces=x>"]],
)
def test_a_redirection_to_nowhere(world: World, contacts: list[str]) -> None:
    world.proxy.redirects["old"] = contacts
    world.agents["alice"].invite("old", OFFER, [], world.now)
    world.run()
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert failed.code == 302


def test_redirections_in_a_circle_end(world: World) -> None:
    for number in range(20):
        world.proxy.redirects[f"r{number}"] = [f"<sip:r{number + 1}@phone.plivo.com>"]
    world.agents["alice"].invite("r0", OFFER, [], world.now)
    world.run()
    assert names(world.take("alice")) == ["CallFailed"]
    all_ended(world)


FOREIGN = [
    "sip:bob@elsewhere.example",
    "sips:bob@phone.plivo.com",
    "tel:+14155550100",
    "sip:bob@phone.plivo.com;maddr=192.0.2.1",
    "sip:bob@phone.plivo.com.evil.example",
    "sip:phone.plivo.com@evil.example",
]


@pytest.mark.parametrize("target", [*FOREIGN, "mailto:a@b.c", "http://phone.plivo.com/"])
def test_a_redirection_to_another_host_or_scheme_is_told_and_not_followed(world: World, target: str) -> None:
    world.proxy.redirects["old"] = [f"<{target}>"]
    world.agents["alice"].invite("old", OFFER, [("X-PH-Secret", "1")], world.now)
    world.run()
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert (failed.code, failed.contact) == (302, target)
    assert {invite.uri for invite in requests(world, "alice", "INVITE")} == {"sip:old@phone.plivo.com"}


@pytest.mark.parametrize("target", FOREIGN)
def test_with_follow_redirects_another_host_gets_the_call_without_x_ph_headers(target: str) -> None:
    world = World("alice", follow_redirects=True)
    world.proxy.redirects["old"] = [f"<{target}>"]
    world.agents["alice"].invite("old", OFFER, [("X-PH-Secret", "1"), ("X-Other", "2")], world.now)
    world.run()
    last = requests(world, "alice", "INVITE")[-1]
    assert last.uri == target
    assert "X-PH-Secret" not in last.headers
    assert last.headers.get("X-Other") == "2"


def test_the_same_host_keeps_the_x_ph_headers(world: World) -> None:
    world.proxy.redirects["old"] = ["<sip:bob@PHONE.plivo.com>"]
    world.agents["alice"].invite("old", OFFER, [("X-PH-Secret", "1")], world.now)
    world.run()
    assert requests(world, "alice", "INVITE")[-1].headers.get("X-PH-Secret") == "1"
