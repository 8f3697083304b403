"""An account: one registration, its socket and its reconnection.

The SIP core is sans-I/O; here its messages meet the plane's WebSocket and its deadlines meet the loop's
clock. A lost socket is opened again after 0.5 s, then 2 s doubling to 20 s, with the next server each time
(spec.md section 7); a call in progress goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from plivo_nb.engine import causes
from plivo_nb.errors import LoginFailed, MediaError, PlaneDied
from plivo_nb.plane import wire
from plivo_nb.sip import events as sip
from plivo_nb.sip.user_agent import UserAgent, UserAgentConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.engine.engine import Engine
    from plivo_nb.engine.log import Log
    from plivo_nb.sip.trace import Trace, TraceRecord

_logger = logging.getLogger("plivo_nb.account")
_T = TypeVar("_T")

_FIRST_RETRY_S = 0.5
_RETRY_S = 2.0
_MAX_RETRY_S = 20.0
_GOODBYE_S = 1.0


class Account:
    """One user at one domain, registered through the first server that answers.

    Args:
        engine: whose plane carries the socket.
        servers: WebSocket URLs, tried in turn.
        emit: hands an event to the client's listeners.
        log: where what happens is kept.
        on_sip_event: called with each event of the SIP core that is about calls or messages.
        on_restored: called when a lost socket is back and registration is under way.
        on_message: gets every SIP message that goes or comes, masked.
    """

    def __init__(
        self,
        engine: Engine,
        servers: tuple[str, ...],
        emit: Callable[..., None],
        log: Log,
        *,
        on_sip_event: Callable[[sip.Event], None],
        on_restored: Callable[[], None],
        on_message: Callable[[TraceRecord], None] | None = None,
        config: UserAgentConfig | None = None,
    ) -> None:
        self._engine = engine
        self._servers = servers
        self._next_server = 0
        self._emit = emit
        self._log = log
        self._on_sip_event = on_sip_event
        self._on_restored = on_restored
        self._config = config or UserAgentConfig()
        self._ua = UserAgent(self._config)
        self._ua.trace.on_record = on_message
        self._socket: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._login: asyncio.Future[None] | None = None
        self._logout: asyncio.Future[None] | None = None
        self._reconnecting: asyncio.Task[Any] | None = None
        self._pumping = False
        self._closed = False
        self.username: str | None = None
        self.registered = False

    @property
    def domain(self) -> str:
        """The domain it registers at."""
        return self._config.domain

    @property
    def uri(self) -> str:
        """The account's own SIP URI."""
        return f"sip:{self.username}@{self._config.domain}"

    @property
    def trace(self) -> Trace:
        """The SIP messages sent and received, credentials masked."""
        return self._ua.trace

    @property
    def connected(self) -> bool:
        """True while the signalling socket is open."""
        return self._socket is not None

    # ------------------------------------------------------------ in and out

    async def login(self, username: str, password: str) -> None:
        """Connect and register with the first server that answers; one that takes the socket and then says
        nothing counts as away too.

        Raises:
            LoginFailed: with the SDK's word for the cause.
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
        self.drive(lambda ua, now: ua.register(username, password, now))
        try:
            await self._login
        finally:
            self._login = None

    async def logout(self) -> None:
        """Un-register and close the socket; a server that does not answer is not waited for long."""
        if self.registered and self.connected:
            self._logout = self._engine.loop.create_future()
            self.drive(lambda ua, now: ua.unregister(now))
            await asyncio.wait([self._logout], timeout=_GOODBYE_S)
        await self.close()

    async def close(self) -> None:
        """Close the socket and stop every timer and task of this account."""
        self._closed = True
        self.registered = False
        if self._login is not None and not self._login.done():
            self._login.set_exception(LoginFailed(causes.CANCELED, "The login was given up."))
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

    # ------------------------------------------------------------ the SIP core's pump

    def drive(self, action: Callable[[UserAgent, float], _T]) -> _T:
        """Run `action(user_agent, now)` and send what comes of it."""
        result = action(self._ua, self._engine.loop.time())
        self._pump()
        return result

    def _pump(self) -> None:
        """Send what the core wants sent, hand out its events, and wake it at its next deadline."""
        if self._pumping:
            return  # an event's handler asked for more: the loop below takes it up
        self._pumping = True
        try:
            while True:
                texts, events = self._ua.outgoing(), self._ua.events()
                if not texts and not events:
                    break
                for text in texts:
                    if self._socket is not None:
                        self._engine.post(wire.SendText, socket=self._socket, text=text)
                for event in events:
                    self._handle(event)
        finally:
            self._pumping = False
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._ua.next_deadline()
        if deadline is not None and not self._closed:
            self._timer = self._engine.loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.drive(lambda ua, now: ua.advance(now))

    def _handle(self, event: sip.Event) -> None:
        match event:
            case sip.Registered():
                self._on_registered()
            case sip.RegistrationFailed(code=code, reason=reason):
                self._on_registration_failed(code, reason)
            case sip.Unregistered():
                if self._logout is not None and not self._logout.done():
                    self._logout.set_result(None)
            case sip.TransportSilent():
                self._drop_socket("the server does not answer")
            case _:
                try:
                    self._on_sip_event(event)
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
        try:
            await self._engine.ask(wire.OpenSocket, socket=socket, url=url)
        except BaseException:
            self._engine.route_socket(socket, None)
            raise
        if self._closed:
            self._engine.route_socket(socket, None)
            self._engine.post(wire.CloseSocket, socket=socket, code=1000, reason="logout")
            raise LoginFailed(causes.CANCELED, "The login was given up.")
        self._socket = socket
        self._log.add("connected", url)
        self._emit("onConnectionChange", {"state": "connected"})
        self.drive(lambda ua, now: ua.transport_up(now))

    def _on_report(self, report: wire.Report) -> None:
        match report:
            case wire.Received(text=text):
                self.drive(lambda ua, now: ua.receive(text, now))
            case wire.SocketState(socket=socket, code=code, reason=reason):
                if socket == self._socket:
                    self._lost(code, reason)
            case wire.PlaneDead(sentence=sentence):
                if self._socket is not None:
                    self._lost(1006, sentence)

    def _drop_socket(self, reason: str) -> None:
        if self._socket is not None:
            self._engine.post(wire.CloseSocket, socket=self._socket, code=1000, reason=reason)
            self._lost(1006, reason)

    def _lost(self, code: int, reason: str) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._engine.route_socket(socket, None)
        self._log.add("connection lost", f"{code} {reason}".strip())
        self.drive(lambda ua, now: ua.transport_down(now))
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
