"""An incoming call until its ACK: the callee's side of INVITE (RFC 3261 sections 9.2, 13.3).

ringing      --ring, progress-->           ringing: 180, 183
             --accept-->                   accepted: 200, repeated until the ACK
             --reject-->                   over: 3xx-6xx, Rejected
             --CANCEL, BYE-->              over: 487, Canceled
             --60 s-->                     over: 408, NoAnswer
accepted     --ACK-->                      confirmed
             --32 s without ACK-->         over: BYE, Ended
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plivo_nb.sip import session_timer
from plivo_nb.sip.call import Call
from plivo_nb.sip.dialog import Dialog
from plivo_nb.sip.events import Canceled, Confirmed, IncomingCall, NoAnswer, Rejected
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.negotiation import Move
from plivo_nb.sip.two_xx import TwoXx
from plivo_nb.sip.values import parse_uri

if TYPE_CHECKING:
    from plivo_nb.sip.core import Core
    from plivo_nb.sip.transaction import ServerTransaction


class CallReceived(Call):
    """A call that somebody makes to us.

    Args:
        core: the user agent's core.
        key: how the user names the call.
        request: the INVITE.
        transaction: its transaction.
    """

    def __init__(self, core: Core, key: str, request: Request, transaction: ServerTransaction) -> None:
        super().__init__(core, key)
        self.request = request
        self.transaction = transaction
        self._tag = transaction.tag = core.token(10)
        self._early = Dialog.of_callee(request, self._tag)
        self._hangup_after_ack = False

    def start(self, now: float) -> None:
        """Say 100, tell the user, start the timer."""
        request, core = self.request, self.core
        self.enter()
        core.dialogs[self._early.id] = self
        core.respond(self.transaction, 100, now)
        self.transaction.on_cancel = self._cancelled
        self.limit(now + self._patience(), self._unanswered)
        if request.body:
            self.session.move(Move.RECEIVE_OFFER, request.body)
        sender = request.from_
        core.emit(
            IncomingCall(
                self.key,
                _user_at_host(sender.uri),
                sender.uri,
                sender.display_name,
                request.to.uri,
                request.shown_headers,
                request.body,
                request.x_call_uuid,
            )
        )

    def _patience(self) -> float:
        """How long it may ring: our own limit, or the INVITE's Expires (section 13.3.1)."""
        limit = self.core.config.no_answer_timeout_s
        expires = self.request.headers.get("Expires")
        if expires is not None and re.fullmatch(r"[0-9]{1,9}", expires) and int(expires) > 0:
            limit = min(limit, float(expires))
        return limit

    @property
    def ringing(self) -> bool:
        """Whether the user can still decide."""
        return not self.over and self.dialog is None

    # ---- what the user decides

    def provisional(self, status: int, body: bytes, now: float) -> None:
        """Send a 18x, with early media where there is a body."""
        if self.ringing:
            self._respond(status, body, now)

    def accept(self, body: bytes, now: float) -> None:
        """Send the 200 with our answer (or our offer, where the INVITE had none)."""
        if not self.ringing:
            return
        self.limit(None)
        self.dialog = self._early
        self.session.move(Move.SEND_ANSWER if self.request.body else Move.SEND_OFFER, body)
        response = self._response(200, body)
        self.session_timer.restart(session_timer.terms_to_answer(self.request, response), now)
        self.acceptances[self.request.cseq.sequence] = TwoXx(
            self.core, self.transaction, response, self._acknowledged, self._unacknowledged, now
        )

    def reject(self, now: float, code: int = 486, reason: str | None = None) -> None:
        """Refuse it."""
        if self.ringing:
            self._refuse(code, now, reason)
            self.core.emit(Rejected(self.key, code))

    def hangup(self, now: float) -> None:
        """Reject it, or end it: a BYE must wait for the ACK (section 15)."""
        if self.ringing:
            self.reject(now)
        elif self.request.cseq.sequence in self.acceptances and self.dialog is not None and not self.over:
            self._hangup_after_ack = True
            waiting, identity = dict(self.acceptances), self.dialog.id
            self.acceptances.clear()
            self.end("local", None, "", None, now)
            self.acceptances.update(waiting)
            self.core.dialogs[identity] = self
        else:
            super().hangup(now)

    # ---- what the other side does

    def dialog_of(self, request: Request) -> Dialog | None:
        """The one dialog, early or answered."""
        return self._early

    def _acknowledged(self, ack: Request, now: float) -> None:
        if self._hangup_after_ack:
            self._leave(now)
            return
        if not self.request.body:
            self.session.move(Move.RECEIVE_ANSWER, ack.body)
        self.core.emit(Confirmed(self.key, ack.body))

    def _unacknowledged(self, now: float) -> None:
        self.acceptances.clear()
        if self._hangup_after_ack:
            self._leave(now)
        elif not self.over and self.dialog is not None:
            self.bye(self.dialog, now)
            self.end("system", 408, "No ACK", None, now)

    def _leave(self, now: float) -> None:
        """The hang-up that had to wait."""
        if self.dialog is not None:
            self.core.dialogs.pop(self.dialog.id, None)
            self.bye(self.dialog, now)

    def _cancelled(self, cancel: Request, now: float) -> None:
        if self.ringing:
            self._refuse(487, now)
            self.core.emit(Canceled(self.key, cancel.reason_header))

    def receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """A BYE: in the early dialog it means what a CANCEL means."""
        if self.ringing:
            self.core.respond(transaction, 200, now)
            self._cancelled(request, now)
            return
        if self.over:  # our own hang-up waited for the ACK, and theirs came first
            for acceptance in self.acceptances.values():
                acceptance.stop()
            self.acceptances.clear()
            self.core.dialogs.pop(Dialog.id_of(request), None)
        super().receive_bye(request, transaction, now)

    def _unanswered(self, now: float) -> None:
        if self.ringing:
            expired = self._patience() < self.core.config.no_answer_timeout_s
            self._refuse(487 if expired else 408, now)
            self.core.emit(NoAnswer(self.key))

    # ---- responses

    def _response(self, status: int, body: bytes) -> Response:
        response = Response.to_request(self.request, status, to_tag=self._tag)
        response.headers.add("Contact", self.core.dialog_contact)
        self.core.describe(response)
        if body:
            response.headers.add("Content-Type", "application/sdp")
            response.body = body
        return response

    def _respond(self, status: int, body: bytes, now: float) -> None:
        self.transaction.respond(self._response(status, body), now)

    def _refuse(self, code: int, now: float, reason: str | None = None) -> None:
        self.core.respond(self.transaction, code, now, reason=reason)
        self.close(now)


def _user_at_host(uri: str) -> str:
    """'user@domain' of a SIP URI, as onIncomingCall shows it; other URIs as they are."""
    try:
        parsed = parse_uri(uri)
    except ValueError:
        return uri
    return f"{parsed.user}@{parsed.host}" if parsed.host else parsed.user or uri
