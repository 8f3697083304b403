"""A change of the session in mid-call, both ways: hold, a new address, a refresh (RFC 3261 section 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip import session_timer
from plivo_nb.sip.client_request import ClientRequest
from plivo_nb.sip.events import Reinvite, ReinviteAnswered, ReinviteFailed
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.negotiation import Move
from plivo_nb.sip.transaction import TIMEOUT
from plivo_nb.sip.two_xx import TwoXx

if TYPE_CHECKING:
    from plivo_nb.sip.call import Call
    from plivo_nb.sip.dialog import Dialog
    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.transaction import ServerTransaction

_GLARE_TRIES = 4
_UPDATE_PATIENCE_S = 20.0  # an UPDATE, unlike an INVITE, is given up after 32 seconds (RFC 3311 section 5.2)


class OutgoingReinvite:
    """Our offer. After a glare (491) it is made again after a random pause, the caller's the longer."""

    def __init__(self, call: Call, dialog: Dialog, body: bytes, *, refresh: bool) -> None:
        self.call = call
        self.dialog = dialog
        self.body = body
        self.refresh = refresh
        self.pending = True
        self._exchange: ClientRequest | None = None
        self._ack: Request | None = None
        self._glares = 0
        self._timer: Timer | None = None

    def start(self, now: float) -> None:
        """Send it."""
        core = self.call.core
        if not core.up:
            self._fail(None, "Connection Error", now)
            return
        self.call.session.move(Move.SEND_OFFER, self.body)
        self.pending = True
        request = self.dialog.request("INVITE", self.dialog.next_sequence())
        request.body = self.body
        core.finish(request, contact=core.dialog_contact)
        request.headers.add("Content-Type", "application/sdp")
        self._exchange = ClientRequest(core, request, self, self.dialog.next_sequence)
        self._exchange.start(now)
        self._guard(now + 2 * TIMEOUT)

    def _guard(self, at: float) -> None:
        """A re-INVITE that got a 1xx and nothing else must end too."""
        self._cancel_timer()
        self._timer = self.call.core.timers.start(at, self._overdue)

    def _overdue(self, now: float) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.transaction is not None:
            exchange.transaction.end()
        self._fail(408, "Request Timeout", now)
        self.call.dialog_failed(None, True, now)

    def on_response(self, response: Response, now: float) -> None:
        """Take the answer, or try again, or give up."""
        if response.status < 200:
            return
        if response.status < 300:
            self._succeed(response, now)
        elif response.status == 491 and self._glares < _GLARE_TRIES and not self.call.over:
            self._glares += 1
            self.call.session.move(Move.WITHDRAW)
            self.pending = False
            share = self.call.core.random.random()
            pause = 2.1 + 1.9 * share if self.call.caller else 2.0 * share
            self._cancel_timer()
            self._timer = self.call.core.timers.start(now + pause, self._retry)
        else:
            self._fail(response.status, response.reason, now)
            self.call.dialog_failed(response, False, now)

    def _retry(self, now: float) -> None:
        if self.call.incoming is not None or self.call.acceptances:  # theirs came first: after it
            self._timer = self.call.core.timers.start(now + 0.5, self._retry)
        else:
            self.start(now)

    def _succeed(self, response: Response, now: float) -> None:
        if self._ack is not None:
            self.call.core.send(self._ack, now)
            return
        call, exchange = self.call, self._exchange
        assert exchange is not None
        self.dialog.refresh(response)
        self._ack = call.acknowledge(self.dialog, exchange.request)
        call.core.send(self._ack, now)
        self.pending = False
        self._cancel_timer()
        if call.over or call.outgoing is not self:
            return
        call.outgoing = None
        changed = response.body != call.session.remote or self.body != call.session.local
        call.session.move(Move.RECEIVE_ANSWER, response.body)
        call.session_timer.restart(session_timer.terms_answered(response), now)
        if changed or not self.refresh:
            call.core.emit(ReinviteAnswered(call.key, response.body))

    def on_no_response(self, timed_out: bool, now: float) -> None:
        """Nobody answered, or the transport is gone."""
        self._fail(408 if timed_out else None, "Request Timeout" if timed_out else "Connection Error", now)
        self.call.dialog_failed(None, timed_out, now)

    def transport_down(self, now: float) -> None:
        """No answer can find its way back; a 2xx that does is acknowledged all the same."""
        self.stop(now)
        self._fail(None, "Connection Error", now)

    def _fail(self, code: int | None, reason: str, now: float) -> None:
        self.pending = False
        self._cancel_timer()
        if self.call.over or self.call.outgoing is not self:
            return
        self.call.outgoing = None
        self.call.session.move(Move.WITHDRAW)
        if self.refresh:
            self.call.session_timer.refresh_later(now + 10.0)
        else:
            self.call.core.emit(ReinviteFailed(self.call.key, code, reason))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self, now: float) -> None:
        """The call is over; the transaction goes on by itself until it is answered or its time is over."""
        self._cancel_timer()
        exchange = self._exchange
        if self.pending and exchange is not None and exchange.transaction is not None:
            transaction = exchange.transaction
            exchange.may_retry = False
            self.call.core.timers.start(now + TIMEOUT, lambda at: transaction.expire())


class IncomingReinvite:
    """Their offer in a re-INVITE or UPDATE, waiting for our user's answer.

    A re-INVITE with an empty body asks us for an offer instead.
    """

    def __init__(self, call: Call, dialog: Dialog, request: Request, transaction: ServerTransaction) -> None:
        self.call = call
        self.dialog = dialog
        self.request = request
        self.transaction = transaction
        self._timer: Timer | None = None

    def start(self, now: float) -> None:
        """Tell the user, and give up when no answer comes."""
        call = self.call
        if session_timer.too_small(self.request):
            call.core.respond(self.transaction, 422, now, headers=[session_timer.MIN_SE])
            call.incoming = None
            return
        if self.request.body:
            call.session.move(Move.RECEIVE_OFFER, self.request.body)
        patience = _UPDATE_PATIENCE_S
        if self.request.method == "INVITE":
            patience = TIMEOUT
            self.transaction.on_cancel = lambda cancel, at: self.refuse(487, at)
            call.core.respond(self.transaction, 100, now)
        self._timer = call.core.timers.start(now + patience, lambda at: self.refuse(500, at))
        call.core.emit(Reinvite(call.key, self.request.body))

    def accept(self, body: bytes, now: float) -> None:
        """Answer with 200."""
        call, core = self.call, self.call.core
        self._finish()
        call.session.move(Move.SEND_ANSWER if self.request.body else Move.SEND_OFFER, body)
        response = Response.to_request(self.request, 200)
        response.headers.add("Contact", core.dialog_contact)
        core.describe(response)
        response.headers.add("Content-Type", "application/sdp")
        response.body = body
        terms = session_timer.terms_to_answer(self.request, response)
        self.dialog.refresh(self.request)
        call.session_timer.restart(terms, now)
        if self.request.method == "UPDATE":
            self.transaction.respond(response, now)
            return
        call.acceptances[self.request.cseq.sequence] = TwoXx(
            core, self.transaction, response, self._acknowledged, self._unacknowledged, now
        )

    def _acknowledged(self, ack: Request, now: float) -> None:
        if not self.request.body and not self.call.over:
            self.call.session.move(Move.RECEIVE_ANSWER, ack.body)
            self.call.core.emit(ReinviteAnswered(self.call.key, ack.body))

    def _unacknowledged(self, now: float) -> None:
        self.call.acceptances.pop(self.request.cseq.sequence, None)
        self.call.dialog_failed(None, True, now)

    def refuse(self, code: int, now: float) -> None:
        """Answer with a failure; the session stays as it was."""
        if self.call.incoming is self:
            self._finish()
            self.call.session.move(Move.WITHDRAW)
            self.call.core.respond(self.transaction, code, now)

    def _finish(self) -> None:
        self.call.incoming = None
        if self._timer is not None:
            self._timer.cancel()
