"""Received requests: the checks of RFC 3261 section 8.2, then the dialog or the method handles them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip import session_timer
from plivo_nb.sip.core import EXTENSIONS, METHODS
from plivo_nb.sip.dialog import Dialog
from plivo_nb.sip.events import MessageReceived
from plivo_nb.sip.uas import IncomingCall
from plivo_nb.sip.values import is_token

if TYPE_CHECKING:
    from plivo_nb.sip.call import CallTable
    from plivo_nb.sip.core import Core
    from plivo_nb.sip.message import Request
    from plivo_nb.sip.transaction import ServerTransaction

_PACKAGES = ("keep-alive", "message-summary")  # servers send these without a subscription
_Refusal = tuple[int, list[tuple[str, str]]]


class Dispatcher:
    """Handles every well-formed request.

    Args:
        core: the user agent's core.
        table: the user agent's calls.
    """

    def __init__(self, core: Core, table: CallTable) -> None:
        self.core = core
        self.table = table

    def request(self, request: Request, now: float) -> None:
        """Pass the request to its call, or answer it."""
        core = self.core
        transaction = core.layer.receive_request(request, now)
        if request.method == "ACK":
            call = self.table.by_dialog.get(Dialog.id_of(request))
            if call is not None:
                call.receive_ack(request, now)
            return
        if transaction is None:
            return
        if request.method == "CANCEL":
            self._cancel(request, transaction, now)
            return
        refusal = self._inspect(request)
        if refusal is not None:
            core.respond(transaction, refusal[0], now, headers=refusal[1])
        elif request.to.tag is not None:
            self._in_dialog(request, transaction, now)
        else:
            self._outside_dialog(request, transaction, now)

    def _cancel(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        meant = self.core.layer.matching_invite(request)
        tag = None if meant is None else meant.tag  # the same as in the INVITE's responses
        self.core.respond(transaction, 481 if meant is None else 200, now, to_tag=tag)
        if meant is not None and meant.on_cancel is not None:
            meant.on_cancel(request, now)

    def _inspect(self, request: Request) -> _Refusal | None:
        """Check method, Request-URI, required extensions and body (sections 8.2.1 to 8.2.3)."""
        if request.method not in METHODS:
            return 405, [("Allow", ",".join(METHODS))]
        if request.uri.partition(":")[0].lower() not in ("sip", "sips", "tel"):
            return 416, []
        unknown = [value for value in request.values("Require") if value.lower() not in EXTENSIONS]
        if unknown:
            return 420, [("Unsupported", ", ".join(filter(is_token, unknown)))]
        if request.headers.get("Content-Encoding") not in (None, "", "identity"):
            return 415, [("Accept-Encoding", "identity")]
        if request.method == "INVITE" and request.body and request.content_type != "application/sdp":
            return 415, [("Accept", "application/sdp")]
        accepted = {value.partition(";")[0].strip().lower() for value in request.values("Accept")}
        wanted = accepted & {"application/sdp", "application/*", "*/*"}
        if request.method == "INVITE" and "Accept" in request.headers and not wanted:
            return 406, []
        return None

    def _in_dialog(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        call = self.table.by_dialog.get(Dialog.id_of(request))
        if call is None:
            self.core.respond(transaction, 481, now)
        elif not call.in_order(request):
            self.core.respond(transaction, 500, now, reason="CSeq Out of Order")
        elif request.method in ("INVITE", "BYE", "INFO", "UPDATE"):
            call.receive(request, transaction, now)
        else:
            self._any_context(request, transaction, now)

    def _outside_dialog(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        core = self.core
        if core.layer.is_merged(request):
            core.respond(transaction, 482, now)
        elif request.method == "INVITE":
            self._invite(request, transaction, now)
        elif request.method in ("BYE", "INFO", "UPDATE"):
            core.respond(transaction, 481, now)
        else:
            self._any_context(request, transaction, now)

    def _invite(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        core = self.core
        if session_timer.interval_too_small(request):
            core.respond(transaction, 422, now, headers=[session_timer.MIN_SE])
        elif not request.contacts or request.contacts[0].uri == "*":
            core.respond(transaction, 400, now, reason="Contact Needed")
        elif len(self.table.by_key) >= core.config.max_calls:
            core.respond(transaction, 486, now)
        else:
            IncomingCall(core, self.table, request, transaction).start(now)

    def _any_context(self, request: Request, transaction: ServerTransaction, now: float) -> None:
        """Answer OPTIONS, MESSAGE and NOTIFY, in a dialog or outside."""
        core = self.core
        if request.method == "OPTIONS":
            headers = [
                ("Allow", ",".join(METHODS)),
                ("Accept", "application/sdp"),
                ("Accept-Encoding", "identity"),
                ("Supported", ",".join(EXTENSIONS)),
            ]
            core.respond(transaction, 200, now, headers=headers)
        elif request.method == "MESSAGE":
            core.respond(transaction, 200, now)
            core.emit(MessageReceived(request.from_.uri, request.content_type, request.body))
        else:
            event = (request.headers.get("Event") or "").partition(";")[0].strip().lower()
            if event in _PACKAGES:
                core.respond(transaction, 200, now)
            else:
                core.respond(transaction, 489, now, headers=[("Allow-Events", ", ".join(_PACKAGES))])
