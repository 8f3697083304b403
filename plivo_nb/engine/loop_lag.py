"""How late an event loop runs: a busy cell is not to be mistaken for a bad network."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_INTERVAL_S = 0.05
_KEPT = 6000  # five minutes


class LoopLag:
    """Measures each 50 ms how much later than planned the loop calls a function, and keeps the results.

    Each measurement has the time at which it ended. So every reader gets the whole lag of its own interval,
    however many readers there are, and in successive intervals each measurement is in exactly one.

    Args:
        loop: the loop that is measured.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._measured: deque[tuple[float, float]] = deque(maxlen=_KEPT)  # end and lag, s

    def start(self) -> None:
        """Measure from now on."""
        self.stop()
        self._timer = self._loop.call_later(_INTERVAL_S, self._measure, time.monotonic() + _INTERVAL_S)

    def stop(self) -> None:
        """Measure no more; what was measured is kept."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _measure(self, due_s: float) -> None:
        now_s = time.monotonic()
        self._measured.append((now_s, max(0.0, now_s - due_s)))
        self.start()

    def between_ms(self, since_s: float, until_s: float) -> list[float]:
        """The lags that ended in an interval.

        Args:
            since_s: start of the interval, `time.monotonic()` seconds; not part of it.
            until_s: its end; part of it.

        Returns:
            Lags in ms, the newest first.
        """
        lags = []
        for ended_s, lag_s in reversed(self._measured):
            if ended_s <= since_s:
                break
            if ended_s <= until_s:
                lags.append(lag_s * 1000)
        return lags
