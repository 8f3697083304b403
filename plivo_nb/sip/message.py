"""SIP messages: read from the wire, checked, built and written (RFC 3261 sections 7, 8.1.1, 8.2.6 and 20).

This is the only door for what comes from the network. A message that passes `parse` has a sound start line,
the header fields that every message needs, each of them readable, none of them twice that may come once, and
a body of the length that it states. What does not pass raises `MalformedMessage`, which knows whether an
answer is due and can make it; nothing else is raised.

Building refuses header injection: no name or value with CR, LF or NUL gets into a message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sipmessage.message import COMPACT_FORMS

from plivo_nb.sip.headers import FORBIDDEN, Headers
from plivo_nb.sip.values import NameAddr, Reason, Via, check_request_uri, is_token, parse_cseq, split_list

if TYPE_CHECKING:
    from sipmessage import CSeq

MAX_MESSAGE_BYTES = 64 * 1024
MAX_HEADERS = 200

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

_SINGLE = frozenset(
    (
        "call-id",
        "content-length",
        "content-type",
        "cseq",
        "expires",
        "from",
        "max-forwards",
        "min-expires",
        "to",
    )
)
_AUTHENTICATION = frozenset(
    (
        *("authorization", "www-authenticate", "authentication-info"),
        *("proxy-authorization", "proxy-authenticate", "proxy-authentication-info"),
    )
)
_NEEDED = ("via", "from", "to", "call-id", "cseq")
_ADDRESSES = ("contact", "route", "record-route")
_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
_CONTROL = re.compile(r"[\r\n]|(?<!\\)[\x00-\x08\x0a-\x1f\x7f]")  # but in a quoted-pair (section 25.1)
_STATUS_LINE = re.compile(r"SIP/(\d+\.\d+) (\d{3})(?: (.*))?", re.IGNORECASE)
_VERSION = re.compile(r"SIP/\d+\.\d+", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,10}")


class MalformedMessage(ValueError):
    """What came is not a SIP message that can be acted on.

    Args:
        sentence: what is wrong with it.
        status: the status that its sender is due, when it is a request that may be answered.
        request: what could be read of such a request.
    """

    def __init__(self, sentence: str, status: int = 400, request: Request | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.request = request

    def reply(self, to_tag: str | None = None) -> Response | None:
        """The response that is due, None where none is: responses, ACK, and requests without a Via."""
        request = self.request
        if request is None or request.method == "ACK" or "Via" not in request.headers:
            return None
        response = Response(self.status)
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            values = request.headers.get_all(name)
            for value in values if name == "Via" else values[:1]:
                response.headers.echo(name, value)
        to = response.headers.get("To")
        if to is not None and to_tag is not None and not re.search(r";\s*tag\s*=", to, re.IGNORECASE):
            response.headers.remove("To")
            response.headers.echo("To", f"{to};tag={to_tag}")
        return response


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
        """All fields as received, but those of authentication: what an event may show."""
        return [(name, value) for key, name, value in self.headers._fields if key not in _AUTHENTICATION]

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case without parameters, "" where there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def x_call_uuid(self) -> str | None:
        """The server's id of the call (spec.md section 4), wherever it says it."""
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
            found += [NameAddr("*") if value == "*" else NameAddr.parse(value) for value in split_list(field)]
        return found

    def push_via(self, value: str) -> None:
        """Put a Via on top, as a proxy does with a request that it forwards."""
        self.headers.add_first("Via", value)

    def pop_via(self) -> str | None:
        """Take the topmost Via off, as a proxy does with a response that it forwards."""
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
        """The bytes of a binary frame, the body as it is."""
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
        """The same request with headers of its own."""
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
        """The same response with headers of its own."""
        return Response(self.status, self.reason, self.headers.copy(), self.body)

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"


def parse(data: str | bytes) -> Request | Response:
    """Read one SIP message, as a WebSocket frame carries it.

    Args:
        data: the whole message.

    Raises:
        MalformedMessage: it cannot be acted on; the exception says whether an answer is due.
    """
    head, body, problem = _frame(data)
    lines = (_FOLD.sub(" ", head) if "\r\n " in head or "\r\n\t" in head else head).split("\r\n")
    message, start_problem = _start(lines[0])
    problem = start_problem or problem
    try:
        _read_headers(message, lines[1:], strict=problem is None)
        if problem is not None:
            raise MalformedMessage(*problem)
        _validate(message)
        message.body = _measure(message, body)
    except ValueError as error:
        status = error.status if isinstance(error, MalformedMessage) else 400
        raise MalformedMessage(
            str(error), status, message if isinstance(message, Request) else None
        ) from None
    return message


_Problem = tuple[str, int] | None


def _frame(data: str | bytes) -> tuple[str, bytes, _Problem]:
    """Cut a message at its blank line, whatever it holds."""
    problem: _Problem = None
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    if len(data) > MAX_MESSAGE_BYTES:
        problem = (f"The message has more than {MAX_MESSAGE_BYTES} bytes.", 513)
        data = data[:MAX_MESSAGE_BYTES]
    raw, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        problem = problem or ("The header of the message never ends.", 400)
    try:
        head = raw.decode("utf-8")
    except UnicodeDecodeError:
        head = raw.decode("utf-8", "replace")
        problem = problem or ("The header of the message is not UTF-8.", 400)
    return head, body, problem


def _start(line: str) -> tuple[Request | Response, _Problem]:
    """Read the start line. A request whose line is broken is still a request that is due a 400."""
    match = _STATUS_LINE.fullmatch(line)
    if match is not None:
        status, reason = int(match[2]), match[3] or ""
        if match[1] != "2.0" or not 100 <= status <= 699 or _CONTROL.search(reason):
            raise MalformedMessage("The status line is not one of SIP/2.0.")
        return Response(status, reason), None
    method, _, rest = line.partition(" ")
    uri, _, version = rest.rpartition(" ")
    if not is_token(method) or "SIP/" not in rest.upper():
        raise MalformedMessage("The first line is neither a request's nor a response's.")
    request = Request(method, "sip:unreadable.invalid")
    if _VERSION.fullmatch(version) is None:
        return request, (
            "The request line is not a method, a URI and SIP/2.0 with one space between them.",
            400,
        )
    if version.upper() != "SIP/2.0":
        return request, (f"The message is {version}, not SIP/2.0.", 505)
    try:
        request.uri = check_request_uri(uri)
    except ValueError as error:
        return request, (f"The Request-URI is wrong: {error}", 400)
    return request, None


def _read_headers(message: Request | Response, lines: list[str], *, strict: bool) -> None:
    """Fill in the headers. Not strict: keep what can be read, for the answer to a malformed request."""
    fields = message.headers._fields
    for line in lines[:MAX_HEADERS]:
        name, colon, value = line.partition(":")
        name, value = name.rstrip(" \t"), value.strip(" \t")
        if not colon or not is_token(name) or _CONTROL.search(value):
            if strict:
                raise MalformedMessage(f"A header line is not a name, a colon and a value: {line[:40]!r}.")
            continue
        name = COMPACT_FORMS.get(name.lower(), name) if len(name) == 1 else name
        fields.append((name.lower(), name, value))
    if strict and len(lines) > MAX_HEADERS:
        raise MalformedMessage(f"The message has more than {MAX_HEADERS} header fields.")


def _validate(message: Request | Response) -> None:
    """Check what RFC 3261 sections 8.1.1 and 20 ask of every message. Raises ValueError."""
    seen: set[str] = set()
    for key, name, _ in message.headers._fields:
        if key in _SINGLE and key in seen:
            raise ValueError(f"{name} comes more than once.")
        seen.add(key)
    for needed in _NEEDED:
        if needed not in seen:
            raise ValueError(f"The message has no {needed} header.")
    for name in _ADDRESSES:
        if name in seen:
            message.addresses(name)
    cseq, _, _, _ = message.cseq, message.from_, message.to, message.via
    for value in message.headers.get_all("Via"):
        split_list(value)
    if not message.call_id or " " in message.call_id:
        raise ValueError("The Call-ID is empty or has a space in it.")
    if isinstance(message, Request):
        if cseq.method != message.method:
            raise ValueError(f"CSeq says {cseq.method}, the request line {message.method}.")
        hops = message.headers.get("Max-Forwards")
        if hops is not None and (_NUMBER.fullmatch(hops) is None or int(hops) > 255):
            raise ValueError("Max-Forwards is not a number from 0 to 255.")


def _measure(message: Request | Response, body: bytes) -> bytes:
    """Cut the body to Content-Length; a frame ends a message where the field is missing (RFC 7118)."""
    length = message.headers.get("Content-Length")
    if length is None:
        return body
    if _NUMBER.fullmatch(length) is None or int(length) > len(body):
        raise ValueError(f"Content-Length is {length[:20]}, the body has {len(body)} bytes.")
    return body[: int(length)]
