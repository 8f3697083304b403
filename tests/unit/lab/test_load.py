"""lab.load: overload by how late the loop runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.lab.load import CALM_S, CHECK_S, LATE_S, WINDOW_S, Load


def noted(load: Load, late_s: float, seconds: float, since: float = 0.0) -> list[float]:
    """Note the same lateness for so long; gives the times at which the judgement changed."""
    steps = round(seconds / CHECK_S)
    times = [since + step * CHECK_S for step in range(1, steps + 1)]
    return [at for at in times if load.note(at, late_s)]


def test_a_loop_that_is_late_for_seconds_is_overloaded_until_it_is_calm() -> None:
    load = Load()
    (began,) = noted(load, 0.08, 6.0)
    assert WINDOW_S <= began <= WINDOW_S + 3 * CHECK_S
    assert round(load.late_ms) == 80
    (ended,) = noted(load, 0.001, 6.0, since=6.0)
    assert ended <= 6.0 + WINDOW_S
    assert not load.overloaded


def test_one_long_stall_is_none() -> None:
    load = Load()
    noted(load, 0.001, 4.0)
    assert not load.note(6.0, 2.0)
    assert noted(load, 0.001, 4.0, since=6.0) == []
    assert not load.overloaded


def test_between_the_two_limits_the_judgement_stays() -> None:
    load = Load()
    between = (LATE_S + CALM_S) / 2
    assert noted(load, between, 6.0) == []
    noted(load, 0.2, 6.0, since=6.0)
    assert noted(load, between, 6.0, since=12.0) == []
    assert load.overloaded


@given(st.lists(st.floats(0, 10), max_size=200))
def test_a_loop_that_is_never_late_by_the_limit_is_never_overloaded(lates: list[float]) -> None:
    load = Load()
    for step, late in enumerate(lates):
        load.note(step * CHECK_S, min(late, LATE_S))
        assert not load.overloaded
