"""The records of calls."""

from __future__ import annotations

from switch_rig import SwitchRig


def test_the_tags_of_a_request_tell_its_sender_and_its_target() -> None:
    rig = SwitchRig()
    alice, bob, answered, _ = rig.established()
    call = rig.switch.proxy.calls[answered.call_id]
    from_caller = alice.in_dialog("INFO", answered, 9)
    assert [leg.side for leg in call.parties(from_caller) if leg is not None] == ["caller", "callee"]
    from_callee = bob.in_dialog("INFO", answered, 1, caller=False)
    assert [leg.side for leg in call.parties(from_callee) if leg is not None] == ["callee", "caller"]
    from_callee.headers.set("From", "<sip:mallory@x.invalid>;tag=other")
    assert call.parties(from_callee)[0] is None
    assert call.leg(None) is None
    assert len(call.legs()) == 2
