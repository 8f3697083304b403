"""An account: one registration, its socket and its reconnection.

The SIP core is sans-I/O: this module connects its messages with the I/O plane's WebSocket and its deadlines
with the loop's clock. From the login to the logout the account wants to be registered: when its socket is
lost, or its server cannot serve it, it goes to the next server after 0.5 s, then after 2 s doubling to 20 s.
A call in progress goes on meanwhile, over the old socket while that is open.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from plivo_nb.engine import causes
from plivo_nb.errors import LoginFailed, MediaError, PlaneDied
from plivo_nb.plane import wire
from plivo_nb.sip import events as sip
from plivo_nb.sip.user_agent import UserAgent, UserAgentConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from plivo_nb.engine.engine import Engine
    from plivo_nb.engine.log import Log
    from plivo_nb.sip.trace import MessageRecord

_logger = logging.getLogger("plivo_nb.account")

# Back-off of the reconnection: the pause before the first attempt, before the second, and the longest pause.
_FIRST_RETRY_S = 0.5
_RETRY_S = 2.0
_MAX_RETRY_S = 20.0
_RETRY_SPREAD = 0.2  # each pause is up to this share shorter or longer, so that clients do not come together
_MAX_RETRY_AFTER_S = 60.0
_GOODBYE_S = 1.0


class _ServerUnusable(Exception):
    """A server cannot be reached or does not register us now; `cause` is a word of `causes`."""

    def __init__(self, cause: str, sentence: str) -> None:
        super().__init__(sentence)
        self.cause = cause


class Account:
    """One user at one domain, registered through the first server that answers.

    Args:
        engine: its I/O plane carries the socket.
        servers: WebSocket URLs, tried in turn.
        emit: fires an event of the client.
        log: the client's log.
        on_sip_event: called with each event of the SIP core that is about calls, and with its time: when the
            bytes came that caused it.
        on_restored: called when it is registered again over a new socket.
        realms, follow_redirects: as of `UserAgentConfig`.
        ca_file: PEM file with more certificate authorities, for wss:// servers.
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
        realms: tuple[str, ...] = (),
        follow_redirects: bool = False,
        ca_file: str | None = None,
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
        self._ca_file = ca_file
        self._config = UserAgentConfig(realms=realms, follow_redirects=follow_redirects)
        self._on_message = on_message
        self._on_sent = on_sent
        self._received_at: float | None = None  # while a frame is processed: when it came
        self._recorded: list[tuple[int, MessageRecord]] = []  # sent messages that are not posted yet
        self._ua = UserAgent(self._config, on_message=self._record)
        self._socket: int | None = None
        self._candidate: int | None = None  # a second socket, while it is tried
        self._urls: dict[int, str] = {}  # of these sockets
        self._barred_until: dict[str, float] = {}  # by Retry-After
        self._timer: asyncio.TimerHandle | None = None
        self._outcome: asyncio.Future[None] | None = None  # of the present attempt to register
        self._logged_in = False  # the login has succeeded
        self._announced = False  # the user believes that we are registered
        self._needs_server = False
        self._told_connected = False  # the last onConnectionChange
        self._logout: asyncio.Future[None] | None = None
        self._reconnecting: asyncio.Task[Any] | None = None
        self._attempt_at: float | None = None  # loop's time of the attempt that is due or under way
        self._pumping = False
        self._closed = False
        self.username: str | None = None
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

    @property
    def registered(self) -> bool:
        """True while the server has a registration of ours that has not run out."""
        return not self._closed and self._ua.registered

    @property
    def reconnect_in_s(self) -> float | None:
        """Seconds to the next attempt to register; 0 while one is under way, None where none is due."""
        if self._closed or self._attempt_at is None:
            return None
        return max(0.0, self._attempt_at - self._now)

    async def _pause(self, seconds: float) -> None:
        """Wait before an attempt to register."""
        self._attempt_at = self._now + seconds
        await asyncio.sleep(seconds)

    # ------------------------------------------------------------ login and logout

    async def login(self, username: str, password: str) -> None:
        """Connect and register with the first server that answers.

        A server that opens the socket and never answers counts as unreachable.

        Raises:
            LoginFailed: with one of the words in `causes`.
        """
        self.username = username
        self._ua.register(username, password, self._now)
        pauses, problems, cause = _pauses(), [], causes.CONNECTION_ERROR
        self._attempt_at = self._now
        try:
            for number in range(len(self._servers)):
                if number:
                    await self._pause(next(pauses))
                try:
                    await self._attempt(self._choose_server())
                except _ServerUnusable as error:
                    problems.append(str(error))
                    cause = error.cause
                else:
                    self._logged_in = True
                    return
        finally:
            self._attempt_at = None
        raise LoginFailed(cause, " ".join(problems))

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
        self._fail_attempt(LoginFailed(causes.CANCELED, "The login was canceled by a logout."))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)
        sockets, self._socket, self._candidate = (self._socket, self._candidate), None, None
        for socket in sockets:
            if socket is not None:
                await self._close_at_logout(socket)

    async def _close_at_logout(self, socket: int) -> None:
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
                trial = self._ua.candidate_outgoing()
                if not texts and not trial and not events:
                    break
                self._post(texts, trial)
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

    def _post(self, texts: list[str], trial: list[str]) -> None:
        """Send messages, `trial` to the second socket; the I/O plane says when their bytes left."""
        recorded, self._recorded = self._recorded, []
        registers = [entry for entry in recorded if trial and entry[1].start.startswith("REGISTER")]
        others = [entry for entry in recorded if entry not in registers]
        self._post_to(self._socket, texts, others)
        self._post_to(self._candidate, trial, registers)

    def _post_to(
        self, socket: int | None, texts: list[str], recorded: list[tuple[int, MessageRecord]]
    ) -> None:
        # The outbox is cleared when a socket is lost: what is in it now was recorded last.
        count = sum(1 for text in texts if text.strip())
        latest = iter(recorded[-count:] if count else [])
        for text in texts:
            # The answer to a keep-alive of the server is a line break, which is no message (RFC 5626 4.4.1).
            entry = next(latest) if text.strip() else None
            if socket is None:
                continue
            sent = self._engine.post(wire.SendText, socket=socket, text=text)
            if entry is not None:
                sent.add_done_callback(partial(self._sent, *entry))

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
            case sip.Registered(refreshed=refreshed):
                self.timings.setdefault("registered", at)
                self._on_registered(refreshed=refreshed)
            case sip.RegistrationFailed():
                self._on_registration_failed(event)
            case sip.ServerFailed():
                self._on_server_failed(event)
            case sip.ChallengeIgnored():
                _logger.warning(_challenge_sentence(event))
            case sip.Unregistered():
                if self._logout is not None and not self._logout.done():
                    self._logout.set_result(None)
            case _:
                try:
                    self._on_sip_event(event, at)
                except Exception:
                    _logger.exception("A SIP event could not be handled: %r", event)

    def _on_registered(self, *, refreshed: bool) -> None:
        if self._candidate is not None:
            self._move_to_candidate(self._candidate)
        self._needs_server = False
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result(None)
            if self._logged_in:
                self._log.add("registered again")
        self._announced = True
        if self._logged_in and not refreshed:
            self._emit("onLogin")

    def _on_registration_failed(self, event: sip.RegistrationFailed) -> None:
        cause = _cause_of(event.code)
        sentence = _login_sentence(cause, event.code, event.reason)
        if event.refused:
            self._needs_server = False
            self._fail_attempt(LoginFailed(cause, sentence))
        if self._logout is not None and not self._logout.done():
            self._logout.set_result(None)
        elif self._announced and self._logged_in and not self._closed:
            self._announced = False
            _logger.warning("The registration was lost: %s", sentence)
            self._emit("onLoginFailed", cause)

    def _on_server_failed(self, event: sip.ServerFailed) -> None:
        socket = self._socket if self._candidate is None else self._candidate
        url = "the server" if socket is None else self._urls[socket]
        if event.retry_after_s:
            self._barred_until[url] = self._now + min(event.retry_after_s, _MAX_RETRY_AFTER_S)
        problem = f"{url} does not register us: {event.reason}{f' (SIP {event.code})' if event.code else ''}."
        if not self._fail_attempt(_ServerUnusable(_cause_of(event.code), problem)) and self._logged_in:
            self._log.add("server failed", problem)
            self._needs_server = True
            if not self._ua.live_calls:
                self._drop_socket(event.reason)
            elif event.silent:
                self._tell_disconnected(1006, event.reason)
            self._start_reconnecting()

    def _fail_attempt(self, error: Exception) -> bool:
        """End the present attempt to register; False if there is none."""
        if self._outcome is None or self._outcome.done():
            return False
        self._outcome.set_exception(error)
        return True

    # ------------------------------------------------------------ the socket

    def _choose_server(self) -> str:
        """The next server that is not barred; where all are, the one that is soonest not."""
        count = len(self._servers)
        order = [self._servers[(self._next_server + turn) % count] for turn in range(count)]
        url = min(order, key=self._barred_for)
        self._next_server = (self._servers.index(url) + 1) % count
        return url

    def _barred_for(self, url: str) -> float:
        return max(0.0, self._barred_until.get(url, 0.0) - self._now)

    async def _attempt(self, url: str) -> None:
        """Open a socket to a server and register over it.

        Raises:
            _ServerUnusable: another server may take us.
            LoginFailed: we are refused, or logged out meanwhile.
        """
        if self._closed:
            raise LoginFailed(causes.CANCELED, "The login was canceled by a logout.")
        outcome = self._outcome = self._engine.loop.create_future()
        outcome.add_done_callback(_retrieve)
        try:
            socket = await self._open(url)
            try:
                await outcome
            except (_ServerUnusable, LoginFailed, asyncio.CancelledError) as error:
                if socket == self._candidate or isinstance(error, _ServerUnusable):
                    self._give_up(socket, str(error))
                raise
        except (MediaError, PlaneDied) as error:
            raise _ServerUnusable(causes.CONNECTION_ERROR, str(error)) from error
        finally:
            self._outcome = None

    def _give_up(self, socket: int, reason: str) -> None:
        """Close the socket of an attempt that failed; a call keeps the only one that it has."""
        if socket == self._candidate:
            self._candidate = None
            self._ua.candidate_down(self._now)
            self._close_socket(socket, reason)
            self._pump()
        elif socket == self._socket and not self._ua.live_calls:
            self._drop_socket(reason)

    async def _open(self, url: str) -> int:
        socket = self._engine.new_id()
        self._engine.route_socket(socket, self._on_report)
        self.timings = {"socket_connecting": time.monotonic()}
        try:
            await self._engine.ask(wire.OpenSocket, socket=socket, url=url, ca_file=self._ca_file)
        except BaseException as error:
            self._engine.route_socket(socket, None)
            if isinstance(error, asyncio.CancelledError) and self._engine.plane_runs:
                self._close_socket(socket, "canceled")  # the plane may still be opening it
            raise
        self._urls[socket] = url
        if self._closed:
            self._close_socket(socket, "logout")
            raise LoginFailed(causes.CANCELED, "The login was canceled by a logout.")
        self.timings["socket_connected"] = self.timings["register_sent"] = time.monotonic()
        secure = url.lower().startswith("wss:")
        if self._socket is None:
            self._socket = socket
            self._tell_connected(url)
            self._ua.transport_up(self._now, secure=secure)
        else:
            self._candidate = socket
            self._ua.candidate_up(self._now, secure=secure)
        self._pump()
        return socket

    def _move_to_candidate(self, socket: int) -> None:
        """The second socket has our registration: it takes the place of the first."""
        before, self._socket, self._candidate = self._socket, socket, None
        url = self._urls[socket]
        if before is not None:
            self._tell_disconnected(1000, "moved to another server")
            self._close_socket(before, "moved to another server")
        self._tell_connected(url)
        self._ua.candidate_chosen(self._now, secure=url.lower().startswith("wss:"))

    def _tell_connected(self, url: str) -> None:
        self._log.add("connected", url)
        self._told_connected = True
        self._emit("onConnectionChange", {"state": "connected"})

    def _tell_disconnected(self, code: int, reason: str) -> None:
        if self._told_connected:
            self._told_connected = False
            change = {"state": "disconnected", "eventCode": code, "eventReason": reason}
            self._emit("onConnectionChange", change)

    def _close_socket(self, socket: int, reason: str) -> None:
        self._urls.pop(socket, None)
        self._engine.route_socket(socket, None)
        self._engine.post(wire.CloseSocket, socket=socket, code=1000, reason=_close_reason(reason))

    def _on_report(self, report: wire.Report) -> None:
        match report:
            case wire.Received(data=data, at=at):
                self._received_at = at
                self._ua.receive(data, self._now)
                self._pump()
                self._received_at = None
            case wire.SocketState(socket=socket, code=code, reason=reason):
                self._on_socket_closed(socket, code, reason)
            case wire.PlaneDead(sentence=sentence):
                for used in (self._candidate, self._socket):
                    self._on_socket_closed(used, 1006, sentence)

    def _on_socket_closed(self, socket: int | None, code: int, reason: str) -> None:
        if socket is None:
            return
        if socket == self._socket:
            self._on_socket_lost(code, reason)
        elif socket == self._candidate:
            self._fail_attempt(_ServerUnusable(causes.CONNECTION_ERROR, _closed_sentence(code, reason)))

    def _drop_socket(self, reason: str) -> None:
        if self._socket is not None:
            socket = self._socket
            self._on_socket_lost(1006, reason)
            self._close_socket(socket, reason)

    def _on_socket_lost(self, code: int, reason: str) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._urls.pop(socket, None)
            self._engine.route_socket(socket, None)
        self._log.add("connection lost", f"{code} {reason}".strip())
        self._ua.transport_down(self._now)
        self._pump()
        if self._candidate is None:
            self._fail_attempt(_ServerUnusable(causes.CONNECTION_ERROR, _closed_sentence(code, reason)))
        self._tell_disconnected(code, reason)
        if self._logged_in:
            self._needs_server = True
            self._start_reconnecting()

    def _start_reconnecting(self) -> None:
        if not self._closed and self._ua.wanted and self._reconnecting is None:
            self._reconnecting = self._engine.spawn(self._reconnect(), "reconnect")

    async def _reconnect(self) -> None:
        """Go to the next server until one has registered us."""
        pauses = _pauses()
        try:
            while self._needs_server and self._ua.wanted and not self._closed:
                await self._pause(max(next(pauses), min(map(self._barred_for, self._servers))))
                try:
                    await self._attempt(self._choose_server())
                except _ServerUnusable as error:
                    self._log.add("reconnection failed", str(error))
                except LoginFailed:
                    continue  # the user was told of it; a lost connection starts another attempt
                else:
                    self._on_restored()
        finally:
            self._reconnecting = self._attempt_at = None


def _pauses() -> Iterator[float]:
    """The pauses, in seconds, before each attempt to connect again."""
    pause_s, following_s = _FIRST_RETRY_S, _RETRY_S
    while True:
        yield pause_s * random.uniform(1 - _RETRY_SPREAD, 1 + _RETRY_SPREAD)
        pause_s, following_s = following_s, min(2 * following_s, _MAX_RETRY_S)


def _retrieve(outcome: asyncio.Future[None]) -> None:
    """Mark the exception as retrieved: an attempt may end before it waits."""
    if not outcome.cancelled():
        outcome.exception()


def _close_reason(reason: str) -> str:
    """At most 123 bytes, as a Close frame takes them (RFC 6455 section 5.5)."""
    return reason.encode()[:120].decode("utf-8", "ignore")


def _closed_sentence(code: int, reason: str) -> str:
    return f"The server closed the connection ({f'{code} {reason}'.strip()})."


def _cause_of(code: int | None) -> str:
    return causes.of_sip(code, "system" if code in (None, 408) else "remote")


def _login_sentence(cause: str, code: int | None, reason: str) -> str:
    if cause == causes.AUTHENTICATION_ERROR:
        return "Login failed: the server refused the username or password; check both and log in again."
    if code is None or cause in (causes.REQUEST_TIMEOUT, causes.CONNECTION_ERROR):
        return "Login failed: the server did not answer the registration; check the network and try again."
    return f"Login failed: {cause} (SIP {code}{' ' + reason if reason else ''})."


def _challenge_sentence(event: sip.ChallengeIgnored) -> str:
    realm = repr(event.realm[:80])
    return (
        f"The {event.status} to our {event.method} asks for the password in the realm {realm} and was not "
        "answered: after a call has begun, only a 407 in a known realm is. If the realm is your provider's, "
        f"name it in the option realms: realms=[{realm}]."
    )
