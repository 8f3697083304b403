"""The priority of threads that carry sound."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

_NICENESS = -10


def raise_priority() -> None:
    """Raise the priority of the calling thread, as usual for threads that carry sound, if that is allowed.

    Linux only: elsewhere a priority belongs to the whole process.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
