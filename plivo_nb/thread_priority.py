"""The priority of threads that carry sound."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

_NICENESS = -10


def raise_priority() -> None:
    """Ask the system to run the calling thread before others, as sound's threads do, where that is allowed.

    POSIX only; on Linux the priority is a thread's own.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
