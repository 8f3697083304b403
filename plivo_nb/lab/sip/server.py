"""The switch's server: SIP over WebSocket (RFC 7118), and an HTML page at /.

It passes frames and the time to `Switch` and sends what the switch returns. One writer task per socket keeps
the order. A client that does not read is disconnected, so that it does not block the others.
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

from plivo_nb.lab.listening import LOOPBACK, Listening

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plivo_nb.lab.faults import Faults
    from plivo_nb.lab.sip.records import SwitchEvent
    from plivo_nb.lab.sip.switch import Switch

_logger = logging.getLogger("plivo_nb.lab.sip.server")

_MAX_FRAME_BYTES = 256 * 1024
_READ_BYTES = 4 * 1024  # at once: the frames in it are parsed without a pause
_MAX_UNSENT = 2_000
_MAX_UNSENT_BYTES = 16 * 1024 * 1024
_TURN_S = 0.01
_TICK_S = 5.0
_ABNORMAL = 1006
_MAX_AWAY_S = 600.0
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class _Socket:
    """A client's socket and what waits to be sent; `unsent` and `unsent_bytes` count delayed messages too."""

    connection: ServerConnection
    waiting: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    unsent: int = 0
    unsent_bytes: int = 0

    def reserve(self, text: str) -> bool:
        """Count a message that is to be sent; False: too much waits already."""
        if self.unsent >= _MAX_UNSENT or self.unsent_bytes + len(text) > _MAX_UNSENT_BYTES:
            return False
        self.unsent += 1
        self.unsent_bytes += len(text)
        return True

    async def send_waiting(self) -> None:
        """Send messages in order, until cancelled or closed."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                text = await self.waiting.get()
                await self.connection.send(text)
                self.unsent -= 1
                self.unsent_bytes -= len(text)


class SipServer:
    """The WebSocket server of a switch.

    Args:
        make_switch: makes the switch for a port.
        on_event: called with each event of the switch.
        faults: the state of the faults.
        metrics: gives the text of the page ``/metrics``.
        listening: where to listen.
    """

    def __init__(
        self,
        make_switch: Callable[[int], Switch],
        on_event: Callable[[SwitchEvent], None],
        faults: Faults,
        metrics: Callable[[], Awaitable[str]],
        listening: Listening = LOOPBACK,
    ) -> None:
        self._listening = listening
        self._metrics = metrics
        self._make_switch = make_switch
        self._faults = faults
        self._on_event = on_event
        self._servers: list[Server | None] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._sockets: dict[int, _Socket] = {}
        self._numbers = itertools.count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._switch: Switch | None = None
        self.ports: list[int] = []

    @property
    def switch(self) -> Switch:
        """The switch; it exists after `start`."""
        assert self._switch is not None
        return self._switch

    async def start(self, port: int) -> int:
        """Listen.

        Args:
            port: the port (0 = any free port).

        Returns:
            The port.

        Raises:
            OSError: the port cannot be used.
        """
        number = await self._add_server(port)
        self._switch = self._make_switch(number)
        return number

    async def listen_also(self, port: int = 0) -> int:
        """Listen on one more port for the same switch, for failover; returns the port."""
        number = await self._add_server(port)
        self.switch.also_at(number)
        return number

    async def stop_server(self, index: int) -> None:
        """Stop one of the servers and close its sockets.

        Raises:
            ValueError: there is no server with this index.
        """
        self._check_index(index)
        server, self._servers[index] = self._servers[index], None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def start_server(self, index: int) -> None:
        """Start a stopped server again, at its old address.

        Raises:
            ValueError: there is no server with this index.
        """
        self._check_index(index)
        if self._servers[index] is None:
            self._servers[index] = await self._listen(self.ports[index])

    async def restart(self, away_s: float = 0.0) -> None:
        """Close all sockets and discard registrations and dialogs, as a restarted server does.

        Args:
            away_s: how long the server does not listen, in seconds (0 to 600).

        Raises:
            ValueError: the time is out of range.
        """
        if not 0 <= away_s <= _MAX_AWAY_S:
            raise ValueError(f"restart needs away_s from 0 to {_MAX_AWAY_S:g} seconds, not {away_s!r}.")
        for index in range(len(self._servers)):
            await self.stop_server(index)
        self._switch = self._make_switch(self.ports[0])
        for port in self.ports[1:]:
            self._switch.also_at(port)
        await asyncio.sleep(away_s)
        for index in range(len(self._servers)):
            await self.start_server(index)

    async def close(self) -> None:
        """Stop listening and close all sockets."""
        if self._timer is not None:
            self._timer.cancel()
        for index in range(len(self._servers)):
            await self.stop_server(index)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def pump(self) -> None:
        """Send the switch's messages, report its events, and restart the timer."""
        for number, text in self.switch.outgoing():
            if self._faults.silent:
                continue
            socket = self._sockets.get(number)
            if socket is not None:
                self._send(socket, self._faults.alter(text), self._faults.delay_s)
        for event in self.switch.events():
            self._on_event(event)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.switch.next_deadline()
        now = self._loop.time()
        self._timer = self._loop.call_at(min(deadline or now + _TICK_S, now + _TICK_S), self._tick)

    def disconnect(self, user: str | None, code: int = 1012, reason: str = "") -> int:
        """Close the sockets of a user, or all of them.

        Args:
            user: the user; None = all users.
            code: the close code; 1006 = cut the connection without a close frame.
            reason: the text that is sent with the code.

        Returns:
            The number of sockets.
        """
        sockets = self._sockets_of(user)
        for socket in sockets:
            if code == _ABNORMAL:
                socket.connection.transport.abort()
                continue
            task = self._loop.create_task(socket.connection.close(code, reason))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return len(sockets)

    def send_raw(self, user: str, text: str) -> int:
        """Send any text to the sockets of a user.

        Returns:
            The number of sockets.
        """
        sockets = self._sockets_of(user)
        for socket in sockets:
            self._send(socket, text)
        return len(sockets)

    def _sockets_of(self, user: str | None) -> list[_Socket]:
        if user is None:
            return list(self._sockets.values())
        bindings = self.switch.registrar.bindings(user, self._loop.time())
        numbers = {binding.socket for binding in bindings}
        return [self._sockets[number] for number in numbers if number in self._sockets]

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self._servers):
            raise ValueError(
                f"There is no server {index!r}; the lab has {len(self._servers)}, numbered from 0."
            )

    async def _add_server(self, port: int) -> int:
        server = await self._listen(port)
        self._servers.append(server)
        number = int(next(iter(server.sockets)).getsockname()[1])
        self.ports.append(number)
        return number

    async def _listen(self, port: int) -> Server:
        return await serve(
            self._serve_socket,
            self._listening.address,
            port,
            ssl=self._listening.tls,
            subprotocols=[Subprotocol("sip")],
            process_request=self._process_request,
            compression=None,
            max_size=_MAX_FRAME_BYTES,
            close_timeout=1,
        )

    async def _process_request(
        self, connection: ServerConnection, request: HttpRequest
    ) -> HttpResponse | None:
        refusal = self._listening.refuse_others(connection, request)
        if refusal is not None or "Upgrade" in request.headers:
            return refusal
        match request.path.partition("?")[0]:
            case "/":
                text, kind = (
                    _PAGE.format(url=self._listening.websocket_url(self.ports[0])),
                    "text/html; charset=utf-8",
                )
            case "/metrics":
                text, kind = await self._metrics(), _METRICS_TYPE
            case _:
                sentence = "Not found; the pages are / and /metrics.\n"
                return connection.respond(http.HTTPStatus.NOT_FOUND, sentence)
        body = text.encode("utf-8")
        headers = Headers(
            [
                ("Content-Type", kind),
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
        if hasattr(connection.transport, "max_size"):
            connection.transport.max_size = _READ_BYTES
        switch = self.switch
        switch.connected(number, host, port)
        writer = self._loop.create_task(socket.send_waiting(), name=f"lab socket {number}")
        try:
            turn_ends = self._loop.time() + _TURN_S
            async for frame in connection:
                switch.receive(number, frame, self._loop.time())
                self.pump()
                if self._loop.time() >= turn_ends:  # let others have their turn
                    await asyncio.sleep(0)
                    turn_ends = self._loop.time() + _TURN_S
        except ConnectionClosed:
            pass
        finally:
            del self._sockets[number]
            writer.cancel()
            switch.disconnected(number, self._loop.time())
            self.pump()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    def _send(self, socket: _Socket, text: str, delay_s: float = 0.0) -> None:
        if not socket.reserve(text):
            _logger.warning("The socket of %s is closed: the client does not read.", _address(socket))
            socket.connection.transport.abort()
        elif delay_s:
            self._loop.call_later(delay_s, socket.waiting.put_nowait, text)
        else:
            socket.waiting.put_nowait(text)

    def _tick(self) -> None:
        self._timer = None
        self.switch.advance(self._loop.time())
        self.pump()


def _address(socket: _Socket) -> str:
    host, port = socket.connection.remote_address[:2]
    return f"{host}:{port}"


# The page at /.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>plivo-nb lab</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 40em; margin: 3em auto; padding: 0 1em }}
pre {{ background: whitesmoke; padding: 1em; overflow: auto }}</style>
<h1>An embedded Plivo, for learning</h1>
<p>This is the lab of <code>plivo-nb</code>: a SIP switch with robots to call.
By default it is reachable from this machine only.</p>
<p>From a notebook:</p>
<pre>client = Client(registrationDomainSocket=["{url}"], loopbackCandidates=True)
await client.login("alice", lab.password("alice"))
call = await client.call("echo")</pre>
<p>From Plivo's Browser SDK, in a page on this machine:</p>
<pre>const plivo = new Plivo({{ registrationDomainSocket: ["{url}"] }});
plivo.client.login("bob", password);</pre>
<p>By default the accounts are alice, bob and carol; <code>lab.password("bob")</code> gives the password.
The robots and the network's knobs are described in <code>help(plivo_nb.lab.Lab)</code>.</p>
</html>
"""
