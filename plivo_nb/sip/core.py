"""What all parts of one user agent share: identity, credentials, timers, transactions, the wire."""

from __future__ import annotations

import random
import uuid
from collections import deque
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import quote

from plivo_nb.sip.events import TransportSilent
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.timers import Timers
from plivo_nb.sip.trace import Trace
from plivo_nb.sip.transaction import MAGIC_COOKIE, TIMEOUT
from plivo_nb.sip.transaction_layer import TransactionLayer
from plivo_nb.sip.values import parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivo_nb.sip.call import Call
    from plivo_nb.sip.dialog import DialogId
    from plivo_nb.sip.digest import Credentials, Random
    from plivo_nb.sip.events import Event
    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.transaction import ServerTransaction

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "MESSAGE", "NOTIFY", "UPDATE")
EXTENSIONS = ("outbound", "path", "timer")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_PARKED = 100
_REMEMBERED_KEYS = 1000


@dataclass(frozen=True, slots=True)
class UserAgentConfig:
    """How a user agent behaves. Names left None are made at random.

    Args:
        domain: the registrar's domain; also of targets given without one.
        product: the User-Agent header.
        expires_s: how long a registration is asked for.
        instance_id: the ``urn:uuid:`` of RFC 5626, the same for all registrations of one phone.
        contact_user: user part of the Contact.
        via_host: host of Via and Contact, ending in ``.invalid`` (RFC 7118).
        via_transport: WS, or WSS where the socket is encrypted.
        no_answer_timeout_s: an incoming call is answered 408 after it.
        ring_timeout_s: an outgoing call is given up after it.
        keepalive_s: after so long without a word from the server it is sent an OPTIONS.
        silence_s: a server that says nothing for so long, while a request waits, is reported as silent.
        max_calls: live calls; one more that comes in gets 486.
        trace_records: how many messages the trace keeps.
    """

    domain: str = "phone.plivo.com"
    product: str = f"plivo-nb/{version('plivo-nb')}"
    expires_s: int = 120
    instance_id: str | None = None
    contact_user: str | None = None
    via_host: str | None = None
    via_transport: str = "WS"
    no_answer_timeout_s: float = 60.0
    ring_timeout_s: float = 180.0
    keepalive_s: float = 30.0
    silence_s: float = 8.0
    max_calls: int = 64
    trace_records: int = 10_000


class Core:
    """The shared part. `send` is the only way to the wire, `emit` the only way to the user."""

    def __init__(self, config: UserAgentConfig, randomness: Random | None) -> None:
        self.config = config
        self.random: Random = random.SystemRandom() if randomness is None else randomness
        self.timers = Timers()
        self.layer: TransactionLayer = TransactionLayer(self.timers, self.send)
        self.trace = Trace(config.trace_records)
        self.credentials: Credentials | None = None
        self.up = False
        self.outbox: list[str] = []
        self.events: list[Event] = []
        self.calls: dict[str, Call] = {}
        self.dialogs: dict[DialogId, Call] = {}
        self._used_keys: dict[str, None] = {}
        self.service_route: list[str] = []
        self._silence: Timer | None = None
        self._parked: deque[tuple[float, Request | Response]] = deque(maxlen=_PARKED)
        host = config.via_host or f"{self.token(12)}.invalid"
        self._sent_by = host
        self.via_transport = config.via_transport
        self.contact_uri = f"sip:{config.contact_user or self.token(8)}@{host};transport=ws"
        self.instance_id = (
            config.instance_id or f"urn:uuid:{uuid.UUID(int=self.random.getrandbits(128), version=4)}"
        )

    # ---- randomness and names

    def token(self, length: int) -> str:
        """Random small letters and digits."""
        number = self.random.getrandbits(6 * length)
        letters = []
        for _ in range(length):
            number, index = divmod(number, 36)
            letters.append(_ALPHABET[index])
        return "".join(letters)

    @property
    def address(self) -> str:
        """Our own SIP URI; ``anonymous`` before a registration was asked for."""
        user = (
            "anonymous"
            if self.credentials is None
            else quote(self.credentials.username, safe="-_.!~*'()&=+$,;?/")
        )
        return f"sip:{user}@{self.config.domain}"

    def target_uri(self, target: str) -> str:
        """Make a SIP URI of what a person dials: 'echo', '+1415…', 'bob@host' or a whole URI.

        Raises:
            ValueError: nothing can be made of it.
        """
        text = target.strip()
        if not text.lower().startswith(("sip:", "sips:", "tel:")):
            user, at, host = text.rpartition("@") if "@" in text else (text, "@", self.config.domain)
            if user[:1] == "+" or user[:1].isdigit():
                user = user.translate({ord(char): None for char in " -().\u00a0"})
            text = f"sip:{quote(user, safe='-_.!~*()&=+$,;/%')}{at}{host}"
        parse_uri(text)
        return text

    def fresh_key(self, call_id: str) -> str:
        """A key for a call: its Call-ID, made different where that names another call, now or lately."""
        key = call_id
        while key in self.calls or key in self._used_keys:
            key = f"{call_id};{self.token(6)}"
        self._used_keys[key] = None
        if len(self._used_keys) > _REMEMBERED_KEYS:
            del self._used_keys[next(iter(self._used_keys))]
        return key

    # ---- building requests

    def begin(self, method: str, uri: str, to: str) -> Request:
        """A request outside dialogs: To, From with a fresh tag, Call-ID, CSeq (section 8.1.1)."""
        request = Request(method, uri)
        request.headers.add("To", f"<{to}>")
        request.headers.add("From", f"<{self.address}>;tag={self.token(10)}")
        request.headers.add("Call-ID", self.token(22))
        request.headers.add("CSeq", f"{1 + self.random.getrandbits(13)} {method}")
        return request

    def finish(self, request: Request, *, contact: str | None = None) -> Request:
        """Add what every request of ours has: Max-Forwards, Via with a fresh branch, Allow, Supported."""
        headers = request.headers
        headers.add_first("Max-Forwards", "69")
        headers.add_first("Via", self.fresh_via())
        if contact is not None:
            headers.add("Contact", contact)
        self.describe(request)
        headers.add("User-Agent", self.config.product)
        return request

    def fresh_via(self) -> str:
        """A Via of ours with a branch never used before."""
        return f"SIP/2.0/{self.via_transport} {self._sent_by};branch={MAGIC_COOKIE}{self.token(16)}"

    @property
    def dialog_contact(self) -> str:
        """Our Contact in dialogs; ``ob``: requests take this connection (RFC 5626 section 4.3)."""
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
    ) -> Response:
        """Answer a request; a tag is made for To where the request has none and `to_tag` gives none."""
        tag = None if status == 100 else to_tag or transaction.tag or self.token(10)
        response = Response.to_request(transaction.request, status, reason, to_tag=tag)
        for name, value in headers:
            response.headers.add(name, value)
        transaction.respond(response, now)
        return response

    def describe(self, message: Request | Response) -> None:
        """Say what we can do."""
        message.headers.add("Allow", ",".join(METHODS))
        message.headers.add("Supported", ",".join(EXTENSIONS))

    # ---- the wire

    def send(self, message: Request | Response, now: float) -> None:
        """Queue a message for the wire, or park it for the next connection while there is none."""
        if not self.up:
            if _may_wait(message):
                self._parked.append((now + TIMEOUT, message))
            return
        text = str(message)
        if isinstance(message, Request) and message.method != "ACK" and self._silence is None:
            self._watch_silence(now, now)
        self.outbox.append(text)
        self.trace.add(now, "out", text, message)

    def unpark(self, now: float) -> None:
        """Send what waited for a connection and is not too old by now."""
        parked, self._parked = self._parked, deque(maxlen=_PARKED)
        for expires_at, message in parked:
            if now < expires_at:
                self.send(message, now)

    def _watch_silence(self, since: float, now: float) -> None:
        at = now + self.config.silence_s

        def silent(now: float) -> None:
            self._silence = None
            if now > at + 1.0:  # it was our own caller that slept, not the server: listen once more
                self._watch_silence(since, now)
            else:
                self.emit(TransportSilent(now - since))

        self._silence = self.timers.start(at, silent)

    def heard(self) -> None:
        """The server said something, or there is none: nothing is waited for."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def emit(self, event: Event) -> None:
        """Queue an event for the user."""
        self.events.append(event)


def _may_wait(message: Request | Response) -> bool:
    """Whether a message is worth sending on a later connection: ACKs and responses.

    Refusals of an INVITE are repeated by their transaction; other requests are told that there is no
    connection.
    """
    if isinstance(message, Request):
        return message.method == "ACK"
    return message.status < 300 or message.cseq.method != "INVITE"
