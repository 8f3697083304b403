"""Lost sockets: calls continue after a reconnection, or end when the party stays away."""

from __future__ import annotations

from switch_rig import SwitchRig

from plivo_nb.lab.sip.flows import CALL_GRACE_S, RINGING_GRACE_S


def test_a_call_goes_on_at_the_new_socket_of_who_comes_back() -> None:
    rig = SwitchRig()
    alice, bob, answered, _ = rig.established()
    rig.switch.disconnected(bob.socket, rig.now)
    rig.wait(5)
    bob.plug_in()
    bob.register()
    alice.send(alice.in_dialog("INFO", answered, 3))
    bob.answer(bob.request("INFO"), 200)
    assert alice.response().status == 200


def test_a_stranger_who_registers_anothers_contact_does_not_get_the_call() -> None:
    rig = SwitchRig()
    alice, bob, answered, _ = rig.established()
    rig.switch.disconnected(bob.socket, rig.now)
    (carol,) = rig.registered("carol")
    carol.contact = bob.contact
    carol.register()
    alice.send(alice.in_dialog("INFO", answered, 3))
    assert [message for message in carol.take() if getattr(message, "method", "") == "INFO"] == []


def test_who_stays_away_is_hung_up_for() -> None:
    rig = SwitchRig()
    alice, bob, _, _ = rig.established()
    rig.switch.disconnected(bob.socket, rig.now)
    rig.wait(CALL_GRACE_S - 1)
    assert alice.take() == []
    rig.wait(1)
    bye = alice.request("BYE")
    assert bye.uri == alice.contact
    assert rig.switch.snapshot(rig.now)["calls"] == []


def test_a_callee_that_vanishes_while_it_rings_is_unavailable() -> None:
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    rig.switch.disconnected(bob.socket, rig.now)
    rig.wait(RINGING_GRACE_S)
    assert alice.response().status == 480


def test_a_caller_that_vanishes_stops_the_ringing() -> None:
    rig = SwitchRig()
    alice, bob = rig.registered("alice", "bob")
    alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    rig.switch.disconnected(alice.socket, rig.now)
    rig.wait(RINGING_GRACE_S)
    assert bob.request("CANCEL")
