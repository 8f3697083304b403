"""The engine: one per kernel loop, shared by all clients of it.

It belongs to the loop it started on. It starts the I/O plane with the first command and stops it with the
last client, gives every command an id, routes each report to its socket or session, and measures how late
the loop runs, so that a busy cell is not mistaken for a bad network.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import logging
import os
import selectors
import sys
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from plivo_nb.engine.loop_lag import LoopLag
from plivo_nb.engine.termination import TERMINATION
from plivo_nb.engine.watchdog import HUNG_S, INTERVAL_S, Watchdog
from plivo_nb.errors import MediaError, NoRunningLoop, PlaneDied
from plivo_nb.late_import import import_in_thread
from plivo_nb.plane import media_stack, wire
from plivo_nb.plane.plane import Plane
from plivo_nb.quality.sampler import ClockAnchor

if TYPE_CHECKING:
    import concurrent.futures

_logger = logging.getLogger("plivo_nb.engine")
_SHUTDOWN_S = 2.0

_KEPT: list[object] = []  # in a forked child: what belongs to the parent

ReportHandler = Callable[[wire.Report], None]


def media_stack_loads() -> bool:
    """True if the modules for media can be imported; if not, the log says what is missing.

    It waits until they are: once for up to half a second, and not after a client has existed for that long.
    """
    why = media_stack.missing() or media_stack.load().exception()
    if why is not None:
        _log_broken(str(why))
    return why is None


@cache  # each cause is logged once
def _log_broken(why: str) -> None:
    _logger.error("The media stack does not load: %s", why)


class Closable(Protocol):
    """A client, as the engine sees it: closed at shutdown."""

    def close(self) -> Awaitable[None]:
        """Hang up, un-register, close."""

    def send_goodbyes(self) -> None:
        """Send BYE and un-REGISTER, and wait for no answer."""


class Engine:
    """The loop, the I/O plane, and the routes of its reports.

    Attributes:
        loop_lag: how late this loop runs.

    Args:
        plane: ``"thread"`` runs the I/O plane in a daemon thread of its own, so that calls go on while
            a cell blocks; ``"loop"`` runs the same code on this loop, for teaching and comparison.

    Raises:
        NoRunningLoop: made where no event loop runs.
    """

    _engines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Engine] = weakref.WeakKeyDictionary()

    def __init__(self, plane: Literal["thread", "loop"] = "thread") -> None:
        try:
            self.loop = asyncio.get_running_loop()
        except RuntimeError:
            raise NoRunningLoop(
                "There is no running event loop here: make the client in a notebook cell, or in a script "
                "inside 'async def main(): ...' started by 'asyncio.run(main())'."
            ) from None
        self.plane_mode = plane
        self._plane: Plane | None = None
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._sockets: dict[int, ReportHandler] = {}
        self._sessions: dict[int, ReportHandler] = {}
        self._clients: list[Closable] = []
        self._shutdown_hook: AsyncGenerator[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loading: set[asyncio.Task[Any]] = set()  # of these, those that wait for modules
        self.loop_lag = LoopLag(self.loop)
        self._anchor = ClockAnchor.now()
        self._watchdog_timer: asyncio.TimerHandle | None = None
        #: Whether `load` loads pandas too; not where nobody reads frames, as in the lab's process.
        self.loads_frames = True
        #: Whether this is a forked child, and the engine its parent's.
        self.forked = False
        #: Whether the I/O plane cannot keep up with its calls: sound is sent and played late.
        self.overloaded = False
        #: Called with `overloaded` when it has changed.
        self.overload_listeners: list[Callable[[bool], object]] = []
        #: Called with a sentence when the I/O plane hangs, is busy or overloaded, and when it goes on.
        self.plane_listeners: list[Callable[[str], None]] = []

    @classmethod
    def current(cls) -> Engine:
        """The running loop's engine; made at the first call."""
        with contextlib.suppress(RuntimeError):
            engine = cls._engines.get(asyncio.get_running_loop())
            if engine is not None:
                return engine
        engine = cls()
        cls._engines[engine.loop] = engine
        return engine

    # ------------------------------------------------------------ the clock

    def utc_ns(self, monotonic_s: float | None = None) -> int:
        """UTC, ns since 1970, of a `time.monotonic()` time; by default of now.

        The engine, its I/O plane and all clients count from one reading of the two clocks. So their times are
        in order, and do not jump when the system's clock is set.
        """
        return self._anchor.utc_ns_at(time.monotonic() if monotonic_s is None else monotonic_s)

    # ------------------------------------------------------------ clients and tasks

    def load(self, when_broken: Callable[[], object]) -> None:
        """Load what calls and frames need, in a thread: websockets, the media stack, pandas.

        Args:
            when_broken: called, later, if the media stack cannot be loaded.
        """
        import_in_thread("plivo_nb.plane.command_executor")
        loading = media_stack.load()
        if self.loads_frames:
            import_in_thread("pandas", links=("pyarrow", "lib"))
        if (why := media_stack.missing()) is not None:
            _log_broken(why)
            self.loop.call_soon(when_broken)
        elif not loading.done() or loading.exception() is not None:
            task = self.spawn(self._loaded(loading, when_broken), "media stack")
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)

    async def _loaded(
        self, loading: concurrent.futures.Future[Any], when_broken: Callable[[], object]
    ) -> None:
        try:
            await asyncio.wrap_future(loading)
        except Exception as error:  # a package that is broken can raise anything
            _log_broken(str(error))
            when_broken()

    def attach(self, client: Closable) -> None:
        """Register a client; the I/O plane runs while there is one."""
        if not self._clients:
            atexit.register(self._at_exit)
            TERMINATION.watch(self)
            self._shutdown_hook = self._close_with_loop()
            with contextlib.suppress(StopIteration):
                self._shutdown_hook.__anext__().send(
                    None
                )  # up to its yield: from then on the loop closes it when it shuts down
        self._clients.append(client)

    async def detach(self, client: Closable) -> None:
        """Unregister a client; the I/O plane stops with the last one."""
        if client in self._clients:
            self._clients.remove(client)
        if not self._clients:
            atexit.unregister(self._at_exit)
            TERMINATION.forget(self)
            farewell, self._shutdown_hook = self._shutdown_hook, None
            if farewell is not None:
                await farewell.aclose()
            await _cancel(self._loading)
            await self._stop_plane()

    def send_goodbyes(self) -> None:
        """Send BYE and un-REGISTER for every client at once, while this loop is blocked."""
        for client in list(self._clients):
            client.send_goodbyes()

    def after_fork_in_child(self) -> None:
        """Leave all to the parent: a forked child must touch neither its sockets nor its calls."""
        self.forked = True
        atexit.unregister(self._at_exit)
        self._clients.clear()
        self.loop_lag.stop()
        if self._watchdog_timer is not None:
            self._watchdog_timer.cancel()
        _use_own_selector(self.loop)
        _KEPT.append((self._plane, self._shutdown_hook))  # what is not collected closes nothing
        self._plane = self._shutdown_hook = None

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run `work` as a task that the engine owns; what it raises is logged."""
        task = self.loop.create_task(work, name=f"plivo_nb {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("%s failed unexpectedly.", task.get_name(), exc_info=task.exception())

    async def close(self) -> None:
        """Close all clients and stop the plane."""
        for client in list(self._clients):
            await client.close()
        current = asyncio.current_task()
        await _cancel(task for task in self._tasks if task is not current)
        await self._stop_plane()

    async def _close_with_loop(self) -> AsyncGenerator[None]:
        """Close the clients that are still open when `asyncio.run` ends.

        `asyncio.run` closes the remaining asynchronous generators just before it closes the loop: the last
        moment at which a BYE can be sent and a task be awaited.
        """
        try:
            yield
        finally:
            if self._shutdown_hook is not None:  # else the last client closed itself
                self._shutdown_hook = None
                # The loop has cancelled every task: errors that follow from that need no report.
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await asyncio.wait_for(self.close(), _SHUTDOWN_S)

    def _at_exit(self) -> None:
        """Close open clients within 2 s when the interpreter ends (BYE, un-REGISTER, sessions)."""
        if self.forked:
            return
        deadline = time.monotonic() + _SHUTDOWN_S
        if not self.loop.is_closed() and not self.loop.is_running():
            closing = self.loop.create_task(self.close())
            while not closing.done() and time.monotonic() < deadline:
                # The kernel may stop the loop while this runs: go on until all is closed.
                with contextlib.suppress(RuntimeError, Exception):
                    self.loop.run_until_complete(
                        asyncio.wait([closing], timeout=max(0.0, deadline - time.monotonic()))
                    )
        if self._plane is not None:
            self._plane.stop(1.0)
            self._plane = None

    # ------------------------------------------------------------ the I/O plane

    def new_id(self) -> int:
        """A number for a socket or session, unique within this engine."""
        return next(self._ids)

    def route_socket(self, socket: int, handler: ReportHandler | None) -> None:
        """Call `handler` with the reports of this socket; None ends that."""
        _route(self._sockets, socket, handler)

    def route_session(self, session: int, handler: ReportHandler | None) -> None:
        """Call `handler` with the reports of this session; None ends that."""
        _route(self._sessions, session, handler)

    async def ask(self, command: Callable[..., wire.Command], **values: Any) -> Any:
        """Post a command and wait for its `Ok`; returns its value.

        Raises:
            MediaError: the plane answered `Failed`; `.code` is the plane's.
            PlaneDied: the plane ended before it answered.
        """
        return await self.post(command, **values)

    def post(self, command: Callable[..., wire.Command], **values: Any) -> asyncio.Future[Any]:
        """Post a command; the future gets the Ok's value, or the error. Errors are logged at debug level."""
        number = next(self._ids)
        future: asyncio.Future[Any] = self.loop.create_future()
        future.add_done_callback(_log_error)
        self._pending[number] = future
        self._running_plane().post(command(id=number, **values))
        return future

    @property
    def plane_runs(self) -> bool:
        """Whether there is an I/O plane: a command does not start one."""
        return not self.forked and self._plane is not None and self._plane.alive

    def _running_plane(self) -> Plane:
        if self.forked:
            raise PlaneDied(
                "This client belongs to the process that was forked; make a client of its own in this one."
            )
        if self._plane is None or not self._plane.alive:
            if (why := media_stack.missing()) is not None:
                raise PlaneDied(media_stack.broken(why))

            # Nothing is going on: from now on all times are counted from a new reading of the two clocks.
            self._anchor = ClockAnchor.now()
            self._plane = Plane(self._anchor)
            if self.plane_mode == "loop":
                self._plane.run_on(self.loop, self._reports)
            else:
                self._plane.start(self._reports, deliver_on=self.loop)
                self._watch_plane(self._plane, Watchdog())
            self.loop_lag.start()
        return self._plane

    def _watch_plane(self, plane: Plane, watchdog: Watchdog) -> None:
        """Notice when the plane hangs, or goes on, as long as it is this engine's."""
        if plane is not self._plane:
            return
        found = watchdog.check(time.monotonic(), plane.turned_at) if plane.alive else None
        if found == "hung":
            self._tell_of_plane(
                f"The I/O plane has not answered for {HUNG_S:g} s: calls are silent and SIP waits until it "
                "goes on. The usual cause is code that holds the interpreter's lock for long."
            )
        elif found == "back":
            self._tell_of_plane("The I/O plane answers again; calls go on.")
        self._watchdog_timer = self.loop.call_later(INTERVAL_S, self._watch_plane, plane, watchdog)

    def _tell_of_plane(self, sentence: str, level: int = logging.WARNING) -> None:
        _logger.log(level, sentence)
        for listener in list(self.plane_listeners):
            listener(sentence)

    async def _stop_plane(self) -> None:
        if self._watchdog_timer is not None:
            self._watchdog_timer.cancel()
            self._watchdog_timer = None
        self.loop_lag.stop()
        plane, self._plane = self._plane, None
        if plane is None:
            return
        await plane.aclose(1.0)
        for future in self._pending.values():
            if not future.done():
                future.cancel()
        self._pending.clear()

    def _reports(self, reports: list[wire.Report]) -> None:
        for report in reports:
            try:
                self._dispatch(report)
            except Exception:
                _logger.exception("A report of the I/O plane could not be handled: %r", report)

    def _dispatch(self, report: wire.Report) -> None:
        match report:
            case wire.Ok(id=number, value=value):
                future = self._pending.pop(number, None)
                if future is not None and not future.done():
                    future.set_result(value)
            case wire.Failed(id=number, code=code, sentence=sentence):
                future = self._pending.pop(number, None)
                if future is not None and not future.done():
                    future.set_exception(MediaError(sentence, code))
            case wire.PlaneDead():
                self._plane_died(report)
            case wire.PlaneOverload():
                self._plane_overload(report)
            case wire.PlaneEffort():
                self._plane_effort(report)
            case wire.Received() | wire.SocketState():
                handler = self._sockets.get(report.socket)
                if handler is not None:
                    handler(report)
            case _:
                handler = self._sessions.get(report.session)
                if handler is not None:
                    handler(report)

    def _plane_overload(self, report: wire.PlaneOverload) -> None:
        self.overloaded = report.overloaded
        if report.overloaded:
            self._tell_of_plane(
                f"This process cannot keep up with its {report.sessions} calls: {report.late_share:.0%} of "
                "its ticks of 20 ms are late, and sound has gaps. Make fewer calls, spread them over several "
                "processes, or end other programs."
            )
        else:
            self._tell_of_plane("This process keeps up with its calls again.")
        for listener in list(self.overload_listeners):
            listener(report.overloaded)

    def _plane_effort(self, report: wire.PlaneEffort) -> None:
        if report.reduced:
            sentence = (
                f"Opus is encoded with less effort, at some cost of quality, so that all {report.sessions} "
                "calls are in time."
            )
        else:
            sentence = "Opus is encoded with full effort again."
        self._tell_of_plane(sentence, logging.INFO)

    def _plane_died(self, report: wire.PlaneDead) -> None:
        self._plane = None
        self.overloaded = False
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(PlaneDied(report.sentence))
        for handler in [*self._sessions.values(), *self._sockets.values()]:
            handler(report)


def _route(table: dict[int, ReportHandler], number: int, handler: ReportHandler | None) -> None:
    if handler is None:
        table.pop(number, None)
    else:
        table[number] = handler


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _log_error(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and future.exception() is not None:
        _logger.debug("A command of the plane failed: %s", future.exception())


def _use_own_selector(loop: Any) -> None:
    """Give a forked child's loop a selector of its own.

    Both share the kernel's epoll object: a child that closes the loop would take the parent's sockets
    out of it, and the parent would wait for ever (https://github.com/python/cpython/issues/66197).
    """
    if hasattr(loop, "_selector"):
        loop._selector = selectors.DefaultSelector()


def _after_fork_in_child() -> None:
    TERMINATION.after_fork_in_child()
    for engine in list(Engine._engines.values()):
        engine.after_fork_in_child()
    sound = sys.modules.get("sounddevice")
    if sound is not None:
        # PortAudio's threads and its connection to the sound server are the parent's.
        atexit.unregister(sound._exit_handler)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
