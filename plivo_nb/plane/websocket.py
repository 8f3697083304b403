"""Signalling sockets: SIP over WebSocket (RFC 7118), one message per frame, kept alive by pings."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.protocol import State
from websockets.typing import Subprotocol

from plivo_nb.connections import websocket
from plivo_nb.plane.wire import CommandError, Received, SocketState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plivo_nb.plane.wire import Report

_logger = logging.getLogger("plivo_nb.plane.websocket")
_PING_INTERVAL_S = 20.0
_PING_TIMEOUT_S = 20.0
_CLOSE_TIMEOUT_S = 0.5
_MAX_FRAME_BYTES = 256 * 1024
_READ_BYTES = 16 * 1024
_PART_BYTES = 512  # at most 256 frames, which take about 2 ms
_TURN_S = 0.005


class SocketError(CommandError):
    """A socket cannot be opened or used."""


class _Connection(ClientConnection):
    """A connection that handles what it receives in turns, so that no read holds the loop for long.

    It differs from `ClientConnection` in these points:

    - One read may carry thousands of frames, over TLS up to 256 KiB of them. They are parsed in parts, for
      `_TURN_S` at a time. Until the last part is parsed, nothing is read.
    - While the other side does not read the pongs to its pings, nothing is read: they would fill the memory.
    - The connection ends `close_timeout` after the server's Close, even if the server keeps TCP open, as
      Kamailio 5.6 does for seconds; `websockets` obeys the deadline only in `send` and `close`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unread = bytearray()
        self._turn: asyncio.Handle | None = None
        self._abort: asyncio.TimerHandle | None = None
        self._messages_wait = False  # the queue of received messages is full
        self._lost: tuple[Exception | None] | None = (
            None  # the loss, to be reported after what came before it
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if hasattr(transport, "max_size"):  # on asyncio's own loops and without TLS
            transport.max_size = _READ_BYTES
        super().connection_made(transport)
        self.recv_messages.pause = self._pause_messages
        self.recv_messages.resume = self._resume_messages

    def abort(self) -> None:
        """Drop the connection at once, if it was made."""
        if hasattr(self, "transport"):
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if self._turn is None:
            self._parse_on()

    def eof_received(self) -> None:
        if not self._unread:  # otherwise `connection_lost`, which follows, reports it
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._abort is not None:
            self._abort.cancel()
        self._lost = (exc,)
        if self.protocol.state in (State.CLOSING, State.CLOSED):
            self._unread.clear()  # what follows a Close is of no use
        if self._turn is None and not (self._unread and self._messages_wait):
            self._parse_on()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._schedule_turn()

    def send_data(self) -> None:
        if self._lost is None:
            super().send_data()
        else:
            self.protocol.data_to_send()  # nobody gets it

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self._lost is not None:
            self._unread.clear()
            self._report_loss()
        await super().close(code, reason)

    def _pause_messages(self) -> None:
        self._messages_wait = True

    def _resume_messages(self) -> None:
        self._messages_wait = False
        self._schedule_turn()

    @property
    def _is_waiting(self) -> bool:
        return self._messages_wait or (self.paused and self._lost is None)

    def _schedule_turn(self) -> None:
        if self._turn is None and not self._is_waiting:
            self._turn = self.loop.call_soon(self._parse_on)

    def _parse_on(self) -> None:
        """Parse received data for one turn; then read on, or continue in the loop's next turn."""
        self._turn = None
        until = time.monotonic() + _TURN_S
        while self._unread and not self._is_waiting and time.monotonic() < until:
            part = bytes(self._unread[:_PART_BYTES])
            del self._unread[:_PART_BYTES]
            super().data_received(part)
        if self._abort is None and self.close_deadline is not None and self._lost is None:
            self._abort = self.loop.call_at(self.close_deadline, self.transport.abort)
        if self._lost is not None and not self._unread:
            self._report_loss()
        elif self._unread or self._is_waiting:
            self.transport.pause_reading()
            self._schedule_turn()
        else:
            self.transport.resume_reading()

    def _report_loss(self) -> None:
        if self._lost is not None and not self.connection_lost_waiter.done():
            super().connection_lost(*self._lost)


class WebSocket:
    """One WebSocket, for use on the plane's loop only.

    Args:
        number: its number, chosen by the kernel's side.
        url: ``ws://`` or ``wss://``.
        report: called with `Received` for each frame, and with `SocketState` when the open socket is closed.
        room: awaited after each frame; while it waits, nothing is read, so that TCP slows the server down.
        ca_file: PEM file with more certificate authorities.
    """

    def __init__(
        self,
        number: int,
        url: str,
        report: Callable[[Report], None],
        room: Callable[[], Awaitable[None]] | None = None,
        *,
        ca_file: str | None = None,
    ) -> None:
        self.number = number
        self.url = url
        self._report = report
        self._ca_file = ca_file
        self._room = room
        self._connection: _Connection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()

    async def open(self, timeout_s: float) -> None:
        """Connect; return once the socket is open.

        Raises:
            SocketError: the socket cannot be opened; the sentence says why.
        """
        made: list[_Connection] = []

        def create_connection(*arguments: Any, **settings: Any) -> _Connection:
            made.append(_Connection(*arguments, **settings))
            return made[-1]

        try:
            connection = await websocket(
                self.url,
                ca_file=self._ca_file,
                subprotocols=[Subprotocol("sip")],
                create_connection=create_connection,
                open_timeout=timeout_s,
                ping_interval=_PING_INTERVAL_S,
                ping_timeout=_PING_TIMEOUT_S,
                close_timeout=_CLOSE_TIMEOUT_S,
                max_size=_MAX_FRAME_BYTES,
                compression=None,
            )
            self._connection = cast("_Connection", await connection)
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            raise _explained(self.url, error) from error
        finally:
            for other in made:
                if other is not self._connection:
                    other.abort()  # cancelled, or redirected
        if self._connection.subprotocol != "sip":
            _logger.warning("%s did not accept the subprotocol 'sip'; it is used anyway.", self.url)
        self._reader = asyncio.get_running_loop().create_task(self._read(self._connection))

    async def send(self, text: str) -> float:
        """Send one text frame; frames go out in the order of the calls.

        Returns:
            When it was handed to the system, `time.monotonic()` seconds.

        Raises:
            SocketError: the socket is closed.
        """
        async with self._sending:
            if self._connection is None:
                raise SocketError("ConnectionError", f"The socket to {self.url} is not open.")
            sent_at = time.monotonic()  # before: `send` may wait for room in the buffer
            try:
                await self._connection.send(text)
            except ConnectionClosed as error:
                raise SocketError("ConnectionError", f"The socket to {self.url} is closed.") from error
            return sent_at

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with this code, and wait for the other side's Close for 0.5 s at most.

        If it is cancelled, the connection is dropped at once.
        """
        try:
            if self._connection is not None:
                # `websockets` waits without limit for room in the send buffer: a frozen peer leaves none.
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._connection.close(code, reason)
        except TimeoutError:
            _logger.debug("%s did not close the connection in time; it is dropped.", self.url)
        finally:
            self.abort()
            await self._end_reader()

    async def _end_reader(self) -> None:
        if self._reader is None:
            return
        done, _ = await asyncio.wait([self._reader], timeout=_CLOSE_TIMEOUT_S)
        if not done:  # the receiver of its frames is busy
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._connection is not None:
            self._connection.abort()

    async def _read(self, connection: ClientConnection) -> None:
        try:
            while True:
                frame = await connection.recv()
                self._report(Received(self.number, frame, time.monotonic()))
                if self._room is not None:
                    await self._room()
        except ConnectionClosed as error:
            # The other side's Close, else ours (too big a frame, no pong), else None.
            close = error.rcvd or error.sent
        await connection.wait_closed()
        code, reason = (int(close.code), close.reason) if close is not None else (1006, "")
        self._report(SocketState(self.number, "closed", code, reason, time.monotonic()))


def _explained(url: str, error: Exception) -> SocketError:
    """Return the error as a sentence for users."""
    host = urlsplit(url).hostname or url
    match error:
        case TimeoutError():
            return SocketError("Timeout", f"The signalling server {url} did not answer in time.")
        case socket.gaierror():
            return SocketError(
                "ConnectionError", f"The name {host} of the signalling server cannot be resolved."
            )
        case ConnectionRefusedError():
            return SocketError(
                "ConnectionError",
                f"The signalling server {url} refused the connection: is the server (the lab) running?",
            )
        case ssl.SSLError():
            return SocketError(
                "ConnectionError", f"The TLS connection to {host} failed: {error.reason or error}."
            )
        case InvalidURI() | ValueError():
            return SocketError("ConnectionError", f"{url!r} is not a WebSocket URL (ws:// or wss://).")
        case InvalidStatus():
            status = error.response.status_code
            if 300 <= status < 400:
                return SocketError(
                    "ConnectionError",
                    f"{url} redirects to {error.response.headers.get('Location')}, which is not followed: "
                    "only a redirect to the same host over wss:// is. Use that address if you trust it.",
                )
            return SocketError("ConnectionError", f"{url} is not a SIP WebSocket: it answered HTTP {status}.")
        case InvalidHandshake():
            return SocketError("ConnectionError", f"{url} is not a SIP WebSocket: {error}.")
    return SocketError("ConnectionError", f"The signalling server {url} cannot be reached: {error}.")
