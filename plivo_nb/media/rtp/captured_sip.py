"""SIP in a pcapng capture (pcap): UDP frames on port 5060, with SDP by which Wireshark decodes the RTP.

The SDP of a WebRTC call names the profile UDP/TLS/RTP/SAVPF, for which Wireshark expects encrypted packets,
and an address that ICE may replace. In the copy that is written, the profile is RTP/AVPF (RFC 4585), and the
address and port are those of the candidate pair in use. The original text stands in the comment of the frame.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from plivo_nb.media.sdp import rewrite_candidates

Address = tuple[str, int]

SIP_PORT = 5060
#: Where the server stands if it has our own address, as the lab on this machine has (RFC 5737, RFC 3849).
_SERVER = {4: "192.0.2.1", 6: "2001:db8::1"}
_CLIENT = "192.0.2.2"  # where we stand if no packet has been sent yet
_LONGEST_TEXT = 65_000  # bytes, so that the frame fits into an IP packet
_LONGEST_WAIT_S = 10.0
_PROFILE = re.compile(r"^(m=\S+ \S+ )(?:UDP/TLS/RTP/SAVPF?|RTP/SAVPF?) ", re.MULTILINE)
_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
_CUT = b"\r\n[cut]"


class SipFrame(NamedTuple):
    """A SIP message of the call: `at` in `time.monotonic()` seconds; whether we sent it; its masked text."""

    at: float
    sent: bool
    text: str


class WrittenSip(NamedTuple):
    """A SIP message as it is written: from where to where, its bytes, and the comment."""

    frame: SipFrame
    source: Address
    to: Address
    data: bytes
    comment: str


class SipWriter:
    """Puts the SIP messages of a call in order with its candidate pairs.

    A message whose SDP has new ICE credentials waits until the pair is known that they lead to, for 10 s at
    most; the messages after it wait too.
    """

    def __init__(self) -> None:
        self._waiting: deque[SipFrame] = deque()
        self._ufrags: dict[bool, str] = {}
        self._pair: tuple[Address, Address] | None = None  # ours, the other side's
        self._pair_since = 0.0

    def add(self, frame: SipFrame) -> None:
        """Add a message; `ready` gives it back."""
        self._waiting.append(frame)

    def use_pair(self, local: Address, remote: Address, at: float) -> None:
        """Note the addresses of a media packet."""
        if self._pair != (local, remote):
            self._pair = (local, remote)
            self._pair_since = at

    def ready(self, now: float) -> list[WrittenSip]:
        """The messages that can be written now."""
        written = []
        while self._waiting and not self._has_to_wait(self._waiting[0], now):
            written.append(self._write(self._waiting.popleft()))
        return written

    def rest(self) -> list[WrittenSip]:
        """All messages that are left, at the end of the capture."""
        written = [self._write(frame) for frame in self._waiting]
        self._waiting.clear()
        return written

    def _has_to_wait(self, frame: SipFrame, now: float) -> bool:
        if self._pair is None:
            return True
        ufrag = _UFRAG.search(frame.text)
        known = self._ufrags.get(frame.sent)
        if ufrag is None or known is None or ufrag.group(1) == known:
            return False
        return self._pair_since < frame.at and now - frame.at < _LONGEST_WAIT_S

    def _write(self, frame: SipFrame) -> WrittenSip:
        ufrag = _UFRAG.search(frame.text)
        if ufrag is not None:
            self._ufrags[frame.sent] = ufrag.group(1)
        local, remote = self._pair or ((_CLIENT, 0), (_SERVER[4], 0))
        here, server = local[0], remote[0]
        if here == server:
            server = _SERVER[6 if ":" in here else 4]
        ends = (here, SIP_PORT), (server, SIP_PORT)
        source, to = ends if frame.sent else ends[::-1]
        text = frame.text
        if self._pair is not None:
            text = with_addresses(text, *(local if frame.sent else remote))
        data = text.encode("utf-8", "replace")
        if len(data) > _LONGEST_TEXT:
            data = data[: _LONGEST_TEXT - len(_CUT)] + _CUT
        return WrittenSip(frame, source, to, data, frame.text if text != frame.text else "")


def with_addresses(text: str, address: str, port: int) -> str:
    """The message with an SDP that describes plain RTP at this address; one without SDP stays as it is."""
    head, mark, body = text.partition("\r\n\r\n")
    if "application/sdp" not in head.lower() or not body.strip():
        return text
    body = _PROFILE.sub(r"\1RTP/AVPF ", rewrite_candidates(body, address, port))
    if not re.search(r"^c=", body, re.MULTILINE):
        family = "IP6" if ":" in address else "IP4"
        body = re.sub(r"(?m)^(m=audio [^\r\n]*\r?\n)", rf"\g<1>c=IN {family} {address}\r\n", body, count=1)
    length = len(body.encode("utf-8", "replace"))
    head = re.sub(r"(?im)^(content-length|l)[ \t]*:[^\r\n]*", f"Content-Length: {length}", head)
    return head + mark + body
