"""A request and a response: reading their fields, building them, writing them (RFC 3261 sections 7, 8.2.6,
20).

Building refuses header injection: no name or value with CR, LF or NUL gets into a message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plivo_nb.sip.headers import FORBIDDEN, Headers
from plivo_nb.sip.values import NameAddr, Reason, Via, is_token, parse_addresses, parse_cseq, split_list

if TYPE_CHECKING:
    from sipmessage import CSeq

REASONS: dict[int, str] = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    200: "OK", 202: "Accepted", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily",
    305: "Use Proxy", 380: "Alternative Service", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required",
    408: "Request Timeout", 410: "Gone", 413: "Request Entity Too Large", 415: "Unsupported Media Type",
    416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required",
    422: "Session Interval Too Small", 423: "Interval Too Brief", 430: "Flow Failed",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending",
    500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out",
    505: "Version Not Supported", 513: "Message Too Large", 600: "Busy Everywhere", 603: "Decline",
    604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip

_AUTHENTICATION = frozenset(
    (
        *("authorization", "www-authenticate", "authentication-info"),
        *("proxy-authorization", "proxy-authenticate", "proxy-authentication-info"),
    )
)


class _Message:
    """What requests and responses share. The readers raise ValueError only on messages built by hand."""

    __slots__ = ("body", "headers")

    def __init__(self, headers: Headers | None = None, body: bytes = b"") -> None:
        self.headers = Headers() if headers is None else headers
        self.body = body

    def _first(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise ValueError(f"The message has no {name}.")
        return value

    @property
    def size(self) -> int:
        """About how many characters its header fields and body have."""
        return sum(len(name) + len(value) for _, name, value in self.headers._fields) + len(self.body)

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self._first("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """The CSeq: `.sequence` and `.method`."""
        return parse_cseq(self._first("CSeq"))

    @property
    def from_(self) -> NameAddr:
        """The From address."""
        return NameAddr.parse(self._first("From"))

    @property
    def to(self) -> NameAddr:
        """The To address."""
        return NameAddr.parse(self._first("To"))

    @property
    def via(self) -> Via:
        """The topmost Via."""
        values = split_list(self._first("Via"))
        if not values:
            raise ValueError("The topmost Via is empty.")
        return Via.parse(values[0])

    @property
    def contacts(self) -> list[NameAddr]:
        """The Contact addresses; a `Contact: *` has the URI ``*``."""
        return self.addresses("Contact")

    @property
    def shown_headers(self) -> list[tuple[str, str]]:
        """All fields as received, except those of authentication; events carry these."""
        return [(name, value) for key, name, value in self.headers._fields if key not in _AUTHENTICATION]

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case without parameters, "" where there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def x_call_uuid(self) -> str | None:
        """Plivo's id of the call: the value of X-CallUUID, None where it is absent."""
        return self.headers.get("X-CallUUID")

    @property
    def reason_header(self) -> Reason | None:
        """The first readable Reason value (RFC 3326)."""
        for value in self.values("Reason"):
            reason = Reason.parse(value)
            if reason is not None:
                return reason
        return None

    def values(self, name: str) -> list[str]:
        """All values of that name, comma-joined ones split. Never raises: a broken list is one value."""
        found: list[str] = []
        for value in self.headers.get_all(name):
            try:
                found += split_list(value)
            except ValueError:
                found.append(value)
        return found

    def tokens(self, name: str) -> frozenset[str]:
        """The values of a list of tokens, in lower case: Supported, Require, Allow."""
        return frozenset(value.lower() for value in self.values(name))

    def addresses(self, name: str) -> list[NameAddr]:
        """The addresses of Contact, Route or Record-Route."""
        found: list[NameAddr] = []
        for field in self.headers.get_all(name):
            found += parse_addresses(field)
        return found

    def push_via(self, value: str) -> None:
        """Insert a topmost Via, as a proxy does in a request that it forwards."""
        self.headers.add_first("Via", value)

    def pop_via(self) -> str | None:
        """Remove the topmost Via, as a proxy does in a response that it forwards."""
        value = self.headers.remove_first("Via")
        if value is None:
            return None
        first, *rest = split_list(value)
        if rest:
            self.headers.add_first("Via", ", ".join(rest))
        return first

    def _start_line(self) -> str:
        raise NotImplementedError

    def _head(self, length: int) -> str:
        fields = [
            f"{name}: {value}\r\n" for key, name, value in self.headers._fields if key != "content-length"
        ]
        return f"{self._start_line()}\r\n{''.join(fields)}Content-Length: {length}\r\n\r\n"

    def __str__(self) -> str:
        """The text of a WebSocket text frame; what is not UTF-8 in the body is replaced."""
        try:
            return self._head(len(self.body)) + self.body.decode("utf-8")
        except UnicodeDecodeError:
            body = self.body.decode("utf-8", "replace")
            return self._head(len(body.encode("utf-8"))) + body

    def __bytes__(self) -> bytes:
        """The bytes of a binary frame, with the body unchanged."""
        return self._head(len(self.body)).encode("utf-8") + self.body

    def __repr__(self) -> str:
        return f"<{self._start_line()}>"


class Request(_Message):
    """A request. `uri` is the Request-URI's text."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers | None = None, body: bytes = b"") -> None:
        super().__init__(headers, body)
        if not is_token(method):
            raise ValueError(f"{method!r} is not a method.")
        if re.search(r"\s", uri):
            raise ValueError("A Request-URI has no white space.")
        self.method = method
        self.uri = uri

    def copy(self) -> Request:
        """Return a copy with separate headers."""
        return Request(self.method, self.uri, self.headers.copy(), self.body)

    def _start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"


class Response(_Message):
    """A response. `reason` is the reason phrase."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str | None = None, headers: Headers | None = None, body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = REASONS.get(status, "") if reason is None else reason
        if not 100 <= status <= 699 or FORBIDDEN.search(self.reason):
            raise ValueError("A status is 100 to 699 and its reason has no line break.")

    @classmethod
    def to_request(
        cls, request: Request, status: int, reason: str | None = None, *, to_tag: str | None = None
    ) -> Response:
        """Answer a request as RFC 3261 section 8.2.6.2 says: its Via, From, To, Call-ID and CSeq come back.

        Args:
            request: what is answered.
            status: 100 to 699.
            reason: the phrase, by default the usual one.
            to_tag: put on To where it has no tag yet; leave it out for a 100.
        """
        response = cls(status, reason)
        fields = response.headers._fields
        copied = {"via", "from", "to", "call-id", "cseq"}
        if request.method == "INVITE" and 100 < status < 300:
            copied.add("record-route")  # section 12.1.1: the route set of the dialog
        for field in request.headers._fields:
            if field[0] in copied:
                if field[0] == "to" and to_tag is not None and NameAddr.parse(field[2]).tag is None:
                    field = ("to", field[1], f"{field[2]};tag={to_tag}")
                fields.append(field)
        return response

    def copy(self) -> Response:
        """Return a copy with separate headers."""
        return Response(self.status, self.reason, self.headers.copy(), self.body)

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"
