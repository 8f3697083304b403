"""plane.effort: less effort for encoding while the ticks of a plane last too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.audio_types import FRAME_S
from plivo_nb.plane.effort import REDUCED_COMPLEXITY, REDUCED_FROM, TICKS, WHOLE_BELOW, Effort


def ticked(effort: Effort, share: float, ticks: int) -> list[int]:
    """Ticks that take such a share of the time; gives those after which the judgement changed."""
    return [tick for tick in range(ticks) if effort.note(share * FRAME_S)]


def test_long_ticks_reduce_the_effort_and_short_ones_restore_it() -> None:
    effort = Effort()
    assert effort.limit == 10
    assert ticked(effort, 0.6, 3 * TICKS) == [TICKS - 1]
    assert effort.limit == REDUCED_COMPLEXITY
    assert ticked(effort, 0.1, 3 * TICKS) == [TICKS - 1]
    assert effort.limit == 10


def test_it_does_not_end_by_its_own_success() -> None:
    effort = Effort()
    ticked(effort, REDUCED_FROM + 0.01, TICKS)
    assert effort.reduced
    assert ticked(effort, (REDUCED_FROM + 0.01) * 0.6, 10 * TICKS) == []
    assert ticked(effort, WHOLE_BELOW + 0.01, 10 * TICKS) == []


@given(st.lists(st.floats(0, 1), min_size=TICKS, max_size=TICKS))
def test_a_few_long_ticks_change_nothing(long_ones: list[float]) -> None:
    effort = Effort()
    for place, took_s in enumerate(long_ones):
        effort.note(took_s if place % 3 == 0 else 0.001)
    assert not effort.reduced
