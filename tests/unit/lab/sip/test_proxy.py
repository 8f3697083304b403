"""The proxy: forwarding, forking, CANCEL, timers, early media."""

from __future__ import annotations

import pytest
from switch_rig import SDP, Phone, SwitchRig

from plivo_nb.lab.sip.proxy import CANCEL_TIMEOUT_S, RING_TIMEOUT_S
from plivo_nb.sip.message import Request, Response


@pytest.mark.parametrize(("target", "status"), [("nobody", 404), ("carol", 480)])
def test_unknown_and_absent_callees(target: str, status: int) -> None:
    rig = SwitchRig()
    alice = rig.phone("alice")
    alice.register()
    invite = alice.invite(target)
    response = alice.response()
    assert (response.status, response.x_call_uuid is not None) == (status, True)
    ack = invite.copy()
    ack.method = "ACK"
    ack.headers.set("CSeq", f"{invite.cseq.sequence} ACK")
    alice.send(ack)
    assert alice.take() == []


def test_busy_is_passed_back_and_acknowledged_here() -> None:
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    alice.invite("bob")
    bob.answer(bob.request("INVITE"), 486)
    assert bob.request("ACK").cseq.method == "ACK"
    busy = alice.response()
    assert (busy.status, busy.x_call_uuid is not None) == (486, True)


def test_cancel_goes_on_after_a_provisional_response_only() -> None:
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    sent = alice.invite("bob")
    invite = bob.request("INVITE")
    alice.cancel(sent)
    assert alice.response(200).cseq.method == "CANCEL"
    assert bob.take() == []
    bob.answer(invite, 180)
    canceled = bob.request("CANCEL")
    assert canceled.via.branch == invite.via.branch
    bob.answer(canceled, 200)
    bob.answer(invite, 487)
    assert alice.response().status == 487


def test_a_callee_that_does_not_answer_the_cancel_is_not_waited_for() -> None:
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    sent = alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    alice.cancel(sent)
    rig.wait(CANCEL_TIMEOUT_S)
    assert alice.response(487).status == 487


def test_nobody_answers_for_a_minute() -> None:
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    rig.wait(RING_TIMEOUT_S - 1)
    assert alice.response().status == 180
    rig.wait(1)
    assert alice.response().status == 408
    assert bob.request("CANCEL")


def test_two_devices_ring_and_the_first_answer_wins() -> None:
    rig = SwitchRig()
    alice, desk, mobile = rig.phone("alice"), rig.phone("bob"), rig.phone("bob", device="y")
    for phone in (alice, desk, mobile):
        phone.register()
    alice.invite("bob")
    at_desk, at_mobile = desk.request("INVITE"), mobile.request("INVITE")
    desk.answer(at_desk, 180, "desk")
    mobile.answer(at_mobile, 180, "mobile")
    assert len([m for m in alice.take() if isinstance(m, Response) and m.status == 180]) == 2
    mobile.answer(at_mobile, 200, "mobile", sdp=True)
    answered = alice.response(200)
    assert answered.to.tag == "mobile"
    assert desk.request("CANCEL")
    desk.answer(at_desk, 487, "desk")
    assert alice.take() == []
    alice.send(alice.in_dialog("ACK", answered, answered.cseq.sequence))
    assert mobile.request("ACK")


def test_a_reinvite_is_put_through_the_same_relay() -> None:
    rig = SwitchRig()
    alice, bob, answered, _ = rig.established()
    again = alice.in_dialog("INVITE", answered, 5)
    again.headers.add("Content-Type", "application/sdp")
    again.body = SDP.replace("4000", "4002").encode()
    alice.send(again)
    seen = bob.request("INVITE")
    assert b"127.0.0.1 9000 typ host" in seen.body
    assert rig.media.described[-1] == ("caller", ("127.0.0.1", 4002))
    bob.answer(seen, 491)
    assert alice.response().status == 491
    assert rig.media.closed == []


def early_media(rig: SwitchRig) -> tuple[Phone, Phone, Request]:
    alice, robot = rig.registered("alice", "carol")
    sent = alice.invite("early-media")
    wanted = rig.route_wanted()
    rig.switch.route(wanted.key, ["carol"], rig.now, early_media_s=2.0)
    rig.pump()
    robot.answer(robot.request("INVITE"), 200, sdp=True)
    early = alice.response(183)
    assert b"127.0.0.1 9001 typ host" in early.body
    return alice, robot, sent


def test_early_media_come_before_the_answer() -> None:
    rig = SwitchRig(is_robot=lambda number: True)
    alice, _, _ = early_media(rig)
    rig.wait(1.9)
    assert alice.take() == []
    rig.wait(0.1)
    assert alice.response().status == 200


def test_giving_up_during_early_media_ends_the_robots_call() -> None:
    rig = SwitchRig(is_robot=lambda number: True)
    alice, robot, sent = early_media(rig)
    alice.cancel(sent)
    assert alice.response(487).status == 487
    assert [m.method for m in robot.take() if isinstance(m, Request)] == ["ACK", "BYE"]


def test_a_repeated_answer_is_forwarded_until_the_caller_acknowledges_it() -> None:
    """RFC 3261 section 16.7 step 5: the caller's ACK, or its answer, was lost."""
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    alice.invite("bob")
    invite = bob.request("INVITE")
    bob.answer(invite, 200, sdp=True)
    alice.response(200)
    for _ in range(2):
        bob.answer(invite, 200, sdp=True)
        assert alice.response(200).cseq.method == "INVITE"
    assert [what for what in rig.whats() if what == "call-answered"] == ["call-answered"]
