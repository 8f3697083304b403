"""The widgets of a replay: times in UTC and local, the choice of a call, and what is hidden."""

from __future__ import annotations

import re
import time

import ipywidgets as W
import pandas as pd
import pytest

from plivo_nb.widgets.replay_view import ReplayView, both_times

AT = pd.Timestamp("2026-11-25 12:00:41", tz="UTC")


@pytest.fixture
def view():
    view = ReplayView(W.HTML())
    yield view
    view.close()


@pytest.fixture
def zone(monkeypatch):
    """Set the time zone of this machine."""

    def choose(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield choose
    monkeypatch.undo()
    time.tzset()


def test_local_time_stands_beside_utc(zone) -> None:
    zone("CET-1")
    assert both_times(AT) == "25 Nov 2026 13:00:41 CET · 12:00:41 UTC"
    zone("UTC0")
    assert both_times(AT) == "25 Nov 2026 12:00:41 UTC"


def test_the_moment_is_shown_everywhere(view) -> None:
    view.show_length(90.0)
    view.show_position(41.2, 90.0, AT, "<bob>")
    assert (view.position.value, view.position.max) == (41.0, 90.0)
    assert re.sub(r"<[^>]*>", "", view._clock.value) == "0:41 / 1:30"
    assert "&lt;bob&gt;" in view._times.value
    assert "12:00:41 UTC" in view._times.value
    view.show_length(89.4)
    for seconds, shown in ((89.4, 90.0), (89.3, 89.0), (0.0, 0.0)):
        view.show_position(seconds, 89.4, AT, "bob")
        assert view.position.value == view.slider_value == shown
    view.show_length(0.0)
    assert view.position.max > view.position.min


def test_one_call_is_not_a_choice(view) -> None:
    view.show_calls(["call 1"])
    assert view.calls.layout.visibility == "hidden"
    view.show_calls(["call 1", "call 2"])
    assert (view.calls.layout.visibility, view.calls.options) == ("visible", (("call 1", 0), ("call 2", 1)))


def test_the_player_is_hidden_without_sound(view) -> None:
    assert view.audio.layout.visibility == "hidden"
    view.show_sound(b"RIFF")
    assert (view.audio.layout.visibility, bytes(view.audio.value)) == ("visible", b"RIFF")
    view.show_sound(b"")
    assert view.audio.layout.visibility == "hidden"


def test_the_button_says_what_it_does(view) -> None:
    view.show_playing(True)
    assert view.play.description == "Pause"
    view.show_playing(False)
    assert view.play.description == "Play"
    view.show_note("a <b> & c")
    assert "a &lt;b&gt; &amp; c" in view.note.value
