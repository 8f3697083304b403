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

    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.transaction_layer import TransactionLayer

T1 = 0.5  # seconds: the round-trip estimate that all other timers are made of (section 17.1.1.1)
T2 = 4.0  # seconds: the longest pause between repetitions of a 2xx
TIMEOUT = 64 * T1  # seconds: timers B, F, H, L and M
MAGIC_COOKIE = "z9hG4bK"


class State(Enum):
    """Where a transaction is."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Input(Enum):
    """What happens to it: a response (received by a client, sent by a server), a request, time, loss."""

    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "3xx-6xx"
    REQUEST = "the request again"
    ACK = "ACK"
    TIMER = "the state's timer"
    BROKEN = "transport error"


class Do(Enum):
    """What the transaction then does."""

    TELL = "hand the response to the user"
    SEND = "send the user's response"
    REPEAT = "send the last response again"
    ACK = "acknowledge the failure"
    TIMED_OUT = "tell the user that nobody answered"
    BROKEN = "tell the user that the transport is gone"


S, On, D = State, Input, Do  # short, so that a table can be read in one look
Table = dict[tuple[State, Input], tuple[State, tuple[Do, ...]]]

INVITE_CLIENT: Table = {
    (S.CALLING, On.PROVISIONAL): (S.PROCEEDING, (D.TELL,)),
    (S.CALLING, On.SUCCESS): (S.ACCEPTED, (D.TELL,)),
    (S.CALLING, On.FAILURE): (S.COMPLETED, (D.ACK, D.TELL)),
    (S.CALLING, On.TIMER): (S.TERMINATED, (D.TIMED_OUT,)),  # B
    (S.CALLING, On.BROKEN): (S.TERMINATED, (D.BROKEN,)),
    (S.PROCEEDING, On.PROVISIONAL): (S.PROCEEDING, (D.TELL,)),
    (S.PROCEEDING, On.SUCCESS): (S.ACCEPTED, (D.TELL,)),
    (S.PROCEEDING, On.FAILURE): (S.COMPLETED, (D.ACK, D.TELL)),
    (S.ACCEPTED, On.SUCCESS): (S.ACCEPTED, (D.TELL,)),
    (S.ACCEPTED, On.TIMER): (S.TERMINATED, ()),  # M
    (S.COMPLETED, On.FAILURE): (S.COMPLETED, (D.ACK,)),
    (S.COMPLETED, On.TIMER): (S.TERMINATED, ()),  # D
}
CLIENT: Table = {
    (S.TRYING, On.PROVISIONAL): (S.PROCEEDING, (D.TELL,)),
    (S.TRYING, On.SUCCESS): (S.COMPLETED, (D.TELL,)),
    (S.TRYING, On.FAILURE): (S.COMPLETED, (D.TELL,)),
    (S.TRYING, On.TIMER): (S.TERMINATED, (D.TIMED_OUT,)),  # F
    (S.TRYING, On.BROKEN): (S.TERMINATED, (D.BROKEN,)),
    (S.PROCEEDING, On.PROVISIONAL): (S.PROCEEDING, (D.TELL,)),
    (S.PROCEEDING, On.SUCCESS): (S.COMPLETED, (D.TELL,)),
    (S.PROCEEDING, On.FAILURE): (S.COMPLETED, (D.TELL,)),
    (S.PROCEEDING, On.TIMER): (S.TERMINATED, (D.TIMED_OUT,)),  # F
    (S.PROCEEDING, On.BROKEN): (S.TERMINATED, (D.BROKEN,)),
    (S.COMPLETED, On.TIMER): (S.TERMINATED, ()),  # K
}
INVITE_SERVER: Table = {
    (S.PROCEEDING, On.REQUEST): (S.PROCEEDING, (D.REPEAT,)),
    (S.PROCEEDING, On.PROVISIONAL): (S.PROCEEDING, (D.SEND,)),
    (S.PROCEEDING, On.SUCCESS): (S.ACCEPTED, (D.SEND,)),
    (S.PROCEEDING, On.FAILURE): (S.COMPLETED, (D.SEND,)),
    (S.ACCEPTED, On.REQUEST): (S.ACCEPTED, ()),
    (S.ACCEPTED, On.ACK): (S.ACCEPTED, ()),  # it belongs to the dialog
    (S.ACCEPTED, On.SUCCESS): (S.ACCEPTED, (D.SEND,)),
    (S.ACCEPTED, On.TIMER): (S.TERMINATED, ()),  # L
    (S.COMPLETED, On.REQUEST): (S.COMPLETED, (D.REPEAT,)),
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
    (S.PROCEEDING, On.REQUEST): (S.PROCEEDING, (D.REPEAT,)),
    (S.PROCEEDING, On.PROVISIONAL): (S.PROCEEDING, (D.SEND,)),
    (S.PROCEEDING, On.SUCCESS): (S.COMPLETED, (D.SEND,)),
    (S.PROCEEDING, On.FAILURE): (S.COMPLETED, (D.SEND,)),
    (S.COMPLETED, On.REQUEST): (S.COMPLETED, (D.REPEAT,)),
    (S.COMPLETED, On.TIMER): (S.TERMINATED, ()),  # J
}

# How long each state may last; 0 is left at once, a state that is not listed waits for its user or its peer.
_INVITE_CLIENT_TIMERS = {S.CALLING: TIMEOUT, S.ACCEPTED: TIMEOUT, S.COMPLETED: 0.0}
_CLIENT_TIMERS = {S.TRYING: TIMEOUT, S.COMPLETED: 0.0}  # F runs on through proceeding
_INVITE_SERVER_TIMERS = {S.ACCEPTED: TIMEOUT, S.COMPLETED: TIMEOUT, S.CONFIRMED: 0.0}
_SERVER_TIMERS = {S.COMPLETED: 0.0}


class ClientUser(Protocol):
    """Who sent a request and waits for its responses."""

    def on_response(self, response: Response, now: float) -> None:
        """A response came."""

    def on_no_response(self, timed_out: bool, now: float) -> None:
        """None will come: the time is over, or (False) the transport is gone."""


def kind_of(status: int) -> Input:
    """What a response's status means to the tables."""
    return On.PROVISIONAL if status < 200 else On.SUCCESS if status < 300 else On.FAILURE


class Transaction:
    """What all four have in common: a state, its timer, and the table that moves it."""

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
            self.feed(On.TIMER, None, now)
        else:
            self._timer = self.layer.timers.start(now + duration, self._time_over)

    def _time_over(self, now: float) -> None:
        self.feed(On.TIMER, None, now)

    def feed(self, what: Input, response: Response | None, now: float) -> bool:
        """Move by the table. False where this cannot happen in this state: nothing is done then."""
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
        """Leave the layer."""
        self.state = S.TERMINATED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.layer.forget(self)

    def _act(self, action: Do, response: Response | None, now: float) -> None:
        raise NotImplementedError


class ClientTransaction(Transaction):
    """A request of ours (figures 5 and 6)."""

    def __init__(self, layer: TransactionLayer, request: Request, user: ClientUser) -> None:
        if request.method == "INVITE":
            super().__init__(layer, request, INVITE_CLIENT, _INVITE_CLIENT_TIMERS, S.CALLING)
        else:
            super().__init__(layer, request, CLIENT, _CLIENT_TIMERS, S.TRYING)
        self.user = user
        self.key = (request.via.branch or "", request.method)

    @property
    def finished(self) -> bool:
        """Whether a final response has come, or none will."""
        return self.state not in (S.CALLING, S.TRYING, S.PROCEEDING)

    def expire(self) -> None:
        """End it, unless a final response came: for an INVITE that nobody ends (section 9.1)."""
        if not self.finished:
            self.end()

    def _act(self, action: Do, response: Response | None, now: float) -> None:
        if action is D.TELL and response is not None:
            self.user.on_response(response, now)
        elif action is D.ACK and response is not None:
            self.layer.send(acknowledge_failure(self.request, response), now)
        elif action in (D.TIMED_OUT, D.BROKEN):
            self.user.on_no_response(action is D.TIMED_OUT, now)


class ServerTransaction(Transaction):
    """A request that we received (figures 7 and 8). `last` is the last response that we sent.

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
        """Send a response of the user's; False where a final one was sent already."""
        return self.feed(kind_of(response.status), response, now)

    def repeat(self, now: float) -> None:
        """Send the last response again."""
        if self.last is not None:
            self.layer.send(self.last, now)

    def _act(self, action: Do, response: Response | None, now: float) -> None:
        if action is D.SEND and response is not None:
            self.last = response
            self.layer.send(response, now)
        elif action is D.REPEAT:
            self.repeat(now)


ServerKey = tuple[str, ...]


def acknowledge_failure(request: Request, response: Response) -> Request:
    """The ACK to a 3xx-6xx, which belongs to the INVITE's transaction (section 17.1.1.3)."""
    ack = Request("ACK", request.uri)
    for name in ("Via", "Route", "Max-Forwards", "From"):
        for value in request.headers.get_all(name):
            ack.headers.echo(name, value)
    ack.headers.echo("To", response.headers.get("To") or "")
    ack.headers.add("Call-ID", request.call_id)
    ack.headers.add("CSeq", f"{request.cseq.sequence} ACK")
    return ack
