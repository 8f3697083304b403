"""Requests that the proxy makes itself, and changes of those that it forwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip.headers import Headers
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.values import split_list

if TYPE_CHECKING:
    from plivo_nb.lab.sip.records import Call, Leg, TransactionKey
    from plivo_nb.lab.sip.registrar import Random


class RequestFactory:
    """Makes requests with a Via of the switch.

    Args:
        host: the host of the switch.
        port: the port of the switch.
        random: the source of branches.
        transport: WS, or WSS over TLS (RFC 7118 section 5.2).
    """

    def __init__(self, host: str, port: int, random: Random, transport: str = "WS") -> None:
        self._transport = transport
        self._sent_by = f"{host}:{port}"
        self._random = random

    def new_via(self) -> tuple[str, str]:
        """Make a Via with a new branch; returns both."""
        branch = f"z9hG4bK{self._random.getrandbits(96):024x}"
        return f"SIP/2.0/{self._transport} {self._sent_by};branch={branch}", branch

    def along_dialog(self, method: str, call: Call, sender: Leg, to: Leg, cseq: int) -> Request:
        """Make a request in a dialog on behalf of one of its parties."""
        request = Request(method, to.contact or "", Headers())
        request.headers.add("Via", self.new_via()[0])
        request.headers.add("Max-Forwards", "70")
        request.headers.add("From", sender.address)
        request.headers.add("To", to.address)
        request.headers.add("Call-ID", call.call_id)
        request.headers.add("CSeq", f"{cseq} {method}")
        return request


def next_hop(request: Request) -> Request:
    """Copy a request with Max-Forwards decremented (RFC 3261 section 16.6 step 3)."""
    copy = request.copy()
    copy.headers.set("Max-Forwards", str(int(copy.headers.get("Max-Forwards") or "70") - 1))
    return copy


def hop_by_hop(sent: Request, method: str, to: str) -> Request:
    """Make an ACK or CANCEL for a request that was sent (RFC 3261 sections 9.1 and 17.1.1.3)."""
    request = Request(method, sent.uri, Headers())
    request.headers.add("Via", split_list(sent.headers.get_all("Via")[0])[0])
    request.headers.add("Max-Forwards", "70")
    request.headers.add("From", sent.headers.get("From") or "")
    request.headers.add("To", to)
    request.headers.add("Call-ID", sent.call_id)
    request.headers.add("CSeq", f"{sent.cseq.sequence} {method}")
    for route in sent.headers.get_all("Route"):
        request.headers.add("Route", route)
    return request


def failure_ack(sent: Request, response: Response) -> Request:
    """Make the ACK of a failure response to an INVITE (RFC 3261 section 17.1.1.3)."""
    return hop_by_hop(sent, "ACK", response.headers.get("To") or "")


def shift_cseq(request: Request, offset: int) -> None:
    """Increase the CSeq of a request by the number of requests that the switch has sent in the dialog."""
    if offset:
        request.headers.set("CSeq", f"{request.cseq.sequence + offset} {request.method}")


def transaction_key(request: Request) -> TransactionKey:
    """The transaction key of a request; that of its INVITE for ACK and CANCEL (RFC 3261 section 17.2.3)."""
    via = request.via
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    branch = via.branch or f"{request.call_id}/{request.cseq.sequence}/{request.from_.tag}"
    return (branch, via.sent_by, method)
