"""The queue of reports to the kernel's side: in batches, in order, and bounded without losing a state."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from plivo_nb.plane.wire import Level, Report, Sample

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_logger = logging.getLogger("plivo_nb.plane")

#: How many reports may wait before new `Level`s are dropped: a late display needs only the newest one.
LEVELS_WAIT_BELOW = 200
#: How many `Sample`s may wait before the oldest are dropped: an hour of ten sessions, one per second.
SAMPLES_KEPT = 36_000


class Outbox:
    """Collects reports on the plane's loop and delivers them in batches.

    Args:
        loop: the plane's loop; `put` is called on it.
        on_report: called with each batch.
        deliver_on: the loop on which `on_report` is called. While a cell blocks that loop, reports wait here.
            None: `on_report` is called on the plane's loop.

    Attributes:
        dropped: number of levels and samples dropped because too many reports waited.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_report: Callable[[list[Report]], None],
        deliver_on: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = loop
        self._on_report = on_report
        self._deliver_on = deliver_on
        self._waiting: deque[Report] = deque()
        self._samples = 0
        self._scheduled = False
        self._closed = False
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, report: Report) -> None:
        """Queue a report. States are never dropped."""
        with self._lock:
            if self._closed:
                return
            if isinstance(report, Level) and len(self._waiting) >= LEVELS_WAIT_BELOW:
                self.dropped += 1
                return
            if isinstance(report, Sample):
                self._samples += 1
                if self._samples > SAMPLES_KEPT:
                    self._drop_oldest_sample()
            self._waiting.append(report)
            if self._scheduled:
                return
            self._scheduled = True
        try:
            if self._deliver_on is None:
                self._loop.call_soon(self.flush)
            else:
                self._deliver_on.call_soon_threadsafe(self.flush)
        except RuntimeError:
            # The receiver's loop is closed.
            self._scheduled = False

    def flush(self) -> None:
        """Deliver the waiting reports now."""
        with self._lock:
            batch = list(self._waiting)
            self._waiting.clear()
            self._samples = 0
            self._scheduled = False
        if not batch:
            return
        try:
            self._on_report(batch)
        except Exception:
            _logger.exception("The receiver of a batch of %d reports failed.", len(batch))

    def finish(self) -> None:
        """Deliver the waiting reports at the end of the plane's loop.

        For a receiver on another loop the delivery is already scheduled there: called here, on the plane's
        thread, the receiver could not wake tasks of that loop.
        """
        if self._deliver_on is None:
            self.flush()

    def put_last(self, report: Report) -> None:
        """Queue this report as the last one; later reports are ignored."""
        with self._lock:
            self._closed = True
            self._waiting.append(report)
        if self._deliver_on is None:
            self.flush()
            return
        with contextlib.suppress(RuntimeError):
            self._deliver_on.call_soon_threadsafe(self.flush)

    def _drop_oldest_sample(self) -> None:
        for index, report in enumerate(self._waiting):
            if isinstance(report, Sample):
                del self._waiting[index]
                self._samples -= 1
                self.dropped += 1
                return
