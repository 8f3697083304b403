"""Transactions: one request and its responses, as tables of states (RFC 3261 section 17, RFC 6026).

The four tables below are figures 5 to 8 of RFC 3261 for a reliable transport, a WebSocket being one:
nothing is retransmitted, and the timers that only absorb retransmissions (D, I, J, K) are zero. RFC 6026
adds the Accepted state, in which 2xx responses pass through a server transaction, and reach a client's
user, for 32 seconds.

    figure 5, INVITE client        calling -> proceeding -> accepted | completed -> terminated
    figure 6, non-INVITE client    trying -> proceeding -> completed -> terminated
    figure 7, INVITE server        proceeding -> accepted | completed -> confirmed -> terminated
    figure 8, non-INVITE server    trying -> proceeding -> completed -> terminated
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from plivo_nb.sip.message import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plivo_nb.sip.timers import Timer, Timers

T1 = 0.5  # seconds: the round-trip estimate that all other timers are made of (section 17.1.1.1)
T2 = 4.0  # seconds: the longest pause between repetitions of a 2xx
TIMEOUT = 64 * T1  # seconds: timers B, F, H, L and M
MAGIC_COOKIE = "z9hG4bK"
MAX_FINISHED = 500  # server transactions that only absorb repetitions or wait for an ACK
MAX_FINISHED_BYTES = 4 * 1024 * 1024  # of their requests
_REPEATED = ("BYE", "CANCEL")  # sent again on a new connection: the other side would hang on without them


class State(Enum):
    """The state of a transaction."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Input(Enum):
    """An input of a state table: a response (received or sent), a request, a timer, a transport error."""

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    REQUEST = "the request again"
    ACK = "ACK"
    TIMER = "the state's timer"
    TRANSPORT_ERROR = "the transport is gone"


class Action(Enum):
    """An action of a transaction on an input."""

    RESPONSE_TO_TU = "give the response to the transaction user"
    SEND = "send the user's response"
    RESEND = "send the last response again"
    SEND_ACK = "acknowledge the failure"
    TIMEOUT_TO_TU = "report a timeout to the transaction user"
    ERROR_TO_TU = "report a transport error to the transaction user"


S, On, D = State, Input, Action  # short, so that a table can be read in one look
ServerKey = tuple[str, ...]
Table = dict[tuple[State, Input], tuple[State, tuple[Action, ...]]]

INVITE_CLIENT: Table = {
    (S.CALLING, On.PROVISIONAL): (S.PROCEEDING, (D.RESPONSE_TO_TU,)),
    (S.CALLING, On.SUCCESS): (S.ACCEPTED, (D.RESPONSE_TO_TU,)),
    (S.CALLING, On.FAILURE): (S.COMPLETED, (D.SEND_ACK, D.RESPONSE_TO_TU)),
    (S.CALLING, On.TIMER): (S.TERMINATED, (D.TIMEOUT_TO_TU,)),  # B
    (S.CALLING, On.TRANSPORT_ERROR): (S.TERMINATED, (D.ERROR_TO_TU,)),
    (S.PROCEEDING, On.PROVISIONAL): (S.PROCEEDING, (D.RESPONSE_TO_TU,)),
    (S.PROCEEDING, On.SUCCESS): (S.ACCEPTED, (D.RESPONSE_TO_TU,)),
    (S.PROCEEDING, On.FAILURE): (S.COMPLETED, (D.SEND_ACK, D.RESPONSE_TO_TU)),
    (S.ACCEPTED, On.SUCCESS): (S.ACCEPTED, (D.RESPONSE_TO_TU,)),
    (S.ACCEPTED, On.TIMER): (S.TERMINATED, ()),  # M
    (S.COMPLETED, On.FAILURE): (S.COMPLETED, (D.SEND_ACK,)),
    (S.COMPLETED, On.TIMER): (S.TERMINATED, ()),  # D
}
CLIENT: Table = {
    (S.TRYING, On.PROVISIONAL): (S.PROCEEDING, (D.RESPONSE_TO_TU,)),
    (S.TRYING, On.SUCCESS): (S.COMPLETED, (D.RESPONSE_TO_TU,)),
    (S.TRYING, On.FAILURE): (S.COMPLETED, (D.RESPONSE_TO_TU,)),
    (S.TRYING, On.TIMER): (S.TERMINATED, (D.TIMEOUT_TO_TU,)),  # F
    (S.TRYING, On.TRANSPORT_ERROR): (S.TERMINATED, (D.ERROR_TO_TU,)),
    (S.PROCEEDING, On.PROVISIONAL): (S.PROCEEDING, (D.RESPONSE_TO_TU,)),
    (S.PROCEEDING, On.SUCCESS): (S.COMPLETED, (D.RESPONSE_TO_TU,)),
    (S.PROCEEDING, On.FAILURE): (S.COMPLETED, (D.RESPONSE_TO_TU,)),
    (S.PROCEEDING, On.TIMER): (S.TERMINATED, (D.TIMEOUT_TO_TU,)),  # F
    (S.PROCEEDING, On.TRANSPORT_ERROR): (S.TERMINATED, (D.ERROR_TO_TU,)),
    (S.COMPLETED, On.TIMER): (S.TERMINATED, ()),  # K
}
INVITE_SERVER: Table = {
    (S.PROCEEDING, On.REQUEST): (S.PROCEEDING, (D.RESEND,)),
    (S.PROCEEDING, On.PROVISIONAL): (S.PROCEEDING, (D.SEND,)),
    (S.PROCEEDING, On.SUCCESS): (S.ACCEPTED, (D.SEND,)),
    (S.PROCEEDING, On.FAILURE): (S.COMPLETED, (D.SEND,)),
    (S.ACCEPTED, On.REQUEST): (S.ACCEPTED, ()),
    (S.ACCEPTED, On.ACK): (S.ACCEPTED, ()),  # it belongs to the dialog
    (S.ACCEPTED, On.SUCCESS): (S.ACCEPTED, (D.SEND,)),
    (S.ACCEPTED, On.TIMER): (S.TERMINATED, ()),  # L
    (S.COMPLETED, On.REQUEST): (S.COMPLETED, (D.RESEND,)),
    (S.COMPLETED, On.ACK): (S.CONFIRMED, ()),
    (S.COMPLETED, On.TIMER): (S.TERMINATED, ()),  # H
    (S.CONFIRMED, On.ACK): (S.CONFIRMED, ()),
    (S.CONFIRMED, On.TIMER): (S.TERMINATED, ()),  # I
}
SERVER: Table = {
    (S.TRYING, On.REQUEST): (S.TRYING, ()),
    (S.TRYING, On.PROVISIONAL): (S.PROCEEDING, (D.SEND,)),
    (S.TRYING, On.SUCCESS): (S.COMPLETED, (D.SEND,)),
    (S.TRYING, On.FAILURE): (S.COMPLETED, (D.SEND,)),
    (S.PROCEEDING, On.REQUEST): (S.PROCEEDING, (D.RESEND,)),
    (S.PROCEEDING, On.PROVISIONAL): (S.PROCEEDING, (D.SEND,)),
    (S.PROCEEDING, On.SUCCESS): (S.COMPLETED, (D.SEND,)),
    (S.PROCEEDING, On.FAILURE): (S.COMPLETED, (D.SEND,)),
    (S.COMPLETED, On.REQUEST): (S.COMPLETED, (D.RESEND,)),
    (S.COMPLETED, On.TIMER): (S.TERMINATED, ()),  # J
}

# How long each state may last; 0 is left at once, a state that is not listed waits for its user or its peer.
_INVITE_CLIENT_TIMERS = {S.CALLING: TIMEOUT, S.ACCEPTED: TIMEOUT, S.COMPLETED: 0.0}
_CLIENT_TIMERS = {S.TRYING: TIMEOUT, S.COMPLETED: 0.0}  # F runs on through proceeding
_INVITE_SERVER_TIMERS = {S.ACCEPTED: TIMEOUT, S.COMPLETED: TIMEOUT, S.CONFIRMED: 0.0}
_SERVER_TIMERS = {S.COMPLETED: 0.0}


class TransactionUser(Protocol):
    """The user of a client transaction, which gets the responses to its request."""

    def on_response(self, response: Response, now: float) -> None:
        """Process a response."""

    def on_no_response(self, timed_out: bool, now: float) -> None:
        """Process the end of the wait: by time-out, or (False) because the transport is lost."""


def input_of(status: int) -> Input:
    """Return the input of the tables for a response's status."""
    return On.PROVISIONAL if status < 200 else On.SUCCESS if status < 300 else On.FAILURE


class Transaction:
    """Base class of the four kinds: the state, its timer, and the table of transitions."""

    def __init__(
        self,
        layer: TransactionLayer,
        request: Request,
        table: Table,
        timers: Mapping[State, float],
        first: State,
    ) -> None:
        self.layer = layer
        self.request = request
        self.state = first
        self._table = table
        self._durations = timers
        self._timer: Timer | None = None

    def start_timer(self, now: float) -> None:
        """Start the timer of the present state, if it has one."""
        duration = self._durations.get(self.state)
        if duration is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if duration == 0.0:
            self.process(On.TIMER, None, now)
        else:
            self._timer = self.layer.timers.start(now + duration, self._time_over)

    def _time_over(self, now: float) -> None:
        self.process(On.TIMER, None, now)

    def process(self, what: Input, response: Response | None, now: float) -> bool:
        """Apply the table. Returns False, and does nothing, if it has no row for this input and state."""
        step = self._table.get((self.state, what))
        if step is None:
            return False
        before, (self.state, actions) = self.state, step
        for action in actions:
            self._act(action, response, now)
        if self.state is not before and self.state is step[0]:
            self.start_timer(now)
        if self.state is S.TERMINATED:
            self.end()
        return True

    def end(self) -> None:
        """Terminate the transaction and remove it from the transaction layer."""
        self.state = S.TERMINATED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.layer.remove(self)

    def _act(self, action: Action, response: Response | None, now: float) -> None:
        raise NotImplementedError


class ClientTransaction(Transaction):
    """The transaction of a request that was sent (figures 5 and 6)."""

    def __init__(self, layer: TransactionLayer, request: Request, user: TransactionUser) -> None:
        if request.method == "INVITE":
            super().__init__(layer, request, INVITE_CLIENT, _INVITE_CLIENT_TIMERS, S.CALLING)
        else:
            super().__init__(layer, request, CLIENT, _CLIENT_TIMERS, S.TRYING)
        self.user = user
        self.key = (request.via.branch or "", request.method)

    @property
    def finished(self) -> bool:
        """Whether a final response has come, or no response will come."""
        return self.state not in (S.CALLING, S.TRYING, S.PROCEEDING)

    def terminate(self) -> None:
        """End the transaction unless it has a final response: for an INVITE without one (section 9.1)."""
        if not self.finished:
            self.end()

    def _act(self, action: Action, response: Response | None, now: float) -> None:
        if action is D.RESPONSE_TO_TU and response is not None:
            self.user.on_response(response, now)
        elif action is D.SEND_ACK and response is not None:
            self.layer.send(acknowledge_failure(self.request, response), now)
        elif action in (D.TIMEOUT_TO_TU, D.ERROR_TO_TU):
            self.user.on_no_response(action is D.TIMEOUT_TO_TU, now)


class ServerTransaction(Transaction):
    """The transaction of a request that was received (figures 7 and 8). `last` is the last response sent.

    `tag` is what all responses put on To, where its user has chosen one; `on_cancel` is told of a CANCEL
    that comes before the final response.
    """

    def __init__(self, layer: TransactionLayer, request: Request, key: ServerKey) -> None:
        if request.method == "INVITE":
            super().__init__(layer, request, INVITE_SERVER, _INVITE_SERVER_TIMERS, S.PROCEEDING)
        else:
            super().__init__(layer, request, SERVER, _SERVER_TIMERS, S.TRYING)
        self.key = key
        self.last: Response | None = None
        self.tag: str | None = None
        self.on_cancel: Callable[[Request, float], None] | None = None

    def respond(self, response: Response, now: float) -> bool:
        """Send a response; returns False if a final one was sent before."""
        return self.process(input_of(response.status), response, now)

    def repeat(self, now: float) -> None:
        """Send the last response again."""
        if self.last is not None:
            self.layer.send(self.last, now)

    def _act(self, action: Action, response: Response | None, now: float) -> None:
        if action is D.SEND and response is not None:
            self.last = response
            self.layer.send(response, now)
            if response.status >= 200:
                self.layer.finished(self)
        elif action is D.RESEND:
            self.repeat(now)


def acknowledge_failure(request: Request, response: Response) -> Request:
    """Return the ACK to a 3xx-6xx, which belongs to the INVITE's transaction (section 17.1.1.3)."""
    ack = Request("ACK", request.uri)
    for name in ("Via", "Route", "Max-Forwards", "From"):
        for value in request.headers.get_all(name):
            ack.headers.echo(name, value)
    ack.headers.echo("To", response.headers.get("To") or "")
    ack.headers.add("Call-ID", request.call_id)
    ack.headers.add("CSeq", f"{request.cseq.sequence} ACK")
    return ack


def server_key(request: Request) -> ServerKey:
    """Return the key of a request's server transaction; an ACK and its INVITE have the same (section 17.2.3).

    A branch without the magic cookie comes from an RFC 2543 element: then other fields name the transaction.
    """
    via = request.via
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.branch or ""
    if branch.startswith(MAGIC_COOKIE) and branch != MAGIC_COOKIE:
        return branch, via.sent_by, method
    return str(via), request.call_id, str(request.cseq.sequence), request.from_.tag or "", method


def _identity(request: Request) -> tuple[str, ...]:
    """Return the fields that are equal in copies of a request on different paths (section 8.2.2.2)."""
    cseq = request.cseq
    return request.call_id, request.from_.tag or "", str(cseq.sequence), cseq.method


class TransactionLayer:
    """All transactions of one user agent.

    Args:
        timers: where their timers run.
        send: puts a message on the wire.
    """

    def __init__(self, timers: Timers, send: Callable[[Request | Response, float], None]) -> None:
        self.timers = timers
        self.send = send
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._firsts: dict[tuple[str, ...], ServerTransaction] = {}
        self._finished: dict[ServerKey, int] = {}  # in the order in which they got their final response
        self._finished_bytes = 0

    def send_request(self, request: Request, user: TransactionUser, now: float) -> ClientTransaction:
        """Send a request in a transaction of its own; its topmost Via carries a fresh branch."""
        transaction = ClientTransaction(self, request, user)
        self._clients[transaction.key] = transaction
        self.send(request, now)
        transaction.start_timer(now)
        return transaction

    def receive_response(self, response: Response, now: float) -> bool:
        """Pass a response to its transaction; returns False if there is none."""
        transaction = self._clients.get((response.via.branch or "", response.cseq.method))
        if transaction is None:
            return False
        transaction.process(input_of(response.status), response, now)
        return True

    def receive_request(self, request: Request, now: float) -> ServerTransaction | None:
        """Return a new transaction for a request; None for a retransmission or an ACK."""
        key = server_key(request)
        known = self._servers.get(key)
        if known is not None:
            known.process(On.ACK if request.method == "ACK" else On.REQUEST, None, now)
            return None
        if request.method == "ACK":
            return None
        transaction = self._servers[key] = ServerTransaction(self, request, key)
        self._firsts.setdefault(_identity(request), transaction)
        return transaction

    def matching_invite(self, cancel: Request) -> ServerTransaction | None:
        """Return the INVITE transaction that a CANCEL refers to (section 9.2)."""
        key = server_key(cancel)
        return self._servers.get((*key[:-1], "INVITE"))

    def is_merged(self, request: Request) -> bool:
        """Return whether the same request was received by another path already (section 8.2.2.2)."""
        first = self._firsts.get(_identity(request))
        return first is not None and first.request is not request

    def transport_lost(self, now: float) -> None:
        """Report the loss of the transport to the user of each transaction that waits for a response."""
        for transaction in list(self._clients.values()):
            if transaction.request.method not in _REPEATED:
                transaction.process(On.TRANSPORT_ERROR, None, now)

    def transport_restored(self, now: float) -> None:
        """Send again on a new transport what may have been lost with the old one.

        BYE and CANCEL, because the other side would hang on without them; final refusals of an INVITE,
        because they go on until an ACK comes.
        """
        for client in list(self._clients.values()):
            if client.request.method in _REPEATED and client.state in (S.TRYING, S.PROCEEDING):
                self.send(client.request, now)
        for server in list(self._servers.values()):
            if server.state is S.COMPLETED:
                server.repeat(now)

    def finished(self, transaction: ServerTransaction) -> None:
        """Count a transaction that has its final response. If there are too many, end the oldest."""
        if transaction.key in self._finished:
            return
        size = transaction.request.size
        self._finished[transaction.key] = size
        self._finished_bytes += size
        while len(self._finished) > MAX_FINISHED or self._finished_bytes > MAX_FINISHED_BYTES:
            oldest = next(iter(self._finished))
            if oldest == transaction.key:
                return
            self._servers[oldest].end()

    def remove(self, transaction: Transaction) -> None:
        """Remove a terminated transaction."""
        if isinstance(transaction, ClientTransaction):
            self._clients.pop(transaction.key, None)
        elif isinstance(transaction, ServerTransaction):
            self._servers.pop(transaction.key, None)
            self._finished_bytes -= self._finished.pop(transaction.key, 0)
            if self._firsts.get(_identity(transaction.request)) is transaction:
                del self._firsts[_identity(transaction.request)]

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)
