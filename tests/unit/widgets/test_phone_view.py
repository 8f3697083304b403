"""Texts of the phone: events, durations, the other party."""

from __future__ import annotations

import pytest

from plivo_nb.events import CallInfo
from plivo_nb.widgets.phone_view import EVENT_WORDS, clock, event_text, peer_of


def test_every_event_has_words() -> None:
    info = {
        "status": "success",
        "state": "connected",
        "tone": "1",
        "type": "low_mos",
        "active": True,
        "message": "m",
    }
    assert event_text("mediaMetrics", info) == "warning: low_mos"
    assert event_text("mediaMetrics", {**info, "stream": "remote"}) == "warning: low_mos (received)"
    assert event_text("mediaMetrics", {**info, "active": False}) == "no longer: low_mos"
    for name in EVENT_WORDS.keys() - {"onLoginFailed", "onCallFailed", "onIncomingCall"}:
        assert "{" not in event_text(name, info)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (61.9, "1:01"), (3600, "1:00:00"), (36_061, "10:01:01")]
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_the_peer_is_the_other_side() -> None:

    assert peer_of(CallInfo("1", "OUTGOING", "sip:alice@x", "sip:bob@phone.plivo.com", "ringing")) == "bob"
    assert peer_of(CallInfo("1", "INCOMING", "bob", "sip:alice@x", "ringing")) == "bob"
