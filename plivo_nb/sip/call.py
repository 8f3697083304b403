"""A call, whichever side made it: BYE, INFO, re-INVITE, session timer (RFC 3261 sections 14 and 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip import session_timer
from plivo_nb.sip.client_request import send_request
from plivo_nb.sip.events import Ended, InfoAnswered, InfoReceived, Originator, ReinviteFailed
from plivo_nb.sip.message import Response
from plivo_nb.sip.negotiation import OfferAnswer
from plivo_nb.sip.reinvite import IncomingReinvite, OutgoingReinvite
from plivo_nb.sip.session_timer import SessionTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.core import Core
    from plivo_nb.sip.dialog import Dialog, DialogId
    from plivo_nb.sip.message import Request
    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.transaction import ServerTransaction
    from plivo_nb.sip.two_xx import TwoXx
    from plivo_nb.sip.values import Reason

_REMEMBERED_KEYS = 1000


class CallTable:
    """The calls of one user agent, by their keys and by the dialogs that they have."""

    def __init__(self) -> None:
        self.by_key: dict[str, Call] = {}
        self.by_dialog: dict[DialogId, Call] = {}
        self._used_keys: dict[str, None] = {}

    def new_key(self, core: Core, call_id: str) -> str:
        """A key for a call: its Call-ID, extended where another call has or recently had that key."""
        key = call_id
        while key in self.by_key or key in self._used_keys:
            key = f"{call_id};{core.random_string(6)}"
        self._used_keys[key] = None
        if len(self._used_keys) > _REMEMBERED_KEYS:
            del self._used_keys[next(iter(self._used_keys))]
        return key

    def remove(self, call: Call) -> None:
        """Remove a call and its dialogs."""
        self.by_key.pop(call.key, None)
        for identity in [identity for identity, other in self.by_dialog.items() if other is call]:
            del self.by_dialog[identity]


class Call:
    """One call, from the INVITE to its final event; the subclasses set it up.

    Args:
        core: the user agent's core.
        table: the user agent's calls.
        call_id: the Call-ID of the INVITE, from which the key is made.
    """

    owns_call_id = False  # who made the Call-ID waits longer after a glare (section 14.1)

    def __init__(self, core: Core, table: CallTable, call_id: str) -> None:
        self.core = core
        self.table = table
        self.key = table.new_key(core, call_id)
        self.dialog: Dialog | None = None  # the confirmed dialog
        self.ended = False
        self.offer_answer = OfferAnswer()
        self.pending_2xx: dict[int, TwoXx] = {}  # sent and not acknowledged, by CSeq number
        self._answer_timer: Timer | None = None
        self.session_timer = SessionTimer(core.timers, self._refresh, self._expired)
        self.sent_reinvite: OutgoingReinvite | None = None
        self.received_reinvite: IncomingReinvite | None = None

    def enter(self) -> None:
        """Enter the table of calls: from now on the key is valid."""
        self.table.by_key[self.key] = self

    def start_answer_timer(self, at: float, unanswered: Callable[[float], None]) -> None:
        """Set the time by which the call must have been answered."""
        self._answer_timer = self.core.timers.start(at, unanswered)

    def stop_answer_timer(self) -> None:
        """Stop that timer: the call was answered, or is over."""
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    # ---- ending

    def close(self, now: float) -> None:
        """Leave the table and stop the timers: the call is over for its user."""
        self.ended = True
        self.stop_answer_timer()
        self.table.remove(self)
        for two_xx in self.pending_2xx.values():
            two_xx.stop()
        self.pending_2xx.clear()
        self.session_timer.stop()
        if self.sent_reinvite is not None:
            self.sent_reinvite.stop(now)

    def end(
        self, originator: Originator, code: int | None, reason: str, why: Reason | None, now: float
    ) -> None:
        """End an answered call and emit `Ended`."""
        if self.ended:
            return
        if self.received_reinvite is not None:
            self.received_reinvite.refuse(487, now)
        self.close(now)
        self.core.emit(Ended(self.key, originator, code, reason, why))

    def bye(self, dialog: Dialog, now: float) -> None:
        """Send a BYE; its response has no effect."""
        request = self.core.complete(dialog.request("BYE", dialog.next_sequence()))
        send_request(self.core, request, now, next_sequence=dialog.next_sequence)

    def hangup(self, now: float) -> None:
        """End the call, with the request that its state needs."""
        if self.dialog is not None:
            self.bye(self.dialog, now)
        self.end("local", None, "", None, now)

    def _drop(self, code: int, reason: str, now: float) -> None:
        """The dialog has failed: send a BYE and end the call (section 12.2.1.2)."""
        if not self.ended and self.dialog is not None:
            self.bye(self.dialog, now)
            self.end("system", code, reason, None, now)

    def dialog_failed(self, response: Response | None, timed_out: bool, now: float) -> None:
        """End the call if the response to a request in its dialog says that the dialog is gone."""
        if response is None and timed_out:
            self._drop(408, "Request Timeout", now)
        elif response is not None and response.status in (408, 481):
            self._drop(response.status, response.reason, now)

    # ---- sent requests

    def info(self, content_type: str, body: bytes, now: float) -> None:
        """Send an INFO (RFC 6086)."""
        dialog = self.dialog
        if dialog is None or not self.core.connected:
            self.core.emit(InfoAnswered(self.key, None))
            return
        request = dialog.request("INFO", dialog.next_sequence())
        request.body = body
        request.headers.add("Content-Type", content_type)

        def answered(response: Response | None, timed_out: bool, at: float) -> None:
            if not self.ended:
                self.core.emit(InfoAnswered(self.key, None if response is None else response.status))
            self.dialog_failed(response, timed_out, at)

        send_request(self.core, self.core.complete(request), now, answered, dialog.next_sequence)

    def reinvite(self, body: bytes, now: float, *, refresh: bool = False) -> None:
        """Send a re-INVITE with an offer; `refresh`: the current offer again, for the session timer."""
        if self.dialog is None or not self.core.connected:
            self.core.emit(ReinviteFailed(self.key, None, "There is no answered call, or no connection."))
        elif self.sent_reinvite is not None or self.received_reinvite is not None:
            self.core.emit(ReinviteFailed(self.key, 491, "Another change of the session is pending."))
        else:
            self.sent_reinvite = OutgoingReinvite(self, self.dialog, body, refresh=refresh)
            self.sent_reinvite.start(now)

    def _refresh(self, now: float) -> None:
        pending = self.sent_reinvite is not None or self.received_reinvite is not None
        if self.core.connected and self.offer_answer.local and not pending:
            self.reinvite(self.offer_answer.local, now, refresh=True)
        else:
            self.session_timer.refresh_later(now + 2.0)

    def _expired(self, now: float) -> None:
        self._drop(408, "Session Timer Expired", now)

    def accept_reinvite(self, body: bytes, now: float) -> None:
        """Accept the offer of the other side."""
        if self.received_reinvite is not None:
            self.received_reinvite.accept(body, now)

    def reject_reinvite(self, code: int, now: float) -> None:
        """Refuse the offer of the other side; the session stays as it was."""
        if self.received_reinvite is not None:
            self.received_reinvite.refuse(code, now)

    # ---- received requests

    def in_order(self, request: Request) -> bool:
        """Whether the CSeq of a request is higher than those received before in its dialog."""
        dialog = self.dialog_of(request)
        return dialog is not None and dialog.in_order(request.cseq)

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog, of those of this call, that a request belongs to."""
        return self.dialog

    def receive(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """Process a request in a dialog other than ACK and CANCEL, with a CSeq that is in order."""
        if request.method == "BYE":
            self.receive_bye(request, transaction, now)
        elif request.method == "INFO":
            self.core.respond(transaction, 200, now)
            self.core.emit(InfoReceived(self.key, request.content_type, request.body))
        else:
            self._receive_offer(request, transaction, now)

    def receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """Process a BYE: the other side hung up."""
        self.core.respond(transaction, 200, now)
        why = request.reason_header
        code = why.cause if why is not None and why.protocol.upper() == "SIP" else None
        self.end("remote", code, (why.text if why is not None else None) or "", why, now)

    def _receive_offer(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """Process a re-INVITE or an UPDATE; an UPDATE without a body is only a refresh (RFC 4028)."""
        if request.method == "UPDATE" and not request.body:
            self._receive_refresh(request, transaction, now)
        elif self.dialog is None or self.received_reinvite is not None or self.pending_2xx:
            # The previous INVITE has no final response or no ACK yet: retry within 10 s (section 14.2).
            delay = str(int(self.core.random.random() * 10))
            self.core.respond(transaction, 500, now, headers=[("Retry-After", delay)])
        elif self.sent_reinvite is not None and self.sent_reinvite.pending:
            self.core.respond(transaction, 491, now)
        else:
            self.received_reinvite = IncomingReinvite(self, self.dialog, request, transaction)
            self.received_reinvite.start(now)

    def _receive_refresh(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        if session_timer.interval_too_small(request):
            self.core.respond(transaction, 422, now, headers=[session_timer.MIN_SE])
            return
        response = Response.to_request(request, 200)
        response.headers.add("Contact", self.core.dialog_contact)
        if self.dialog is not None:
            self.dialog.refresh(request)
            self.session_timer.restart(session_timer.accept_terms(request, response), now)
        transaction.respond(response, now)

    def receive_ack(self, request: Request, now: float) -> None:
        """Process the ACK to our 2xx."""
        two_xx = self.pending_2xx.pop(request.cseq.sequence, None)
        if two_xx is not None:
            two_xx.acknowledged(request, now)

    def transport_down(self, now: float) -> None:
        """The connection is lost. An answered call goes on; a pending re-INVITE of ours fails."""
        if self.sent_reinvite is not None:
            self.sent_reinvite.transport_down(now)

    def acknowledge(self, dialog: Dialog, invite: Request) -> Request:
        """Make the ACK to a 2xx, with the CSeq number and credentials of the INVITE (section 13.2.2.4)."""
        ack = dialog.request("ACK", invite.cseq.sequence)
        for name in ("Authorization", "Proxy-Authorization"):
            for value in invite.headers.get_all(name):
                ack.headers.add(name, value)
        return self.core.complete(ack)
