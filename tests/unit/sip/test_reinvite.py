"""Re-INVITE and UPDATE: acceptance, refusal, glare (RFC 3261 section 14, RFC 3311)."""

from __future__ import annotations

import pytest
from sip_world import (
    HELD,
    HOLD,
    World,
    all_ended,
    names,
    requests,
    responses,
    session_call,
)

from plivo_nb.sip.events import (
    ReinviteAnswered,
    ReinviteFailed,
    ReinviteReceived,
)
from plivo_nb.sip.message import Request, Response, parse


@pytest.mark.parametrize("side", ["alice", "bob"])
def test_reinvite_from_either_side(world: World, side: str) -> None:
    keys = dict(zip(("alice", "bob"), world.call(), strict=True))
    other = "bob" if side == "alice" else "alice"
    world.agents[side].reinvite(keys[side], HOLD, world.now)
    world.run()
    assert world.take(other) == [ReinviteReceived(keys[other], HOLD)]
    world.agents[other].accept_reinvite(keys[other], HELD, world.now)
    world.run()
    assert world.take(side) == [ReinviteAnswered(keys[side], HELD)]
    assert world.take(other) == []
    assert requests(world, side, "ACK")[-1].cseq.sequence == requests(world, side, "INVITE")[-1].cseq.sequence
    world.agents[other].hangup(keys[other], world.now)
    world.run()
    all_ended(world)


def test_refused_reinvite_leaves_the_call_as_it_was(world: World) -> None:
    key, other = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.run()
    world.agents["bob"].reject_reinvite(other, 488, world.now)
    world.run()
    assert world.take("alice") == [ReinviteFailed(key, 488, "Not Acceptable Here")]
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.run()
    world.agents["bob"].accept_reinvite(other, HELD, world.now)
    world.run()
    assert world.take("alice") == [ReinviteAnswered(key, HELD)]


def test_reinvite_that_nobody_decides_is_refused(world: World) -> None:
    key, _ = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.wait(33)
    assert world.take("alice") == [ReinviteFailed(key, 500, "Server Internal Error")]


def test_a_second_reinvite_of_ours_waits_its_turn(world: World) -> None:
    key, _ = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.agents["alice"].reinvite(key, HOLD, world.now)
    (failed,) = world.take("alice")
    assert isinstance(failed, ReinviteFailed)
    assert failed.code == 491


def test_glare_is_refused_by_both_and_tried_again(world: World) -> None:
    key, other = world.call()
    alice, bob = world.agents["alice"], world.agents["bob"]
    alice.reinvite(key, HOLD, world.now)
    bob.reinvite(other, HOLD, world.now)
    world.run()
    assert [r.status for r in responses(world, "alice")][-1] == 491
    assert [r.status for r in responses(world, "bob")][-1] == 491
    assert world.take("alice") == world.take("bob") == []
    world.wait(2.0)  # the callee's pause is the shorter one
    assert world.take("alice") == [ReinviteReceived(key, HOLD)]
    alice.accept_reinvite(key, HELD, world.now)
    world.run()
    assert world.take("bob") == [ReinviteAnswered(other, HELD)]
    world.wait(4.0)
    assert world.take("bob") == [ReinviteReceived(other, HOLD)]
    bob.accept_reinvite(other, HELD, world.now)
    world.run()
    assert world.take("alice") == [ReinviteAnswered(key, HELD)]


def test_hangup_during_a_reinvite(world: World) -> None:
    key, other = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.run()
    world.agents["bob"].hangup(other, world.now)
    world.run()
    assert names(world.take("bob")) == ["ReinviteReceived", "Ended"]
    assert names(world.take("alice")) == ["Ended"]
    assert responses(world, "bob")[-1].status == 487
    all_ended(world)


def test_an_offer_asked_for_in_mid_call(world: World) -> None:
    """A re-INVITE without a body: we offer in the 200, the answer comes in the ACK."""
    key, other = world.call()
    world.agents["alice"].reinvite(key, b"", world.now)
    world.run()
    assert world.take("bob") == [ReinviteReceived(other, b"")]
    world.agents["bob"].accept_reinvite(other, HOLD, world.now)
    world.collect()
    source, ok = world.wire.popleft()
    assert source == "bob"
    request = parse(ok)
    ack = Request("ACK", world.agents["bob"].contact)
    for name in ("From", "To", "Call-ID"):
        ack.headers.add(name, request.headers.get(name) or "")
    ack.headers.add("Via", "SIP/2.0/WS a.invalid;branch=z9hG4bKacknow")
    ack.headers.add("CSeq", f"{request.cseq.sequence} ACK")
    ack.body = HELD
    world.agents["bob"].receive(str(ack), world.now)
    assert world.take("bob") == [ReinviteAnswered(other, HELD)]


def update(world: World, sequence: int, **fields: str) -> list[Response]:
    """An UPDATE of alice's phone, as another make of it might send one."""
    invite = requests(world, "alice", "INVITE")[-1]
    ok = [r for r in responses(world, "bob") if r.status == 200 and r.cseq.method == "INVITE"][-1]
    request = Request("UPDATE", world.agents["bob"].contact)
    request.headers.add("Via", f"SIP/2.0/WS a.invalid;branch=z9hG4bKupdate{sequence}")
    request.headers.add("From", invite.headers.get("From") or "")
    request.headers.add("To", ok.headers.get("To") or "")
    request.headers.add("Call-ID", invite.call_id)
    request.headers.add("CSeq", f"{invite.cseq.sequence + sequence} UPDATE")
    request.headers.add("Contact", "<sip:new@place.invalid;transport=ws>")
    request.body = fields.pop("body", "").encode()
    for name, value in fields.items():
        request.headers.add(name.replace("_", "-"), value)
    world.agents["bob"].receive(str(request), world.now)
    return [m for m in map(parse, world.agents["bob"].outgoing()) if isinstance(m, Response)]


def test_update_refreshes_the_session(world: World) -> None:
    session_call(world, "100")
    del world.agents["alice"]
    for turn in range(1, 4):
        world.wait(50)
        (ok,) = update(world, turn, Session_Expires="100;refresher=uac", Supported="timer")
        assert (ok.status, ok.headers.get("Session-Expires")) == (200, "100;refresher=uac")
    (small,) = update(world, 9, Session_Expires="20", Supported="timer")
    assert (small.status, small.headers.get("Min-SE")) == (422, "90")
    assert "Ended" not in names(world.take("bob"))
    world.wait(69)
    assert names(world.take("bob"))[-1] == "Ended"
    assert requests(world, "bob", "BYE")[-1].uri == "sip:new@place.invalid;transport=ws"


def test_update_with_an_offer_is_answered_or_refused(world: World) -> None:
    _, other = world.call()
    assert update(world, 1, body="v=0 hold", Content_Type="application/sdp") == []
    assert world.take("bob") == [ReinviteReceived(other, b"v=0 hold")]
    busy = update(world, 2, body="v=0 more", Content_Type="application/sdp")
    assert [answer.status for answer in busy] == [500]
    world.agents["bob"].accept_reinvite(other, HELD, world.now)
    (ok,) = map(parse, world.agents["bob"].outgoing())
    assert (ok.cseq.method, ok.body) == ("UPDATE", HELD)
    assert update(world, 3, body="v=0 again", Content_Type="application/sdp") == []
    world.wait(21)
    assert responses(world, "bob")[-1].status == 500
    assert len(world.agents["bob"].live_calls) == 1
