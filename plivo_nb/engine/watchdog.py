"""Notices an I/O plane that hangs: its loop does not turn, so that calls are silent and SIP waits."""

from __future__ import annotations

from typing import Literal

#: An I/O plane whose loop has not turned for so long hangs.
HUNG_S = 2.0
#: How often the watchdog looks, and the plane's loop shows that it turns.
INTERVAL_S = 0.25
_OWN_STALL_S = 0.5  # a check that comes later than this says nothing: both loops may have stood still


class Watchdog:
    """Compares when the plane's loop turned last with the time; for the same clock, `time.monotonic()`."""

    def __init__(self) -> None:
        self._checked_at: float | None = None
        self.hung_since: float | None = None

    def check(self, now: float, turned_at: float) -> Literal["hung", "back"] | None:
        """Look once.

        Args:
            now: the time.
            turned_at: when the plane's loop turned last.

        Returns:
            ``hung`` once when it hangs, ``back`` once when it goes on.
        """
        before, self._checked_at = self._checked_at, now
        silent_s = now - turned_at
        if self.hung_since is not None:
            if silent_s < HUNG_S:
                self.hung_since = None
                return "back"
            return None
        if silent_s < HUNG_S or before is None or now - before > INTERVAL_S + _OWN_STALL_S:
            return None
        self.hung_since = turned_at
        return "hung"
