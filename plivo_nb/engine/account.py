"""An account: one registration, its socket and its reconnection.

The SIP core is sans-I/O: this module connects its messages with the I/O plane's WebSocket and its deadlines
with the loop's clock. A lost socket is opened again after 0.5 s, then after 2 s doubling to 20 s, with the
next server each time; a call in progress goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from plivo_nb.engine import causes
from plivo_nb.errors import LoginFailed, MediaError, PlaneDied
from plivo_nb.plane import wire
from plivo_nb.sip import events as sip
from plivo_nb.sip.user_agent import UserAgent, UserAgentConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivo_nb.engine.engine import Engine
    from plivo_nb.engine.log import Log
    from plivo_nb.sip.trace import MessageRecord

_logger = logging.getLogger("plivo_nb.account")

# Back-off of the reconnection: the pause before the first attempt, before the second, and the longest pause.
_FIRST_RETRY_S = 0.5
_RETRY_S = 2.0
_MAX_RETRY_S = 20.0
_GOODBYE_S = 1.0


class Account:
    """One user at one domain, registered through the first server that answers.

    Args:
        engine: its I/O plane carries the socket.
        servers: WebSocket URLs, tried in turn.
        emit: fires an event of the client.
        log: the client's log.
        on_sip_event: called with each event of the SIP core that is about calls, and with its time: when the
            bytes came that caused it.
        on_restored: called when a lost socket is open again and the registration is under way.
        on_message: called with every SIP message sent or received, credentials masked, and with the time
            (`time.monotonic()` seconds) when it came or is sent; returns a number for it.
        on_sent: called with that number, the message, and the time at which the I/O plane sent it.
    """

    def __init__(
        self,
        engine: Engine,
        servers: tuple[str, ...],
        emit: Callable[..., None],
        log: Log,
        *,
        on_sip_event: Callable[[sip.Event, float], None],
        on_restored: Callable[[], None],
        on_message: Callable[[MessageRecord, float], int] = lambda record, at: 0,
        on_sent: Callable[[int, MessageRecord, float], None] = lambda number, record, at: None,
    ) -> None:
        self._engine = engine
        self._servers = servers
        self._next_server = 0
        self._emit = emit
        self._log = log
        self._on_sip_event = on_sip_event
        self._on_restored = on_restored
        self._config = UserAgentConfig()
        self._on_message = on_message
        self._on_sent = on_sent
        self._received_at: float | None = None  # while a frame is processed: when it came
        self._recorded: list[tuple[int, MessageRecord]] = []  # sent messages that are not posted yet
        self._ua = UserAgent(self._config, on_message=self._record)
        self._socket: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._login: asyncio.Future[None] | None = None
        self._logout: asyncio.Future[None] | None = None
        self._reconnecting: asyncio.Task[Any] | None = None
        self._pumping = False
        self._closed = False
        self.username: str | None = None
        self.registered = False
        #: `time.monotonic()` seconds of the last socket and registration: socket_connecting,
        #: socket_connected, register_sent, registered.
        self.timings: dict[str, float] = {}

    @property
    def domain(self) -> str:
        """The domain it registers at."""
        return self._config.domain

    @property
    def uri(self) -> str:
        """The account's own SIP URI."""
        return f"sip:{self.username}@{self._config.domain}"

    @property
    def connected(self) -> bool:
        """True while the signalling socket is open."""
        return self._socket is not None

    # ------------------------------------------------------------ login and logout

    async def login(self, username: str, password: str) -> None:
        """Connect and register with the first server that answers.

        A server that opens the socket and never answers counts as unreachable.

        Raises:
            LoginFailed: with one of the words in `causes`.
        """
        self.username = username
        problems = []
        for _ in self._servers:
            try:
                if not self.connected:
                    await self._open(self._servers[self._next_server % len(self._servers)])
                await self._register(username, password)
            except (MediaError, PlaneDied) as error:
                problems.append(str(error))
            except LoginFailed as error:
                if error.cause != causes.CONNECTION_ERROR or self._closed:
                    raise
                problems.append(str(error))
            else:
                return
            self._next_server += 1
        raise LoginFailed(causes.CONNECTION_ERROR, " ".join(problems))

    async def _register(self, username: str, password: str) -> None:
        self._login = self._engine.loop.create_future()
        self._login.add_done_callback(_retrieve_exception)  # a login that was cancelled waits for it no more
        self.timings["register_sent"] = time.monotonic()
        self._ua.register(username, password, self._now)
        self._pump()
        try:
            await self._login
        finally:
            self._login = None

    async def logout(self) -> None:
        """Un-register and close the socket; a server that does not answer is given 1 s."""
        if self.registered and self.connected:
            self._logout = self._engine.loop.create_future()
            self._ua.unregister(self._now)
            self._pump()
            await asyncio.wait([self._logout], timeout=_GOODBYE_S)
        await self.close()

    def send_goodbye(self) -> None:
        """Un-register, and wait for no answer."""
        if self.registered and self.connected:
            self._ua.unregister(self._now)
            self._pump()

    async def close(self) -> None:
        """Close the socket and stop every timer and task of this account."""
        self._closed = True
        self.registered = False
        if self._login is not None and not self._login.done():
            self._login.set_exception(LoginFailed(causes.CANCELED, "The login was canceled by a logout."))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)
        socket, self._socket = self._socket, None
        if socket is not None:
            self._engine.route_socket(socket, None)
            try:
                await self._engine.ask(wire.CloseSocket, socket=socket, code=1000, reason="logout")
            except (MediaError, PlaneDied) as error:
                _logger.debug("The socket was gone already: %s", error)

    # ------------------------------------------------------------ requests and responses of calls

    def invite(self, target: str, offer: bytes, headers: Sequence[tuple[str, str]]) -> str:
        """Send an INVITE.

        Args:
            target: number or SIP address.
            offer: the SDP.
            headers: more header fields.

        Returns:
            The Call-ID. It is sent, and the first event about it comes, at the loop's next turn: with no
            connection that is already a `CallFailed`.

        Raises:
            ValueError: no SIP URI can be made of the target.
        """
        call = self._ua.invite(target, offer, headers, self._now)
        self._engine.loop.call_soon(self._pump)
        return call

    def ring(self, call: str) -> None:
        """Send 180 Ringing."""
        self._ua.ring(call, self._now)
        self._pump()

    def accept(self, call: str, description: bytes) -> None:
        """Send 200 with our SDP; `Confirmed` follows with the ACK."""
        self._ua.accept(call, description, self._now)
        self._pump()

    def reject(self, call: str, code: int = 486) -> None:
        """Refuse an incoming call with a 3xx-6xx."""
        self._ua.reject(call, self._now, code)
        self._pump()

    def hangup(self, call: str) -> None:
        """Send CANCEL before the answer, BYE after it, 486 for a call that rings here."""
        self._ua.hangup(call, self._now)
        self._pump()

    def info(self, call: str, content_type: str, body: bytes) -> None:
        """Send an INFO in the call (RFC 6086)."""
        self._ua.info(call, content_type, body, self._now)
        self._pump()

    def reinvite(self, call: str, offer: bytes) -> None:
        """Offer a change of the session; `ReinviteAnswered` or `ReinviteFailed` follows."""
        self._ua.reinvite(call, offer, self._now)
        self._pump()

    def accept_reinvite(self, call: str, answer: bytes) -> None:
        """Answer the offer that `ReinviteReceived` brought."""
        self._ua.accept_reinvite(call, answer, self._now)
        self._pump()

    def reject_reinvite(self, call: str, code: int) -> None:
        """Refuse the offer that `ReinviteReceived` brought; the call goes on as it was."""
        self._ua.reject_reinvite(call, code, self._now)
        self._pump()

    # ------------------------------------------------------------ the SIP core: messages, events, deadlines

    @property
    def _now(self) -> float:
        return self._engine.loop.time()

    def _pump(self) -> None:
        """Send the core's messages, handle its events, and set the timer to its next deadline."""
        if self._pumping:
            return  # called by an event's handler: the loop below sends what it queued
        self._pumping = True
        try:
            while True:
                texts, events = self._ua.outgoing(), self._ua.events()
                if not texts and not events:
                    break
                self._post(texts)
                at, self._received_at = self._received_at or time.monotonic(), None
                for event in events:
                    self._handle(event, at)
        finally:
            self._pumping = False
        self._schedule()

    def _record(self, record: MessageRecord) -> None:
        """The SIP core received a message, or put one into its outbox."""
        if record.direction == "in":
            self._on_message(record, self._received_at or time.monotonic())
        else:
            self._recorded.append((self._on_message(record, time.monotonic()), record))

    def _post(self, texts: list[str]) -> None:
        """Send messages; the I/O plane says when their bytes left."""
        # The outbox is cleared when a socket is lost: what is in it now was recorded last.
        recorded, self._recorded = self._recorded[-len(texts) :] if texts else [], []
        for text, (number, record) in zip(texts, recorded, strict=True):
            if self._socket is None:
                continue
            sent = self._engine.post(wire.SendText, socket=self._socket, text=text)
            sent.add_done_callback(partial(self._sent, number, record))

    def _sent(self, number: int, record: MessageRecord, sent: asyncio.Future[float]) -> None:
        if not sent.cancelled() and sent.exception() is None:
            self._on_sent(number, record, sent.result())

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._ua.next_deadline()
        if deadline is not None and not self._closed:
            self._timer = self._engine.loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._ua.advance(self._now)
        self._pump()

    def _handle(self, event: sip.Event, at: float) -> None:
        match event:
            case sip.Registered():
                self.timings.setdefault("registered", at)
                self._on_registered()
            case sip.RegistrationFailed(code=code, reason=reason):
                self._on_registration_failed(code, reason)
            case sip.Unregistered():
                if self._logout is not None and not self._logout.done():
                    self._logout.set_result(None)
            case sip.TransportSilent():
                self._replace_socket("the server does not answer")
            case _:
                try:
                    self._on_sip_event(event, at)
                except Exception:
                    _logger.exception("A SIP event could not be handled: %r", event)

    def _on_registered(self) -> None:
        first = not self.registered
        self.registered = True
        if self._login is not None and not self._login.done():
            self._login.set_result(None)
        elif first:
            self._log.add("registered again")

    def _on_registration_failed(self, code: int | None, reason: str) -> None:
        cause = causes.of_sip(code, "system" if code in (None, 408) else "remote")
        sentence = _login_sentence(cause, code, reason)
        self.registered = False
        if self._login is not None and not self._login.done():
            self._login.set_exception(LoginFailed(cause, sentence))
        elif self._logout is not None and not self._logout.done():
            self._logout.set_result(None)
        elif not self._closed:
            _logger.warning("The registration was lost: %s", sentence)
            self._emit("onLoginFailed", cause)

    # ------------------------------------------------------------ the socket

    async def _open(self, url: str) -> None:
        socket = self._engine.new_id()
        self._engine.route_socket(socket, self._on_report)
        self.timings = {"socket_connecting": time.monotonic()}
        try:
            await self._engine.ask(wire.OpenSocket, socket=socket, url=url)
        except BaseException:
            self._engine.route_socket(socket, None)
            raise
        if self._closed:
            self._engine.route_socket(socket, None)
            self._engine.post(wire.CloseSocket, socket=socket, code=1000, reason="logout")
            raise LoginFailed(causes.CANCELED, "The login was canceled by a logout.")
        self._socket = socket
        self.timings["socket_connected"] = time.monotonic()
        self._log.add("connected", url)
        self._emit("onConnectionChange", {"state": "connected"})
        self._ua.transport_up(self._now)
        self._pump()

    def _on_report(self, report: wire.Report) -> None:
        match report:
            case wire.Received(data=data, at=at):
                self._received_at = at
                self._ua.receive(data, self._now)
                self._pump()
                self._received_at = None
            case wire.SocketState(socket=socket, code=code, reason=reason):
                if socket == self._socket:
                    self._on_socket_lost(code, reason)
            case wire.PlaneDead(sentence=sentence):
                if self._socket is not None:
                    self._on_socket_lost(1006, sentence)

    def _replace_socket(self, reason: str) -> None:
        if self._socket is not None:
            self._engine.post(wire.CloseSocket, socket=self._socket, code=1000, reason=reason)
            self._on_socket_lost(1006, reason)

    def _on_socket_lost(self, code: int, reason: str) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._engine.route_socket(socket, None)
        self._log.add("connection lost", f"{code} {reason}".strip())
        self._ua.transport_down(self._now)
        self._pump()
        if self._login is not None and not self._login.done():
            self._login.set_exception(
                LoginFailed(causes.CONNECTION_ERROR, f"The server closed the connection ({code} {reason}).")
            )
        self._emit("onConnectionChange", {"state": "disconnected", "eventCode": code, "eventReason": reason})
        if not self._closed and self.registered and self._reconnecting is None:
            self._reconnecting = self._engine.spawn(self._reconnect(), "reconnect")

    async def _reconnect(self) -> None:
        pause = _FIRST_RETRY_S
        try:
            while not self.connected:
                await asyncio.sleep(pause)
                pause = _RETRY_S if pause == _FIRST_RETRY_S else min(2 * pause, _MAX_RETRY_S)
                self._next_server += 1
                try:
                    await self._open(self._servers[self._next_server % len(self._servers)])
                except (MediaError, PlaneDied) as error:
                    self._log.add("reconnection failed", str(error))
                else:
                    self._on_restored()
        finally:
            self._reconnecting = None


def _login_sentence(cause: str, code: int | None, reason: str) -> str:
    if cause == causes.AUTHENTICATION_ERROR:
        return "Login failed: the server refused the username or password; check both and log in again."
    if code is None or cause in (causes.REQUEST_TIMEOUT, causes.CONNECTION_ERROR):
        return "Login failed: the server did not answer the registration; check the network and try again."
    return f"Login failed: {cause} (SIP {code}{' ' + reason if reason else ''})."


def _retrieve_exception(future: asyncio.Future[None]) -> None:
    """Mark the exception as seen."""
    if not future.cancelled():
        future.exception()
