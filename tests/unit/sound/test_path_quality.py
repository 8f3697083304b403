"""When the sound of a page takes the direct path, and when it leaves it."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.sound.path_quality import TRANSITIONS, PathEvent, PathQuality, PathState


def path_in(state: PathState) -> PathQuality:
    """A path that came into this state in the usual way, at 10 s."""
    path = PathQuality(0.0)
    if state == "connecting":
        return path
    if state == "waiting":
        path.lost(10.0)
        return path
    path.connected(10.0)
    if state in ("open", "poor"):
        good(path, 10.0, 2)
    if state == "poor":
        bad(path, 10.0, 2)
    assert path.state == state
    return path


def good(path: PathQuality, now: float, times: int) -> None:
    for _ in range(times):
        path.measure(now, received=True, loss=0.0)


def bad(path: PathQuality, now: float, times: int) -> None:
    for _ in range(times):
        path.measure(now, received=False)


def test_a_connection_carries_sound_only_after_packets_have_arrived() -> None:
    path = PathQuality(0.0)
    path.connected(0.3)
    assert path.state == "proving"
    good(path, 1.0, 2)
    assert path.state == "open"


def test_one_bad_measurement_changes_nothing_and_two_in_a_row_do() -> None:
    path = path_in("open")
    for now in (11.0, 12.0):
        bad(path, now, 1)
        good(path, now, 1)
    assert path.state == "open"
    bad(path, 13.0, 2)
    assert path.state == "poor"


@pytest.mark.parametrize(("loss", "state"), [(0.1, "open"), (0.3, "poor"), (math.nan, "open")])
def test_loss_that_is_heard_ends_the_use_of_a_path(loss: float, state: PathState) -> None:
    path = path_in("open")
    for _ in range(2):
        path.measure(11.0, received=True, loss=loss)
    assert path.state == state


def test_a_path_that_was_poor_must_be_good_for_longer() -> None:
    path = path_in("poor")
    good(path, 12.0, 5)
    assert path.state == "poor"
    good(path, 12.5, 1)
    assert path.state == "open"


@pytest.mark.parametrize(("state", "limit_s"), [("connecting", 10.0), ("proving", 15.0), ("poor", 25.0)])
def test_a_path_that_does_not_become_good_is_given_up(state: PathState, limit_s: float) -> None:
    path = path_in(state)
    assert not path.check(limit_s - 0.1)
    assert path.state == state
    assert not path.check(limit_s)
    assert path.state == "waiting"


def test_tries_are_repeated_after_growing_pauses() -> None:
    path, now, pauses = PathQuality(0.0), 0.0, []
    for _ in range(6):
        path.lost(now)
        pause = 0.0
        while not path.check(now):
            now, pause = now + 1, pause + 1
        assert path.state == "connecting"
        pauses.append(pause)
    assert pauses == [15, 30, 60, 120, 240, 240]


def test_after_a_good_path_the_first_pause_is_short_again() -> None:
    path = PathQuality(0.0)
    path.lost(0.0)
    assert path.check(15.0)
    path.connected(16.0)
    good(path, 17.0, 2)
    path.lost(20.0)
    assert path.check(35.0)


def test_an_open_path_stays_open() -> None:
    path = path_in("open")
    assert not path.check(100_000.0)
    assert path.state == "open"


def test_the_table_names_only_states_and_events_that_exist_and_leaves_each_state() -> None:
    states, events = set(get_args(PathState)), set(get_args(PathEvent))
    assert {state for state, _ in TRANSITIONS} == states == set(TRANSITIONS.values())
    assert {event for _, event in TRANSITIONS} == events


@given(st.lists(st.tuples(st.sampled_from(["connected", "lost", "good", "bad", "check"]), st.floats(0, 60))))
def test_any_sequence_follows_the_table_and_a_lost_path_never_is_open(steps: list[tuple[str, float]]) -> None:
    path, now = PathQuality(0.0), 0.0
    for step, passed in steps:
        now += passed
        before = path.state
        match step:
            case "connected":
                path.connected(now)
            case "lost":
                path.lost(now)
                assert path.state in ("waiting",)
            case "good" | "bad":
                path.measure(now, received=step == "good")
            case "check":
                assert path.check(now) == (before == "waiting" and path.state == "connecting")
        allowed = {following for (state, _), following in TRANSITIONS.items() if state == before}
        assert path.state in allowed | {before}
