"""Calls between real clients over a real switch, with sockets and media simulated in memory.

The clients, their engine and the SIP core are the package's own, and so is the lab's switch. Only the I/O
plane is replaced: what it would carry over sockets goes through a queue, whose pace a seed decides, so that
messages cross each other in every way they can.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from random import Random
from typing import Any

from plivo_nb.client import Client
from plivo_nb.engine.account import Account
from plivo_nb.engine.call_session import CallSession, Identity
from plivo_nb.engine.engine import Engine
from plivo_nb.engine.log import Log
from plivo_nb.events import Direction
from plivo_nb.lab.sip.switch import Switch
from plivo_nb.plane import wire
from plivo_nb.sip import events as sip

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n"
    "c=IN IP4 127.0.0.1\r\na=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host\r\n"
)
ACCOUNTS = {name: f"{name}-secret" for name in ("alice", "bob", "carol")}


class MemoryPlane:
    """Answers commands as the plane does, and passes SIP messages to a switch and back."""

    alive = True

    def __init__(self, engine: MemoryEngine, random: Random) -> None:
        self._engine = engine
        self._random = random
        self._switch = Switch(dict(ACCOUNTS), 5066, random=Random(1))
        self._up: deque[wire.Report] = deque()
        self._down: deque[tuple[int, str]] = deque()
        self._running = False
        self.unsaid: str | None = None  # a header field that this server does not know
        self.unusable = False  # whether descriptions are refused
        self.refusal: tuple[str, str] | None = None  # a status line to replace, and what by

    def _as_told(self, text: str) -> str:
        lines = text.split("\r\n")
        if self.refusal is not None and lines[0] == self.refusal[0]:
            lines[0] = self.refusal[1]
        return "\r\n".join(line for line in lines if not (self.unsaid and line.startswith(self.unsaid)))

    def post(self, command: wire.Command) -> None:
        value: Any = None
        match command:
            case wire.OpenSocket(socket=socket):
                self._switch.connected(socket, "127.0.0.1", 40_000 + socket)
            case wire.CloseSocket(socket=socket):
                self._switch.disconnected(socket, self._engine.loop.time())
            case wire.SendText(socket=socket, text=text):
                value = time.monotonic()
                self._down.append((socket, text))
            case wire.CreateOffer() | wire.CreateAnswer():
                value = SDP
        if self.unusable and isinstance(command, wire.SetRemote):
            self._up.append(wire.Failed(command.id, "IncompatibleSDP", "Nothing in common."))
        else:
            self._up.append(wire.Ok(command.id, value))
        self._run()

    def _run(self) -> None:
        if not self._running:
            self._running = True
            self._engine.loop.call_soon(self._turn)

    def _turn(self) -> None:
        """A few messages of each way, or none."""
        for _ in range(self._random.randint(0, 3)):
            if self._down:
                socket, text = self._down.popleft()
                self._switch.receive(socket, text, self._engine.loop.time())
        for socket, text in self._switch.outgoing():
            self._up.append(wire.Received(socket, self._as_told(text), time.monotonic()))
        self._switch.events()
        for _ in range(self._random.randint(0, 3)):
            if self._up:
                self._engine._reports([self._up.popleft()])
        self._running = False
        if self._up or self._down:
            self._run()

    async def aclose(self, timeout_s: float) -> None:
        self.alive = False

    def stop(self, timeout_s: float) -> None:
        self.alive = False


class MemoryEngine(Engine):
    """An engine on a plane in memory."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.memory_plane = MemoryPlane(self, Random(seed))

    def _running_plane(self) -> Any:
        return self.memory_plane


async def turns(count: int) -> None:
    """Let the loop run so many iterations."""
    for _ in range(count):
        await asyncio.sleep(0)


async def client_of(engine: MemoryEngine, name: str, **options: Any) -> Client:
    """A client that is logged in."""
    client = Client(engine=engine, sound="none", enableTracking=False, keepAudio=0, debug="OFF", **options)
    await client.login(name, ACCOUNTS[name])
    return client


# ---------------------------------------------------------------- sessions without a wire


class SessionHarness:
    """Call sessions of a real engine and a real account that is not connected.

    What the SIP core and the I/O plane would report is said by the test. Subclasses let what they test
    follow each session.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self.events: list[tuple[Any, ...]] = []
        self.sessions: list[CallSession] = []
        self.account = Account(
            self.engine,
            (),
            self.emit,
            Log(),
            on_sip_event=lambda event, at: None,
            on_restored=lambda: None,
        )

    def emit(self, *event: object) -> None:
        self.events.append(event)

    def fired(self, name: str) -> list[Any]:
        """The first argument of each event of that name."""
        return [arguments[0] for event, *arguments in self.events if event == name]

    def follow(self, session: CallSession) -> None:
        """Called with each new session."""

    def call(self, direction: Direction = "OUTGOING") -> CallSession:
        """A new call between alice, who is here, and bob."""
        own = "sip:alice@phone.plivo.com"
        parties = (own, "bob") if direction == "OUTGOING" else ("bob", own)
        session = CallSession(
            self.engine,
            wire.SessionConfig(),
            self.account,
            self.emit,
            identity=Identity(direction, *parties, {}),
            on_sample=lambda session, row: None,
            on_over=lambda session: None,
        )
        self.follow(session)
        self.sessions.append(session)
        return session

    async def close(self) -> None:
        for session in self.sessions:
            session.abandon()
        await asyncio.sleep(0)
        await self.account.close()


def dialled(session: CallSession) -> CallSession:
    """As `CallSession.dial` leaves it once the INVITE is sent, without media."""
    session._apply("dial")
    session.identity.key = "call-id-1"
    session._apply("invite sent")
    return session


def offered(session: CallSession) -> CallSession:
    """As an INVITE leaves it."""
    session.on_offered(
        sip.InviteReceived("call-id-1", "bob@x", "sip:bob@x", "", "sip:alice@x", [], b"", "x-1"),
        time.monotonic(),
    )
    return session


def rings(session: CallSession) -> None:
    """A 180 comes."""
    session.on_progress(sip.Progress("call-id-1", 180, "Ringing", b"", [], "x-1"), time.monotonic())


def answered(session: CallSession) -> CallSession:
    """A 2xx comes, and the media session takes its SDP."""
    if session.state == "calling":
        rings(session)
    session._apply("answered")
    session._on_connected()
    return session
