"""Executes commands (`plivo_nb.plane.wire`) on the plane's loop, and answers each with `Ok` or `Failed`."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from plivo_nb.media.sdp import IncompatibleSDP
from plivo_nb.plane import media_stack, wire
from plivo_nb.plane.websocket import SocketError, WebSocket
from plivo_nb.plane.wire import CommandError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from plivo_nb.plane.media_session import MediaSession
    from plivo_nb.quality.sampler import ClockAnchor

_logger = logging.getLogger("plivo_nb.plane")
_OF_SOCKETS = (wire.OpenSocket, wire.SendText, wire.CloseSocket)
_CLOSING = ("closing", 0)  # tasks that close something: they are waited for, not cancelled


class CommandExecutor:
    """The sockets and sessions of a plane, and the execution of commands on them.

    Args:
        report: called with each report.
        anchor: ties the plane's clock to UTC.
        sessions_changed: called when `sessions` becomes empty or stops being empty.
        room: awaited by sockets after each frame that they report.
    """

    def __init__(
        self,
        report: Callable[[wire.Report], None],
        anchor: ClockAnchor,
        sessions_changed: Callable[[], None],
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.sessions: dict[int, MediaSession] = {}
        self._sockets: dict[int, WebSocket] = {}
        self._report = report
        self._anchor = anchor
        self._sessions_changed = sessions_changed
        self._room = room
        self._tasks: dict[asyncio.Task[Any], tuple[str, int] | None] = {}  # and what each is about
        self._closed = False
        self._session_class: type[MediaSession] | None = None  # once the media stack is loaded
        self._media_error: Exception | None = None  # why it cannot be
        self._held: list[wire.Command] = []

    # ------------------------------------------------------------ commands

    def execute(self, command: wire.Command) -> None:
        """Execute a command or start its task; the answer comes as a report.

        Commands of sessions wait, in their order, until the media stack is loaded; those of sockets do not.
        """
        if isinstance(command, _OF_SOCKETS) or (not self._held and self._media_stack_is_known()):
            self._execute(command)
        else:
            self._held.append(command)
            if len(self._held) == 1:
                self._own(self._execute_held(), None)

    def _media_stack_is_known(self) -> bool:
        """Whether it is loaded, or cannot be."""
        loading = media_stack.load()
        if self._session_class is None and loading.done() and loading.exception() is None:
            self._session_class = loading.result().MediaSession
        return self._session_class is not None or self._media_error is not None

    async def _execute_held(self) -> None:
        """Wait for the media stack, then execute what waits for it; what cannot be is answered in words."""
        try:
            self._session_class = (await asyncio.wrap_future(media_stack.load())).MediaSession
        except Exception as error:  # a package that is broken can raise anything
            self._media_error = error
        finally:  # also when the plane is closed meanwhile: each command gets its answer
            held, self._held = self._held, []
            for command in held:
                self._execute(command)

    def _execute(self, command: wire.Command) -> None:
        try:
            self._start(command)
        except Exception as error:
            self._fail(command, error)

    def _start(self, command: wire.Command) -> None:
        if self._closed:
            raise SocketError("ConnectionError", "The I/O plane is being closed.")
        match command:
            case wire.OpenSocket():
                self._spawn(command, partial(self._open_socket, command), ("socket", command.socket))
            case wire.SendText():
                self._spawn(command, partial(self._socket(command.socket).send, command.text))
            case wire.CloseSocket():
                self._spawn(command, partial(self._close_socket, command), _CLOSING)
            case wire.OpenSession():
                self._open_session(command)
                self._ok(command)
            case wire.CreateOffer():
                offer = partial(self._session(command.session).create_offer, command.ice_restart)
                self._spawn(command, offer, ("session", command.session))
            case wire.CreateAnswer():
                answer = self._session(command.session).create_answer
                self._spawn(command, answer, ("session", command.session))
            case wire.SendDtmf():
                send = self._session(command.session).send_dtmf
                sending = partial(send, command.digits, command.duration_ms, command.gap_ms)
                self._spawn(command, sending, ("session", command.session))
            case wire.StartCapture():
                start = self._session(command.session).start_capture
                self._spawn(command, partial(start, command.path, command.sip))
            case wire.StopCapture():
                self._spawn(command, self._session(command.session).stop_capture)
            case wire.CloseSession():
                self._spawn(command, partial(self._close_session, command.session), _CLOSING)
            case _:
                self._ok(command, self._execute_at_once(command))

    def _execute_at_once(self, command: wire.Command) -> Any:
        match command:
            case wire.SetRemote():
                self._session(command.session).set_remote(command.type, command.sdp)
            case wire.SetMuted():
                self._session(command.session).set_muted(command.muted)
            case wire.SetSource():
                self._session(command.session).set_source(command.source)
            case wire.SetSink():
                self._session(command.session).set_sink(command.sink)
            case wire.SetSampleSink():
                self._session(command.session).sample_sink = command.sink
            case wire.CaptureSip():
                self._session(command.session).capture_sip(command.frame)
            case wire.GetStats():
                return self._session(command.session).stats()
            case _:
                raise CommandError("WebRTCError", f"The I/O plane knows no command {type(command).__name__}.")
        return None

    # ------------------------------------------------------------ sockets and sessions

    async def _open_socket(self, command: wire.OpenSocket) -> None:
        if command.socket in self._sockets:
            raise SocketError("ConnectionError", f"Socket {command.socket} is open already.")
        socket = WebSocket(
            command.socket, command.url, self._socket_report, self._room, ca_file=command.ca_file
        )
        await socket.open(command.open_timeout_s)
        self._sockets[command.socket] = socket

    def _socket_report(self, report: wire.Report) -> None:
        if isinstance(report, wire.SocketState):
            self._sockets.pop(report.socket, None)
        self._report(report)

    async def _close_socket(self, command: wire.CloseSocket) -> None:
        await self._cancel(("socket", command.socket))
        socket = self._sockets.pop(command.socket, None)
        if socket is not None:
            await socket.close(command.code, command.reason)

    def _open_session(self, command: wire.OpenSession) -> None:
        if command.session in self.sessions:
            raise CommandError("WebRTCError", f"Session {command.session} is open already.")
        if self._session_class is None:
            raise CommandError("WebRTCError", media_stack.broken(self._media_error))
        session = self._session_class(command.session, command.config, self._report, self._anchor)
        self.sessions[command.session] = session
        if len(self.sessions) == 1:
            self._sessions_changed()

    async def _close_session(self, number: int) -> dict[str, dict[str, Any]]:
        session = self.sessions.pop(number, None)
        if session is None:
            return {}  # it failed and is closed already
        if not self.sessions:
            self._sessions_changed()
        await self._cancel(("session", number))
        return await session.close()

    def drop(self, session: MediaSession) -> None:
        """Close a session that failed; it has reported that itself."""
        self._own(self._close_session(session.number), _CLOSING)

    def _socket(self, number: int) -> WebSocket:
        if number not in self._sockets:
            raise SocketError("UnknownId", f"There is no open socket {number}.")
        return self._sockets[number]

    def _session(self, number: int) -> MediaSession:
        if number not in self.sessions:
            raise CommandError(
                "UnknownId", f"There is no media session {number}: it was closed, or it failed."
            )
        return self.sessions[number]

    # ------------------------------------------------------------ tasks and answers

    def _spawn(
        self,
        command: wire.Command,
        work: Callable[[], Awaitable[Any]],
        about: tuple[str, int] | None = None,
    ) -> None:
        task = self._own(self._run(command, work), about)
        task.add_done_callback(partial(self._answer_cancelled, command))

    def _own(self, work: Coroutine[Any, Any, Any], about: tuple[str, int] | None) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = about
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("A task of the I/O plane failed.", exc_info=task.exception())

    async def _run(self, command: wire.Command, work: Callable[[], Awaitable[Any]]) -> None:
        # `work` makes its coroutine here: a task that is cancelled before its first step leaves none behind.
        try:
            value = await work()
        except Exception as error:
            self._fail(command, error)
        else:
            self._ok(command, value)

    def _answer_cancelled(self, command: wire.Command, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            sentence = "The socket or session was closed before the command was complete."
            self._report(wire.Failed(command.id, "ConnectionError", sentence))

    async def _cancel(self, about: tuple[str, int]) -> None:
        """Cancel the tasks of this socket or session."""
        await _end([task for task, subject in self._tasks.items() if subject == about])

    def _ok(self, command: wire.Command, value: Any = None) -> None:
        self._report(wire.Ok(command.id, value))

    def _fail(self, command: wire.Command, error: Exception) -> None:
        match error:
            case CommandError():
                code, sentence = error.code, str(error)
            case IncompatibleSDP():
                code, sentence = "IncompatibleSDP", str(error)
            case _:
                name = type(command).__name__
                _logger.error("The command %s failed unexpectedly.", name, exc_info=error)
                code, sentence = (
                    "WebRTCError",
                    f"{name} failed unexpectedly: {type(error).__name__}: {error}.",
                )
        self._report(wire.Failed(command.id, code, sentence))

    # ------------------------------------------------------------ close

    async def close(self) -> None:
        """Close all sessions and sockets and end all tasks; later commands fail.

        What is being opened is given up first: it would be open when all others are closed. What is being
        closed is waited for.
        """
        self._closed = True
        await _end([task for task, about in self._tasks.items() if about and about[0] == "socket"])
        for number in list(self.sessions):
            self._own(self._close_session(number), _CLOSING)
        for socket in list(self._sockets.values()):
            self._own(socket.close(1001), _CLOSING)
        closing = [task for task, about in self._tasks.items() if about == _CLOSING]
        await asyncio.gather(*closing, return_exceptions=True)
        await _end([task for task in self._tasks if task is not asyncio.current_task()])

    def abort(self) -> None:
        """Drop all sockets at once; for use when `close` took too long."""
        for socket in self._sockets.values():
            socket.abort()


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel these tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
