"""The lab's switch: it does what Plivo's edge does for a browser's softphone. Sans-I/O.

    receive --> REGISTER             registrar.py
            --> INVITE without tag   challenge, find the callee, fork; for a robot's number, emit RouteWanted
            --> CANCEL, ACK          the transaction, or the dialog
            --> with a To tag        along the dialog, by the Route that Record-Route made
            --> OPTIONS, MESSAGE to admin    the pings of Plivo's browser SDK

Sockets are numbers that the caller chooses. `outgoing` returns the messages to send, `events` what happened.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any
from uuid import UUID

from plivo_nb.lab.config import DOMAIN, HOST
from plivo_nb.lab.faults import Faults
from plivo_nb.lab.sip.addressing import Addressing, user_of
from plivo_nb.lab.sip.flows import Flows
from plivo_nb.lab.sip.proxy import REQUEST_TIMEOUT_S, RING_TIMEOUT_S, Proxy
from plivo_nb.lab.sip.records import (
    Call,
    Happened,
    Leg,
    Media,
    RouteWanted,
    SwitchEvent,
    Transaction,
    TransactionKey,
)
from plivo_nb.lab.sip.registrar import Registrar
from plivo_nb.sip.message import MalformedMessage, Request, Response, parse
from plivo_nb.sip.values import Via

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ADMIN = "admin"
_METHODS = "INVITE, ACK, CANCEL, BYE, INFO, MESSAGE, OPTIONS, REGISTER, UPDATE, PRACK"
_EVENTS = 10_000
_RETRY_AFTER_S = 10  # of a call that is refused because of overload


@dataclass(frozen=True, slots=True)
class Peer:
    """The address of the other end of a socket."""

    host: str
    port: int


class Switch:
    """Registrar and proxy of one lab.

    Args:
        accounts: user names and passwords; not copied, so that accounts may be added.
        port: the port of the server, for Via and Record-Route.
        media: the network between the parties.
        is_robot: whether a number is a robot's; a call to it emits `RouteWanted`.
        random: the source of nonces, branches, tags and call UUIDs.
        domain: the SIP domain.
        faults: the state of the faults.
        host: the host of the server, for Via and Record-Route.
        secure: whether its sockets have TLS, for Via.
        is_overloaded: whether new calls are refused.
    """

    def __init__(
        self,
        accounts: dict[str, str],
        port: int,
        *,
        media: Media | None = None,
        is_robot: Callable[[str], bool] = lambda number: False,
        random: Random | None = None,
        domain: str = DOMAIN,
        faults: Faults | None = None,
        host: str = HOST,
        secure: bool = False,
        is_overloaded: Callable[[], bool] = lambda: False,
    ) -> None:
        self.faults = faults or Faults()
        self.domain = domain
        self.malformed = 0
        self.requests: Counter[str] = Counter()
        self._random = random or SystemRandom()
        self.registrar = Registrar(accounts, domain, self._random, faults=self.faults)
        self.proxy = Proxy(host, port, media, self._random, self._send, self._emit, secure=secure)
        self._flows = Flows(self.proxy)
        self._media = media
        self._is_robot = is_robot
        self._is_overloaded = is_overloaded
        self._addressing = Addressing(domain, port, host)
        self._peers: dict[int, Peer] = {}
        self._outgoing: deque[tuple[int, str]] = deque()
        self._events: deque[SwitchEvent] = deque(maxlen=_EVENTS)

    # ------------------------------------------------------------------ input and output

    def also_at(self, port: int) -> None:
        """Add a port where the switch listens too."""
        self._addressing.ports.add(port)

    def connected(self, socket: int, host: str, port: int) -> None:
        """Add a socket that was opened by a peer at this address."""
        self._peers[socket] = Peer(host, port)

    def disconnected(self, socket: int, now: float) -> None:
        """Remove a socket and its bindings. Its calls wait for a new registration (flows.py)."""
        self._peers.pop(socket, None)
        for binding in self.registrar.dropped(socket):
            self._emit(Happened("unregistered", binding.user, "socket lost"))
        self._flows.lost(socket, now)

    def receive(self, socket: int, text: str | bytes, now: float) -> None:
        """Handle a frame from a socket: a SIP message or a keep-alive."""
        if socket not in self._peers:
            return
        if not text.strip():
            self._outgoing.append((socket, "\r\n"))  # RFC 5626 section 4.4.1, over WebSocket
            return
        try:
            message = parse(text)
        except MalformedMessage as error:
            self.malformed += 1
            response = error.reply(f"{self._random.getrandbits(64):016x}")
            if response is not None:
                self._send(socket, response)
            return
        try:
            if isinstance(message, Response):
                self.proxy.receive_response(message, now)
            else:
                self._note_source(message, socket)
                self._request(message, socket, now)
        except ValueError as error:
            self.malformed += 1
            if isinstance(message, Request):
                self._answer(message, socket, 400, f"Bad Request ({str(error)[:60]})")

    def outgoing(self) -> list[tuple[int, str]]:
        """Return the messages to send, as (socket, text), and forget them."""
        messages = list(self._outgoing)
        self._outgoing.clear()
        return messages

    def events(self) -> list[SwitchEvent]:
        """Return the events and forget them."""
        events = list(self._events)
        self._events.clear()
        return events

    def next_deadline(self) -> float | None:
        """The time of the next timer, in seconds; None if there is none."""
        times = [self.proxy.next_deadline(), self.registrar.next_expiry(), self._flows.next_deadline()]
        return min((at for at in times if at is not None), default=None)

    def advance(self, now: float) -> None:
        """Run the timers that are due."""
        self.proxy.advance(now)
        for binding in self.registrar.expire(now):
            self._emit(Happened("unregistered", binding.user, "expired"))
        self._flows.advance(now)

    # ------------------------------------------------------------------ robots

    def route(
        self,
        key: TransactionKey,
        users: Iterable[str],
        now: float,
        *,
        early_media_s: float = 0.0,
        return_headers: bool = False,
        plan: tuple[tuple[float, str], ...] = (),
        telephone_event: bool = False,
    ) -> None:
        """Answer `RouteWanted`: forward the call to these registered users, all at the same time.

        Args:
            key: the key of `RouteWanted`.
            users: the user names.
            now: the time in seconds.
            early_media_s: how long the answer is held back and sent to the caller as a 183, in seconds.
            return_headers: whether the caller's X-PH headers are added to the ringing and the answer.
            plan: re-INVITEs on behalf of the robot: (seconds after the answer, ``hold``, ``resume`` or
                ``telephone-event``).
            telephone_event: whether telephone-event is added to the offer that the robot receives.
        """
        transaction = self.proxy.transactions.get(key)
        if transaction is None or transaction.done or not transaction.waiting_for_route:
            return
        if transaction.call is not None:
            transaction.call.early_media_s = early_media_s
            transaction.call.return_headers = return_headers
            transaction.call.plan = plan
            transaction.call.telephone_event = telephone_event
        bindings = [binding for user in users for binding in self.registrar.bindings(user, now)[-1:]]
        self.proxy.fork(transaction, bindings, now)

    def refuse(self, key: TransactionKey, status: int, now: float, reason: str | None = None) -> None:
        """Answer `RouteWanted`: reject the call with this status."""
        transaction = self.proxy.transactions.get(key)
        if transaction is not None and not transaction.done and transaction.waiting_for_route:
            transaction.waiting_for_route = False
            self.proxy.reply(transaction, status, now, reason)

    # ------------------------------------------------------------------ status

    def snapshot(self, now: float) -> dict[str, Any]:
        """The registrations, calls and counters, for the status and the live table."""
        return {
            "registrations": [
                {
                    "user": b.user,
                    "contact": b.contact,
                    "agent": b.agent,
                    "expires_in_s": round(b.expires_at - now, 1),
                }
                for b in self.registrar.all_bindings(now)
            ],
            "calls": [
                {
                    "call_uuid": call.call_uuid,
                    "caller": call.caller_name,
                    "callee": call.callee_name,
                    "state": call.state,
                    "seconds": round(now - call.started_at, 1),
                }
                for call in self.proxy.all_calls()
            ],
            "transactions": len(self.proxy.transactions),
            "sockets": len(self._peers),
            "malformed": self.malformed,
            "requests": dict(self.requests),
        }

    # ------------------------------------------------------------------ requests

    def _request(self, request: Request, socket: int, now: float) -> None:
        self.requests[request.method if request.method in _METHODS else "other"] += 1
        if request.method == "ACK":
            self._ack(request, socket, now)
        elif request.method == "CANCEL":
            self._cancel(request, socket, now)
        elif self.proxy.repeated(request):
            return
        elif int(request.headers.get("Max-Forwards") or "70") <= 0:
            self._answer(request, socket, 483)
        elif request.method == "REGISTER":
            self._register(request, socket, now)
        elif request.to.tag is not None:
            self._in_dialog(request, socket, now)
        elif request.method == "INVITE":
            self._invite(request, socket, now)
        else:
            self._out_of_dialog(request, socket, now)

    def _register(self, request: Request, socket: int, now: float) -> None:
        refusal = self.faults.refusal_for(user_of(request.to.uri))
        if refusal is not None:
            after = [] if refusal.retry_after_s is None else [("Retry-After", str(refusal.retry_after_s))]
            self._answer(request, socket, refusal.status, headers=after)
            return
        result, user = self.registrar.check(request, "Authorization", now)
        if result in ("challenge", "stale"):
            values = self.registrar.challenges(now, stale=result == "stale")
            self._answer(request, socket, 401, headers=[("WWW-Authenticate", value) for value in values])
            return
        if result == "forbidden" or user is None:
            self._answer(request, socket, 403)
            return
        before = {binding.key for binding in self.registrar.bindings(user, now)}
        made = self.registrar.register(user, request, socket, now)
        for binding in made:
            self._flows.moved(binding)
            if binding.key not in before:
                self._emit(Happened("registered", user, binding.agent))
        if before and not self.registrar.bindings(user, now):
            self._emit(Happened("unregistered", user))
        contacts = []
        for binding in self.registrar.bindings(user, now):
            instance = f';+sip.instance="{binding.instance}"' if binding.instance else ""
            contacts.append(
                ("Contact", f"<{binding.contact}>;expires={int(binding.expires_at - now)}{instance}")
            )
        self._answer(request, socket, 200, headers=contacts)

    def _invite(self, request: Request, socket: int, now: float) -> None:
        result, user = self.registrar.check(request, "Proxy-Authorization", now)
        if result in ("challenge", "stale"):
            values = self.registrar.challenges(now, stale=result == "stale")
            self._answer(request, socket, 407, headers=[("Proxy-Authenticate", value) for value in values])
            return
        transaction = self.proxy.begin(request, socket, now, RING_TIMEOUT_S)
        if result == "forbidden" or user is None:
            self.proxy.reply(transaction, 403, now)
            return
        if self._is_overloaded():
            self.proxy.reply(transaction, 503, now, headers=[("Retry-After", str(_RETRY_AFTER_S))])
            return
        if any(call.call_id == request.call_id for call in self.proxy.all_calls()):
            # A Call-ID is unique in space and time (RFC 3261 section 8.1.1.4): this one would take the place
            # of the other call's dialog.
            self.proxy.reply(transaction, 482, now)
            return
        number = self._addressing.local_user(request.uri)
        call = self._start_call(transaction, user, number or request.uri, now)
        self.proxy.reply(transaction, 100, now)
        if number is not None and self._is_robot(number):
            transaction.waiting_for_route = True
            self._emit(RouteWanted(transaction.key, number, call.call_uuid, user, tuple(call.headers)))
        elif number is None or number not in self.registrar.accounts:
            self.proxy.reply(transaction, 404, now)
        else:
            self.proxy.fork(transaction, self.registrar.bindings(number, now), now)

    def _start_call(self, transaction: Transaction, user: str, callee: str, now: float) -> Call:
        request = transaction.request
        contacts = request.contacts
        caller = Leg(
            "caller",
            request.from_.tag,
            transaction.socket,
            contacts[0].uri if contacts else None,
            request.headers.get("From") or "",
            user,
            request.cseq.sequence,
        )
        uuid = str(UUID(int=self._random.getrandbits(128), version=4))
        headers = [
            (name, value) for name, value in request.headers.items() if name.lower().startswith("x-ph-")
        ]
        call = Call(request.call_id, uuid, user, callee, caller, now, headers=headers)
        transaction.call, transaction.initial = call, True
        if self._media is not None:
            self._media.open_call(uuid, uuid, user, callee)
        self._emit(Happened("call-started", user, callee, uuid))
        return call

    def _cancel(self, request: Request, socket: int, now: float) -> None:
        transaction = self.proxy.transactions.get((request.via.branch or "", request.via.sent_by, "INVITE"))
        if transaction is None or transaction.socket != socket:
            self._answer(request, socket, 481)
            return
        self._answer(request, socket, 200)
        self.proxy.cancel(transaction, now)

    def _ack(self, request: Request, socket: int, now: float) -> None:
        """Absorb the ACK of a failure; forward that of a 2xx along the dialog. An ACK is never answered."""
        if not self._addressing.take_own_route(request):
            return
        transaction = self.proxy.transactions.get((request.via.branch or "", request.via.sent_by, "INVITE"))
        if transaction is not None and transaction.last is not None and transaction.last.status >= 300:
            return
        call = self.proxy.calls.get(request.call_id)
        sender, target = call.parties(request) if call is not None else (None, None)
        if call is not None and sender is not None and target is not None:
            self.proxy.pass_ack(request, call, sender, target)

    def _in_dialog(self, request: Request, socket: int, now: float) -> None:
        call = self.proxy.calls.get(request.call_id)
        sender, target = call.parties(request) if call is not None else (None, None)
        if call is None or sender is None or target is None:
            self._answer(request, socket, 481)
            return
        if not self._addressing.take_own_route(request):
            # A softphone that omits the route set would fail at a real proxy; so it fails here.
            self._answer(request, socket, 404, "Route Missing")
            return
        if socket != sender.socket and not self.registrar.is_registered(socket, sender.user, now):
            self._answer(request, socket, 403)  # the tags of a dialog are no proof of who sends
            return
        sender.socket, sender.gone_at = socket, None
        sender.cseq = max(sender.cseq, request.cseq.sequence)
        if request.contacts:
            sender.contact = request.contacts[0].uri
        transaction = self.proxy.begin(request, socket, now, REQUEST_TIMEOUT_S)
        transaction.call = call
        if target.socket is None:
            self.proxy.reply(transaction, 480, now)
            if request.method == "BYE":
                self.proxy.end(call, "BYE, the other side was gone")
            return
        self.proxy.forward(transaction, target.socket, now)

    def _out_of_dialog(self, request: Request, socket: int, now: float) -> None:
        user = self._addressing.local_user(request.uri)
        if user == _ADMIN and request.method == "MESSAGE":
            self._admin_message(request, socket)
        elif user is None and request.method == "OPTIONS" and self._addressing.is_ours(request.uri):
            self._answer(request, socket, 200, headers=[("Allow", _METHODS)])
        elif user is None or user == _ADMIN or user not in self.registrar.accounts:
            self._answer(request, socket, 404)
        elif not self.registrar.is_registered(socket, None, now):
            self._answer(request, socket, 403)
        else:
            bindings = self.registrar.bindings(user, now)
            transaction = self.proxy.begin(request, socket, now, REQUEST_TIMEOUT_S)
            if bindings:
                self.proxy.forward(transaction, bindings[-1].socket, now, bindings[-1].contact)
            else:
                self.proxy.reply(transaction, 480, now)

    def _admin_message(self, request: Request, socket: int) -> None:
        """Answer the MESSAGE by which Plivo's SDK asks for its public address."""
        if request.body.strip() != b"ipAddress":
            self._answer(request, socket, 404)
            return
        response = Response.to_request(request, 200, to_tag=f"{self._random.getrandbits(64):016x}")
        response.headers.add("Content-Type", "text/plain")
        response.body = (self.faults.address or self._peers[socket].host).encode("ascii")
        self._send(socket, response)

    # ------------------------------------------------------------------ sending

    def _note_source(self, request: Request, socket: int) -> None:
        """Add the source address to the topmost Via (RFC 3261 section 18.2.1, RFC 3581)."""
        peer = self._peers[socket]
        host = self.faults.address or peer.host
        top = request.pop_via()
        if top is not None:
            via = Via.parse(top)
            parameters = {**via.parameters, "rport": str(peer.port), "received": host}
            request.push_via(str(Via(via.transport, via.host, via.port, parameters)))

    def _answer(
        self,
        request: Request,
        socket: int,
        status: int,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Answer statelessly, without a transaction."""
        if request.method == "ACK":
            return
        response = Response.to_request(request, status, reason, to_tag=f"{self._random.getrandbits(64):016x}")
        response.headers.add("Server", "plivo-nb-lab")
        for name, value in headers:
            response.headers.add(name, value)
        self._send(socket, response)

    def _send(self, socket: int, message: Request | Response) -> None:
        if socket not in self._peers:
            return
        try:
            text = str(message)
        except UnicodeDecodeError:  # a binary body cannot be sent in a text frame
            self.malformed += 1
            return
        self._outgoing.append((socket, text))

    def _emit(self, event: SwitchEvent) -> None:
        self._events.append(event)
