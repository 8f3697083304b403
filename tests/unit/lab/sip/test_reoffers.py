"""Re-INVITEs that the switch sends on behalf of a robot."""

from __future__ import annotations

from switch_rig import SDP, Phone, SwitchRig

from plivo_nb.lab.sip.sdp_edits import has_telephone_event, with_telephone_event
from plivo_nb.sip.message import Request, Response


def answered_robot(
    rig: SwitchRig, sdp: str, plan: tuple[tuple[float, str], ...], *, telephone_event: bool = False
) -> tuple[Phone, Phone, Response, Request]:
    """Alice has called a robot whose plan the switch carries out."""
    alice, robot = rig.registered("alice", "carol")
    alice.invite("holds")
    wanted = rig.route_wanted()
    rig.switch.route(wanted.key, ["carol"], rig.now, plan=plan, telephone_event=telephone_event)
    rig.pump()
    invite = robot.request("INVITE")
    response = Response.to_request(invite, 200, to_tag="robot")
    response.headers.add("Contact", f"<{robot.contact}>")
    response.headers.add("Content-Type", "application/sdp")
    response.body = sdp.encode()
    robot.send(response)
    answered = alice.response(200)
    alice.send(alice.in_dialog("ACK", answered, answered.cseq.sequence))
    robot.request("ACK")
    return alice, robot, answered, invite


def test_hold_and_resume_are_offered_in_the_robots_name() -> None:
    rig = SwitchRig(is_robot=lambda number: True)
    plan = ((1.0, "hold"), (3.0, "resume"))
    alice, robot, answered, _ = answered_robot(rig, SDP + "a=sendrecv\r\n", plan)
    rig.wait(1.0)
    hold = alice.request("INVITE")
    assert b"a=sendonly" in hold.body
    assert b"o=- 1 2 " in hold.body
    assert (hold.from_.tag, hold.to.tag) == ("robot", "alicetag")
    alice.answer(hold, 200, sdp=True)
    assert alice.request("ACK").cseq.sequence == hold.cseq.sequence
    rig.wait(2.0)
    resume = alice.request("INVITE")
    assert b"a=sendrecv" in resume.body
    assert b"o=- 1 3 " in resume.body
    assert resume.cseq.sequence > hold.cseq.sequence
    alice.answer(resume, 200, sdp=True)
    assert robot.take() == []
    assert [what for what in rig.whats() if what in ("hold", "resume")] == ["hold", "resume"]
    bye = robot.in_dialog("BYE", answered, 1, caller=False)
    bye.uri = alice.contact
    robot.send(bye)
    seen = alice.request("BYE")
    assert seen.cseq.sequence > resume.cseq.sequence  # else alice would have to refuse it
    alice.answer(seen, 200)
    assert robot.response().cseq.sequence == 1


def test_an_offer_that_crosses_another_is_tried_again() -> None:
    rig = SwitchRig(is_robot=lambda number: True)
    alice, _, _, _ = answered_robot(rig, SDP, ((1.0, "hold"),))
    rig.wait(1.0)
    alice.answer(alice.request("INVITE"), 491)
    assert alice.request("ACK")
    rig.wait(0.5)
    alice.answer(alice.request("INVITE"), 488)
    assert alice.request("ACK")
    rig.wait(0.5)
    assert alice.take() == []


def test_no_offer_follows_a_call_that_is_over() -> None:
    rig = SwitchRig(is_robot=lambda number: True)
    alice, robot, answered, _ = answered_robot(rig, SDP, ((1.0, "hold"),))
    alice.send(alice.in_dialog("BYE", answered, 5))
    robot.answer(robot.request("BYE"), 200)
    alice.take()
    rig.wait(1.0)
    assert alice.take() == []


def test_telephone_event_is_arranged_between_two_who_do_not_offer_it() -> None:
    rig = SwitchRig(is_robot=lambda number: True)
    robots = with_telephone_event(SDP)
    alice, _, answered, invite = answered_robot(
        rig, robots, ((1.0, "telephone-event"),), telephone_event=True
    )
    assert has_telephone_event(invite.body.decode())
    assert not has_telephone_event(answered.body.decode())
    rig.wait(1.0)
    assert has_telephone_event(alice.request("INVITE").body.decode())
