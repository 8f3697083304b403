"""Calls between two user agents through a registrar and proxy, as RFC 3261 sections 13 to 15 tell them."""

from __future__ import annotations

import pytest
from sip_world import ANSWER, OFFER, World, names

from plivo_nb.sip.events import (
    Answered,
    CallFailed,
    Canceled,
    Confirmed,
    Ended,
    IncomingCall,
    InfoAnswered,
    InfoReceived,
    NoAnswer,
    Progress,
    Rejected,
)
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.user_agent import Census
from plivo_nb.sip.values import Reason

EMPTY = Census(0, 0, 0)


def ringing(world: World, callee: str = "bob") -> str:
    """The key of the call that rings there."""
    return next(event.call for event in world.take(callee) if isinstance(event, IncomingCall))


def quiet(world: World) -> None:
    """Nothing is left after the last timer."""
    for agent in world.agents.values():
        agent.unregister(world.now)
    world.wait(200)
    assert {name: agent.calls for name, agent in world.agents.items()} == dict.fromkeys(world.agents, EMPTY)


def methods(world: World, name: str) -> list[str]:
    return [message.method for message in world.sent(name) if isinstance(message, Request)]


def statuses(world: World, name: str) -> list[int]:
    return [message.status for message in world.sent(name) if isinstance(message, Response)]


@pytest.fixture
def world() -> World:
    world = World("alice", "bob")
    world.take("alice")
    world.take("bob")
    world.log.clear()
    return world


def test_call_from_invite_to_bye(world: World) -> None:
    world.proxy.x_call_uuid = "uuid-1"
    alice, bob = world.agents["alice"], world.agents["bob"]
    key = alice.invite("bob", OFFER, [("X-PH-Test1", "hello_1")], world.now)
    world.run()
    (incoming,) = world.take("bob")
    assert isinstance(incoming, IncomingCall)
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
    quiet(world)


def test_invite_is_sent_again_with_credentials_and_ack_carries_them(world: World) -> None:
    world.call()
    invites = [m for m in world.sent("alice") if isinstance(m, Request) and m.method == "INVITE"]
    first, second = invites
    assert "Proxy-Authorization" not in first.headers
    assert second.cseq.sequence == first.cseq.sequence + 1
    assert second.call_id == first.call_id
    assert second.via.branch != first.via.branch
    acks = [m for m in world.sent("alice") if isinstance(m, Request) and m.method == "ACK"]
    assert acks[0].via.branch == first.via.branch  # to the 407: the same transaction
    assert acks[1].via.branch not in (first.via.branch, second.via.branch)  # to the 200: one of its own
    assert acks[1].cseq.sequence == second.cseq.sequence
    assert acks[1].headers.get("Proxy-Authorization") == second.headers.get("Proxy-Authorization")


def test_record_route_becomes_the_route_and_contacts_are_the_targets(world: World) -> None:
    alice, bob = world.agents["alice"], world.agents["bob"]
    key, other = world.call()
    world.log.clear()
    alice.info(key, "application/dtmf-relay", b"Signal=1\r\nDuration=100", world.now)
    world.run()
    assert world.take("bob") == [InfoReceived(other, "application/dtmf-relay", b"Signal=1\r\nDuration=100")]
    assert world.take("alice") == [InfoAnswered(key, 200)]
    (info,) = world.sent("alice")
    assert isinstance(info, Request)
    assert info.uri == f"{bob.contact};ob"
    assert info.headers.get("Route") == "<sip:proxy.invalid;transport=ws;lr>"
    bob.info(other, "application/dtmf-relay", b"Signal=2\r\nDuration=100", world.now)
    world.run()
    (event,) = world.take("alice")
    assert isinstance(event, InfoReceived)


def test_call_without_record_route(world: World) -> None:
    world.proxy.record_route = False
    key, _ = world.call()
    world.agents["alice"].hangup(key, world.now)
    world.run()
    assert names(world.take("bob")) == ["Ended"]
    quiet(world)


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
    quiet(world)


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
    quiet(world)


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
    assert names(world.take("bob")) == ["IncomingCall", "Canceled"]
    quiet(world)


def test_hangup_before_the_challenge_never_rings(world: World) -> None:
    alice = world.agents["alice"]
    key = alice.invite("bob", OFFER, [], world.now)
    alice.hangup(key, world.now)
    world.run()
    assert methods(world, "alice") == ["INVITE", "ACK"]
    assert world.take("bob") == []
    assert names(world.take("alice")) == ["CallFailed"]
    quiet(world)


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
    quiet(world)


def test_no_answer_is_408_after_a_minute_also_when_ignored(world: World) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    other = ringing(world)
    world.agents["bob"].ignore(other, world.now)
    world.wait(59)
    assert world.take("bob") == []
    world.wait(2)
    assert world.take("bob") == [NoAnswer(other)]
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.code, failed.originator) == (key, 408, "remote")
    quiet(world)


def test_expires_of_the_invite_shortens_the_ringing(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [("Expires", "10")], world.now)
    world.run()
    other = ringing(world)
    world.wait(11)
    assert world.take("bob") == [NoAnswer(other)]
    assert statuses(world, "bob")[-1] == 487
    quiet(world)


def test_a_server_that_never_answers_the_invite(world: World) -> None:
    world.proxy.mute = True
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.wait(33)
    events = world.take("alice")
    assert names(events) == ["TransportSilent", "CallFailed"]
    failed = events[1]
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.code, failed.originator) == (key, 408, "system")
    quiet(world)


def test_a_call_that_rings_for_ever_is_given_up(world: World) -> None:
    world.add("carol", no_answer_timeout_s=1000.0)
    world.agents["alice"].invite("carol", OFFER, [], world.now)
    world.wait(179)
    assert "CallFailed" not in names(world.take("alice"))
    world.wait(2)
    (failed,) = [event for event in world.take("alice") if isinstance(event, CallFailed)]
    assert (failed.code, failed.originator) == (408, "system")
    assert names(world.take("carol"))[-1] == "Canceled"
    quiet(world)


def test_unknown_callee_and_reason_header(world: World) -> None:
    world.agents["alice"].invite("nobody", OFFER, [], world.now)
    world.run()
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert (failed.code, failed.reason) == (404, "Not Found")
    key, _ = world.call()
    bye = next(m for m in [Request("BYE", f"{world.agents['alice'].contact};ob")])
    invite = [m for m in world.sent("alice") if isinstance(m, Request) and m.method == "INVITE"][-1]
    ok = [m for m in world.sent("bob") if isinstance(m, Response) and m.status == 200][-1]
    bye.headers.add("Via", "SIP/2.0/WS b.invalid;branch=z9hG4bKbye")
    bye.headers.add("From", ok.headers.get("To") or "")
    bye.headers.add("To", invite.headers.get("From") or "")
    bye.headers.add("Call-ID", invite.call_id)
    bye.headers.add("CSeq", "77 BYE")
    bye.headers.add("Reason", 'Q.850;cause=16;text="Terminated", SIP;cause=200')
    world.agents["alice"].receive(str(bye), world.now)
    assert world.take("alice") == [
        Ended(key, "remote", None, "Terminated", Reason("Q.850", 16, "Terminated"))
    ]


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
    quiet(world)


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


def test_early_media_and_delayed_offer(world: World) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    other = ringing(world)
    world.agents["bob"].progress(other, b"v=0 early", world.now)
    world.run()
    (progress,) = world.take("alice")
    assert isinstance(progress, Progress)
    assert (progress.call, progress.code, progress.body) == (key, 183, b"v=0 early")


def test_info_to_a_dialog_that_is_gone_ends_the_call(world: World) -> None:
    key, other = world.call()
    bob = world.agents["bob"]
    bob.hangup(other, world.now)
    bob.outgoing()  # its BYE is lost
    world.agents["alice"].info(key, "application/dtmf-relay", b"Signal=1", world.now)
    world.run()
    events = world.take("alice")
    assert names(events) == ["InfoAnswered", "Ended"]
    assert isinstance(events[1], Ended)
    assert (events[1].originator, events[1].code) == ("system", 481)
    quiet(world)


def test_calling_oneself_through_the_proxy() -> None:
    world = World("alice")
    world.take("alice")
    alice = world.agents["alice"]
    key = alice.invite("alice", OFFER, [], world.now)
    world.run()
    other = ringing(world, "alice")
    assert other != key
    alice.accept(other, ANSWER, world.now)
    world.run()
    assert sorted(names(world.take("alice"))) == ["Answered", "Confirmed"]
    alice.hangup(key, world.now)
    world.run()
    assert names(world.take("alice")) == ["Ended", "Ended"]
    quiet(world)


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
            agent.progress(call, b"", world.now)
            agent.accept(call, b"", world.now)
            agent.reject(call, world.now)
            agent.ignore(call, world.now)
            agent.info(call, "a/b", b"", world.now)
            agent.reinvite(call, b"", world.now)
            agent.accept_reinvite(call, b"", world.now)
            agent.reject_reinvite(call, 488, world.now)
    assert world.take("alice") == []
    assert names(world.take("bob")) == ["Ended"]
    quiet(world)


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


def test_too_many_calls_are_busy() -> None:
    world = World("alice", "bob", max_calls=2)
    for _ in range(3):
        world.agents["alice"].invite("bob", OFFER, [], world.now)
        world.run()
    assert names(world.take("bob")).count("IncomingCall") == 2
    (failed,) = [event for event in world.take("alice") if isinstance(event, CallFailed)]
    assert failed.code == 486
