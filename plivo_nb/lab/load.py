"""Whether the lab can carry more calls: how late its event loop runs. Sans-I/O: the time goes in."""

from __future__ import annotations

import statistics
from collections import deque

#: How often the lateness is noted, in seconds.
CHECK_S = 0.1
#: Over how long it is judged, in seconds. A short stall, such as an import, is no overload.
WINDOW_S = 3.0
#: The median lateness from which the lab takes no new calls, and below which it takes them again, in seconds.
#: Sound that is late by more is heard as gaps: jitter buffers wait 0.02 to 0.2 s.
LATE_S, CALM_S = 0.05, 0.01


class Load:
    """Judges the lateness of a loop.

    Attributes:
        overloaded: whether no new calls are taken.

    Example:
        >>> load = Load()
        >>> changes = [load.note(0.2 * step, late_s=0.08) for step in range(20)]
        >>> changes.count(True), load.overloaded
        (1, True)
    """

    def __init__(self) -> None:
        self.overloaded = False
        self._noted: deque[tuple[float, float]] = deque()

    @property
    def late_ms(self) -> float:
        """The median lateness of the last seconds, in ms; 0 before the first note."""
        return 1000 * statistics.median([late for _, late in self._noted] or [0.0])

    def note(self, now: float, late_s: float) -> bool:
        """Note how late the loop was.

        Args:
            now: seconds on any clock that does not go back.
            late_s: how much later than planned the loop has called.

        Returns:
            True if `overloaded` has changed.
        """
        self._noted.append((now, max(0.0, late_s)))
        began = self._noted[0][0]
        while now - self._noted[0][0] > WINDOW_S:
            self._noted.popleft()
        if now - began < WINDOW_S:
            return False
        late_ms = self.late_ms
        before, self.overloaded = self.overloaded, late_ms > 1000 * (CALM_S if self.overloaded else LATE_S)
        return self.overloaded != before
