"""The record of a SIP message that was sent or received, with its secrets masked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from plivo_nb.sip.message import Request, Response

Direction = Literal["in", "out"]

_AUTH_LINE = re.compile(
    r"^((?:proxy-)?(?:authorization|authenticate|authentication-info)|www-authenticate)[ \t]*+:"
    r"[^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+",
    re.IGNORECASE | re.MULTILINE,
)
_SECRET = re.compile(
    r"\b(nonce|nextnonce|cnonce|response|rspauth|opaque|password)([ \t\r\n]*+=[ \t\r\n]*+)"
    r'("(?:[^"\\]++|\\.)*+"?|[^\s,]++)',
    re.IGNORECASE,
)
_SDP_SECRET = re.compile(r"^(a=(?:ice-pwd|crypto):)[^\r\n]*", re.MULTILINE)
MASK = "***"
#: How many characters of a message a record keeps.
MAX_TEXT = 16 * 1024


def mask(text: str) -> str:
    """Mask the secrets of a SIP message: nonces, digest responses, ICE passwords, tokens of other schemes.

    >>> mask('Authorization: Digest username="alice", nonce="a1", response="5f"')
    'Authorization: Digest username="alice", nonce="***", response="***"'
    """
    if "uth" in text or "UTH" in text:
        text = _AUTH_LINE.sub(_mask_line, text)
    if "a=ice-pwd:" in text or "a=crypto:" in text:
        text = _SDP_SECRET.sub(rf"\1{MASK}", text)
    return text


def _mask_line(match: re.Match[str]) -> str:
    line = match[0]
    name, _, value = line.partition(":")
    scheme, *secret = value.split(maxsplit=1)[:2] or [""]
    if name.rstrip().lower().endswith("-info") or re.match(r"digest\b", scheme, re.IGNORECASE):
        return _SECRET.sub(rf'\1\2"{MASK}"', line)
    return f"{name}: {scheme} {MASK}" if secret else line


def shorten(text: str) -> str:
    """Cut a text after `MAX_TEXT` characters, with a mark that says how much is missing."""
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}\r\n[{len(text) - MAX_TEXT} more characters were not kept]"


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One message.

    `time_monotonic_s` is the `now` that the user agent was given, in seconds; `start` the method, or the
    status and reason; `call` the Call-ID; `text` the whole message, masked. `call` and `cseq` are empty, and
    `start` is ``malformed``, where the message could not be parsed. Of a text longer than
    `MAX_TEXT`, the start is kept, and a mark in square brackets says how much is missing.
    """

    time_monotonic_s: float
    direction: Direction
    start: str
    call: str
    cseq: str
    text: str


def record_of(
    direction: Direction, text: str, message: Request | Response | None, now: float
) -> MessageRecord:
    """Make the record of a message; `message` is its parsed form, None where it is malformed."""
    text = shorten(text)  # before it is masked, so that a long message costs no more than a short one
    if message is None:
        return MessageRecord(now, direction, "malformed", "", "", mask(text))
    line = text.lstrip("\r\n").partition("\r\n")[0]
    start = line[8:] if line.startswith("SIP/2.0 ") else line.partition(" ")[0]
    call, cseq = message.headers.get("Call-ID") or "", message.headers.get("CSeq") or ""
    return MessageRecord(now, direction, start, call, cseq, mask(text))
