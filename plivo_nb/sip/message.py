"""Parsing and checking of received SIP messages (RFC 3261 sections 7, 8.1.1 and 20).

All received data passes `parse`. A message that it returns has a valid start line, all mandatory header
fields, readable values in those that are checked, no repeated field that may occur only once, and a body of
the stated length. For all other data it raises `MalformedMessage`, which knows whether a response is to be
sent and makes it; it raises nothing else.
"""

from __future__ import annotations

import re

from sipmessage.message import COMPACT_FORMS

from plivo_nb.sip.model import REASONS, Request, Response
from plivo_nb.sip.values import check_request_uri, is_token, split_list

__all__ = ["MAX_HEADERS", "MAX_MESSAGE_BYTES", "REASONS", "MalformedMessage", "Request", "Response", "parse"]

MAX_MESSAGE_BYTES = 64 * 1024
MAX_HEADERS = 200

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
_NEEDED = ("via", "from", "to", "call-id", "cseq")
_ADDRESSES = ("contact", "route", "record-route")
_CONTROL = re.compile(r"[\r\n]|(?<!\\)[\x00-\x08\x0a-\x1f\x7f]")  # but in a quoted-pair (section 25.1)
_STATUS_LINE = re.compile(r"SIP/([0-9]+\.[0-9]+) ([0-9]{3})(?: (.*))?", re.IGNORECASE)
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,10}")
_TAG = re.compile(r";\s*+tag\s*+=", re.IGNORECASE)


class MalformedMessage(ValueError):
    """The received data is not a SIP message that can be processed.

    Args:
        sentence: what is wrong with it.
        status: the status of the response to its sender, if it is a request that may be answered.
        request: the readable part of such a request.
    """

    def __init__(self, sentence: str, status: int = 400, request: Request | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.request = request

    def reply(self, to_tag: str | None = None) -> Response | None:
        """Return the response to send; None for responses, ACK, and requests without a Via."""
        request = self.request
        if request is None or request.method == "ACK" or "Via" not in request.headers:
            return None
        response = Response(self.status)
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            values = request.headers.get_all(name)
            for value in values if name == "Via" else values[:1]:
                response.headers.echo(name, value)
        to = response.headers.get("To")
        if to is not None and to_tag is not None and not _TAG.search(to):
            response.headers.remove("To")
            response.headers.echo("To", f"{to};tag={to_tag}")
        return response


def parse(data: str | bytes) -> Request | Response:
    """Read one SIP message, as a WebSocket frame carries it.

    Args:
        data: the whole message.

    Raises:
        MalformedMessage: it cannot be acted on; the exception says whether an answer is due.
    """
    head, body, problem = _frame(data)
    lines = _unfold(head.split("\r\n"))
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
    """Split a message at its blank line."""
    problem: _Problem = None
    if isinstance(data, str):
        data = data[: MAX_MESSAGE_BYTES + 1].encode("utf-8", "replace")
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


def _unfold(lines: list[str]) -> list[str]:
    """Join the lines that begin with white space to the line before (section 7.3.1), in linear time."""
    parts: list[list[str]] = []
    for line in lines:
        if parts and line[:1] in (" ", "\t"):
            parts[-1].append(line.strip(" \t"))
        else:
            parts.append([line])
    return [part[0] if len(part) == 1 else " ".join([part[0].rstrip(" \t"), *part[1:]]) for part in parts]


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
    """Check what RFC 3261 sections 8.1.1 and 20 require of every message. Raises ValueError."""
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
