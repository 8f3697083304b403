"""Dialogs: the state that two user agents share from the INVITE to the BYE (RFC 3261 section 12)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.values import NameAddr

if TYPE_CHECKING:
    from sipmessage import CSeq

_LOOSE = re.compile(r";lr(?:[;=?]|$)", re.IGNORECASE)

DialogId = tuple[str, str, str]  # Call-ID, local tag, remote tag


class Dialog:
    """One dialog, early or confirmed. Make it with `of_uac` or `of_uas`.

    `local` and `remote` are the From and To values with their tags, as every request in the dialog carries
    them; `target` is where the other side wants its requests (its Contact), `route` the proxies that want
    to see them.
    """

    __slots__ = ("call_id", "id", "local", "local_sequence", "remote", "remote_sequence", "route", "target")

    def __init__(
        self,
        identity: DialogId,
        local: str,
        remote: str,
        target: str,
        route: list[str],
        local_sequence: int,
        remote_sequence: int | None,
    ) -> None:
        self.id = identity
        self.call_id = identity[0]
        self.local = local
        self.remote = remote
        self.target = target
        self.route = route
        self.local_sequence = local_sequence
        self.remote_sequence = remote_sequence

    @classmethod
    def of_uac(cls, request: Request, response: Response) -> Dialog:
        """Make the dialog of a 101-299 response to our INVITE (section 12.1.2)."""
        contacts = response.contacts
        return cls(
            (request.call_id, request.from_.tag or "", response.to.tag or ""),
            request.headers.get("From") or "",
            response.headers.get("To") or "",
            contacts[0].uri if contacts else request.uri,
            list(reversed(response.values("Record-Route"))),
            request.cseq.sequence,
            None,
        )

    @classmethod
    def of_uas(cls, request: Request, local_tag: str) -> Dialog:
        """Make the dialog of our 101-299 response to an INVITE (section 12.1.1)."""
        caller, contacts = request.from_, request.contacts
        return cls(
            (request.call_id, local_tag, caller.tag or ""),
            f"{request.headers.get('To')};tag={local_tag}",
            request.headers.get("From") or "",
            contacts[0].uri if contacts else caller.uri,
            request.values("Record-Route"),
            0,
            request.cseq.sequence,
        )

    @staticmethod
    def id_of(request: Request) -> DialogId:
        """Return the identifier of the dialog that a received request belongs to."""
        return request.call_id, request.to.tag or "", request.from_.tag or ""

    def next_sequence(self) -> int:
        """The CSeq number of our next request."""
        self.local_sequence += 1
        return self.local_sequence

    def in_order(self, cseq: CSeq) -> bool:
        """Whether the CSeq of a received request is higher than all before it; if so, store it (12.2.2)."""
        if self.remote_sequence is not None and cseq.sequence <= self.remote_sequence:
            return False
        self.remote_sequence = cseq.sequence
        return True

    def refresh(self, message: Request | Response) -> None:
        """Take the new Contact of a re-INVITE, or of its 2xx, as the target."""
        contacts = message.contacts
        if contacts and contacts[0].uri != "*":
            self.target = contacts[0].uri

    def request(self, method: str, sequence: int) -> Request:
        """Start a request in this dialog: its URI, Route, To, From, Call-ID and CSeq (section 12.2.1.1).

        A first route without ``lr`` is a strict router, as RFC 2543 had them: it becomes the Request-URI
        and the target moves to the end of the route.
        """
        uri, route = self.target, self.route
        if route:
            first = NameAddr.parse(route[0]).uri
            if _LOOSE.search(first) is None:
                uri, route = first, [*route[1:], f"<{self.target}>"]
        request = Request(method, uri)
        for value in route:
            request.headers.echo("Route", value)
        request.headers.echo("To", self.remote)
        request.headers.echo("From", self.local)
        request.headers.echo("Call-ID", self.call_id)
        request.headers.add("CSeq", f"{sequence} {method}")
        return request
