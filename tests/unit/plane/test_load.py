"""plane.load: whether the ticker of a plane keeps up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.audio_types import FRAME_S
from plivo_nb.plane.load import LATE_SHARE, OVERLOADED_FROM, SPAN_S, SPANS, PlaneLoad


def ticked(load: PlaneLoad, seconds: float, late_of_ten: int, since: float = 0.0) -> list[float]:
    """Tick for so long, with so many of ten ticks late; gives the times at which the judgement changed."""
    ticks = range(round(seconds / FRAME_S))
    times = [(since + tick * FRAME_S, int(tick % 10 < late_of_ten)) for tick in ticks]
    return [at for at, late in times if load.note(at, 1, late)]


def test_a_plane_that_is_late_for_seconds_is_overloaded_until_it_keeps_up() -> None:
    load = PlaneLoad()
    (began,) = ticked(load, 10.0, late_of_ten=5)
    assert OVERLOADED_FROM * SPAN_S <= began < (OVERLOADED_FROM + 1) * SPAN_S
    assert round(load.late_share, 1) == 0.5
    (ended,) = ticked(load, 10.0, late_of_ten=0, since=10.0)
    assert 10.0 + (SPANS - 1) * SPAN_S <= ended <= 10.0 + (SPANS + 1) * SPAN_S
    assert load.late_share == 0.0


def test_one_stall_is_no_overload_however_long() -> None:
    load = PlaneLoad()
    ticked(load, 5.0, late_of_ten=0)
    assert not load.note(9.0, due=200, late=199)
    assert ticked(load, 10.0, late_of_ten=0, since=9.0) == []


def test_a_judgement_that_changed_stays_while_one_second_of_the_last_is_late() -> None:
    load = PlaneLoad()
    ticked(load, 10.0, late_of_ten=5)
    for second in range(10, 40, 3):
        assert ticked(load, 1.0, late_of_ten=3, since=second) == []
        assert ticked(load, 2.0, late_of_ten=0, since=second + 1) == []
    assert load.overloaded


@given(st.lists(st.integers(0, 5), max_size=100))
def test_few_late_ticks_are_no_overload(lates: list[int]) -> None:
    load = PlaneLoad()
    for second, late in enumerate(lates):
        load.note(SPAN_S * second, due=50, late=min(late, int(50 * LATE_SHARE)))
        assert not load.overloaded
