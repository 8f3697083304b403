"""The engine: one per kernel loop, shared by all clients of it.

It belongs to the loop it started on. It starts the I/O plane with the first client and stops it with the
last, gives every command an id, hands each report to whom it concerns, and measures how late the loop runs,
so that nobody blames the network for a busy cell.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import logging
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from plivo_nb.errors import MediaError, NoRunningLoop, PlaneDied
from plivo_nb.plane import wire

if TYPE_CHECKING:
    from plivo_nb.plane.plane import Plane

_logger = logging.getLogger("plivo_nb.engine")
_LAG_INTERVAL_S = 0.05
_SHUTDOWN_S = 2.0

ReportHandler = Callable[[wire.Report], None]


@cache
def media_stack_loads() -> bool:
    """True where what media and sockets need can be imported; otherwise the log says what is missing."""
    try:
        from plivo_nb.plane import plane
    except (ImportError, OSError) as error:
        _logger.error("The media stack does not load: %s", error)
        return False
    return plane is not None


class Closable(Protocol):
    """What the engine closes at shutdown: a client."""

    def close(self) -> Awaitable[None]:
        """Hang up, un-register, close."""


class Engine:
    """The loop guard, the plane and the routes of what crosses it.

    Args:
        plane: ``"thread"`` runs the I/O plane in a daemon thread of its own, so that calls live through busy
            cells; ``"loop"`` runs the same code on this loop, for teaching and comparison.

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
        self._farewell: AsyncGenerator[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lag_timer: asyncio.TimerHandle | None = None
        self._lag_max_s = 0.0

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

    # ------------------------------------------------------------ clients and tasks

    def attach(self, client: Closable) -> None:
        """Count this client in; the plane lives while there is one."""
        if not self._clients:
            atexit.register(self._at_exit)
            self._farewell = self._before_the_loop_ends()
            with contextlib.suppress(StopIteration):
                self._farewell.__anext__().send(None)  # up to its yield: from now on the loop knows of it
        self._clients.append(client)

    async def detach(self, client: Closable) -> None:
        """Count this client out; with the last one the plane stops."""
        if client in self._clients:
            self._clients.remove(client)
        if not self._clients:
            atexit.unregister(self._at_exit)
            farewell, self._farewell = self._farewell, None
            if farewell is not None:
                await farewell.aclose()
            await self._stop_plane()

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
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stop_plane()

    async def _before_the_loop_ends(self) -> AsyncGenerator[None]:
        """Say goodbye for clients that nobody closed when `asyncio.run` ends.

        It closes the generators that are left as the last thing before its loop is gone: the only moment at
        which a BYE can still be sent, and a task that ends late be waited for.
        """
        try:
            yield
        finally:
            if self._farewell is not None:  # else the last client closed itself
                self._farewell = None
                # The loop has cancelled every task before: whatever that broke is of no use to anybody now.
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await asyncio.wait_for(self.close(), _SHUTDOWN_S)

    def _at_exit(self) -> None:
        """Say goodbye within 2 s when the interpreter ends with clients open (BYE, un-REGISTER, sessions)."""
        deadline = time.monotonic() + _SHUTDOWN_S
        if not self.loop.is_closed() and not self.loop.is_running():
            closing = self.loop.create_task(self.close())
            while not closing.done() and time.monotonic() < deadline:
                # The kernel stops the loop once more while we run: that is no reason to leave early.
                with contextlib.suppress(RuntimeError, Exception):
                    self.loop.run_until_complete(
                        asyncio.wait([closing], timeout=max(0.0, deadline - time.monotonic()))
                    )
        if self._plane is not None:
            self._plane.stop(1.0)
            self._plane = None

    # ------------------------------------------------------------ the plane

    def new_id(self) -> int:
        """A number for a socket or session, unique within this engine."""
        return next(self._ids)

    def route_socket(self, socket: int, handler: ReportHandler | None) -> None:
        """Hand the reports of this socket to `handler`; None: to nobody any more."""
        _route(self._sockets, socket, handler)

    def route_session(self, session: int, handler: ReportHandler | None) -> None:
        """Hand the reports of this session to `handler`; None: to nobody any more."""
        _route(self._sessions, session, handler)

    async def ask(self, command: Callable[..., wire.Command], **values: Any) -> Any:
        """Post a command and wait for its `Ok`; gives the Ok's value.

        Raises:
            MediaError: the plane answered `Failed`; `.code` is the plane's.
            PlaneDied: the plane ended before it answered.
        """
        return await self.post(command, **values)

    def post(self, command: Callable[..., wire.Command], **values: Any) -> asyncio.Future[Any]:
        """Post a command; the future gets the Ok's value, or the error. An unread error is logged quietly."""
        number = next(self._ids)
        future: asyncio.Future[Any] = self.loop.create_future()
        future.add_done_callback(_note_error)
        self._pending[number] = future
        self._running_plane().post(command(id=number, **values))
        return future

    def _running_plane(self) -> Plane:
        if self._plane is None or not self._plane.alive:
            if not media_stack_loads():
                raise PlaneDied("The media stack (aiortc, PyAV) does not load here; reinstall plivo_nb.")
            from plivo_nb.plane.plane import Plane

            self._plane = Plane()
            if self.plane_mode == "loop":
                self._plane.run_on(self.loop, self._reports)
            else:
                self._plane.start(self._reports, deliver_on=self.loop)
            self._schedule_lag_probe()
        return self._plane

    async def _stop_plane(self) -> None:
        if self._lag_timer is not None:
            self._lag_timer.cancel()
            self._lag_timer = None
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
            case wire.Received() | wire.SocketState():
                handler = self._sockets.get(report.socket)
                if handler is not None:
                    handler(report)
            case _:
                handler = self._sessions.get(report.session)
                if handler is not None:
                    handler(report)

    def _plane_died(self, report: wire.PlaneDead) -> None:
        self._plane = None
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(PlaneDied(report.sentence))
        for handler in [*self._sessions.values(), *self._sockets.values()]:
            handler(report)

    # ------------------------------------------------------------ the loop's lag

    def _schedule_lag_probe(self) -> None:
        if self._lag_timer is not None:
            self._lag_timer.cancel()
        due = self.loop.time() + _LAG_INTERVAL_S
        self._lag_timer = self.loop.call_at(due, self._lag_probe, due)

    def _lag_probe(self, due: float) -> None:
        self._lag_max_s = max(self._lag_max_s, self.loop.time() - due)
        self._schedule_lag_probe()

    def take_lag_ms(self) -> float:
        """The longest time, in ms, that this loop ran late since the last call."""
        lag, self._lag_max_s = self._lag_max_s, 0.0
        return lag * 1000


def _route(table: dict[int, ReportHandler], number: int, handler: ReportHandler | None) -> None:
    if handler is None:
        table.pop(number, None)
    else:
        table[number] = handler


def _note_error(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and future.exception() is not None:
        _logger.debug("A command of the plane failed: %s", future.exception())
