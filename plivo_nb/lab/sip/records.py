"""Calls, transactions and events of the switch: plain records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from plivo_nb.sip.message import Request, Response

Side = Literal["caller", "callee"]
TransactionKey = tuple[str, str, str]


class Media(Protocol):
    """The network between the parties, as the switch uses it."""

    def open_call(self, key: str, call_uuid: str, caller: str, callee: str) -> None:
        """Open the relay of a call."""
        ...

    def describe(self, key: str, side: Side, candidate: tuple[str, int] | None) -> tuple[str, int] | None:
        """Take the address of `side`; returns the relay's address for the other side."""
        ...

    def close_call(self, key: str) -> None:
        """Close the relay of a call."""
        ...


@dataclass(slots=True)
class Leg:
    """One party of a call: its tag, socket, Contact, From or To value (`address`), account and last CSeq.

    `cseq_offset` is the number of requests that the switch has sent on its behalf; it is added to the CSeq of
    its own requests.
    """

    side: Side
    tag: str | None
    socket: int | None
    contact: str | None
    address: str
    user: str | None = None
    cseq: int = 0
    cseq_offset: int = 0
    answered: bool = False
    gone_at: float | None = None


@dataclass(slots=True)
class Call:
    """One call through the switch, from the authenticated INVITE to the answer of the BYE."""

    call_id: str
    call_uuid: str
    caller_name: str
    callee_name: str
    caller: Leg
    started_at: float
    callees: dict[str, Leg] = field(default_factory=dict)
    state: Literal["connecting", "ringing", "answered", "ended"] = "connecting"
    answered_at: float | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    return_headers: bool = False
    early_media_s: float = 0.0
    plan: tuple[tuple[float, str], ...] = ()
    callee_sdp: str = ""
    telephone_event: bool = False

    def leg(self, tag: str | None) -> Leg | None:
        """The leg with this tag; None if there is none."""
        if tag is None:
            return None
        return self.caller if tag == self.caller.tag else self.callees.get(tag)

    def parties(self, request: Request) -> tuple[Leg | None, Leg | None]:
        """The sender and the target of a request in this dialog; None for an unknown tag."""
        sender, target = self.leg(request.from_.tag), self.leg(request.to.tag)
        return (None, None) if sender is target else (sender, target)

    def legs(self) -> list[Leg]:
        """The caller and all callees."""
        return [self.caller, *self.callees.values()]


@dataclass(slots=True)
class Branch:
    """One copy of a request that the switch has forwarded (a client transaction, RFC 3261 section 16.6)."""

    branch: str
    socket: int
    request: Request
    user: str | None = None
    provisional: bool = False
    cancel_wanted: bool = False
    cancel_sent: bool = False
    final: Response | None = None
    gone_at: float | None = None


@dataclass(slots=True)
class Transaction:
    """One request that the switch has received and must answer, with its branches."""

    key: TransactionKey
    request: Request
    socket: int
    deadline: float
    call: Call | None = None
    initial: bool = False
    branches: list[Branch] = field(default_factory=list)
    waiting_for_route: bool = False
    canceled: bool = False
    last: Response | None = None
    done: bool = False
    held: tuple[Branch, Response] | None = None
    gone_at: float | None = None


# ---------------------------------------------------------------- events of the switch


@dataclass(frozen=True, slots=True)
class RouteWanted:
    """A call to a robot's number needs `Switch.route` or `Switch.refuse`."""

    key: TransactionKey
    number: str
    call_uuid: str
    caller: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event for the log: registered, unregistered, call-started, -ringing, -answered or -ended."""

    what: str
    who: str
    detail: str = ""
    call_uuid: str | None = None


SwitchEvent = RouteWanted | Happened
