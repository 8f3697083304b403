"""The SIP calls of a capture: over UDP, TCP and WebSocket, where it is not encrypted."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from plivo_nb.analysis.importers.captured_packets import streams_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from plivo_nb.analysis.importers.captured_packets import CapturedPacket, Endpoint
    from plivo_nb.analysis.importers.source import Source

_START = re.compile(rb"(?:SIP/2\.0 \d{3}|[A-Z]{3,12} sips?:\S+ SIP/2\.0)")
_STATUS = re.compile(r"SIP/2\.0 (\d{3}) ?(.*)")
_MEDIA = re.compile(r"^m=audio (\d+)(?:/\d+)? (\S+) (.*)$", re.MULTILINE)
_ADDRESS = re.compile(r"^c=IN IP[46] ([^\s/]+)", re.MULTILINE)
_CANDIDATE = re.compile(r"^a=candidate:\S+ \d+ \S+ \d+ (\S+) (\d+) ", re.MULTILINE)
_FORMAT = re.compile(r"^a=rtpmap:(\d+) ([^/\s]+)/(\d+)", re.MULTILINE)
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d{1,6})", re.IGNORECASE | re.MULTILINE)
_COMPACT = {"i": "call-id", "f": "from", "t": "to", "c": "content-type", "l": "content-length"}
_USER = re.compile(r"sips?:([^@>;\s]+)")


class _Message(NamedTuple):
    at_s: float
    source: Endpoint
    to: Endpoint
    start: str
    headers: dict[str, str]
    body: str


@dataclass(slots=True)
class SipCall:
    """A call as its SIP messages tell it.

    Attributes:
        call_id: its Call-ID; uuid: its X-CallUUID, else the same.
        caller: address and port of who sent the INVITE.
        media: addresses and ports of the media of both ends; caller_media: those of the caller's.
        formats: encoding name and clock rate (Hz) by RTP payload type.
        secure: whether the media is SRTP by the SDP.
        src, dest: users in From and To.
        times: s since 1970 of invited, ringing, answered, ended; as far as known.
        code: of the final response; reason: its phrase.
        ended_by: address and port of who sent BYE; None: nobody did.
    """

    call_id: str
    uuid: str
    caller: Endpoint
    media: set[Endpoint] = field(default_factory=set)
    caller_media: set[Endpoint] = field(default_factory=set)
    formats: dict[int, tuple[str, int]] = field(default_factory=dict)
    secure: bool = False
    src: str = ""
    dest: str = ""
    times: dict[str, float] = field(default_factory=dict)
    code: float = math.nan
    reason: str = ""
    ended_by: Endpoint | None = None

    def about(self, is_ours: Callable[[Endpoint], bool]) -> dict[str, Any]:
        """The columns of `plivo_nb.schema("calls")` that SIP tells.

        Args:
            is_ours: whether an address and port is of the end from which the call is seen.
        """
        times, nan = self.times, math.nan
        answered, ended = times.get("answered", nan), times.get("ended", nan)
        state = "failed" if self.code >= 300 else ("ended" if not math.isnan(answered) else None)
        return {
            "direction": "OUTGOING" if is_ours(self.caller) else "INCOMING",
            "src": self.src or None,
            "dest": self.dest or None,
            "state": state,
            "code": self.code,
            "reason": self.reason or None,
            "originator": ("local" if is_ours(self.ended_by) else "remote") if self.ended_by else None,
            "post_dial_delay_ms": 1e3 * (times.get("ringing", nan) - times["invited"]),
            "answer_delay_ms": 1e3 * (answered - times.get("ringing", nan)),
            "duration_s": ended - answered,
        }


def is_sip(data: bytes) -> bool:
    """Whether this begins like a SIP message."""
    return _START.match(data) is not None


def calls_of(packets: Sequence[CapturedPacket], source: Source) -> list[SipCall]:
    """The calls whose INVITE is in a capture, in the order of time."""
    calls: dict[str, SipCall] = {}
    for message in sorted(_messages(packets, source), key=lambda item: item.at_s):
        call_id = message.headers.get("call-id", "")
        is_invite = message.start.startswith("INVITE ")
        if is_invite and call_id and call_id not in calls:
            calls[call_id] = SipCall(call_id, call_id, message.source, times={"invited": message.at_s})
            for name, key in (("src", "from"), ("dest", "to")):
                user = _USER.search(message.headers.get(key, ""))
                setattr(calls[call_id], name, user[1] if user else "")
        if call_id in calls:
            _take(calls[call_id], message)
    return list(calls.values())


def _take(call: SipCall, message: _Message) -> None:
    call.uuid = message.headers.get("x-calluuid", call.uuid)
    method = message.headers.get("cseq", "").rpartition(" ")[2]
    status = _STATUS.match(message.start)
    if status and method == "INVITE":
        code = int(status[1])
        if 101 <= code < 200:
            call.times.setdefault("ringing", message.at_s)
        elif code >= 200 and "answered" not in call.times and code not in (401, 407):
            call.code, call.reason = float(code), status[2].strip()
            call.times.setdefault("answered" if code < 300 else "ended", message.at_s)
    elif message.start.startswith("BYE ") and "ended" not in call.times:
        call.times["ended"], call.ended_by = message.at_s, message.source
    media = _take_sdp(call, message.body)
    call.media |= media
    if message.source == call.caller:
        call.caller_media |= media


def _take_sdp(call: SipCall, body: str) -> set[Endpoint]:
    """Take codecs and SRTP from an SDP.

    Returns:
        Where it wants its media.
    """
    media = _MEDIA.search(body)
    if media is None:
        return set()
    call.secure = call.secure or "SAVP" in media[2]
    for number, name, rate in _FORMAT.findall(body):
        call.formats[int(number)] = (name.upper(), int(rate[:6]))
    found = {(address, int(port)) for address, port in _CANDIDATE.findall(body)}
    addresses = _ADDRESS.findall(body)
    if addresses:
        found.add((addresses[-1] if body.rfind("c=") > media.start() else addresses[0], int(media[1])))
    return found


def _messages(packets: Sequence[CapturedPacket], source: Source) -> Iterator[_Message]:
    for packet in packets:
        if packet.sequence is None and is_sip(packet.data):
            yield _message(packet.at_s, packet.source, packet.to, packet.data)
    encrypted = 0
    for begin, to, pieces in streams_of(list(packets)):
        content = b"".join(data for _, data in pieces)
        encrypted += content[:2] == b"\x16\x03"
        for place, data in _split(content):
            yield _message(_time_of(place, pieces), begin, to, data)
    if encrypted:
        source.warn("There are TLS connections in the capture; SIP inside them cannot be read.")


def _split(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The SIP messages of one direction of a connection, with where they begin."""
    head, mark, frames = content.partition(b"\r\n\r\n")
    if mark and b"websocket" in head.lower() and head.startswith((b"GET ", b"HTTP/1.1 101")):
        for place, data in _frames(frames):
            if is_sip(data):
                yield len(head) + 4 + place, data
        return
    position = 0
    while (start := _START.search(content, position)) is not None:
        end = content.find(b"\r\n\r\n", start.start())
        if end < 0:
            return
        length = _LENGTH.search(content, start.start(), end + 2)
        position = end + 4 + (int(length[1]) if length else 0)
        yield start.start(), content[start.start() : position]


def _frames(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages of one direction of a WebSocket connection (RFC 6455 section 5.2), uncompressed."""
    position, begun, message = 0, 0, b""
    while position + 2 <= len(content):
        place, first, second = position, content[position], content[position + 1]
        size, position = second & 0x7F, position + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, position = int.from_bytes(content[position : position + width], "big"), position + width
        key = b""
        if second & 0x80:
            key, position = content[position : position + 4], position + 4
        data = content[position : position + size]
        position += size
        if len(key) == 4:
            data = bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
        if first & 0x0F in (1, 2):
            begun, message = place, b""
        if first & 0x0F in (0, 1, 2):
            message += data
            if first & 0x80:
                yield begun, message


def _time_of(place: int, pieces: Sequence[tuple[float, bytes]]) -> float:
    for at_s, data in pieces:
        if place < len(data):
            return at_s
        place -= len(data)
    return pieces[-1][0]


def _message(at_s: float, source: Endpoint, to: Endpoint, data: bytes) -> _Message:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    head, _, body = text.partition("\n\n")
    start, *lines = head.split("\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if colon:
            headers.setdefault(_COMPACT.get(name, name), value.strip())
    return _Message(at_s, source, to, start, headers, body)
