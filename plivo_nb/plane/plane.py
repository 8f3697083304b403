"""The I/O plane: one daemon thread with its own event loop, for all work that has deadlines.

Cells of a notebook block the kernel's loop. So the pongs of sockets, RTP each 20 ms and the sampling run
here, and the kernel's side exchanges only the messages of `plivo_nb.plane.wire` with them. One ticker serves
all sessions. A single C call that holds the interpreter's lock still delays the plane.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from plivo_nb.audio_types import FRAME_S
from plivo_nb.errors import PlaneDied
from plivo_nb.late_import import import_in_thread
from plivo_nb.media.levels import settle_together
from plivo_nb.plane.effort import Effort
from plivo_nb.plane.load import PlaneLoad
from plivo_nb.plane.outbox import Outbox
from plivo_nb.plane.wire import Command, PlaneDead, PlaneEffort, PlaneOverload, Report
from plivo_nb.quality.sampler import ClockAnchor
from plivo_nb.switch_interval import switch_interval
from plivo_nb.thread_priority import raise_priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.plane.command_executor import CommandExecutor

_logger = logging.getLogger("plivo_nb.plane")

#: How many late ticks are caught up with at once, so that at most three packets leave within 20 ms.
CATCH_UP_TICKS = 1
#: Levels are reported each so many ticks.
LEVEL_TICKS = 5
BEAT_S = 0.25
_CLOSE_S = 0.8


_P = ParamSpec("_P")
_T = TypeVar("_T")


class Plane:
    """The plane's thread, its ticker, and the exchange of messages. It is used once: it does not start again.

    Args:
        anchor: ties the monotonic clock to UTC; by default made now.

    Example:
        >>> from plivo_nb.plane import wire
        >>> reports = []
        >>> plane = Plane()
        >>> plane.start(reports.extend)
        >>> plane.post(wire.OpenSession(1, session=1, config=wire.SessionConfig()))
        >>> plane.post(wire.CloseSession(2, session=1))
        >>> plane.stop()
        >>> reports[0]
        Ok(id=1, value=None)
    """

    def __init__(self, anchor: ClockAnchor | None = None) -> None:
        self._anchor = anchor or ClockAnchor.now()
        self._commands: deque[Command] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._outbox: Outbox | None = None
        self._executor: CommandExecutor | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._ticks = 0
        self._started = False
        self._stopping = False
        self._dead = False
        self._main: asyncio.Task[None] | None = None
        self._stop_requested: asyncio.Event | None = None
        self._switch_interval_is_short = False
        self._when_ended: Callable[[], object] | None = None
        self._load = PlaneLoad()
        self._effort = Effort()
        self.skipped_ticks = 0
        #: Ticks made 20 ms or more after their time, and those skipped.
        self.late_ticks = 0
        #: `time.monotonic()` of the loop's last turn, noted each `BEAT_S`.
        self.turned_at = 0.0

    # ------------------------------------------------------------ lifetime

    @property
    def alive(self) -> bool:
        """Whether commands are accepted."""
        return self._started and not self._stopping and not self._dead

    def start(
        self, on_report: Callable[[list[Report]], None], deliver_on: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """Run in a daemon thread of its own.

        Args:
            on_report: takes batches of reports, in order.
            deliver_on: the loop on which `on_report` is called; while it is busy, reports wait in a bounded
                queue (levels are dropped first, states never). None: called on the plane's thread.
        """
        self._set_started()
        # Not new_event_loop(): where the user's policy is uvloop's, that has no datagram sockets of our own.
        self._loop = asyncio.SelectorEventLoop()
        self._loop.set_debug(False)  # debug mode slows the loop down
        self._loop.set_default_executor(DaemonExecutor())
        self._outbox = Outbox(self._loop, on_report, deliver_on)
        self._thread = threading.Thread(target=self._run, name="plivo_nb plane", daemon=True)
        self.turned_at = time.monotonic()
        self._thread.start()

    def run_on(self, loop: asyncio.AbstractEventLoop, on_report: Callable[[list[Report]], None]) -> None:
        """Run on this loop instead of a thread, for teaching and comparison; called on that loop."""
        self._set_started()
        self._loop = loop
        self._outbox = Outbox(loop, on_report)
        self._main = loop.create_task(self._serve())

    def _set_started(self) -> None:
        if self._started:
            raise RuntimeError("A plane is started once; make another one.")
        self._started = True

    def stop(self, timeout_s: float = 1.0) -> None:
        """Close all sessions and sockets and end the thread, within about `timeout_s`.

        Call it from any thread but the plane's. After `run_on` it only requests the end; use `aclose` then.
        """
        if not self._started or self._loop is None:
            return
        self._stopping = True
        self._wake(self._request_stop)
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                _logger.warning(
                    "The I/O plane did not end within %.1f s; its thread is left running.", timeout_s
                )

    async def aclose(self, timeout_s: float = 1.0) -> None:
        """Like `stop`, without blocking the loop it is called on; also after `run_on`."""
        if self._thread is None:
            self.stop()
            if self._main is not None:
                await asyncio.wait([self._main], timeout=timeout_s)
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        self._when_ended = lambda: loop.call_soon_threadsafe(ended.set)
        self._stopping = True
        self._wake(self._request_stop)
        if self._thread.is_alive():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), timeout_s)

    def _request_stop(self) -> None:
        if self._stop_requested is not None:
            self._stop_requested.set()

    # ------------------------------------------------------------ commands

    def post(self, command: Command) -> None:
        """Queue a command, from any thread. Its answer comes as a report.

        Raises:
            PlaneDied: the plane is not running.
        """
        if not self.alive:
            raise PlaneDied("The I/O plane is not running; the next call starts it again.")
        first = not self._commands
        self._commands.append(command)
        if first:
            self._wake(self._take_commands)

    def _wake(self, callback: Callable[[], None]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            _logger.debug("The plane's loop is closed.")

    def _take_commands(self) -> None:
        while self._commands and self._executor is not None:
            self._executor.execute(self._commands.popleft())

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        raise_priority()
        try:
            loop.run_until_complete(self._serve())
        except BaseException as error:
            self._died(error)
        finally:
            self._dead = True
            self._set_short_switch_interval(False)
            self._finish(loop)
            if self._when_ended is not None:
                self._when_ended()

    async def _serve(self) -> None:
        assert self._outbox is not None
        self._stop_requested = asyncio.Event()
        self._beat()
        if self._thread is None:  # the loop is somebody else's, and must not wait for imports
            await asyncio.wrap_future(import_in_thread("plivo_nb.plane.command_executor"))
        from plivo_nb.plane.command_executor import CommandExecutor  # late: it imports websockets

        self._executor = CommandExecutor(
            self._outbox.put, self._anchor, self._sessions_changed, self._outbox.room
        )
        self._take_commands()
        if not self._stopping:
            await self._stop_requested.wait()
        await self._close(self._executor)
        self._outbox.finish()

    def _beat(self) -> None:
        """Note that the loop turns."""
        self.turned_at = time.monotonic()
        assert self._loop is not None
        if not self._stopping:
            self._loop.call_later(BEAT_S, self._beat)

    async def _close(self, executor: CommandExecutor) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await executor.close()
        except TimeoutError:
            _logger.warning("Closing took too long; the remaining sockets are dropped.")
            executor.abort()
        self._sessions_changed()

    def _died(self, error: BaseException) -> None:
        _logger.error("The I/O plane died.", exc_info=error)
        self._dead = True
        assert self._outbox is not None
        self._outbox.put_last(
            PlaneDead(
                f"The I/O plane ended unexpectedly ({type(error).__name__}: {error}); all calls have ended."
            )
        )

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        """End all tasks and close all sockets, also after an exception."""
        try:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.wait(tasks, timeout=0.2))
            if self._executor is not None:
                if not self._stopping:
                    loop.run_until_complete(self._close(self._executor))
                self._executor.abort()  # what still is open
            loop.run_until_complete(loop.shutdown_asyncgens())
        except BaseException:
            _logger.exception("The I/O plane could not close everything.")
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    # ------------------------------------------------------------ the ticker

    def _sessions_changed(self) -> None:
        """Run the ticker, and shorten the switch interval, only while there are sessions."""
        assert self._executor is not None
        busy = bool(self._executor.sessions)
        self._set_short_switch_interval(busy and self._thread is not None)
        self._apply_effort()
        if busy and self._timer is None:
            self._due = time.monotonic() + FRAME_S
            self._schedule()
        elif not busy and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._effort = Effort()
            overloaded, self._load = self._load.overloaded, PlaneLoad()
            if overloaded:
                self._report_load()

    def _schedule(self) -> None:
        assert self._loop is not None
        # loop.time() is time.monotonic() in asyncio's loops.
        self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        """Do one tick of all sessions, at absolute deadlines.

        A slightly late tick is caught up with at once. After a longer stall the late ticks are skipped, so
        that packets are not sent in a burst; RTP time advances.
        """
        assert self._executor is not None
        now = time.monotonic()
        late = int((now - self._due) / FRAME_S)
        skipped = max(0, late - CATCH_UP_TICKS)
        late_ticks = skipped + 1 if late >= 1 else 0
        self.skipped_ticks += skipped
        self.late_ticks += late_ticks
        self._due += FRAME_S * (skipped + 1)
        self._ticks += 1
        self._schedule()
        if self._load.note(now, skipped + 1, late_ticks):
            self._report_load()
        for session in list(self._executor.sessions.values()):
            try:
                if late_ticks:
                    session.skip(skipped, late_ticks)
                session.tick(now)
            except Exception as error:
                session.fault(error)
            if session.failed:
                self._executor.drop(session)
        if self._ticks % LEVEL_TICKS == 0:
            self._report_levels()
        if self._effort.note(time.monotonic() - now):
            self._apply_effort()
            assert self._outbox is not None
            self._outbox.put(PlaneEffort(self._effort.reduced, len(self._executor.sessions)))

    def _report_levels(self) -> None:
        """Report the levels of all sessions, computed together, in one batch."""
        assert self._executor is not None
        sessions = list(self._executor.sessions.values())
        settle_together(meter for session in sessions for meter in session.meters)
        for session in sessions:
            try:
                session.report_levels()
            except Exception as error:
                session.fault(error)

    def _apply_effort(self) -> None:
        assert self._executor is not None
        for session in self._executor.sessions.values():
            session.limit_complexity(self._effort.limit)

    def _report_load(self) -> None:
        assert self._outbox is not None
        assert self._executor is not None
        load = self._load
        self._outbox.put(PlaneOverload(load.overloaded, load.late_share, len(self._executor.sessions)))

    # ------------------------------------------------------------ the interpreter

    def _set_short_switch_interval(self, on: bool) -> None:
        if on != self._switch_interval_is_short:
            self._switch_interval_is_short = on
            switch_interval.change(1 if on else -1)


class DaemonExecutor(ThreadPoolExecutor):
    """Runs each function in a new daemon thread: for name resolution, which cannot be cancelled and may hang.

    asyncio accepts only a ThreadPoolExecutor as a loop's default, and at exit the interpreter waits for the
    threads of that class. So `submit` starts its own thread.
    """

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run `fn` in a new daemon thread."""
        future: Future[_T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name="plivo_nb resolver", daemon=True).start()
        return future
