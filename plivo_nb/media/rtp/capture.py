"""Captures of a call as pcapng for Wireshark (draft-ietf-opsawg-pcapng): SIP, and media before protection.

Packets on the network are encrypted; here each RTP and RTCP packet is written unencrypted, with IP and UDP
headers made from the addresses in use, and each SIP message as a UDP packet on port 5060 (`captured_sip`), so
that Wireshark decodes the call without any setting. A separate thread writes the file a few times a second.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import struct
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from plivo_nb.media.rtp.captured_sip import Address, SipFrame, SipWriter, WrittenSip

if TYPE_CHECKING:
    from typing import BinaryIO

_logger = logging.getLogger("plivo_nb.media.rtp.capture")
_WRITE_EACH_S = 0.25
_WAITING_MAX = 50_000
_ROUND_BYTES = 1_000_000  # written at a time after the disk was slow
_LINKTYPE_RAW_IP = 101
_LONGEST_COMMENT = 65_000  # bytes
_UDP = 17


class _MediaPacket(NamedTuple):
    at: float
    source: Address
    to: Address
    data: bytes
    sent: bool


class Capture:
    """A pcapng file that is being written.

    Args:
        path: path of the file; an existing file is replaced.
        dscp: the DSCP in the IP header of sent packets.

    Raises:
        OSError: the file cannot be written.

    Attributes:
        packets: number of packets in the file.
        dropped: number of packets dropped because the disk was too slow, or because writing stopped.
        error: why writing stopped before `close`, a sentence; None if it did not. The file is complete up to
            there.
    """

    def __init__(self, path: str | Path, dscp: int = 0) -> None:
        self.path = Path(path)
        self.packets = 0
        self.dropped = 0
        self.error: str | None = None
        self._tos = dscp << 2
        self._utc_offset_ns = time.time_ns() - time.monotonic_ns()
        self._waiting: deque[_MediaPacket | SipFrame] = deque()
        self._sip = SipWriter()
        self._blocks = bytearray()
        self._in_blocks = 0  # packets
        self._ending = threading.Event()
        # Unbuffered: a process that is forked has no bytes of it to write again at its end.
        self._file: BinaryIO = self.path.open("wb", buffering=0)
        self._size = 0
        self._blocks += _section_header() + _interface()
        try:
            self._write_blocks()
        except OSError:
            self._file.close()
            raise
        self._thread = threading.Thread(target=self._run, name="plivo_nb capture", daemon=True)
        self._thread.start()

    def add(self, at: float, source: Address, to: Address, data: bytes, sent: bool) -> None:
        """Queue a packet, without waiting.

        Args:
            at: time.monotonic() seconds.
            source, to: (IP address, port).
            data: the unprotected RTP or RTCP packet.
            sent: whether we sent it.
        """
        self._queue(_MediaPacket(at, source, to, data, sent))

    def add_sip(self, frame: SipFrame) -> None:
        """Queue a SIP message of the call, without waiting."""
        self._queue(frame)

    def _queue(self, item: _MediaPacket | SipFrame) -> None:
        if self.error is not None or len(self._waiting) >= _WAITING_MAX:
            self.dropped += 1
        else:
            self._waiting.append(item)

    def close(self) -> None:
        """Write the queued packets and close the file, within 1 s. A second call does nothing."""
        self._ending.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        try:
            with self._file:
                while not self._ending.wait(_WRITE_EACH_S):
                    self._write()
                self._write()
                for message in self._sip.rest():
                    self._write_sip(message)
                self._write_blocks()
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
        self.error = (
            f"The capture {str(self.path)!r} stopped ({reason}); "
            f"it contains the first {self.packets} packets, and the call goes on."
        )
        self._waiting.clear()
        _logger.warning(self.error)

    def _write(self) -> None:
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, SipFrame):
                self._sip.add(item)
            else:
                local, remote = (item.source, item.to) if item.sent else (item.to, item.source)
                self._sip.use_pair(local, remote, item.at)
            for message in self._sip.ready(item.at):
                self._write_sip(message)
            if isinstance(item, _MediaPacket):
                packet = _ip_packet(item.source, item.to, item.data, self._tos if item.sent else 0)
                self._write_packet(item.at, packet, item.sent)
            if len(self._blocks) > _ROUND_BYTES:
                self._write_blocks()
        self._write_blocks()

    def _write_blocks(self) -> None:
        """Write the blocks of this round; where the disk takes only a part, take it back."""
        left = memoryview(self._blocks).toreadonly()
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            with contextlib.suppress(OSError):  # a device cannot be cut
                self._file.truncate(self._size)
            raise
        finally:
            left.release()
        self._size += len(self._blocks)
        self.packets += self._in_blocks
        self._blocks, self._in_blocks = bytearray(), 0

    def _write_sip(self, message: WrittenSip) -> None:
        packet = _ip_packet(message.source, message.to, message.data, 0)
        self._write_packet(message.frame.at, packet, message.frame.sent, message.comment)

    def _write_packet(self, at: float, packet: bytes, sent: bool, comment: str = "") -> None:
        self._blocks += _enhanced_packet(round(at * 1e9) + self._utc_offset_ns, packet, sent, comment)
        self._in_blocks += 1


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _section_header() -> bytes:
    note = b"SIP, RTP and RTCP of a plivo_nb call before protection; IP and UDP headers are synthetic."
    options = _option(1, note) + _option(4, b"plivo_nb") + _option(0, b"")
    return _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options)


def _interface() -> bytes:
    nanoseconds = _option(9, b"\x09") + _option(0, b"")
    return _block(1, struct.pack("<HHI", _LINKTYPE_RAW_IP, 0, 0) + nanoseconds)


def _enhanced_packet(utc_ns: int, packet: bytes, sent: bool, comment: str = "") -> bytes:
    body = struct.pack("<IIIII", 0, utc_ns >> 32, utc_ns & 0xFFFFFFFF, len(packet), len(packet))
    options = _option(2, struct.pack("<I", 2 if sent else 1))
    if comment:
        options += _option(1, comment.encode("utf-8", "replace")[:_LONGEST_COMMENT])
    return _block(6, body + packet + bytes(-len(packet) % 4) + options + _option(0, b""))


def _ip_packet(source: Address, to: Address, data: bytes, tos: int) -> bytes:
    """`data` in UDP (RFC 768) in IPv4 (RFC 791) or IPv6 (RFC 8200)."""
    here, there = ipaddress.ip_address(source[0]), ipaddress.ip_address(to[0])
    length = 8 + len(data)
    udp = struct.pack("!HHHH", source[1], to[1], length, 0) + data
    pseudo = here.packed + there.packed + struct.pack("!II", length, _UDP)
    checksum = _checksum(pseudo + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", checksum) + data
    if here.version == 6:
        head = struct.pack("!IHBB", 6 << 28 | tos << 20, length, _UDP, 64)
        return head + here.packed + there.packed + udp
    head = struct.pack("!BBHHHBBH", 0x45, tos, 20 + length, 0, 0x4000, 64, _UDP, 0)
    head += here.packed + there.packed
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + udp


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
