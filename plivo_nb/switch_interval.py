"""The interpreter's switch interval: shortened while a thread of ours must not wait for the lock."""

from __future__ import annotations

import sys
import threading

SWITCH_INTERVAL_S = 0.0005


class SwitchInterval:
    """The interpreter's switch interval, shortened while anybody needs it and restored by the last one.

    A thread waits for the interpreter's lock for this long: 5 ms by default, and several times in a tick.

    Example:
        >>> before = sys.getswitchinterval()
        >>> interval = SwitchInterval()
        >>> interval.change(1)
        >>> sys.getswitchinterval() == SWITCH_INTERVAL_S
        True
        >>> interval.change(-1)
        >>> sys.getswitchinterval() == before
        True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0.0

    def change(self, by: int) -> None:
        """Count one user more (1) or less (-1)."""
        with self._lock:
            if self._users == 0 and by > 0:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(SWITCH_INTERVAL_S)
            self._users += by
            if self._users == 0:
                sys.setswitchinterval(self._before)


#: The one of this process.
switch_interval = SwitchInterval()
