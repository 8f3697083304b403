"""The lab's switch: a whole call, robots' numbers, the SDK's pings, malformed input."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from switch_rig import DOMAIN, SwitchRig

from plivo_nb.lab.sip.proxy import KEEP_DONE_S
from plivo_nb.lab.sip.records import RouteWanted


def test_a_call_from_dialling_to_bye() -> None:
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    alice.invite("bob", X_PH_Test="1")
    assert alice.response().status == 100
    invite = bob.request("INVITE")
    assert invite.uri == bob.contact
    assert invite.headers.get("X-PH-Test") == "1"
    assert invite.headers.get("Proxy-Authorization") is None
    assert invite.headers.get("Max-Forwards") == "69"
    uuid = invite.x_call_uuid
    assert uuid is not None
    assert b"127.0.0.1 9000 typ host" in invite.body

    bob.answer(invite, 180)
    ringing = alice.response(180)
    assert ringing.x_call_uuid == uuid
    bob.answer(invite, 200, sdp=True)
    answered = alice.response(200)
    assert answered.x_call_uuid == uuid
    assert b"127.0.0.1 9001 typ host" in answered.body
    assert len(answered.headers.get_all("Via")) == 1
    alice.send(alice.in_dialog("ACK", answered, answered.cseq.sequence))
    assert bob.request("ACK").uri == bob.contact

    alice.send(alice.in_dialog("INFO", answered, 3))
    bob.answer(bob.request("INFO"), 200)
    assert alice.response().status == 200
    bye = bob.in_dialog("BYE", answered, 1, caller=False)
    bye.uri = alice.contact
    bob.send(bye)
    alice.answer(alice.request("BYE"), 200)
    assert bob.response().status == 200
    assert rig.media.closed == [uuid]
    rig.wait(KEEP_DONE_S + 1)
    assert rig.switch.snapshot(rig.now)["calls"] == []
    assert rig.switch.snapshot(rig.now)["transactions"] == 0
    assert [w for w in rig.whats() if w.startswith("call")] == [
        "call-started",
        "call-ringing",
        "call-answered",
        "call-ended",
    ]


def test_without_a_route_an_in_dialog_request_is_lost() -> None:
    rig = SwitchRig()
    alice, bob, answered, _ = rig.established()
    info = alice.in_dialog("INFO", answered, 3)
    info.headers.remove("Route")
    alice.send(info)
    assert alice.response().status == 404
    assert bob.take() == []


def test_a_stranger_who_knows_all_of_a_dialog_cannot_end_it() -> None:
    rig = SwitchRig()
    alice, bob, answered, _ = rig.established()
    (carol,) = rig.registered("carol")
    carol.send(alice.in_dialog("BYE", answered, 99))
    assert carol.response().status == 403
    assert bob.take() == []
    alice.send(alice.in_dialog("BYE", answered, 100))
    assert bob.request("BYE").cseq.sequence == 100


def test_a_call_that_takes_another_ones_call_id_is_refused_and_the_other_goes_on() -> None:
    rig = SwitchRig()
    alice, bob, answered, _ = rig.established()
    (carol,) = rig.registered("carol")
    carol.invite("bob", call_id=answered.call_id)
    assert carol.response().status == 482
    assert bob.take() == []
    alice.send(alice.in_dialog("BYE", answered, 100))
    bob.answer(bob.request("BYE"), 200)
    assert alice.response().status == 200
    assert rig.switch.snapshot(rig.now)["calls"] == []
    carol.invite("bob", call_id=answered.call_id)
    assert carol.response().status == 100, "a Call-ID is free again when its call has ended"


def test_an_overloaded_lab_refuses_new_calls_and_says_when_to_try_again() -> None:
    busy: list[bool] = []
    rig = SwitchRig(is_overloaded=lambda: bool(busy))
    alice, bob, answered, _ = rig.established()
    busy.append(True)
    (carol,) = rig.registered("carol")
    carol.invite("bob")
    refused = carol.response(503)
    assert refused.headers.get("Retry-After") == "10"
    assert len(rig.switch.snapshot(rig.now)["calls"]) == 1
    alice.send(alice.in_dialog("INFO", answered, 3))  # calls that are up go on
    assert bob.request("INFO")
    busy.clear()
    carol.invite("bob")
    assert carol.response().status == 100


def test_a_stranger_cannot_cancel_a_call() -> None:
    rig = SwitchRig()
    alice, bob, carol = rig.registered("alice", "bob", "carol")
    invite = alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    carol.cancel(invite)
    assert carol.response().status == 481
    assert bob.take() == []


def test_a_request_of_no_known_dialog_gets_481() -> None:
    rig = SwitchRig()
    alice, _, answered, _ = rig.established()
    bye = alice.in_dialog("BYE", answered, 3)
    bye.headers.set("Call-ID", "another")
    alice.send(bye)
    assert alice.response().status == 481


def test_a_robots_number_is_routed_by_the_shell() -> None:
    rig = SwitchRig(is_robot=lambda number: number == "echo")
    alice, robot = rig.registered("alice", "carol")
    alice.invite("echo", X_PH_A="b")
    wanted = [event for event in rig.happened if isinstance(event, RouteWanted)]
    assert [(w.number, w.caller, w.headers) for w in wanted] == [("echo", "alice", (("X-PH-A", "b"),))]
    rig.switch.route(wanted[0].key, ["carol"], rig.now, return_headers=True)
    rig.pump()
    robot.answer(robot.request("INVITE"), 200, sdp=True)
    assert alice.response(200).headers.get("X-PH-A") == "b"


def test_a_robot_can_refuse() -> None:
    rig = SwitchRig(is_robot=lambda number: True)
    alice = rig.phone("alice")
    alice.register()
    alice.invite("reject")
    wanted = rig.route_wanted()
    rig.switch.refuse(wanted.key, 603, rig.now)
    rig.pump()
    assert alice.response().status == 603


def test_the_pings_of_the_published_sdk() -> None:
    rig = SwitchRig()
    alice = rig.phone("alice")
    alice.send(alice.make("OPTIONS", f"sip:admin@{DOMAIN}", f"<sip:admin@{DOMAIN}>"))
    assert alice.response().status == 404
    message = alice.make("MESSAGE", f"sip:admin@{DOMAIN}", f"<sip:admin@{DOMAIN}>")
    message.headers.add("Content-Type", "text/plain")
    message.body = b"ipAddress"
    alice.send(message)
    response = alice.response()
    assert (response.status, response.body) == (200, b"127.0.0.1")
    assert response.via.parameters["received"] == "127.0.0.1"
    alice.send("\r\n\r\n")
    assert rig.unreadable == ["\r\n"]


def test_requests_that_have_travelled_too_far_stop_here() -> None:
    rig = SwitchRig()
    alice = rig.phone("alice")
    request = alice.make("OPTIONS", f"sip:{DOMAIN}", f"<sip:{DOMAIN}>")
    request.headers.set("Max-Forwards", "0")
    alice.send(request)
    assert alice.response().status == 483


def test_malformed_requests_get_400_and_are_counted() -> None:
    rig = SwitchRig()
    alice = rig.phone("alice")
    request = alice.make("OPTIONS", f"sip:{DOMAIN}", f"<sip:{DOMAIN}>")
    alice.send(str(request).replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE"))
    assert alice.response().status == 400
    assert rig.switch.malformed == 1


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_input_breaks_the_switch(data: st.DataObject) -> None:
    """Real messages with pieces cut out, doubled or replaced, and plain noise: it goes on serving."""
    rig = SwitchRig(is_robot=lambda number: number == "echo")
    alice, bob, answered, invite = rig.established()
    texts = [str(answered), str(invite), str(alice.in_dialog("BYE", answered, 9))]
    texts += [str(alice.make("REGISTER", f"sip:{DOMAIN}", f"<sip:alice@{DOMAIN}>"))]
    for _ in range(data.draw(st.integers(1, 4))):
        text = data.draw(st.sampled_from(texts))
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 60)))
        noise = data.draw(st.text(max_size=20) | st.sampled_from(["\r\n", "<", '"', ";", "\r\n\r\n", "tag="]))
        rig.switch.receive(
            data.draw(st.sampled_from([alice.socket, bob.socket])),
            text[:start] + noise + text[end:],
            rig.now,
        )
        rig.pump()
    rig.switch.receive(alice.socket, data.draw(st.binary(max_size=80)), rig.now)
    rig.wait(1000)
    rig.wait(1000)
    assert rig.switch.snapshot(rig.now)["transactions"] == 0
    newcomer = rig.phone("carol")
    assert newcomer.register().status == 200
