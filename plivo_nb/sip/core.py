"""What all parts of one user agent share: identity, credentials, timers, transactions, the transport."""

from __future__ import annotations

import random
import uuid
from collections import deque
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import quote

from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.timers import Timers
from plivo_nb.sip.trace import record_of
from plivo_nb.sip.transaction import MAGIC_COOKIE, TIMEOUT, TransactionLayer
from plivo_nb.sip.values import check_request_uri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivo_nb.sip.digest import Credentials, Random
    from plivo_nb.sip.events import Event
    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.trace import Direction, MessageRecord
    from plivo_nb.sip.transaction import ServerTransaction

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "MESSAGE", "NOTIFY", "UPDATE")
EXTENSIONS = ("outbound", "path", "timer")
PRODUCT = f"plivo-nb/{version('plivo-nb')}"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_USER_SAFE = "-_.!~*()&=+$,;/"  # characters that the user part of a SIP URI needs no escape for
_MAX_QUEUED = 100
_NOT_WATCHED = ("", "ACK", "REGISTER", "OPTIONS")  # responses; ACK; those with a time limit of their own


@dataclass(frozen=True, slots=True)
class UserAgentConfig:
    """The settings of a user agent.

    Args:
        domain: domain of the registrar, and of targets that are given without one.
        expires_s: requested duration of a registration, in seconds.
        no_answer_timeout_s: seconds after which an incoming call is answered with 408.
        ring_timeout_s: seconds after which an unanswered outgoing call is canceled.
        keepalive_s: seconds without a message from the server after which an OPTIONS is sent to it.
        silence_s: seconds that a request of a call may wait for any message from the server before an OPTIONS
            is sent to it.
        response_s: seconds that a REGISTER, or an OPTIONS to the server, may wait for its final response
            before `ServerFailed`.
        realms: realms whose challenges are answered also during a call, besides the domain's and those that
            the server has used.
        follow_redirects: whether a 3xx to another host or scheme is followed.
        max_calls: maximum number of simultaneous calls; further incoming calls are answered with 486.
    """

    domain: str = "phone.plivo.com"
    expires_s: int = 120
    no_answer_timeout_s: float = 60.0
    ring_timeout_s: float = 180.0
    keepalive_s: float = 30.0
    silence_s: float = 4.0
    response_s: float = 4.0
    realms: tuple[str, ...] = ()
    follow_redirects: bool = False
    max_calls: int = 64


class Core:
    """The shared state. All messages leave through `send`, all events through `emit`."""

    def __init__(
        self,
        config: UserAgentConfig,
        randomness: Random | None,
        on_message: Callable[[MessageRecord], None] | None,
    ) -> None:
        self.config = config
        self.random: Random = random.SystemRandom() if randomness is None else randomness
        self.timers = Timers()
        self.layer: TransactionLayer = TransactionLayer(self.timers, self.send)
        self.credentials: Credentials | None = None
        self.connected = False
        self.known_realms = {config.domain, *config.realms}
        self.on_silence: Callable[[float], None] = lambda now: None
        self.outbox: list[str] = []
        self.candidate_outbox: list[str] | None = None  # a list while a second connection is tried
        self.events: list[Event] = []
        self.service_route: list[str] = []
        self.via_transport = "WS"
        self._on_message = on_message
        self._silence: Timer | None = None
        self._queued: deque[tuple[float, Request | Response]] = deque(maxlen=_MAX_QUEUED)
        self._sent_by = f"{self.random_string(12)}.invalid"  # RFC 7118 section 5.2
        self.contact_uri = f"sip:{self.random_string(8)}@{self._sent_by};transport=ws"
        self.instance_id = f"urn:uuid:{uuid.UUID(int=self.random.getrandbits(128), version=4)}"

    # ---- names

    def random_string(self, length: int) -> str:
        """Random lower-case letters and digits."""
        number = self.random.getrandbits(6 * length)
        letters = []
        for _ in range(length):
            number, index = divmod(number, 36)
            letters.append(_ALPHABET[index])
        return "".join(letters)

    @property
    def address(self) -> str:
        """The address of record; its user is ``anonymous`` before the first registration."""
        if self.credentials is None:
            return f"sip:anonymous@{self.config.domain}"
        user = quote(self.credentials.username, safe=_USER_SAFE + "'?")
        return f"sip:{user}@{self.config.domain}"

    def target_uri(self, target: str) -> str:
        """Return the SIP URI for a target: 'echo', '+1415…', 'bob@host' or a complete URI.

        Raises:
            ValueError: the target is not one of these.
        """
        text = target.strip()
        if not text.lower().startswith(("sip:", "sips:", "tel:")):
            user, at, host = text.rpartition("@") if "@" in text else (text, "@", self.config.domain)
            if user[:1] == "+" or (user[:1].isascii() and user[:1].isdigit()):
                user = user.translate({ord(char): None for char in " -().\u00a0"})
            text = f"sip:{quote(user, safe=_USER_SAFE + '%')}{at}{host}"
        parse_uri(text)
        return check_request_uri(text)

    # ---- requests

    def new_request(self, method: str, uri: str, to: str) -> Request:
        """Start a request outside a dialog: To, From with a new tag, Call-ID, CSeq (section 8.1.1)."""
        request = Request(method, uri)
        request.headers.add("To", f"<{to}>")
        request.headers.add("From", f"<{self.address}>;tag={self.random_string(10)}")
        request.headers.add("Call-ID", self.random_string(22))
        request.headers.add("CSeq", f"{1 + self.random.getrandbits(13)} {method}")
        return request

    def complete(self, request: Request, *, contact: str | None = None) -> Request:
        """Add the fields that all requests have: Max-Forwards, Via with a new branch, Allow, Supported."""
        headers = request.headers
        headers.add_first("Max-Forwards", "69")
        headers.add_first("Via", self.new_via())
        if contact is not None:
            headers.add("Contact", contact)
        self.add_capabilities(request)
        headers.add("User-Agent", PRODUCT)
        return request

    def new_via(self, transport: str | None = None) -> str:
        """Return a Via value with a new branch. `transport`: WS or WSS; None: that of the connection."""
        protocol = f"SIP/2.0/{transport or self.via_transport}"
        return f"{protocol} {self._sent_by};branch={MAGIC_COOKIE}{self.random_string(16)}"

    @property
    def dialog_contact(self) -> str:
        """Our Contact in dialogs; ``ob``: send requests over this connection (RFC 5626 section 4.3)."""
        return f"<{self.contact_uri};ob>"

    # ---- responses

    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        to_tag: str | None = None,
    ) -> None:
        """Answer a request; where neither its To nor `to_tag` gives a tag, a new one is made."""
        tag = None if status == 100 else to_tag or transaction.tag or self.random_string(10)
        response = Response.to_request(transaction.request, status, reason, to_tag=tag)
        for name, value in headers:
            response.headers.add(name, value)
        transaction.respond(response, now)

    def add_capabilities(self, message: Request | Response) -> None:
        """Add Allow and Supported."""
        message.headers.add("Allow", ",".join(METHODS))
        message.headers.add("Supported", ",".join(EXTENSIONS))

    # ---- the transport

    def send(self, message: Request | Response, now: float) -> None:
        """Put a message into the outbox, or queue it for the next connection while there is none."""
        registering = isinstance(message, Request) and message.method == "REGISTER"
        if not self.connected and not (registering and self.candidate_outbox is not None):
            if _may_be_queued(message):
                self._queued.append((now + TIMEOUT, message))
            return
        text = str(message)
        method = message.method if isinstance(message, Request) else ""
        if method not in _NOT_WATCHED and self._silence is None:
            self._start_silence_timer(now)
        if method == "REGISTER" and self.candidate_outbox is not None:
            self.candidate_outbox.append(text)
        else:
            self.outbox.append(text)
        self.record("out", text, message, now)

    def send_queued(self, now: float) -> None:
        """Send the messages that waited for a connection and are not older than 64 T1."""
        queued, self._queued = self._queued, deque(maxlen=_MAX_QUEUED)
        for expires_at, message in queued:
            if now < expires_at:
                self.send(message, now)

    def record(self, direction: Direction, text: str, message: Request | Response | None, now: float) -> None:
        """Report a message that was sent or received; `message` is None where it is malformed."""
        if self._on_message is not None:
            self._on_message(record_of(direction, text, message, now))

    def _start_silence_timer(self, now: float) -> None:
        at = now + self.config.silence_s

        def silent(now: float) -> None:
            self._silence = None
            if now > at + 1.0:  # the application was blocked: what the server sent may not be read yet
                self._start_silence_timer(now)
            else:
                self.on_silence(now)

        self._silence = self.timers.start(at, silent)

    def stop_silence_timer(self) -> None:
        """Stop waiting for the server: it sent something, or the connection is lost."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def emit(self, event: Event) -> None:
        """Put an event into the queue that `UserAgent.events` drains."""
        self.events.append(event)


def _may_be_queued(message: Request | Response) -> bool:
    """Whether a message may be sent over a later connection: ACKs and most responses.

    A refusal of an INVITE is sent again by its transaction; the users of other requests are told that there
    is no connection.
    """
    if isinstance(message, Request):
        return message.method == "ACK"
    return message.status < 300 or message.cseq.method != "INVITE"
