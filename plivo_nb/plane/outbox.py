"""The queue of reports to the kernel's side: in batches, in order, and bounded without losing a state."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from plivo_nb.plane.wire import Level, Received, Report, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("plivo_nb.plane")

#: How many reports may wait before new `Level`s are dropped: a late display needs only the newest one.
LEVELS_WAIT_BELOW = 200
#: How many `Sample`s may wait before the oldest are dropped: an hour of ten sessions, one per second.
SAMPLES_KEPT = 36_000
#: How long one turn of the receiver's loop may deliver, in seconds; then the loop's other callbacks run.
TURN_S = 0.01
#: How many frames of sockets may wait, and how many of their characters or bytes; then sockets are not read.
FRAMES_WAIT_BELOW = 256
FRAME_BYTES_WAIT_BELOW = 1024 * 1024


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
        self._frames = 0
        self._frame_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
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
            if isinstance(report, Received):
                self._frames += 1
                self._frame_bytes += len(report.data)
                if self._is_full:
                    self._room.clear()
            self._waiting.append(report)
            if self._scheduled:
                return
            self._scheduled = True
        self._schedule()

    async def room(self) -> None:
        """Wait, on the plane's loop, until few enough frames of sockets wait for delivery."""
        await self._room.wait()

    @property
    def _is_full(self) -> bool:
        return self._frames >= FRAMES_WAIT_BELOW or self._frame_bytes >= FRAME_BYTES_WAIT_BELOW

    def _schedule(self) -> None:
        try:
            if self._deliver_on is None:
                self._loop.call_soon(self.flush)
            else:
                self._deliver_on.call_soon_threadsafe(self.flush)
        except RuntimeError:
            # The receiver's loop is closed.
            self._scheduled = False

    def flush(self) -> None:
        """Deliver waiting reports for `TURN_S`; what is left is delivered at the loop's next turns."""
        until = time.monotonic() + TURN_S
        while batch := self._take():
            self._deliver(batch)
            if time.monotonic() >= until:
                break
        with self._lock:
            self._scheduled = bool(self._waiting)
            more = self._scheduled
        if more:
            self._schedule()

    def _flush_all(self) -> None:
        while batch := self._take():
            self._deliver(batch)

    def _take(self) -> list[Report]:
        """The next waiting reports, up to the first frame of a socket: the handling of a frame takes long."""
        batch: list[Report] = []
        with self._lock:
            was_full = self._is_full
            while self._waiting:
                report = self._waiting.popleft()
                batch.append(report)
                if isinstance(report, Sample):
                    self._samples -= 1
                elif isinstance(report, Received):
                    self._frames -= 1
                    self._frame_bytes -= len(report.data)
                    break
            if was_full and not self._is_full:
                with contextlib.suppress(RuntimeError):  # the plane's loop is closed
                    self._loop.call_soon_threadsafe(self._open)
        return batch

    def _open(self) -> None:
        with self._lock:
            if not self._is_full:
                self._room.set()

    def _deliver(self, batch: list[Report]) -> None:
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
            self._flush_all()

    def put_last(self, report: Report) -> None:
        """Queue this report as the last one; later reports are ignored."""
        with self._lock:
            self._closed = True
            self._waiting.append(report)
        if self._deliver_on is None:
            self._flush_all()
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
