"""An incoming call until its ACK: the UAS of an INVITE (RFC 3261 sections 9.2 and 13.3).

ringing      --ring-->                     ringing: 180
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
from plivo_nb.sip.events import Canceled, Confirmed, InviteReceived, NoAnswer, Rejected
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.negotiation import Step
from plivo_nb.sip.two_xx import TwoXx
from plivo_nb.sip.values import parse_uri

if TYPE_CHECKING:
    from plivo_nb.sip.call import CallTable
    from plivo_nb.sip.core import Core
    from plivo_nb.sip.transaction import ServerTransaction


class IncomingCall(Call):
    """A call that we receive.

    Args:
        core: the user agent's core.
        table: the user agent's calls.
        request: the INVITE.
        transaction: its transaction.
    """

    def __init__(
        self, core: Core, table: CallTable, request: Request, transaction: ServerTransaction
    ) -> None:
        super().__init__(core, table, request.call_id)
        self.request = request
        self.transaction = transaction
        self._tag = transaction.tag = core.random_string(10)
        self._early = Dialog.of_uas(request, self._tag)
        self._hangup_after_ack = False

    def start(self, now: float) -> None:
        """Send 100, emit `InviteReceived`, start the timer."""
        request, core = self.request, self.core
        self.enter()
        self.table.by_dialog[self._early.id] = self
        core.respond(self.transaction, 100, now)
        self.transaction.on_cancel = self._cancelled
        self.start_answer_timer(now + self._ring_limit_s(), self._unanswered)
        if request.body:
            self.offer_answer.apply(Step.RECEIVE_OFFER, request.body)
        sender = request.from_
        core.emit(
            InviteReceived(
                self.key,
                _user_at_host(sender.uri),
                sender.uri,
                "".join(character for character in sender.display_name if character.isprintable()),
                request.to.uri,
                request.shown_headers,
                request.body,
                request.x_call_uuid,
            )
        )

    def _ring_limit_s(self) -> float:
        """How long the call may ring: our own limit, or a shorter Expires of the INVITE (section 13.3.1)."""
        limit = self.core.config.no_answer_timeout_s
        expires = self.request.headers.get("Expires")
        if expires is not None and re.fullmatch(r"[0-9]{1,9}", expires) and int(expires) > 0:
            limit = min(limit, float(expires))
        return limit

    @property
    def ringing(self) -> bool:
        """Whether the call can still be answered or refused."""
        return not self.ended and self.dialog is None

    # ---- decisions of the user

    def ring(self, now: float) -> None:
        """Send 180."""
        if self.ringing:
            self.transaction.respond(self._response(180), now)

    def accept(self, body: bytes, now: float) -> None:
        """Send 200 with our answer, or with our offer where the INVITE had none."""
        if not self.ringing:
            return
        self.stop_answer_timer()
        self.dialog = self._early
        self.offer_answer.apply(Step.SEND_ANSWER if self.request.body else Step.SEND_OFFER, body)
        response = self._response(200, body)
        self.session_timer.restart(session_timer.accept_terms(self.request, response), now)
        self.pending_2xx[self.request.cseq.sequence] = TwoXx(
            self.core, self.transaction, response, self._acknowledged, self._unacknowledged, now
        )

    def reject(self, now: float, code: int = 486, reason: str | None = None) -> None:
        """Refuse the call."""
        if self.ringing:
            self._refuse(code, now, reason)
            self.core.emit(Rejected(self.key, code))

    def hangup(self, now: float) -> None:
        """Refuse or end the call; a BYE is not sent before the ACK has come (section 15)."""
        if self.ringing:
            self.reject(now)
        elif self.request.cseq.sequence in self.pending_2xx and self.dialog is not None and not self.ended:
            self._hangup_after_ack = True
            waiting, identity = dict(self.pending_2xx), self.dialog.id
            self.pending_2xx.clear()
            self.end("local", None, "", None, now)
            self.pending_2xx.update(waiting)
            self.table.by_dialog[identity] = self
        else:
            super().hangup(now)

    # ---- the other side

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog, early or confirmed."""
        return self._early

    def _acknowledged(self, ack: Request, now: float) -> None:
        if self._hangup_after_ack:
            self._send_delayed_bye(now)
            return
        if not self.request.body:
            self.offer_answer.apply(Step.RECEIVE_ANSWER, ack.body)
        self.core.emit(Confirmed(self.key, ack.body))

    def _unacknowledged(self, now: float) -> None:
        self.pending_2xx.clear()
        if self._hangup_after_ack:
            self._send_delayed_bye(now)
        elif not self.ended and self.dialog is not None:
            self.bye(self.dialog, now)
            self.end("system", 408, "No ACK", None, now)

    def _send_delayed_bye(self, now: float) -> None:
        """Send the BYE that waited for the ACK."""
        if self.dialog is not None:
            self.table.by_dialog.pop(self.dialog.id, None)
            self.bye(self.dialog, now)

    def _cancelled(self, cancel: Request, now: float) -> None:
        if self.ringing:
            self._refuse(487, now)
            self.core.emit(Canceled(self.key, cancel.reason_header))

    def receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """Process a BYE; in the early dialog it means the same as a CANCEL."""
        if self.ringing:
            self.core.respond(transaction, 200, now)
            self._cancelled(request, now)
            return
        if self.ended:  # our BYE waits for the ACK, and theirs came first
            for two_xx in self.pending_2xx.values():
                two_xx.stop()
            self.pending_2xx.clear()
            self.table.by_dialog.pop(Dialog.id_of(request), None)
        super().receive_bye(request, transaction, now)

    def _unanswered(self, now: float) -> None:
        if self.ringing:
            expired = self._ring_limit_s() < self.core.config.no_answer_timeout_s
            self._refuse(487 if expired else 408, now)
            self.core.emit(NoAnswer(self.key))

    # ---- responses

    def _response(self, status: int, body: bytes = b"") -> Response:
        response = Response.to_request(self.request, status, to_tag=self._tag)
        response.headers.add("Contact", self.core.dialog_contact)
        self.core.add_capabilities(response)
        if body:
            response.headers.add("Content-Type", "application/sdp")
            response.body = body
        return response

    def _refuse(self, code: int, now: float, reason: str | None = None) -> None:
        self.core.respond(self.transaction, code, now, reason=reason)
        self.close(now)


def _user_at_host(uri: str) -> str:
    """'user@domain' of a SIP URI, 'domain' if it has no user, a TEL URI's number; others unchanged.

    So is a URI whose escapes stand for line ends, terminal sequences or other text that is not printable:
    the result is displayed and logged.
    """
    try:
        parsed = parse_uri(uri)
    except ValueError:
        return uri
    parts = [part for part in (parsed.user, parsed.host) if part]
    address = "@".join(parts)
    return address if address and address.isprintable() else uri
