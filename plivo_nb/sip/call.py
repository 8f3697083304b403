"""What both sides of an answered call share: BYE, INFO, re-INVITE, session timer (RFC 3261 sections 14,
15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip import session_timer
from plivo_nb.sip.client_request import ask
from plivo_nb.sip.events import Ended, InfoAnswered, InfoReceived, Originator, ReinviteFailed
from plivo_nb.sip.message import Response
from plivo_nb.sip.negotiation import OfferAnswer
from plivo_nb.sip.reinvite import IncomingReinvite, OutgoingReinvite
from plivo_nb.sip.session_timer import SessionTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.core import Core
    from plivo_nb.sip.dialog import Dialog
    from plivo_nb.sip.message import Request
    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.transaction import ServerTransaction
    from plivo_nb.sip.two_xx import TwoXx
    from plivo_nb.sip.values import Reason


class Call:
    """One call, from the INVITE to its final event. Subclasses know how it is set up.

    Args:
        core: the user agent's core.
        key: how the user names the call.
    """

    caller = False  # whether we own the Call-ID: who retries first after a glare (section 14.1)

    def __init__(self, core: Core, key: str) -> None:
        self.core = core
        self.key = key
        self.dialog: Dialog | None = None  # once answered
        self.over = False
        self.session = OfferAnswer()
        self.acceptances: dict[int, TwoXx] = {}
        self._limit: Timer | None = None
        self.session_timer = SessionTimer(core.timers, self._refresh, self._expired)
        self.outgoing: OutgoingReinvite | None = None
        self.incoming: IncomingReinvite | None = None

    def enter(self) -> None:
        """Let the user name it from now on."""
        self.core.calls[self.key] = self

    def limit(self, at: float | None, action: Callable[[float], None] | None = None) -> None:
        """Set, move or lift the time by which the call must have been answered."""
        if self._limit is not None:
            self._limit.cancel()
        self._limit = None if at is None or action is None else self.core.timers.start(at, action)

    # ---- the end

    def close(self, now: float) -> None:
        """The call is over for its user: leave the tables, stop the timers."""
        self.over = True
        self.limit(None)
        self.core.calls.pop(self.key, None)
        for identity in [identity for identity, call in self.core.dialogs.items() if call is self]:
            del self.core.dialogs[identity]
        for acceptance in self.acceptances.values():
            acceptance.stop()
        self.acceptances.clear()
        self.session_timer.stop()
        if self.outgoing is not None:
            self.outgoing.stop(now)

    def end(
        self, originator: Originator, code: int | None, reason: str, why: Reason | None, now: float
    ) -> None:
        """End an answered call and say so."""
        if self.over:
            return
        if self.incoming is not None:
            self.incoming.refuse(487, now)
        self.close(now)
        self.core.emit(Ended(self.key, originator, code, reason, why))

    def bye(self, dialog: Dialog, now: float) -> None:
        """Send a BYE; nobody waits for its answer."""
        request = self.core.finish(dialog.request("BYE", dialog.next_sequence()))
        ask(self.core, request, lambda response, timed_out, at: None, now, dialog.next_sequence)

    def hangup(self, now: float) -> None:
        """End the call, whatever its state needs."""
        if self.dialog is not None:
            self.bye(self.dialog, now)
        self.end("local", None, "", None, now)

    def _drop(self, code: int, reason: str, now: float) -> None:
        """The dialog is broken: say BYE in case somebody listens, and end (section 12.2.1.2)."""
        if not self.over and self.dialog is not None:
            self.bye(self.dialog, now)
            self.end("system", code, reason, None, now)

    def dialog_failed(self, response: Response | None, timed_out: bool, now: float) -> None:
        """End the call if this answer to a request in it says that the other side does not know it."""
        if response is None and timed_out:
            self._drop(408, "Request Timeout", now)
        elif response is not None and response.status in (408, 481):
            self._drop(response.status, response.reason, now)

    # ---- requests in the call

    def info(self, content_type: str, body: bytes, now: float) -> None:
        """Send an INFO (RFC 6086)."""
        dialog = self.dialog
        if dialog is None or not self.core.up:
            self.core.emit(InfoAnswered(self.key, None))
            return
        request = dialog.request("INFO", dialog.next_sequence())
        request.body = body
        request.headers.add("Content-Type", content_type)

        def done(response: Response | None, timed_out: bool, at: float) -> None:
            if not self.over:
                self.core.emit(InfoAnswered(self.key, None if response is None else response.status))
            self.dialog_failed(response, timed_out, at)

        ask(self.core, self.core.finish(request), done, now, dialog.next_sequence)

    def reinvite(self, body: bytes, now: float, *, refresh: bool = False) -> None:
        """Offer a change of the session; `refresh`: the same session again, for its timer."""
        if self.dialog is None or not self.core.up:
            self.core.emit(ReinviteFailed(self.key, None, "There is no answered call, or no connection."))
        elif self.outgoing is not None or self.incoming is not None:
            self.core.emit(ReinviteFailed(self.key, 491, "Another change of the session is pending."))
        else:
            self.outgoing = OutgoingReinvite(self, self.dialog, body, refresh=refresh)
            self.outgoing.start(now)

    def _refresh(self, now: float) -> None:
        if self.outgoing is None and self.incoming is None and self.core.up and self.session.local:
            self.reinvite(self.session.local, now, refresh=True)
        else:
            self.session_timer.refresh_later(now + 2.0)

    def _expired(self, now: float) -> None:
        self._drop(408, "Session Timer Expired", now)

    def accept_reinvite(self, body: bytes, now: float) -> None:
        """Answer the pending offer."""
        if self.incoming is not None:
            self.incoming.accept(body, now)

    def reject_reinvite(self, code: int, now: float) -> None:
        """Refuse the pending offer; the call goes on as it was."""
        if self.incoming is not None:
            self.incoming.refuse(code, now)

    # ---- what comes in

    def in_order(self, request: Request) -> bool:
        """Whether the request's CSeq is newer than all before it in its dialog."""
        dialog = self.dialog_of(request)
        return dialog is not None and dialog.in_order(request.cseq)

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog of this call that a request belongs to."""
        return self.dialog

    def receive(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """A request in our dialog, other than ACK and CANCEL, with a CSeq that is in order."""
        if request.method == "BYE":
            self.receive_bye(request, transaction, now)
        elif request.method == "INFO":
            self.core.respond(transaction, 200, now)
            self.core.emit(InfoReceived(self.key, request.content_type, request.body))
        else:
            self._receive_offer(request, transaction, now)

    def receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """The other side hangs up."""
        self.core.respond(transaction, 200, now)
        why = request.reason_header
        code = why.cause if why is not None and why.protocol.upper() == "SIP" else None
        self.end("remote", code, (why.text if why is not None else None) or "", why, now)

    def _receive_offer(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """A re-INVITE, or an UPDATE; an UPDATE without a body only refreshes the session (RFC 3311, 4028)."""
        if request.method == "UPDATE" and not request.body:
            self._receive_refresh(request, transaction, now)
        elif self.dialog is None or self.incoming is not None or self.acceptances:
            # Their last INVITE is not finished: section 14.2 asks them to come back within 10 seconds.
            delay = str(int(self.core.random.random() * 10))
            self.core.respond(transaction, 500, now, headers=[("Retry-After", delay)])
        elif self.outgoing is not None and self.outgoing.pending:
            self.core.respond(transaction, 491, now)
        else:
            self.incoming = IncomingReinvite(self, self.dialog, request, transaction)
            self.incoming.start(now)

    def _receive_refresh(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        if session_timer.too_small(request):
            self.core.respond(transaction, 422, now, headers=[session_timer.MIN_SE])
            return
        response = Response.to_request(request, 200)
        response.headers.add("Contact", self.core.dialog_contact)
        if self.dialog is not None:
            self.dialog.refresh(request)
            self.session_timer.restart(session_timer.terms_to_answer(request, response), now)
        transaction.respond(response, now)

    def receive_ack(self, request: Request, now: float) -> None:
        """An ACK to a 2xx of ours."""
        acceptance = self.acceptances.pop(request.cseq.sequence, None)
        if acceptance is not None:
            acceptance.acknowledged(request, now)

    def transport_down(self, now: float) -> None:
        """The socket is lost. An answered call goes on; our offer, if one is out, has to be made again."""
        if self.outgoing is not None:
            self.outgoing.transport_down(now)

    def acknowledge(self, dialog: Dialog, invite: Request) -> Request:
        """The ACK to a 2xx: a request of its own, with the INVITE's number and credentials (13.2.2.4)."""
        ack = dialog.request("ACK", invite.cseq.sequence)
        for name in ("Authorization", "Proxy-Authorization"):
            for value in invite.headers.get_all(name):
                ack.headers.add(name, value)
        return self.core.finish(ack)
