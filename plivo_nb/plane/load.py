"""Whether the I/O plane keeps up with its sessions: the share of its ticks that are late. Sans-I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

#: Over how long the ticks are counted together, in seconds, and how many such spans are judged.
SPAN_S = 1.0
SPANS = 5
#: A span in which more than this share of the ticks is late counts. A single stall makes one span late, or
#: two; too many calls make all of them late.
LATE_SHARE = 0.1
#: So many late spans of the last ones are an overload; none of them is its end.
OVERLOADED_FROM = 4


@dataclass(slots=True)
class _Span:
    """Ticks that were due, and those of them that were late."""

    due: int = 0
    late: int = 0

    @property
    def is_late(self) -> bool:
        return self.late > LATE_SHARE * self.due


class PlaneLoad:
    """Judges the ticker of a plane.

    A tick is late when it is made 20 ms or more after its time, or left out for that reason.

    Attributes:
        overloaded: whether the plane cannot keep up.

    Example:
        >>> load = PlaneLoad()
        >>> changes = [load.note(0.02 * tick, due=1, late=1) for tick in range(300)]
        >>> changes.count(True), load.overloaded, load.late_share
        (1, True, 1.0)
    """

    def __init__(self) -> None:
        self.overloaded = False
        self._ended: deque[_Span] = deque(maxlen=SPANS)
        self._span = _Span()
        self._ends_at: float | None = None

    @property
    def late_share(self) -> float:
        """Share of the ticks of the last seconds that were late, 0..1; 0 before the first one."""
        due = sum(span.due for span in self._ended)
        return sum(span.late for span in self._ended) / due if due else 0.0

    def note(self, now: float, due: int, late: int) -> bool:
        """Count ticks.

        Args:
            now: monotonic seconds.
            due: ticks that were due since the last call.
            late: those of them that were late.

        Returns:
            True if `overloaded` has changed.
        """
        if self._ends_at is None:
            self._ends_at = now + SPAN_S
        self._span.due += due
        self._span.late += late
        if now < self._ends_at:
            return False
        self._ended.append(self._span)
        self._span, self._ends_at = _Span(), now + SPAN_S
        late_spans = sum(span.is_late for span in self._ended)
        before, self.overloaded = self.overloaded, late_spans >= (1 if self.overloaded else OVERLOADED_FROM)
        return self.overloaded != before
