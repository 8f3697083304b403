"""Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3), and what a lost socket does to all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip.transaction import (
    MAGIC_COOKIE,
    ClientTransaction,
    ClientUser,
    Input,
    ServerKey,
    ServerTransaction,
    State,
    Transaction,
    kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.message import Request, Response
    from plivo_nb.sip.timers import Timers

_REPEATED = ("BYE", "CANCEL")  # sent again on a new connection: the other side would hang on without them


def server_key(request: Request) -> ServerKey:
    """What names the server transaction of a request; an ACK and its INVITE have the same (section 17.2.3).

    A branch without the magic cookie comes from an RFC 2543 element: then other fields name the transaction.
    """
    via = request.via
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.branch or ""
    if branch.startswith(MAGIC_COOKIE) and branch != MAGIC_COOKIE:
        return branch, via.sent_by, method
    return str(via), request.call_id, str(request.cseq.sequence), request.from_.tag or "", method


def _identity(request: Request) -> tuple[str, ...]:
    """What two copies of a request that came by different paths have in common."""
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

    def request(self, request: Request, user: ClientUser, now: float) -> ClientTransaction:
        """Send a request in a transaction of its own; its topmost Via carries a fresh branch."""
        transaction = ClientTransaction(self, request, user)
        self._clients[transaction.key] = transaction
        self.send(request, now)
        transaction.start_timer(now)
        return transaction

    def receive_response(self, response: Response, now: float) -> bool:
        """Hand a response to its transaction; False where it has none."""
        transaction = self._clients.get((response.via.branch or "", response.cseq.method))
        if transaction is None:
            return False
        transaction.feed(kind_of(response.status), response, now)
        return True

    def receive_request(self, request: Request, now: float) -> ServerTransaction | None:
        """The new transaction of a request; None for a repetition, and for an ACK, which makes none."""
        key = server_key(request)
        known = self._servers.get(key)
        if known is not None:
            known.feed(Input.ACK if request.method == "ACK" else Input.REQUEST, None, now)
            return None
        if request.method == "ACK":
            return None
        transaction = self._servers[key] = ServerTransaction(self, request, key)
        self._firsts.setdefault(_identity(request), transaction)
        return transaction

    def cancelled_by(self, cancel: Request) -> ServerTransaction | None:
        """The INVITE transaction that a CANCEL means (section 9.2)."""
        key = server_key(cancel)
        return self._servers.get((*key[:-1], "INVITE"))

    def merged(self, request: Request) -> bool:
        """Whether the same request has come here by another path already (section 8.2.2.2)."""
        first = self._firsts.get(_identity(request))
        return first is not None and first.request is not request

    def broken(self, now: float) -> None:
        """The transport is gone: whoever still waits for a response to an INVITE or a request is told."""
        for transaction in list(self._clients.values()):
            if transaction.request.method not in _REPEATED:
                transaction.feed(Input.BROKEN, None, now)

    def restored(self, now: float) -> None:
        """There is a transport again: what may have been lost with the old one is sent again.

        BYE and CANCEL, because the other side would hang on without them; final refusals of an INVITE,
        because they go on until an ACK comes.
        """
        for client in list(self._clients.values()):
            if client.request.method in _REPEATED and client.state in (State.TRYING, State.PROCEEDING):
                self.send(client.request, now)
        for server in list(self._servers.values()):
            if server.state is State.COMPLETED:
                server.repeat(now)

    def forget(self, transaction: Transaction) -> None:
        """Drop a terminated transaction."""
        if isinstance(transaction, ClientTransaction):
            self._clients.pop(transaction.key, None)
        elif isinstance(transaction, ServerTransaction):
            self._servers.pop(transaction.key, None)
            if self._firsts.get(_identity(transaction.request)) is transaction:
                del self._firsts[_identity(transaction.request)]

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)
