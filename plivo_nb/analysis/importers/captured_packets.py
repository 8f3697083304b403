"""UDP and TCP packets of a pcap or pcapng capture, read with scapy."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plivo_nb.analysis.importers.source import Source

Endpoint = tuple[str, int]

_MAGICS = {
    b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a",
}  # fmt: skip
_NEW = b"\x0a\x0d\x0d\x0a"  # pcapng; also the type of the block that begins a section
_IN_ORDER = b"\x4d\x3c\x2b\x1a"  # a section's mark of its byte order, if little-endian
_LONGEST_S = 7 * 86_400.0
_RECEIVED, _SENT = 1, 2  # direction in the flags of a packet (draft-ietf-opsawg-pcapng section 4.3.1)


class CapturedPacket(NamedTuple):
    """A packet.

    Attributes:
        at_s: when it was captured, s since 1970.
        source: (IP address, port); to: likewise.
        data: what UDP or TCP carried, as far as it was captured.
        size: its length on the wire.
        sent: whether the capturing end sent it; None where the file does not say it.
        sequence: TCP sequence number; None for UDP.
    """

    at_s: float
    source: Endpoint
    to: Endpoint
    data: bytes
    size: int
    sent: bool | None
    sequence: int | None


def is_capture(data: bytes) -> bool:
    """Whether this begins like a pcap or pcapng file."""
    return data[:4] in _MAGICS


def packets_of(source: Source) -> list[CapturedPacket]:
    """The UDP and TCP packets of a capture, in the order of time.

    What cannot be read is named in the warnings of the source; without scapy, that it is missing.
    """
    try:
        from scapy.layers import inet, inet6, l2
        from scapy.utils import RawPcapReader
    except ImportError:
        source.warn("To read captures, install scapy: pip install 'plivo-nb[captures]'.")
        return []
    del inet, inet6, l2  # their import tells scapy how these protocols are dissected
    packets: list[CapturedPacket] = []
    others = fragments = 0
    try:
        file: Any = io.BytesIO(source.data)  # scapy takes files too, against its annotation
        reader = RawPcapReader(file)
        tick_s = 1e-9 if getattr(reader, "nano", False) else 1e-6
        for data, about in _quietly(reader):
            found = _dissected(data, about, getattr(reader, "linktype", None), tick_s)
            if isinstance(found, CapturedPacket):
                packets.append(found)
            elif found == "fragment":
                fragments += 1
            else:
                others += 1
    except Exception as error:  # whatever scapy makes of damaged data
        source.warn(
            f"The capture is damaged or cut off ({type(error).__name__}); what comes after is missing."
        )
    else:
        if not _is_whole(source.data):
            source.warn("The capture is cut off; what comes after is missing.")
    if fragments:
        source.warn(f"{fragments} fragments of IP packets were left out.")
    if others and not packets:
        source.warn(f"None of the {others} packets is UDP or TCP that can be read.")
    return _plausible(packets, source)


def _quietly(reader: Iterable[Any]) -> Iterator[Any]:
    """The packets of scapy's reader, without its log about damage, which goes to the screen."""
    log = logging.getLogger("scapy.runtime")
    packets = iter(reader)
    while True:
        before, log.disabled = log.disabled, True
        try:
            packet = next(packets, None)
        finally:
            log.disabled = before
        if packet is None:
            return
        yield packet


def _is_whole(data: bytes) -> bool:
    """Whether the last packet or block ends with the file: scapy ends without a word where it does not."""
    with contextlib.suppress(struct.error):
        at = _end_of_blocks(data) if data.startswith(_NEW) else _end_of_packets(data)
        return at == len(data)
    return False


def _end_of_packets(data: bytes) -> int:
    """Where the last packet of a pcap file ends, by its header."""
    order = ">" if data[0] == 0xA1 else "<"
    at = 24
    while at < len(data):
        at += 16 + int(struct.unpack_from(f"{order}I", data, at + 8)[0])
    return at


def _end_of_blocks(data: bytes) -> int:
    """Where the last block of a pcapng file ends, by its header."""
    order, at = "<", 0
    while at < len(data):
        if data[at : at + 4] == _NEW:
            order = "<" if data[at + 8 : at + 12] == _IN_ORDER else ">"
        at += max(int(struct.unpack_from(f"{order}I", data, at + 4)[0]), 12)
    return at


def _plausible(packets: list[CapturedPacket], source: Source) -> list[CapturedPacket]:
    """The packets in the order of time, without those whose time is days away from the others."""
    times = sorted(packet.at_s for packet in packets if packet.at_s == packet.at_s)
    if not times:
        return []
    middle = times[len(times) // 2]
    kept = [packet for packet in packets if abs(packet.at_s - middle) < _LONGEST_S]
    if len(kept) < len(packets):
        source.warn(f"{len(packets) - len(kept)} packets with impossible times were left out.")
    return sorted(kept, key=lambda packet: packet.at_s)


def _dissected(data: bytes, about: Any, linktype: int | None, tick_s: float) -> CapturedPacket | str:
    from scapy.config import conf
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment

    layer = conf.l2types.num2layer.get(int(getattr(about, "linktype", None) or linktype or 0))
    if layer is None:
        return "other"
    try:
        packet = layer(data)
        network = packet.getlayer(IP) or packet.getlayer(IPv6)
        transport = packet.getlayer(UDP) or packet.getlayer(TCP)
        if network is None:
            return "other"
        if getattr(network, "frag", 0) or packet.haslayer(IPv6ExtHdrFragment):
            return "fragment"
        if transport is None:
            return "other"
        content = bytes(transport.payload)
        is_tcp = packet.haslayer(TCP)
        if not is_tcp and transport.len is not None:
            content = content[: max(transport.len - 8, 0)]
        elif is_tcp and getattr(network, "version", 0) == 4 and network.len:
            content = content[: max(network.len - 4 * network.ihl - 4 * transport.dataofs, 0)]
        return CapturedPacket(
            _time_s(about, tick_s),
            (str(network.src), int(transport.sport)),
            (str(network.dst), int(transport.dport)),
            content,
            len(content) if is_tcp else max(int(transport.len or 0) - 8, len(content)),
            {_RECEIVED: False, _SENT: True}.get(_direction(about)),
            int(transport.seq) if is_tcp else None,
        )
    except Exception:  # a packet of the network may be anything
        return "other"


def _direction(about: Any) -> int:
    direction = getattr(about, "direction", None)
    return int(direction) if isinstance(direction, int) else 0


def _time_s(about: Any, tick_s: float) -> float:
    if hasattr(about, "tshigh"):  # pcapng
        if about.tshigh is None:
            return math.nan
        return float(((about.tshigh << 32) + about.tslow) / about.tsresol)
    return float(about.sec + about.usec * tick_s)


def streams_of(
    packets: list[CapturedPacket],
) -> Iterator[tuple[Endpoint, Endpoint, list[tuple[float, bytes]]]]:
    """What each TCP connection carried in each direction, in order and once: (time, bytes)."""
    segments: dict[tuple[Endpoint, Endpoint], list[CapturedPacket]] = {}
    for packet in packets:
        if packet.sequence is not None and packet.data:
            segments.setdefault((packet.source, packet.to), []).append(packet)
    for (source, to), parts in segments.items():
        base = parts[0].sequence or 0
        offset = {id(part): ((part.sequence or 0) - base + 2**31) % 2**32 - 2**31 for part in parts}
        pieces: list[tuple[float, bytes]] = []
        reached: int | None = None
        for part in sorted(parts, key=lambda item: offset[id(item)]):
            begin = offset[id(part)]
            skip = 0 if reached is None else max(reached - begin, 0)
            if skip < len(part.data):
                pieces.append((part.at_s, part.data[skip:]))
                reached = begin + len(part.data)
        yield source, to, pieces
