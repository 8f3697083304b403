"""The switch's sockets: SIP over WebSocket (RFC 7118) on 127.0.0.1, and a page that says what this is.

A thin shell: it feeds frames and time to `Switch` and sends what comes out. One writer task a socket keeps
the order; who does not read is disconnected, so that nobody holds up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import itertools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response as HttpResponse
from websockets.typing import Subprotocol

from plivo_nb.lab.page import PAGE
from plivo_nb.lab.switch import HOST, Switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.lab.calls import SwitchEvent

_logger = logging.getLogger("plivo_nb.lab.server")

_MAX_FRAME_BYTES = 256 * 1024
_MAX_WAITING = 2_000
_TICK_S = 5.0


@dataclass(slots=True)
class _Socket:
    connection: ServerConnection
    waiting: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(_MAX_WAITING))


class SipServer:
    """Serves one switch.

    Args:
        make_switch: makes the switch when the port is known.
        on_event: takes what the switch says has happened.
    """

    def __init__(self, make_switch: Callable[[int], Switch], on_event: Callable[[SwitchEvent], None]) -> None:
        self._make_switch = make_switch
        self._on_event = on_event
        self._servers: list[Server] = []
        self._sockets: dict[int, _Socket] = {}
        self._numbers = itertools.count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._switch: Switch | None = None
        self.ports: list[int] = []

    @property
    def switch(self) -> Switch:
        """The switch that is served, once `start` has been awaited."""
        assert self._switch is not None
        return self._switch

    async def start(self, port: int) -> int:
        """Listen.

        Args:
            port: 0 for a free one.

        Returns:
            The port.

        Raises:
            OSError: the port is taken.
        """
        number = await self._listen(port)
        self._switch = self._make_switch(number)
        return number

    async def listen_also(self, port: int = 0) -> int:
        """Listen on another port for the same switch: a second server to fail over to."""
        number = await self._listen(port)
        self.switch.also_at(number)
        return number

    async def close(self) -> None:
        """Close all sockets and stop listening."""
        if self._timer is not None:
            self._timer.cancel()
        for server in self._servers:
            server.close()
        for server in self._servers:
            await server.wait_closed()

    def pump(self) -> None:
        """Send what the switch has to send, hand out its events, and set the timer anew."""
        for number, text in self.switch.outgoing():
            self._enqueue(number, text)
        for event in self.switch.events():
            self._on_event(event)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.switch.next_deadline()
        now = self._loop.time()
        self._timer = self._loop.call_at(min(deadline or now + _TICK_S, now + _TICK_S), self._tick)

    def disconnect(self, user: str | None, code: int = 1012, reason: str = "") -> int:
        """Close the sockets of a user, or all of them.

        Returns:
            How many.
        """
        bindings = self.switch.registrar.all_bindings(self._loop.time())
        numbers = [b.socket for b in bindings if b.user == user] if user is not None else list(self._sockets)
        for number in set(numbers):
            socket = self._sockets.get(number)
            if socket is not None:
                self._loop.create_task(socket.connection.close(code, reason))
        return len(set(numbers))

    async def _listen(self, port: int) -> int:
        server = await serve(
            self._serve_socket,
            HOST,
            port,
            subprotocols=[Subprotocol("sip")],
            process_request=self._process_request,
            compression=None,
            max_size=_MAX_FRAME_BYTES,
            close_timeout=1,
        )
        self._servers.append(server)
        number = int(next(iter(server.sockets)).getsockname()[1])
        self.ports.append(number)
        return number

    async def _process_request(
        self, connection: ServerConnection, request: HttpRequest
    ) -> HttpResponse | None:
        if "Upgrade" in request.headers:
            return None
        if request.path.partition("?")[0] != "/":
            return connection.respond(http.HTTPStatus.NOT_FOUND, "There is only / here.\n")
        body = PAGE.format(url=f"ws://{HOST}:{self.ports[0]}").encode("utf-8")
        headers = Headers(
            [
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
            ]
        )
        return HttpResponse(200, "OK", headers, body)

    async def _serve_socket(self, connection: ServerConnection) -> None:
        number = next(self._numbers)
        host, port = connection.remote_address[:2]
        socket = _Socket(connection)
        self._sockets[number] = socket
        self.switch.connected(number, host, port)
        writer = self._loop.create_task(self._write(socket), name=f"lab socket {number}")
        try:
            async for frame in connection:
                self.switch.receive(number, frame, self._loop.time())
                self.pump()
        except ConnectionClosed:
            pass
        finally:
            del self._sockets[number]
            writer.cancel()
            self.switch.disconnected(number, self._loop.time())
            self.pump()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def _write(self, socket: _Socket) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.connection.send(await socket.waiting.get())

    def _enqueue(self, number: int, text: str) -> None:
        socket = self._sockets.get(number)
        if socket is None:
            return
        try:
            socket.waiting.put_nowait(text)
        except asyncio.QueueFull:
            _logger.warning("Socket %d does not read what it is sent and is closed.", number)
            socket.connection.transport.abort()

    def _tick(self) -> None:
        self._timer = None
        self.switch.advance(self._loop.time())
        self.pump()
