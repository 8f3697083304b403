"""RTCP: reports, source descriptions and BYE (RFC 3550 section 6), also reduced-size packets (RFC 5506).

Times in reports are NTP: seconds since 1900 in 32.32 fixed point; round trips use the middle 32 bits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SR, RR, SDES, BYE = 200, 201, 202, 203
_CNAME = 1
_NTP_EPOCH_S = 2_208_988_800  # 1 January 1970 in NTP seconds


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """A report block of a receiver about one source (RFC 3550 section 6.4.1).

    Args:
        ssrc: the source.
        fraction_lost: 0..1, since the last report.
        packets_lost: cumulative; may be negative.
        highest_sequence: extended highest sequence number received.
        jitter: interarrival jitter in clock units.
        last_sr: middle 32 bits of the NTP time of the last sender report, 0 if none.
        delay_since_last_sr: in 1/65536 s.
    """

    ssrc: int
    fraction_lost: float
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int = 0
    delay_since_last_sr: int = 0

    def serialize(self) -> bytes:
        """Return the block's 24 bytes."""
        fraction = min(255, int(self.fraction_lost * 256))
        lost = max(-0x800000, min(0x7FFFFF, self.packets_lost)) & 0xFFFFFF
        return struct.pack(
            "!IIIIII",
            self.ssrc,
            fraction << 24 | lost,
            self.highest_sequence & 0xFFFFFFFF,
            min(self.jitter, 0xFFFFFFFF),
            self.last_sr,
            self.delay_since_last_sr & 0xFFFFFFFF,
        )

    @classmethod
    def parse(cls, data: bytes) -> ReportBlock:
        """Parse 24 bytes."""
        ssrc, word, highest, jitter, last_sr, delay = struct.unpack("!IIIIII", data)
        lost = word & 0xFFFFFF
        if lost & 0x800000:
            lost -= 0x1000000
        return cls(ssrc, (word >> 24) / 256, lost, highest, jitter, last_sr, delay)


@dataclass(frozen=True, slots=True)
class SenderReport:
    """Sender report (SR): `ntp_time` is 32.32 fixed point, the counts are cumulative."""

    ssrc: int
    ntp_time: int
    rtp_time: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()

    def serialize(self) -> bytes:
        """Return the packet."""
        body = struct.pack(
            "!IQIII",
            self.ssrc,
            self.ntp_time & 0xFFFFFFFFFFFFFFFF,
            self.rtp_time & 0xFFFFFFFF,
            self.packet_count & 0xFFFFFFFF,
            self.octet_count & 0xFFFFFFFF,
        )
        return _pack(SR, len(self.reports), body + b"".join(block.serialize() for block in self.reports))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """Receiver report (RR)."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()

    def serialize(self) -> bytes:
        """Return the packet."""
        body = struct.pack("!I", self.ssrc) + b"".join(block.serialize() for block in self.reports)
        return _pack(RR, len(self.reports), body)


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Source description (SDES) with one CNAME per source."""

    cnames: tuple[tuple[int, str], ...]

    def serialize(self) -> bytes:
        """Return the packet."""
        body = b""
        for ssrc, cname in self.cnames:
            text = cname.encode()[:255]
            chunk = struct.pack("!IBB", ssrc, _CNAME, len(text)) + text
            body += chunk + bytes(4 - len(chunk) % 4)  # at least one zero ends the list of items
        return _pack(SDES, len(self.cnames), body)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE: these sources stop sending. It does not end a call; SIP does."""

    ssrcs: tuple[int, ...]
    reason: str = ""

    def serialize(self) -> bytes:
        """Return the packet."""
        body = struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs)
        if self.reason:
            text = self.reason.encode()[:255]
            body += bytes([len(text)]) + text
            body += bytes(-len(body) % 4)
        return _pack(BYE, len(self.ssrcs), body)


@dataclass(frozen=True, slots=True)
class OtherPacket:
    """An RTCP packet of another type (feedback, extended reports, APP)."""

    packet_type: int
    count: int
    body: bytes


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | OtherPacket


def _pack(packet_type: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, packet_type, len(body) // 4) + body


def build(packets: Iterable[SenderReport | ReceiverReport | SourceDescription | Goodbye]) -> bytes:
    """Join packets into one compound packet."""
    return b"".join(packet.serialize() for packet in packets)


def parse(data: bytes) -> tuple[list[RtcpPacket], list[ValueError]]:
    """Parse a compound (or reduced-size) packet, each of its packets by itself.

    Returns:
        The packets that can be read, and what is wrong with the others. After one whose length is impossible
        nothing more can be read.
    """
    packets: list[RtcpPacket] = []
    faults: list[ValueError] = []
    position = 0
    while position < len(data) or not data:
        try:
            first, packet_type, body = _frame(data, position)
        except ValueError as fault:
            faults.append(fault)
            break
        position += 4 + len(body)
        try:
            packets.append(
                _parse_one(packet_type, first & 0x1F, _unpadded(first, body, position == len(data)))
            )
        except ValueError as fault:
            faults.append(fault)
    return packets, faults


def _frame(data: bytes, position: int) -> tuple[int, int, bytes]:
    """The first byte, type and body of the packet at a position of a compound packet."""
    if len(data) - position < 4:
        raise ValueError("an RTCP packet cut off in its header")
    first, packet_type, words = struct.unpack_from("!BBH", data, position)
    if first >> 6 != 2:
        raise ValueError("not RTCP version 2")
    if not 192 <= packet_type <= 223:  # RFC 5761 section 4
        raise ValueError("no RTCP packet type")
    body = data[position + 4 : position + 4 + 4 * words]
    if len(body) != 4 * words:
        raise ValueError("an RTCP packet cut off")
    return first, packet_type, body


def _unpadded(first: int, body: bytes, last: bool) -> bytes:
    if not first & 0x20:
        return body
    if not body or not 0 < body[-1] <= len(body) or not last:
        raise ValueError("impossible RTCP padding")
    return body[: -body[-1]]


def _parse_one(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    if packet_type == SR:
        if len(body) < 24:
            raise ValueError("a sender report cut off")
        ssrc, ntp_time, rtp_time, packet_count, octet_count = struct.unpack_from("!IQIII", body)
        return SenderReport(ssrc, ntp_time, rtp_time, packet_count, octet_count, _blocks(body, 24, count))
    if packet_type == RR:
        if len(body) < 4:
            raise ValueError("a receiver report cut off")
        return ReceiverReport(struct.unpack_from("!I", body)[0], _blocks(body, 4, count))
    if packet_type == SDES:
        return SourceDescription(_cnames(body, count))
    if packet_type == BYE:
        if len(body) < 4 * count:
            raise ValueError("a goodbye cut off")
        rest = body[4 * count :]
        reason = rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else ""
        return Goodbye(struct.unpack_from(f"!{count}I", body), reason)
    return OtherPacket(packet_type, count, body)


def _blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    if len(body) < start + 24 * count:
        raise ValueError("a report cut off in its blocks")
    return tuple(ReportBlock.parse(body[start + 24 * i : start + 24 * (i + 1)]) for i in range(count))


def _cnames(body: bytes, count: int) -> tuple[tuple[int, str], ...]:
    names: list[tuple[int, str]] = []
    position = 0
    for _ in range(count):
        if len(body) < position + 4:
            raise ValueError("a source description cut off")
        ssrc = struct.unpack_from("!I", body, position)[0]
        position += 4
        while position < len(body) and body[position]:
            if len(body) < position + 2 or len(body) < position + 2 + body[position + 1]:
                raise ValueError("a source description item cut off")
            length = body[position + 1]
            if body[position] == _CNAME:
                names.append((ssrc, body[position + 2 : position + 2 + length].decode("utf-8", "replace")))
            position += 2 + length
        position += 4 - position % 4  # the final zero, and padding to the next word
    return tuple(names)


def ntp_time(utc_s: float) -> int:
    """Convert Unix seconds to NTP 32.32."""
    return int((utc_s + _NTP_EPOCH_S) * 4_294_967_296) & 0xFFFFFFFFFFFFFFFF


def unix_time(ntp: int) -> float:
    """Convert NTP 32.32 to Unix seconds."""
    return ntp / 4_294_967_296 - _NTP_EPOCH_S


def middle(ntp: int) -> int:
    """Return the middle 32 bits of an NTP time: 1/65536 s."""
    return ntp >> 16 & 0xFFFFFFFF


def round_trip_s(block: ReportBlock, ntp_now: int) -> float | None:
    """Return the round-trip time from a report block (RFC 3550 section 6.4.1), in seconds.

    None if the other side has not received a sender report, or the result is impossible (negative, or over a
    minute), as after a change of the clock.
    """
    if not block.last_sr:
        return None
    units = (middle(ntp_now) - block.last_sr - block.delay_since_last_sr) & 0xFFFFFFFF
    if units >= 0xFFFFFFFF - 655:  # up to 10 ms below zero: rounding on both sides
        return 0.0
    return units / 65536 if units < 60 * 65536 else None


def blocks_about(packets: Sequence[RtcpPacket], ssrc: int) -> list[ReportBlock]:
    """Return the report blocks about a source."""
    return [
        block
        for packet in packets
        if isinstance(packet, SenderReport | ReceiverReport)
        for block in packet.reports
        if block.ssrc == ssrc
    ]
