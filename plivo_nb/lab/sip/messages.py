"""The messages that the proxy makes itself, or makes of those that it passes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip.headers import Headers
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.values import split_list

if TYPE_CHECKING:
    from plivo_nb.lab.sip.records import Call, Leg, TransactionKey
    from plivo_nb.lab.sip.registrar import Random


class Maker:
    """Makes what needs a Via of the switch.

    Args:
        host: where it listens.
        port: where it listens.
        random: for branches.
    """

    def __init__(self, host: str, port: int, random: Random) -> None:
        self._sent_by = f"{host}:{port}"
        self._random = random

    def new_via(self) -> tuple[str, str]:
        """A Via with a branch that nobody has had, and the branch."""
        branch = f"z9hG4bK{self._random.getrandbits(96):024x}"
        return f"SIP/2.0/WS {self._sent_by};branch={branch}", branch

    def along_dialog(self, method: str, call: Call, sender: Leg, to: Leg, cseq: int) -> Request:
        """A request along a dialog, in the sender's name."""
        request = Request(method, to.contact or "", Headers())
        request.headers.add("Via", self.new_via()[0])
        request.headers.add("Max-Forwards", "70")
        request.headers.add("From", sender.address)
        request.headers.add("To", to.address)
        request.headers.add("Call-ID", call.call_id)
        request.headers.add("CSeq", f"{cseq} {method}")
        return request


def next_hop(request: Request) -> Request:
    """A copy for the next hop, with one hop less to go (RFC 3261 section 16.6 step 3)."""
    copy = request.copy()
    copy.headers.set("Max-Forwards", str(int(copy.headers.get("Max-Forwards") or "70") - 1))
    return copy


def hop_by_hop(sent: Request, method: str, to: str) -> Request:
    """An ACK or CANCEL of our own for what was sent (RFC 3261 sections 9.1 and 17.1.1.3)."""
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
    """The ACK of a failure of an INVITE that was sent (RFC 3261 section 17.1.1.3)."""
    return hop_by_hop(sent, "ACK", response.headers.get("To") or "")


def shift_cseq(request: Request, offset: int) -> None:
    """Number a request as its dialog needs it after requests of the switch's own."""
    if offset:
        request.headers.set("CSeq", f"{request.cseq.sequence + offset} {request.method}")


def transaction_key(request: Request) -> TransactionKey:
    """What a received request is matched by; ACK and CANCEL match their INVITE (RFC 3261 section 17.2.3)."""
    via = request.via
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    branch = via.branch or f"{request.call_id}/{request.cseq.sequence}/{request.from_.tag}"
    return (branch, via.sent_by, method)
