"""Re-INVITE and UPDATE: a change or refresh of the session during a call (RFC 3261 section 14, RFC 3311)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip import session_timer
from plivo_nb.sip.client_request import ClientRequest
from plivo_nb.sip.events import ReinviteAnswered, ReinviteFailed, ReinviteReceived
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.negotiation import Step
from plivo_nb.sip.transaction import TIMEOUT
from plivo_nb.sip.two_xx import TwoXx

if TYPE_CHECKING:
    from plivo_nb.sip.call import Call
    from plivo_nb.sip.dialog import Dialog
    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.transaction import ServerTransaction

_MAX_GLARES = 4
_UPDATE_LIMIT_S = (
    20.0  # an UPDATE, unlike an INVITE, times out at its sender after 32 s (RFC 3311 section 5.2)
)


class OutgoingReinvite:
    """A re-INVITE that we send. After a glare (491) it is sent again after a random pause (section 14.1)."""

    def __init__(self, call: Call, dialog: Dialog, body: bytes, *, refresh: bool) -> None:
        self.call = call
        self.dialog = dialog
        self.body = body
        self.refresh = refresh
        self.pending = True
        self._invite: ClientRequest | None = None
        self._ack: Request | None = None
        self._glares = 0
        self._timer: Timer | None = None

    def start(self, now: float) -> None:
        """Send the re-INVITE."""
        core = self.call.core
        if not core.connected:
            self._fail(None, "Connection Error", now)
            return
        self.call.offer_answer.apply(Step.SEND_OFFER, self.body)
        self.pending = True
        request = self.dialog.request("INVITE", self.dialog.next_sequence())
        request.body = self.body
        core.complete(request, contact=core.dialog_contact)
        request.headers.add("Content-Type", "application/sdp")
        self.call.session_timer.add_terms(request)
        self._invite = ClientRequest(core, request, self, self.dialog.next_sequence)
        self._invite.start(now)
        self._guard(now + 2 * TIMEOUT)

    def _guard(self, at: float) -> None:
        """Limit the time: a re-INVITE that gets a 1xx and no final response has no timer of its own."""
        self._cancel_timer()
        self._timer = self.call.core.timers.start(at, self._overdue)

    def _overdue(self, now: float) -> None:
        invite = self._invite
        if invite is not None and invite.transaction is not None:
            invite.transaction.terminate()
        self._fail(408, "Request Timeout", now)
        self.call.dialog_failed(None, True, now)

    def on_response(self, response: Response, now: float) -> None:
        """Apply the answer, retry after a glare, or fail."""
        if response.status < 200:
            return
        if response.status < 300:
            self._succeed(response, now)
        elif response.status == 491 and self._glares < _MAX_GLARES and not self.call.ended:
            self._glares += 1
            self.call.offer_answer.apply(Step.ROLLBACK)
            self.pending = False
            share = self.call.core.random.random()
            pause = 2.1 + 1.9 * share if self.call.owns_call_id else 2.0 * share
            self._cancel_timer()
            self._timer = self.call.core.timers.start(now + pause, self._retry)
        else:
            self._fail(response.status, response.reason, now)
            self.call.dialog_failed(response, False, now)

    def _retry(self, now: float) -> None:
        if self.call.received_reinvite is not None or self.call.pending_2xx:
            # The other side was first: wait until its offer is done.
            self._timer = self.call.core.timers.start(now + 0.5, self._retry)
        else:
            self.start(now)

    def _succeed(self, response: Response, now: float) -> None:
        if self._ack is not None:
            self.call.core.send(self._ack, now)
            return
        call, invite = self.call, self._invite
        assert invite is not None
        self.dialog.refresh(response)
        self._ack = call.acknowledge(self.dialog, invite.request)
        call.core.send(self._ack, now)
        self.pending = False
        self._cancel_timer()
        if call.ended or call.sent_reinvite is not self:
            return
        call.sent_reinvite = None
        changed = response.body != call.offer_answer.remote or self.body != call.offer_answer.local
        call.offer_answer.apply(Step.RECEIVE_ANSWER, response.body)
        call.session_timer.restart(session_timer.terms_of(response), now)
        if changed or not self.refresh:
            call.core.emit(ReinviteAnswered(call.key, response.body))

    def on_no_response(self, timed_out: bool, now: float) -> None:
        """There was no response in time, or the connection is lost."""
        self._fail(408 if timed_out else None, "Request Timeout" if timed_out else "Connection Error", now)
        self.call.dialog_failed(None, timed_out, now)

    def transport_down(self, now: float) -> None:
        """No response can arrive any more; a 2xx that does is still acknowledged."""
        self.stop(now)
        self._fail(None, "Connection Error", now)

    def _fail(self, code: int | None, reason: str, now: float) -> None:
        self.pending = False
        self._cancel_timer()
        if self.call.ended or self.call.sent_reinvite is not self:
            return
        self.call.sent_reinvite = None
        self.call.offer_answer.apply(Step.ROLLBACK)
        if self.refresh:
            self.call.session_timer.refresh_later(now + 10.0)
        else:
            self.call.core.emit(ReinviteFailed(self.call.key, code, reason))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self, now: float) -> None:
        """Stop: the call is over. The transaction continues until a final response or its time limit."""
        self._cancel_timer()
        invite = self._invite
        if self.pending and invite is not None and invite.transaction is not None:
            transaction = invite.transaction
            invite.may_retry = False
            self.call.core.timers.start(now + TIMEOUT, lambda at: transaction.terminate())


class IncomingReinvite:
    """A re-INVITE or UPDATE that we received and the user has to accept or refuse.

    A re-INVITE with an empty body asks for an offer of ours instead.
    """

    def __init__(self, call: Call, dialog: Dialog, request: Request, transaction: ServerTransaction) -> None:
        self.call = call
        self.dialog = dialog
        self.request = request
        self.transaction = transaction
        self._timer: Timer | None = None

    def start(self, now: float) -> None:
        """Emit `ReinviteReceived`; without a decision in time the request is refused."""
        call = self.call
        if session_timer.interval_too_small(self.request):
            call.core.respond(self.transaction, 422, now, headers=[session_timer.MIN_SE])
            call.received_reinvite = None
            return
        if self.request.body:
            call.offer_answer.apply(Step.RECEIVE_OFFER, self.request.body)
        limit_s = _UPDATE_LIMIT_S
        if self.request.method == "INVITE":
            limit_s = TIMEOUT
            self.transaction.on_cancel = lambda cancel, at: self.refuse(487, at)
            call.core.respond(self.transaction, 100, now)
        self._timer = call.core.timers.start(now + limit_s, lambda at: self.refuse(500, at))
        call.core.emit(ReinviteReceived(call.key, self.request.body))

    def accept(self, body: bytes, now: float) -> None:
        """Send 200 with the answer."""
        call, core = self.call, self.call.core
        self._finish()
        call.offer_answer.apply(Step.SEND_ANSWER if self.request.body else Step.SEND_OFFER, body)
        response = Response.to_request(self.request, 200)
        response.headers.add("Contact", core.dialog_contact)
        core.add_capabilities(response)
        response.headers.add("Content-Type", "application/sdp")
        response.body = body
        terms = session_timer.accept_terms(self.request, response)
        self.dialog.refresh(self.request)
        call.session_timer.restart(terms, now)
        if self.request.method == "UPDATE":
            self.transaction.respond(response, now)
            return
        call.pending_2xx[self.request.cseq.sequence] = TwoXx(
            core, self.transaction, response, self._acknowledged, self._unacknowledged, now
        )

    def _acknowledged(self, ack: Request, now: float) -> None:
        if not self.request.body and not self.call.ended:
            self.call.offer_answer.apply(Step.RECEIVE_ANSWER, ack.body)
            self.call.core.emit(ReinviteAnswered(self.call.key, ack.body))

    def _unacknowledged(self, now: float) -> None:
        self.call.pending_2xx.pop(self.request.cseq.sequence, None)
        self.call.dialog_failed(None, True, now)

    def refuse(self, code: int, now: float) -> None:
        """Send a failure response; the session stays as it was."""
        if self.call.received_reinvite is self:
            self._finish()
            self.call.offer_answer.apply(Step.ROLLBACK)
            self.call.core.respond(self.transaction, code, now)

    def _finish(self) -> None:
        self.call.received_reinvite = None
        if self._timer is not None:
            self._timer.cancel()
