"""The screen as a function of the client's state: a table, and properties of every state."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.engine import causes
from plivo_nb.events import CallInfo
from plivo_nb.widgets.screen import CurrentCall, EndedCall, Snapshot, screen_of, why_ended

READY: dict[str, Any] = {"username": "alice", "logged_in": True, "connected": True}
AWAY: dict[str, Any] = {"username": "alice", "logged_in": True, "connected": False, "reconnect_in_s": 3.2}
TALKING = CurrentCall("echo", "answered", 12.0)
HELD = CurrentCall("echo", "answered", 1.0, on_hold=True)
ENDED = EndedCall("echo", "you hung up", 12.0, 4.31)
BUSY = EndedCall("busy", "the other side is busy")

TABLE = [
    # snapshot, words, peer, talked_s, can_call, can_hang_up
    ({}, "Not logged in", "", None, False, False),
    ({"ended": ENDED}, "Not logged in", "", None, False, False),
    ({"username": "alice"}, "Not logged in", "", None, False, False),  # refused at a refresh
    ({"username": "alice", "connected": True}, "Not logged in", "", None, False, False),
    ({"username": "alice", "reconnect_in_s": 0.0}, "Connecting", "", None, False, False),
    ({"username": "alice", "connected": True, "reconnect_in_s": 0.0}, "Connecting", "", None, False, False),
    (AWAY, "Connecting (retry in 4 s)", "", None, False, False),
    ({**AWAY, "reconnect_in_s": None}, "Connecting", "", None, False, False),
    ({**AWAY, "ended": ENDED}, "Connecting (retry in 4 s)", "", None, False, False),
    (READY, "Ready", "", None, True, False),
    ({**READY, "reconnect_in_s": 2.0}, "Connecting (retry in 2 s)", "", None, False, False),
    ({**READY, "call": CurrentCall("bob", "new")}, "Calling", "bob", None, False, True),
    ({**READY, "call": CurrentCall("bob", "preparing")}, "Calling", "bob", None, False, True),
    ({**READY, "call": CurrentCall("bob", "calling")}, "Calling", "bob", None, False, True),
    ({**READY, "call": CurrentCall("bob", "ringing")}, "Ringing", "bob", None, False, True),
    ({**READY, "call": CurrentCall("bob", "answering")}, "Answering", "bob", None, False, True),
    ({**READY, "ringing": ("bob",)}, "Incoming (1)", "bob", None, False, False),
    ({**READY, "ringing": ("bob",), "ended": ENDED}, "Incoming (1)", "bob", None, False, False),
    ({**READY, "ringing": ("a", "b", "bob")}, "Incoming (3)", "bob and 2 more", None, False, False),
    ({**READY, "call": TALKING}, "In call", "echo", 12.0, False, True),
    ({**READY, "call": TALKING, "ringing": ("bob",)}, "In call", "echo", 12.0, False, True),
    ({**READY, "call": TALKING, "ended": BUSY}, "In call", "echo", 12.0, False, True),
    ({**AWAY, "call": TALKING}, "Reconnecting (retry in 4 s)", "echo", 12.0, False, True),
    ({**READY, "call": HELD}, "On hold", "echo", 1.0, False, True),
    (
        {**READY, "call": CurrentCall("echo", "answered", 1.0, on_hold=True, media_lost=True)},
        "Reconnecting", "echo", 1.0, False, True,
    ),
    ({**READY, "ended": ENDED}, "Ended (you hung up)", "echo", 12.0, True, False),
    ({**READY, "ended": BUSY}, "Ended (the other side is busy)", "busy", None, True, False),
]  # fmt: skip


@pytest.mark.parametrize(("state", "words", "peer", "talked_s", "can_call", "can_hang_up"), TABLE)
def test_the_state_decides_what_is_shown(
    state: dict[str, Any], words: str, peer: str, talked_s: float | None, can_call: bool, can_hang_up: bool
) -> None:
    screen = screen_of(Snapshot(**state))
    assert (screen.words, screen.peer, screen.talked_s) == (words, peer, talked_s)
    assert (screen.can_call, screen.can_hang_up) == (can_call, can_hang_up)


def test_a_call_that_ended_shows_its_score_and_no_other_state_does() -> None:
    assert screen_of(Snapshot(**READY, ended=ENDED)).mean_mos == 4.31
    assert math.isnan(screen_of(Snapshot(**READY, ended=ENDED, ringing=("bob",))).mean_mos)


def test_who_else_rings_is_said_during_a_call() -> None:
    screen = screen_of(Snapshot(**READY, call=TALKING, ringing=("carol", "bob")))
    assert screen.note == "Also ringing: bob and 1 more."


PHASES = ("new", "preparing", "calling", "ringing", "answering", "answered")
seconds = st.none() | st.floats(0, 1e6)
current_calls = st.builds(
    CurrentCall, st.text(max_size=5), st.sampled_from(PHASES), seconds, st.booleans(), st.booleans()
)
ended_calls = st.builds(
    EndedCall, st.text(max_size=5), st.text(max_size=5), seconds, st.just(math.nan) | st.floats(1, 4.5)
)
snapshots = st.builds(
    Snapshot,
    st.none() | st.just("alice"),
    st.booleans(),
    st.booleans(),
    st.none() | st.floats(0, 60),
    st.lists(st.text(max_size=3), max_size=3).map(tuple),
    st.none() | current_calls,
    st.none() | ended_calls,
)


@given(snapshots)
def test_no_state_gives_a_screen_that_contradicts_itself(now: Snapshot) -> None:
    screen = screen_of(now)
    answered = now.call is not None and now.call.phase == "answered" and now.call.talked_s is not None
    assert screen.sends_tones == answered
    assert screen.can_hang_up == (now.call is not None)
    if screen.can_call:
        assert now.logged_in
        assert now.connected
        assert now.username is not None
        assert now.call is None
        assert not now.ringing
    if screen.talked_s is not None and screen.state != "Ended":
        assert answered, "a timer runs in an answered call only"
    if screen.state == "Ended":
        assert now.ended is not None
        assert now.call is None
        assert (screen.peer, screen.talked_s) == (now.ended.peer, now.ended.talked_s)
    else:
        assert math.isnan(screen.mean_mos), "figures of an ended call are shown with that call only"
    if screen.state == "Ready":
        assert now.logged_in
        assert now.connected
    if now.call is not None:
        assert screen.peer == now.call.peer
    assert "nan" not in screen.words + screen.note
    assert "None" not in screen.words + screen.note


WORDS = [value for name, value in vars(causes).items() if name.isupper() and isinstance(value, str)]


@pytest.mark.parametrize("cause", WORDS)
def test_every_cause_has_plain_words(cause: str) -> None:
    for direction in ("OUTGOING", "INCOMING"):
        for originator in ("local", "remote", "system"):
            info = CallInfo("c", direction, "sip:alice@x", "bob", "failed", code=500, originator=originator)  # type: ignore[arg-type]
            words = why_ended(info, cause)
            assert words != cause
            assert words[0].islower()


@pytest.mark.parametrize(
    ("state", "originator", "cause", "words"),
    [
        ("ended", "local", None, "you hung up"),
        ("ended", "remote", None, "the other side hung up"),
        ("ended", "system", None, "the call was cut off"),
        ("ended", "local", "RTP Timeout", "no sound arrived any more"),
        ("rejected", "local", "Rejected", "you declined"),
        ("rejected", "remote", "Rejected", "the other side declined"),
        ("canceled", "local", "Canceled", "you gave up"),
        ("canceled", "remote", None, "the caller gave up"),
        ("failed", "local", "No Answer", "you did not answer"),
        ("ignored", None, None, "you ignored it"),
        ("failed", "remote", "SIP Failure Code", "the server refused the call (SIP 500)"),
        ("failed", "remote", "a cause of a later SDK", "a cause of a later SDK"),
    ],
)
def test_the_end_of_a_call_in_plain_words(state: Any, originator: Any, cause: str | None, words: str) -> None:
    info = CallInfo("c", "INCOMING", "bob", "sip:alice@x", state, code=500, originator=originator)
    assert why_ended(info, cause) == words
