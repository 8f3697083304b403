"""Made-up captures of one call of 10 s: SIP, RTP and RTCP, in the layers and containers that are asked for.

Alice (10.0.0.1) calls bob (198.51.100.2): 50 packets a second each way, each 25th one to alice is lost, round
trip 80 ms.
"""

from __future__ import annotations

import os
import struct
from functools import cache
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from plivo_nb.media.rtp import rtcp

Frames = list[tuple[float, bytes]]
Endpoint = tuple[str, int]

START_S = 1_700_000_000.0
HERE, THERE = ("10.0.0.1", 4000), ("198.51.100.2", 5000)
HERE_6, THERE_6 = ("fd00::1", 4000), ("2001:db8::2", 5000)
SECONDS = 10
_SSRC = {True: 1, False: 2}  # of what is sent, and received


def sdp(address: str, port: int, profile: str, codec: str) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} {profile} 96\r\na=rtpmap:96 {codec}\r\n"
    )


def sip(start: str, cseq: str, body: str = "") -> bytes:
    content = "Content-Type: application/sdp\r\n" if body else ""
    head = (
        f"{start}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:alice@a.test>;tag=1\r\n"
        f"To: <sip:bob@b.test>\r\ni: call-1\r\nCSeq: {cseq}\r\nX-CallUUID: uuid-1\r\n{content}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def signalling(profile: str = "RTP/AVP", codec: str = "opus/48000/2") -> list[tuple[float, bool, bytes]]:
    """(seconds from the start of the media, whether alice sent it, message)."""
    return [
        (-3.0, True, sip("INVITE sip:bob@b.test SIP/2.0", "1 INVITE", sdp(*HERE, profile, codec))),
        (-2.9, False, sip("SIP/2.0 100 Trying", "1 INVITE")),
        (-2.0, False, sip("SIP/2.0 180 Ringing", "1 INVITE")),
        (-0.1, False, sip("SIP/2.0 200 OK", "1 INVITE", sdp(*THERE, profile, codec))),
        (SECONDS, True, sip("BYE sip:bob@b.test SIP/2.0", "2 BYE")),
    ]


def media(encrypted: bool = False) -> list[tuple[float, bool, bytes]]:
    """RTP and RTCP of both directions."""
    found = []
    for n in range(50 * SECONDS):
        for sent in (True, False):
            if sent or n % 25 != 24:
                header = struct.pack("!BBHII", 0x80, 96, (65_500 + n) % 65536, (960 * n) % 2**32, _SSRC[sent])
                found.append((n / 50 + (0.0 if sent else 0.01), sent, header + b"\x78" * 60))
    for second in range(1, SECONDS, 2):
        at_s = START_S + second
        report = rtcp.SenderReport(1, rtcp.ntp_time(at_s), 0, 50 * second, 3000 * second)
        found.append((second, True, rtcp.build([report])))
        block = rtcp.ReportBlock(
            1, 0.04, second, 65_500 + 50 * second, 192, rtcp.middle(rtcp.ntp_time(at_s)), 65_536 // 2
        )
        answer = rtcp.SenderReport(2, rtcp.ntp_time(at_s), 0, 50 * second, 3000 * second, (block,))
        found.append((second + 0.58, False, rtcp.build([answer])))
    if encrypted:
        hidden = [
            (at, sent, data[:8] + os.urandom(24)) if data[1] >= 192 else (at, sent, data)
            for at, sent, data in found
        ]
        return [*hidden, (-0.05, True, b"\x16\xfe\xfd" + bytes(40))]
    return found


def udp(
    messages: list[tuple[float, bool, bytes]],
    *,
    port: int | None = None,
    six: bool = False,
    ends: tuple[Endpoint, Endpoint] | None = None,
    up: int = 0,
) -> Frames:
    """UDP packets of these.

    Args:
        messages: seconds, whether alice sent it, and what it carries.
        port: of both ends in place of those of the media.
        six: whether to use IPv6.
        ends: hers and the other's address and port.
        up: added to the ports of `ends`.
    """
    here, there = ends or ((HERE_6, THERE_6) if six else (HERE, THERE))
    here, there = (here[0], here[1] + up), (there[0], there[1] + up)
    packets = []
    for at, sent, data in messages:
        source, to = (here, there) if sent else (there, here)
        network = IPv6(src=source[0], dst=to[0]) if six else IP(src=source[0], dst=to[0])
        packet = network / UDP(sport=port or source[1], dport=port or to[1]) / Raw(data)
        packets.append((START_S + at, bytes(packet)))
    return packets


@cache
def media_packets(*, six: bool = False, encrypted: bool = False) -> tuple[tuple[float, bytes], ...]:
    """The UDP packets of the media."""
    return tuple(udp(media(encrypted), six=six))


def tcp(messages: list[tuple[float, bool, bytes]], *, websocket: bool = False) -> Frames:
    """TCP segments of at most 300 bytes, one of them twice; `websocket`: in frames, masked by the client."""
    streams = {True: 100, False: 2**32 - 50}
    packets = []
    if websocket:
        head = "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        upgrade = [
            (-4.0, True, f"GET / HTTP/1.1\r\n{head}"),
            (-3.9, False, f"HTTP/1.1 101 Switching\r\n{head}"),
        ]
        messages = [(at, sent, text.encode()) for at, sent, text in upgrade] + [
            (at, sent, _frame(data, masked=sent)) for at, sent, data in messages
        ]
    for at, sent, data in messages:
        ports = (HERE[0], THERE[0], 40_000, 5060) if sent else (THERE[0], HERE[0], 5060, 40_000)
        for start in range(0, len(data), 300):
            part = data[start : start + 300]
            segment = TCP(sport=ports[2], dport=ports[3], seq=streams[sent], flags="PA") / Raw(part)
            packet = (START_S + at, bytes(IP(src=ports[0], dst=ports[1]) / segment))
            packets += [packet, packet] if start else [packet]
            streams[sent] = (streams[sent] + len(part)) % 2**32
    return packets


def _frame(data: bytes, *, masked: bool) -> bytes:
    mask = b"\x01\x02\x03\x04"
    content = bytes(byte ^ mask[n % 4] for n, byte in enumerate(data)) if masked else data
    first = 0x80 if masked else 0
    size = bytes([first | len(data)]) if len(data) < 126 else struct.pack("!BH", first | 126, len(data))
    return b"\x81" + size + (mask if masked else b"") + content


def saved(packets: Frames, *, ng: bool = False, ethernet: bool = True, vlan: bool = False) -> bytes:
    """A capture file of these packets in the order of time: pcap, or pcapng."""
    kind = 1 if ethernet else 101
    file = _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + _block(
        1, struct.pack("<HHI", kind, 0, 0)
    )
    if not ng:
        file = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, kind)
    parts = [file]
    for at_s, packet in sorted(packets):
        version = packet[0] >> 4
        link = (
            bytes(12)
            + (b"\x81\x00\x00\x07" if vlan else b"")
            + (b"\x86\xdd" if version == 6 else b"\x08\x00")
        )
        frame = link + packet if ethernet else packet
        us = round(at_s * 1e6)
        if ng:
            head = struct.pack("<IIIII", 0, us >> 32, us & 0xFFFFFFFF, len(frame), len(frame))
            parts.append(_block(6, head + frame + bytes(-len(frame) % 4)))
        else:
            parts.append(
                struct.pack("<IIII", us // 1_000_000, us % 1_000_000, len(frame), len(frame)) + frame
            )
    return b"".join(parts)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


#: A capture of each kind, by what it is.
CAPTURES: dict[str, Any] = {
    "pcap, Ethernet": lambda: saved([*udp(signalling(), port=5060), *media_packets()]),
    "pcap, raw IP": lambda: saved([*udp(signalling(), port=5060), *media_packets()], ethernet=False),
    "pcapng, VLAN": lambda: saved([*udp(signalling(), port=5060), *media_packets()], ng=True, vlan=True),
    "SIP over TCP": lambda: saved([*tcp(signalling()), *media_packets()]),
    "SIP over WebSocket": lambda: saved([*tcp(signalling(), websocket=True), *media_packets()]),
    "RTP only": lambda: saved([*media_packets()]),
    "RTP only, IPv6": lambda: saved([*media_packets(six=True)]),
    "SRTP": lambda: saved([*udp(signalling("RTP/SAVP"), port=5060), *media_packets(encrypted=True)]),
}
