"""Changes of a session in mid-call that the switch makes in a robot's name: hold and resume, telephone-event.

Plivo's own servers do the same: they stand between the parties and offer again when a call is put on hold.
The robot knows nothing of it. Its requests get higher CSeq numbers on the way, so that the dialog stays in
order.
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
    """A re-INVITE that is due, or under way."""

    call: Call
    what: str
    at: float
    request: Request | None = None
    tries: int = 0


class Reoffers:
    """Sends the re-INVITEs that calls have planned.

    Args:
        proxy: makes the requests, and hands over the responses that are for them.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._due: list[_Pending] = []
        self._sent: dict[str, _Pending] = {}

    def answered(self, call: Call, now: float) -> None:
        """A call has been answered: its plan begins."""
        self._due += [_Pending(call, what, now + after_s) for after_s, what in call.plan]

    def next_deadline(self) -> float | None:
        """When `advance` has something to do."""
        return min((pending.at for pending in self._due), default=None)

    def advance(self, now: float) -> None:
        """Send what is due."""
        due = [pending for pending in self._due if pending.at <= now]
        self._due = [pending for pending in self._due if pending.at > now]
        for pending in due:
            if pending.call.state == "answered":
                self._send(pending)
        self._sent = {key: one for key, one in self._sent.items() if one.call.state == "answered"}

    def receive(self, response: Response, now: float) -> bool:
        """Take a response if it is for one of ours."""
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
            ack = self._proxy.maker.along_dialog("ACK", pending.call, callee, caller, number)
            self._proxy.send(caller.socket, ack)
            self._proxy.emit(Happened(pending.what, pending.call.callee_name, "", pending.call.call_uuid))
            return True
        self._proxy.send(caller.socket, failure_ack(pending.request, response))
        if response.status == 491 and pending.tries < _TRIES:  # both offered at once: RFC 3261 section 14.1
            self._due.append(_Pending(pending.call, pending.what, now + RETRY_S, tries=pending.tries + 1))
        return True

    def _send(self, pending: _Pending) -> None:
        call = pending.call
        callee, caller = self._legs(call)
        if callee is None or caller.socket is None or not call.callee_sdp:
            return
        call.callee_sdp = next_version(self._edited(pending.what, call.callee_sdp))
        callee.cseq_offset += 1
        request = self._proxy.maker.along_dialog(
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
        """The callee that has answered, and the caller."""
        answered = [leg for leg in call.callees.values() if leg.contact is not None and leg.answered]
        return (answered[0] if answered else None), call.caller
