"""Timers without a clock: the application passes the time in and asks for the next deadline."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """One timer. `at` is in seconds on the application's monotonic clock."""

    __slots__ = ("action", "at")

    def __init__(self, at: float, action: Callable[[float], None]) -> None:
        self.at = at
        self.action: Callable[[float], None] | None = action

    @property
    def pending(self) -> bool:
        """Whether the timer will still fire."""
        return self.action is not None

    def cancel(self) -> None:
        """Stop the timer. Canceling twice, or after it fired, does nothing."""
        self.action = None


class Timers:
    """All timers of one user agent, in a heap.

    >>> timers, fired = Timers(), []
    >>> _ = timers.start(2.0, fired.append)
    >>> timers.next_deadline()
    2.0
    >>> timers.advance(2.5)
    >>> fired
    [2.5]
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0

    def start(self, at: float, action: Callable[[float], None]) -> Timer:
        """Call `action(now)` from the first `advance(now)` with now >= at."""
        timer = Timer(at, action)
        self._count += 1  # equal times fire in the order they were started
        heapq.heappush(self._heap, (at, self._count, timer))
        if self._count % 1024 == 0:
            self._sweep()
        return timer

    def _sweep(self) -> None:
        """Drop canceled timers, so that the heap does not grow with them."""
        self._heap = [entry for entry in self._heap if entry[2].pending]
        heapq.heapify(self._heap)

    def next_deadline(self) -> float | None:
        """The time at which the next timer is due, None where there is none."""
        while self._heap and not self._heap[0][2].pending:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def advance(self, now: float) -> None:
        """Fire the timers that are due, earliest first, including those that are started meanwhile."""
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            action = timer.action
            if action is not None:
                timer.cancel()
                action(now)

    def __len__(self) -> int:
        return sum(entry[2].pending for entry in self._heap)
