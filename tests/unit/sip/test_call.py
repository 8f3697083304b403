"""What caller and callee share once a dialog exists: INFO, BYE and its Reason."""

from __future__ import annotations

from sip_world import (
    ANSWER,
    OFFER,
    World,
    all_ended,
    names,
    ringing,
)

from plivo_nb.sip.events import (
    CallFailed,
    Ended,
)
from plivo_nb.sip.message import Request, Response, parse
from plivo_nb.sip.values import Reason


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
    all_ended(world)


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
    all_ended(world)


def test_a_bye_that_overtakes_the_answer_ends_the_call(world: World) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    (incoming,) = world.take("bob")
    bob, call = world.agents["bob"], incoming.call  # type: ignore[attr-defined]
    bob.ring(call, world.now)
    world.run()
    bob.accept(call, ANSWER, world.now)
    (answer,) = bob.outgoing()
    late = world.proxy.handle("bob", answer)
    bye = Request("BYE", world.agents["alice"].contact)
    ok = parse(answer)
    for name, source in (("From", "To"), ("To", "From"), ("Call-ID", "Call-ID")):
        bye.headers.add(name, ok.headers.get(source) or "")
    bye.headers.add("Via", "SIP/2.0/WS b.invalid;branch=z9hG4bKearly")
    bye.headers.add("CSeq", "1 BYE")
    world.agents["alice"].receive(str(bye), world.now)
    (progress, failed) = world.take("alice")
    assert names([progress]) == ["Progress"]
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.code, failed.originator) == (key, 487, "remote")
    world.agents["alice"].receive(late[0][1], world.now)
    world.run()
    assert [m.method for m in world.sent("alice") if isinstance(m, Request)][-2:] == ["ACK", "BYE"]
    all_ended(world)
