"""The user agent: messages and time in, messages and events out; no socket, no clock, no thread.

    agent = UserAgent(UserAgentConfig())
    agent.transport_up(now)                       # the caller opened a WebSocket
    agent.register("alice", "secret", now)
    for text in agent.outgoing(): socket.send(text)
    agent.receive(text, now)                      # each frame that comes
    agent.advance(now)                            # not later than agent.next_deadline()
    for event in agent.events(): ...

`now` is in seconds on any monotonic clock, the same for all calls. After a stall, first call `receive` with
what came meanwhile, then `advance`; otherwise requests that have been answered time out. A method about a
call that is over does nothing: the final event is queued, or was read before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivo_nb.sip.call import CallTable
from plivo_nb.sip.client_request import send_request
from plivo_nb.sip.core import Core, UserAgentConfig
from plivo_nb.sip.digest import Credentials
from plivo_nb.sip.dispatch import Dispatcher
from plivo_nb.sip.events import (
    Answered,
    CallFailed,
    Canceled,
    ChallengeIgnored,
    Confirmed,
    Ended,
    Event,
    InfoAnswered,
    InfoReceived,
    InviteReceived,
    MessageReceived,
    NoAnswer,
    Originator,
    Progress,
    Registered,
    RegistrationFailed,
    ReinviteAnswered,
    ReinviteFailed,
    ReinviteReceived,
    Rejected,
    RequestAnswered,
    RequestFailed,
    ServerFailed,
    Unregistered,
)
from plivo_nb.sip.message import MAX_MESSAGE_BYTES, MalformedMessage, Request, Response, parse
from plivo_nb.sip.registration import Registration, RegistrationState
from plivo_nb.sip.uac import OutgoingCall
from plivo_nb.sip.uas import IncomingCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivo_nb.sip.call import Call
    from plivo_nb.sip.digest import Random
    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.trace import MessageRecord

__all__ = [
    "Answered",
    "CallFailed",
    "Canceled",
    "Census",
    "ChallengeIgnored",
    "Confirmed",
    "Counters",
    "Ended",
    "Event",
    "InfoAnswered",
    "InfoReceived",
    "InviteReceived",
    "MessageReceived",
    "NoAnswer",
    "Originator",
    "Progress",
    "Registered",
    "RegistrationFailed",
    "ReinviteAnswered",
    "ReinviteFailed",
    "ReinviteReceived",
    "Rejected",
    "RequestAnswered",
    "RequestFailed",
    "ServerFailed",
    "Unregistered",
    "UserAgent",
    "UserAgentConfig",
]


@dataclass(slots=True)
class Counters:
    """Counts since the user agent was made."""

    received: int = 0
    sent: int = 0
    malformed: int = 0
    malformed_answered: int = 0
    unmatched_responses: int = 0


@dataclass(frozen=True, slots=True)
class Census:
    """Numbers of present calls, dialogs and transactions; all zero when everything has ended."""

    calls: int
    dialogs: int
    transactions: int


class UserAgent:
    """One SIP endpoint: an account, its registration and its calls.

    Args:
        config: its settings.
        random: a seeded `random.Random` makes it repeatable; by default the system's source.
        on_message: called with the record of each message that is sent or received, secrets masked.
    """

    def __init__(
        self,
        config: UserAgentConfig | None = None,
        *,
        random: Random | None = None,
        on_message: Callable[[MessageRecord], None] | None = None,
    ) -> None:
        self._core = Core(config or UserAgentConfig(), random, on_message)
        self._table = CallTable()
        self._registration = Registration(self._core)
        self._dispatcher = Dispatcher(self._core, self._table)
        self._keepalive: Timer | None = None
        self._heard_at = 0.0
        self._probing = False
        self._core.on_silence = self._probe
        self.counters = Counters()

    # ---- messages and time

    def transport_up(self, now: float, *, secure: bool | None = None) -> None:
        """A socket is open: send the queued messages and register again.

        Args:
            now: the time.
            secure: whether it is a wss:// socket, for Via; None: as before.
        """
        core = self._core
        if secure is not None:
            core.via_transport = "WSS" if secure else "WS"
        if core.connected:
            self.transport_down(now)
        self._connect(now)
        self._registration.transport_up(now)

    def _connect(self, now: float) -> None:
        core = self._core
        core.connected = True
        core.send_queued(now)
        core.layer.transport_restored(now)
        self._heard_at = now
        self._keepalive = core.timers.start(now + core.config.keepalive_s, self._keep_alive)

    def transport_down(self, now: float) -> None:
        """The socket is lost: answered calls continue, pending requests fail, and nothing is sent."""
        if not self._core.connected:
            return
        self._registration.transport_down(now)
        self._disconnect(now)

    def _disconnect(self, now: float) -> None:
        core = self._core
        core.connected = False
        core.stop_silence_timer()
        core.outbox.clear()
        if self._keepalive is not None:
            self._keepalive.cancel()
        for call in list(self._table.by_key.values()):
            call.transport_down(now)
        core.layer.transport_lost(now)

    def candidate_up(self, now: float, *, secure: bool | None = None) -> None:
        """A second socket is open: register over it, while all else goes over the first.

        `candidate_outgoing` gives its messages. `candidate_chosen` ends the trial with `Registered`,
        `candidate_down` after `ServerFailed`, `RegistrationFailed` or the loss of that socket.
        """
        self._core.candidate_outbox = []
        self._registration.transport_up(now, secure=secure)

    def candidate_down(self, now: float) -> None:
        """The second socket is closed without a registration."""
        if self._core.candidate_outbox is not None:
            self._core.candidate_outbox = None
            self._registration.transport_down(now)

    def candidate_chosen(self, now: float, *, secure: bool | None = None) -> None:
        """The second socket has our registration and takes the place of the first, which is to be closed."""
        if secure is not None:
            self._core.via_transport = "WSS" if secure else "WS"
        self._core.candidate_outbox = None
        if self._core.connected:
            self._disconnect(now)
        self._connect(now)

    def candidate_outgoing(self) -> list[str]:
        """Return the messages to send over the second socket, and empty the queue."""
        texts = self._core.candidate_outbox or []
        if texts:
            self._core.candidate_outbox = []
        self.counters.sent += len(texts)
        return texts

    def receive(self, text: str | bytes, now: float) -> None:
        """Take one SIP message from the wire. Whatever it is, nothing is raised.

        Args:
            text: one WebSocket frame; white space only is a keep-alive, and two line breaks are answered with
                one (RFC 5626 section 4.4.1).
            now: when it came.
        """
        self._core.stop_silence_timer()
        self._heard_at = now
        if not text[:MAX_MESSAGE_BYTES].strip():
            if text[:4] in ("\r\n\r\n", b"\r\n\r\n") and self._core.connected:
                self._core.outbox.append("\r\n")
            return
        self.counters.received += 1
        try:
            message = parse(text)
        except MalformedMessage as error:
            self._refuse_malformed(text, error, now)
            return
        self._core.record("in", _as_text(text), message, now)
        if isinstance(message, Request):
            self._dispatcher.request(message, now)
        elif not self._core.layer.receive_response(message, now):
            self.counters.unmatched_responses += 1

    def _refuse_malformed(self, text: str | bytes, error: MalformedMessage, now: float) -> None:
        """Count it, and answer it statelessly if it may be answered (section 8.2.7)."""
        self.counters.malformed += 1
        self._core.record("in", _as_text(text), None, now)
        reply = error.reply(self._core.random_string(10))
        if reply is not None and self._core.connected:
            self.counters.malformed_answered += 1
            self._core.outbox.append(str(reply))
            self._core.record("out", self._core.outbox[-1], reply, now)

    def next_deadline(self) -> float | None:
        """The time by which `advance` must be called; None if no timer is running."""
        return self._core.timers.next_deadline()

    def advance(self, now: float) -> None:
        """Fire all timers that are due."""
        self._core.timers.advance(now)

    def outgoing(self) -> list[str]:
        """Return the messages to send, in order, and empty the queue."""
        texts, self._core.outbox = self._core.outbox, []
        self.counters.sent += len(texts)
        return texts

    def events(self) -> list[Event]:
        """Return the events, in order, and empty the queue."""
        events, self._core.events = self._core.events, []
        return events

    def _keep_alive(self, now: float) -> None:
        """Send an OPTIONS to a silent server; any answer shows that it is reachable."""
        config = self._core.config
        registered = self._registration.state is RegistrationState.REGISTERED
        if registered and now - self._heard_at >= config.keepalive_s:
            self._probe(now)
            self._heard_at = now
        due = max(self._heard_at, now - config.keepalive_s / 2) + config.keepalive_s
        self._keepalive = self._core.timers.start(due, self._keep_alive)

    def _probe(self, now: float) -> None:
        """Ask the server whether it is there; without a response in time it has failed."""
        if self._probing or not self._core.connected:
            return
        uri = f"sip:{self._core.config.domain}"
        request = self._core.complete(self._core.new_request("OPTIONS", uri, uri))
        self._probing = True

        def done(response: Response | None, timed_out: bool, at: float) -> None:
            self._probing = False
            if timed_out:
                self._core.emit(ServerFailed(408, "the server does not answer", silent=True))

        send_request(self._core, request, now, done, limit_s=self._core.config.response_s)

    # ---- what is going on

    @property
    def registered(self) -> bool:
        """Whether the server has a binding of ours that has not run out, as far as we know."""
        return self._registration.expires_at is not None

    @property
    def wanted(self) -> bool:
        """Whether it is to be registered: from `register` to `unregister` or the refusal of the first try."""
        return self._registration.wanted

    @property
    def address(self) -> str:
        """Our own SIP URI."""
        return self._core.address

    @property
    def contact(self) -> str:
        """The URI of our Contact."""
        return self._core.contact_uri

    @property
    def live_calls(self) -> list[str]:
        """The keys of all calls that have not had their final event."""
        return list(self._table.by_key)

    @property
    def calls(self) -> Census:
        """Count the present calls, dialogs and transactions."""
        return Census(len(self._table.by_key), len(self._table.by_dialog), len(self._core.layer))

    # ---- registration

    def register(self, username: str, password: str, now: float) -> None:
        """Register this account and keep it registered; waits for a transport where there is none.

        Raises:
            ValueError: the name has a line break or NUL in it.
        """
        if not username or any(char in username for char in "\r\n\0"):
            raise ValueError("A user name is not empty and has no line break in it.")
        core = self._core
        old = core.credentials
        same = old is not None and (old.username, old.password) == (username, password)
        core.credentials = Credentials(username, password, core.random)
        self._registration.start(now, new_credentials=not same)

    def unregister(self, now: float) -> None:
        """Remove our binding; `Unregistered` follows, at the latest when the request times out."""
        self._registration.stop(now)

    # ---- calls

    def invite(self, target: str, body: bytes, headers: Sequence[tuple[str, str]], now: float) -> str:
        """Start a call.

        Args:
            target: 'echo', '+14155550100', 'bob@host' or a SIP URI.
            body: the SDP offer.
            headers: further header fields, such as X-PH-*.
            now: the time.

        Returns:
            The key of the call in all events and methods: its Call-ID.

        Raises:
            ValueError: no SIP URI can be made of the target, or a header would break the message.
        """
        _check(body)
        call = OutgoingCall(self._core, self._table, self._core.target_uri(target), body, headers)
        call.start(now)
        return call.key

    def _call(self, key: str) -> Call | None:
        return self._table.by_key.get(key)

    def _ringing(self, key: str) -> IncomingCall | None:
        call = self._table.by_key.get(key)
        return call if isinstance(call, IncomingCall) else None

    def ring(self, call: str, now: float) -> None:
        """Send 180 Ringing."""
        if ringing := self._ringing(call):
            ringing.ring(now)

    def accept(self, call: str, body: bytes, now: float) -> None:
        """Answer with 200; `Confirmed` follows with the ACK."""
        _check(body)
        if ringing := self._ringing(call):
            ringing.accept(body, now)

    def reject(self, call: str, now: float, code: int = 486, reason: str | None = None) -> None:
        """Refuse with a 3xx-6xx."""
        if ringing := self._ringing(call):
            ringing.reject(now, code, reason)

    def hangup(self, call: str, now: float) -> None:
        """End a call: CANCEL before the answer, BYE after it, 486 for an incoming call that rings."""
        if known := self._call(call):
            known.hangup(now)

    def info(self, call: str, content_type: str, body: bytes, now: float) -> None:
        """Send an INFO in the call; `InfoAnswered` follows."""
        _check(body)
        if known := self._call(call):
            known.info(content_type, body, now)

    def reinvite(self, call: str, body: bytes, now: float) -> None:
        """Offer a change of the session; `ReinviteAnswered` or `ReinviteFailed` follows."""
        _check(body)
        if known := self._call(call):
            known.reinvite(body, now)

    def accept_reinvite(self, call: str, body: bytes, now: float) -> None:
        """Answer the offer of a `ReinviteReceived`."""
        _check(body)
        if known := self._call(call):
            known.accept_reinvite(body, now)

    def reject_reinvite(self, call: str, code: int, now: float) -> None:
        """Refuse the offer of a `ReinviteReceived`; the session does not change."""
        if known := self._call(call):
            known.reject_reinvite(code, now)

    # ---- requests outside calls

    def message(self, target: str, content_type: str, body: bytes, now: float) -> str:
        """Send a MESSAGE (RFC 3428); `RequestAnswered` or `RequestFailed` follows with the key returned."""
        return self._ask("MESSAGE", target, content_type, body, now)

    def options(self, target: str, now: float) -> str:
        """Send an OPTIONS; `RequestAnswered` or `RequestFailed` follows with the key returned."""
        return self._ask("OPTIONS", target, "", b"", now)

    def _ask(self, method: str, target: str, content_type: str, body: bytes, now: float) -> str:
        _check(body)
        core, uri = self._core, self._core.target_uri(target)
        request = core.new_request(method, uri, uri)
        for route in core.service_route:
            request.headers.echo("Route", route)
        core.complete(request)
        request.body = body
        if content_type:
            request.headers.add("Content-Type", content_type)
        key = request.call_id

        def done(response: Response | None, timed_out: bool, at: float) -> None:
            if response is None:
                core.emit(
                    RequestFailed(key, method, None, "Request Timeout" if timed_out else "Connection Error")
                )
            elif response.status < 300:
                core.emit(RequestAnswered(key, method, response.status, response.content_type, response.body))
            else:
                core.emit(RequestFailed(key, method, response.status, response.reason))

        if core.connected:
            send_request(core, request, now, done)
        else:
            done(None, False, now)
        return key

    def __repr__(self) -> str:
        state = self._registration.state.value
        return f"<UserAgent {self._core.address} {state}, {len(self._table.by_key)} calls>"


def _as_text(data: str | bytes) -> str:
    """The text of a frame for its record, as far as a record may need it."""
    data = data[:MAX_MESSAGE_BYTES]
    return data if isinstance(data, str) else data.decode("utf-8", "replace")


def _check(body: bytes) -> None:
    """Raise ValueError if a body is not UTF-8, since messages are sent as text frames."""
    body.decode("utf-8")
