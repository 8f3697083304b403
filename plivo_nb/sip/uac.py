"""An outgoing call until its answer: the UAC of an INVITE (RFC 3261 sections 8.1.3.4, 9.1 and 13.2).

    calling      --1xx-->                      proceeding
    proceeding   --18x-->                      proceeding: Progress, and an early dialog for each To tag
    both         --2xx-->                      answered: ACK, Answered, a confirmed dialog
                 --3xx-->                      calling: the next target, if it may be followed
                 --4xx-6xx, 32 s, lost-->      over: CallFailed
                 --hang-up-->                  over: CallFailed(487) at once
    over         --1xx-->                      CANCEL, once
                 --2xx-->                      ACK and BYE: it crossed the CANCEL

A forking proxy makes several phones ring: each 18x with a new To tag makes an early dialog. The first 2xx
answers the call; each further one is acknowledged and its dialog ended with a BYE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip import session_timer
from plivo_nb.sip.call import Call
from plivo_nb.sip.client_request import ClientRequest, send_request
from plivo_nb.sip.core import PRODUCT
from plivo_nb.sip.dialog import Dialog
from plivo_nb.sip.events import Answered, CallFailed, Originator, Progress
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.negotiation import Step
from plivo_nb.sip.transaction import TIMEOUT
from plivo_nb.sip.values import parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivo_nb.sip.call import CallTable
    from plivo_nb.sip.core import Core
    from plivo_nb.sip.transaction import ServerTransaction

_MAX_EARLY_DIALOGS = 20
_MAX_REDIRECTIONS = 5
_OWN_FIELDS = frozenset(
    (
        *("via", "max-forwards", "to", "from", "call-id", "cseq", "contact", "route", "record-route"),
        *("content-type", "content-length", "allow", "supported", "user-agent", "require"),
        *("authorization", "proxy-authorization"),
    )
)


class OutgoingCall(Call):
    """An outgoing call.

    Args:
        core: the user agent's core.
        table: the user agent's calls.
        uri: the target.
        body: the SDP offer.
        headers: further header fields of the INVITE.
    """

    owns_call_id = True

    def __init__(
        self, core: Core, table: CallTable, uri: str, body: bytes, headers: Sequence[tuple[str, str]]
    ) -> None:
        request = core.new_request("INVITE", uri, uri)
        super().__init__(core, table, request.call_id)
        request.body = body
        for route in core.service_route:
            request.headers.echo("Route", route)
        for name, value in headers:
            if name.lower() in _OWN_FIELDS:
                raise ValueError(f"{name} is set by the user agent itself.")
            request.headers.add(name, value)
        core.complete(request, contact=core.dialog_contact)
        request.headers.add("Content-Type", "application/sdp")
        self.offer_answer.apply(Step.SEND_OFFER, body)
        self._invite = ClientRequest(core, request, self)
        self._proceeding = False
        self._cancelled = False
        self._early: dict[str, Dialog] = {}
        self._acks: dict[str, Request] = {}
        self._targets: list[str] = []
        self._tried = {uri}
        self._uri = uri
        self._x_call_uuid: str | None = None

    def start(self, now: float) -> None:
        """Send the INVITE; without a connection the call fails at once."""
        self.enter()
        if not self.core.connected:
            self._fail(None, "Connection Error", "system", now)
            return
        self.start_answer_timer(now + self.core.config.ring_timeout_s, self._unanswered)
        self._invite.start(now)

    # ---- responses

    def on_response(self, response: Response, now: float) -> None:
        """Process a response that is not an answerable challenge."""
        self._x_call_uuid = response.x_call_uuid or self._x_call_uuid
        if response.status < 200:
            self._provisional(response, now)
        elif response.status < 300:
            self._success(response, now)
        elif not self.ended and not self._redirect(response, now):
            self._fail(response.status, response.reason, "remote", now, response)

    def _provisional(self, response: Response, now: float) -> None:
        self._proceeding = True
        if self.ended:
            self._cancel(now)
            return
        tag = response.to.tag
        if response.status == 100 or self.dialog is not None:
            return
        if tag is not None and tag not in self._early and len(self._early) < _MAX_EARLY_DIALOGS:
            dialog = self._early[tag] = Dialog.of_uac(self._invite.request, response)
            self.table.by_dialog[dialog.id] = self
        self.core.emit(
            Progress(
                self.key,
                response.status,
                response.reason,
                response.body,
                response.shown_headers,
                self._x_call_uuid,
                tag or "",
            )
        )

    def _success(self, response: Response, now: float) -> None:
        tag = response.to.tag or ""
        known = self._acks.get(tag)
        if known is not None:  # a retransmission: the ACK was lost
            self.core.send(known, now)
            return
        dialog = Dialog.of_uac(self._invite.request, response)
        if tag in self._early:
            dialog.local_sequence = max(dialog.local_sequence, self._early[tag].local_sequence)
            dialog.remote_sequence = self._early[tag].remote_sequence
        self._acks[tag] = self.acknowledge(dialog, self._invite.request)
        self.core.send(self._acks[tag], now)
        if self.ended or self.dialog is not None:  # it crossed our CANCEL, or another branch has answered
            self.bye(dialog, now)
        else:
            self._answered(dialog, response, now)

    def _answered(self, dialog: Dialog, response: Response, now: float) -> None:
        self.stop_answer_timer()
        for early in self._early.values():
            self.table.by_dialog.pop(early.id, None)
        self._early.clear()
        self.dialog = dialog
        self.table.by_dialog[dialog.id] = self
        self.offer_answer.apply(Step.RECEIVE_ANSWER, response.body)
        self.session_timer.restart(session_timer.terms_of(response), now)
        self.core.emit(
            Answered(
                self.key,
                response.body,
                response.shown_headers,
                self._x_call_uuid,
                response.to.tag or "",
            )
        )

    def on_no_response(self, timed_out: bool, now: float) -> None:
        """Process the end of the wait for a response: a time-out, or the loss of the connection."""
        if timed_out:
            self._fail(408, "Request Timeout", "system", now)
        else:
            self._fail(None, "Connection Error", "system", now)

    def dialog_of(self, request: Request) -> Dialog | None:
        """Return the confirmed dialog, or one of the early ones."""
        return self.dialog or self._early.get(request.from_.tag or "")

    def receive_bye(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """Process a BYE; before the 2xx it ends an early dialog, and with the last one the call."""
        if self.dialog is not None:
            super().receive_bye(request, transaction, now)
            return
        self.core.respond(transaction, 200, now)
        early = self._early.pop(request.from_.tag or "", None)
        if early is not None:
            self.table.by_dialog.pop(early.id, None)
        if not self._early:
            self._fail(487, "Request Terminated", "remote", now)

    # ---- redirection

    def _redirect(self, response: Response, now: float) -> bool:
        """Follow a 3xx; if a target fails, try the next. Return True if another one is tried.

        Without `follow_redirects` only a SIP URI of the same host is followed: who answers our calls must
        not decide where they go. Another host does not get the X-PH headers.
        """
        if 300 <= response.status < 400:
            follow = self.core.config.follow_redirects
            self._targets += [uri for uri in _redirections(response) if follow or _same_host(uri, self._uri)]
        while self._targets and len(self._tried) <= _MAX_REDIRECTIONS and self.core.connected:
            uri = self._targets.pop(0)
            if uri not in self._tried:
                self._tried.add(uri)
                for early in self._early.values():
                    self.table.by_dialog.pop(early.id, None)
                self._early.clear()
                self._proceeding = False
                if not _same_host(uri, self._uri):
                    self._remove_private_fields()
                self._invite.redirect(uri, now)
                return True
        return False

    def _remove_private_fields(self) -> None:
        headers = self._invite.request.headers
        for name in list(headers):
            if name.lower().startswith("x-ph-"):
                headers.remove(name)

    # ---- failure and cancellation

    def hangup(self, now: float) -> None:
        """End the call: send a CANCEL before the answer, a BYE after it."""
        if self.dialog is not None:
            super().hangup(now)
        else:
            self._fail(487, "Request Terminated", "local", now)

    def _unanswered(self, now: float) -> None:
        self._fail(408, "Request Timeout", "system", now)

    def transport_down(self, now: float) -> None:
        """Fail the call if it is unanswered, since no response can arrive; its CANCEL is sent later.

        Also where no 1xx has come (section 9.1): it may have been lost with the connection, and the other
        side would ring on.
        """
        if self.dialog is None:
            self._proceeding = True
            self._fail(None, "Connection Error", "system", now)
        super().transport_down(now)

    def _fail(
        self,
        code: int | None,
        reason: str,
        originator: Originator,
        now: float,
        response: Response | None = None,
    ) -> None:
        if self.ended or self.dialog is not None:
            return
        self._invite.may_retry = False
        self.close(now)
        headers = [] if response is None else response.shown_headers
        why = None if response is None else response.reason_header
        contact = None
        if response is not None and 300 <= response.status < 400 and response.contacts:
            contact = response.contacts[0].uri
        self.core.emit(
            CallFailed(self.key, code, reason, headers, why, originator, self._x_call_uuid, contact)
        )
        if self._proceeding and response is None:
            self._cancel(now)

    def _cancel(self, now: float) -> None:
        """Send the CANCEL, and wait at most 64 T1 for a final response to the INVITE (section 9.1)."""
        transaction = self._invite.transaction
        if self._cancelled or transaction is None or transaction.finished:
            return
        self._cancelled = True
        invite = transaction.request
        cancel = Request("CANCEL", invite.uri)
        for name in ("Via", "Max-Forwards", "Route", "To", "From", "Call-ID"):
            for value in invite.headers.get_all(name):
                cancel.headers.echo(name, value)
        cancel.headers.add("CSeq", f"{invite.cseq.sequence} CANCEL")
        cancel.headers.add("User-Agent", PRODUCT)
        send_request(self.core, cancel, now)
        self.core.timers.start(now + TIMEOUT, lambda at: transaction.terminate())


def _same_host(uri: str, other: str) -> bool:
    """Return whether a SIP URI has the scheme and host of another, and names no other host in ``maddr``."""
    ours, theirs = parse_uri(other), parse_uri(uri)
    if theirs.scheme.lower() not in ("sip", "sips") or ";maddr=" in uri.lower():
        return False
    return (theirs.scheme.lower(), theirs.host.lower()) == (ours.scheme.lower(), ours.host.lower())


def _redirections(response: Response) -> list[str]:
    """Return the SIP targets of a 3xx, the preferred one first. URIs with header fields are skipped."""
    ranked = []
    for contact in response.contacts:
        try:
            weight = float(contact.parameters.get("q") or 1.0)
        except ValueError:
            weight = 1.0
        if contact.uri != "*" and "?" not in contact.uri:
            try:
                parse_uri(contact.uri)
            except ValueError:
                continue
            ranked.append((weight, contact.uri))
    return [uri for _, uri in sorted(ranked, key=lambda pair: -pair[0])]
