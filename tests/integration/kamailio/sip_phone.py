"""A phone without media: the package's own SIP core on a plain `websockets` socket, made to be scripted.

It proves the core against Kamailio message by message, and plays the other party where a test needs one
that does what a `plivo_nb.Client` never would (hold, several rounds of offers, silence).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

import websockets
from kamailio_rig import password as password_of

from plivo_nb.sip import events as ua
from plivo_nb.sip.trace import MessageRecord
from plivo_nb.sip.user_agent import UserAgent, UserAgentConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_E = TypeVar("_E")

# The core does not look into bodies; these are what an offer and an answer look like to a proxy.
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
    b"c=IN IP4 127.0.0.1\r\na=sendrecv\r\n"
)
HOLD = SDP.replace(b"sendrecv", b"sendonly")
HELD = SDP.replace(b"sendrecv", b"recvonly")


class SipPhone:
    """One registered user on one WebSocket.

    Args:
        url: of the server.
        user: whose password is the rig's.
        password: another one.
        settings: of `UserAgentConfig`.
    """

    def __init__(self, url: str, user: str, *, password: str | None = None, **settings: Any) -> None:
        self.url = url
        self.user = user
        self.password = password or password_of(user)
        self.records: list[MessageRecord] = []
        self.agent = UserAgent(UserAgentConfig(**settings), on_message=self.records.append)
        self.seen: list[Any] = []  # every event, in order
        self.sent: list[str] = []
        self.received: list[str] = []
        self._cursor = 0
        self._happened = asyncio.Event()
        self._wake = asyncio.Event()
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._socket: Any = None

    async def connect(self) -> None:
        """Open the WebSocket and start the pump."""
        self._socket = await websockets.connect(
            self.url,
            subprotocols=[websockets.Subprotocol("sip")],
            ping_interval=None,
        )
        self.do(self.agent.transport_up)
        pumps = (self._read(self._socket), self._write(self._socket), self._run_timers())
        self._tasks = [asyncio.create_task(pump) for pump in pumps]

    async def disconnect(self) -> None:
        """Stop the pump and close the WebSocket; the user agent keeps its state."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        self._socket = None

    def drop(self) -> None:
        """Lose the TCP connection, with no WebSocket close: what a dead network looks like to the server."""
        self._socket.transport.abort()

    async def register(self) -> Any:
        """Register and give the `Registered` event; a failure is an assertion error."""
        self.do(self.agent.register, self.user, self.password)
        event = await self.expect(ua.Registered, ua.RegistrationFailed)
        assert isinstance(event, ua.Registered), event
        return event

    def do(self, action: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a method of the agent with the time as its last positional argument; send what comes of it."""
        result = action(*arguments, time.monotonic(), **named)
        self._pump()
        return result

    def invite(self, target: str, body: bytes = SDP, headers: tuple[tuple[str, str], ...] = ()) -> str:
        """Call `target`; gives the call's key."""
        return str(self.do(self.agent.invite, target, body, list(headers)))

    async def expect(self, *kinds: type[_E], timeout_s: float = 8.0, call: str | None = None) -> _E:
        """The next event of one of these kinds (about that call); what lies before it is passed over."""
        deadline = time.monotonic() + timeout_s
        while True:
            while self._cursor < len(self.seen):
                event = self.seen[self._cursor]
                self._cursor += 1
                if isinstance(event, kinds) and (call is None or event.call == call):  # type: ignore[attr-defined]
                    return event
            self._happened.clear()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self._happened.wait()
            except TimeoutError:
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise AssertionError(
                    f"{self.user} saw no {wanted} in {timeout_s} s, only {self.seen}"
                ) from None

    async def send(self, text: str) -> None:
        """Send a message that is not the agent's."""
        await self._socket.send(text)

    def requests(self, method: str, received: bool = True) -> list[str]:
        """The requests of that method received (or sent) so far."""
        return [text for text in (self.received if received else self.sent) if text.startswith(f"{method} ")]

    def _pump(self) -> None:
        for text in self.agent.outgoing():
            self.sent.append(text)
            self._outbox.put_nowait(text)
        for event in self.agent.events():
            self.seen.append(event)
            self._happened.set()
        self._wake.set()

    async def _write(self, sock: Any) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await sock.send(await self._outbox.get())

    async def _read(self, sock: Any) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in sock:
                text = message if isinstance(message, str) else message.decode()
                self.received.append(text)
                self.do(self.agent.receive, text)
        self.do(self.agent.transport_down)

    async def _run_timers(self) -> None:
        while True:
            self._wake.clear()
            deadline = self.agent.next_deadline()
            delay = None if deadline is None else max(0.0, deadline - time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):  # wait_for of Python 3.11 may swallow a cancellation
                    await self._wake.wait()
            deadline = self.agent.next_deadline()
            if deadline is not None and deadline <= time.monotonic():
                self.do(self.agent.advance)


@contextlib.asynccontextmanager
async def phones(*specs: tuple[str, str], **settings: Any) -> AsyncIterator[list[SipPhone]]:
    """Registered phones, one for each (url, user)."""
    made = [SipPhone(url, user, **settings) for url, user in specs]
    try:
        await asyncio.gather(*(phone.connect() for phone in made))
        await asyncio.gather(*(phone.register() for phone in made))
        yield made
    finally:
        await asyncio.gather(*(phone.disconnect() for phone in made))
