"""Every event that the phone lists has plain words."""

from __future__ import annotations

from typing import Any

import pytest

from plivo_nb.events import CallInfo
from plivo_nb.widgets.event_words import EVENT_WORDS, event_text

INFO = CallInfo("1", "INCOMING", "bob", "sip:alice@x", "ended", originator="remote")
METRIC: dict[str, Any] = {"type": "high_jitter", "active": True, "stream": "remote"}
TABLE: list[tuple[Any, tuple[Any, ...], str]] = [
    ("onLogin", (), "logged in"),
    ("onLoginFailed", ("Authentication Error",), "login failed: Authentication Error"),
    ("onLogout", (), "logged out"),
    ("onCalling", (), "calling"),
    ("onCallRemoteRinging", (INFO,), "the other side is ringing"),
    ("onCallAnswered", (INFO,), "answered"),
    ("onCallTerminated", (INFO,), "bob, call ended: the other side hung up"),
    ("onCallFailed", ("Busy", INFO), "bob, no call: the other side is busy"),
    ("onIncomingCall", ("bob@x", {}, INFO), "incoming call from bob"),
    ("onIncomingCallCanceled", (INFO,), "the caller hung up before the answer"),
    ("onIncomingCallIgnored", (INFO,), "incoming call ignored"),
    ("onMediaPermission", ({"status": "success", "stream": True},), "microphone ready"),
    ("onMediaPermission", ({"status": "failure", "error": "x"},), "no microphone; silence is sent"),
    ("onConnectionChange", ({"state": "connected"},), "connected to the server"),
    ("onConnectionChange", ({"state": "disconnected"},), "connection to the server lost"),
    ("onDtmfReceived", ({"tone": "5", "duration": 100},), "tone received: 5"),
    ("onMediaError", ({"message": "The file is gone."}, INFO), "The file is gone."),
]


@pytest.mark.parametrize(("name", "arguments", "words"), TABLE)
def test_an_event_has_words(name: Any, arguments: tuple[Any, ...], words: str) -> None:
    assert event_text(name, *arguments) == words


def test_a_warning_is_told_when_it_comes_and_when_it_goes() -> None:
    came, went = event_text("mediaMetrics", METRIC), event_text("mediaMetrics", {**METRIC, "active": False})
    assert went.startswith("no longer: ")
    assert came[0].isupper()
    assert "high_jitter" not in came + went


def test_the_table_has_every_event() -> None:
    assert {name for name, _, _ in TABLE} | {"mediaMetrics"} == EVENT_WORDS.keys()
