"""Re-INVITEs that the switch sends on behalf of a robot: hold and resume, telephone-event.

Plivo's servers do the same: they are between the parties and send a new offer when a call is put on hold. The
robot does not take part. The CSeq numbers of its own requests are increased, so that they stay in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivo_nb.lab.sip.messages import failure_ack
from plivo_nb.lab.sip.records import Happened
from plivo_nb.lab.sip.sdp_edits import next_version, with_direction, with_telephone_event

if TYPE_CHECKING:
    from plivo_nb.lab.sip.proxy import Proxy
    from plivo_nb.lab.sip.records import Call, Leg
    from plivo_nb.sip.message import Request, Response

RETRY_S = 0.5
_TRIES = 10


@dataclass(slots=True)
class _Pending:
    """A planned or sent re-INVITE."""

    call: Call
    what: str
    at: float
    request: Request | None = None
    tries: int = 0


class Reoffers:
    """Sends the planned re-INVITEs of calls.

    Args:
        proxy: the proxy; it makes the requests and passes the responses to `receive`.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._due: list[_Pending] = []
        self._sent: dict[str, _Pending] = {}

    def answered(self, call: Call, now: float) -> None:
        """Start the plan of a call that was answered."""
        self._due += [_Pending(call, what, now + after_s) for after_s, what in call.plan]

    def next_deadline(self) -> float | None:
        """The time of the next re-INVITE, in seconds; None if there is none."""
        return min((pending.at for pending in self._due), default=None)

    def advance(self, now: float) -> None:
        """Send the re-INVITEs that are due."""
        due = [pending for pending in self._due if pending.at <= now]
        self._due = [pending for pending in self._due if pending.at > now]
        for pending in due:
            if pending.call.state == "answered":
                self._send(pending)
        self._sent = {key: one for key, one in self._sent.items() if one.call.state == "answered"}

    def receive(self, response: Response, now: float) -> bool:
        """Handle a response to a re-INVITE; returns False for other responses."""
        pending = self._sent.get(response.via.branch or "")
        if pending is None or pending.request is None:
            return False
        if response.status < 200:
            return True
        del self._sent[response.via.branch or ""]
        callee, caller = self._legs(pending.call)
        if callee is None or caller.socket is None:
            return True
        if response.status < 300:
            number = pending.request.cseq.sequence
            ack = self._proxy.requests.along_dialog("ACK", pending.call, callee, caller, number)
            self._proxy.send(caller.socket, ack)
            self._proxy.emit(Happened(pending.what, pending.call.callee_name, "", pending.call.call_uuid))
            return True
        self._proxy.send(caller.socket, failure_ack(pending.request, response))
        if (
            response.status == 491 and pending.tries < _TRIES
        ):  # both sides sent an offer: RFC 3261 section 14.1
            self._due.append(_Pending(pending.call, pending.what, now + RETRY_S, tries=pending.tries + 1))
        return True

    def _send(self, pending: _Pending) -> None:
        call = pending.call
        callee, caller = self._legs(call)
        if callee is None or caller.socket is None or not call.callee_sdp:
            return
        call.callee_sdp = next_version(self._edited(pending.what, call.callee_sdp))
        callee.cseq_offset += 1
        request = self._proxy.requests.along_dialog(
            "INVITE", call, callee, caller, callee.cseq + callee.cseq_offset
        )
        request.headers.add("Contact", f"<{callee.contact}>")
        request.headers.add("Content-Type", "application/sdp")
        request.body = call.callee_sdp.encode("utf-8")
        pending.request = request
        self._sent[request.via.branch or ""] = pending
        self._proxy.send(caller.socket, request)

    @staticmethod
    def _edited(what: str, text: str) -> str:
        if what == "telephone-event":
            return with_telephone_event(text)
        return with_direction(text, "sendonly" if what == "hold" else "sendrecv")

    @staticmethod
    def _legs(call: Call) -> tuple[Leg | None, Leg]:
        """The callee that has answered (or None), and the caller."""
        answered = [leg for leg in call.callees.values() if leg.contact is not None and leg.answered]
        return (answered[0] if answered else None), call.caller
