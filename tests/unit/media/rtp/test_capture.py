"""The pcapng file, byte by byte where it matters."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from small_disk import killed, small_disk
from waiting import wait_until

from plivo_nb.media.rtp.capture import Capture
from plivo_nb.media.rtp.captured_sip import SipFrame

V4 = ("192.0.2.1", 4000), ("192.0.2.2", 5000)
V6 = ("2001:db8::1", 4000), ("2001:db8::2", 5000)
RTP = bytes.fromhex("806f00010000 03c011223344".replace(" ", "")) + b"payload"


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, length - 4)[0] == length
        found.append((kind, data[8 : length - 4]))
        data = data[length:]
    return found


def folded(data: bytes) -> int:
    """The ones' complement sum; 0xFFFF where the checksum within is right."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_packets_are_written_with_true_times_and_valid_headers(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "x.pcapng", dscp=46)
    at = time.monotonic()
    for (source, to), sent in ((V4, True), (V4[::-1], False), (V6, True)):
        capture.add(at, source, to, RTP, sent)
    capture.close()
    capture.close()
    assert (capture.packets, capture.dropped) == (3, 0)
    (section, interface, *packets) = blocks((tmp_path / "x.pcapng").read_bytes())
    assert section[0] == 0x0A0D0D0A
    assert section[1][:4] == b"\x4d\x3c\x2b\x1a"
    assert interface[0] == 1
    assert struct.unpack_from("<H", interface[1])[0] == 101
    assert [kind for kind, _ in packets] == [6, 6, 6]
    ips = []
    for _, body in packets:
        _, high, low, captured, length = struct.unpack_from("<IIIII", body)
        assert captured == length
        assert abs((high << 32 | low) - time.time_ns()) < 5e9
        ips.append(body[20 : 20 + captured])
    assert ips[0][1] == 184
    assert ips[1][1] == 0
    for packet in ips[:2]:
        assert folded(packet[:20]) == 0xFFFF
        assert struct.unpack_from("!H", packet, 2)[0] == len(packet)
        pseudo = packet[12:20] + struct.pack("!BBH", 0, 17, len(packet) - 20)
        assert folded(pseudo + packet[20:]) == 0xFFFF
        assert packet[28:] == RTP
    assert ips[0][12:16] == bytes([192, 0, 2, 1])
    assert struct.unpack_from("!HH", ips[0], 20) == (4000, 5000)
    assert ips[2][0] >> 4 == 6
    pseudo6 = ips[2][8:40] + struct.pack("!II", len(ips[2]) - 40, 17)
    assert folded(pseudo6 + ips[2][40:]) == 0xFFFF
    assert ips[2][48:] == RTP


def test_a_path_that_cannot_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such"):
        Capture(tmp_path / "no-such" / "x.pcapng")


def test_what_a_slow_disk_cannot_take_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plivo_nb.media.rtp.capture._WAITING_MAX", 2)
    monkeypatch.setattr("plivo_nb.media.rtp.capture._WRITE_EACH_S", 60)
    capture = Capture(tmp_path / "x.pcapng")
    for _ in range(5):
        capture.add(time.monotonic(), *V4, RTP, True)
    capture.close()
    assert (capture.packets, capture.dropped) == (2, 3)


CAPTURE = """
import sys, time
from plivo_nb.media.rtp.capture import Capture
capture = Capture(sys.argv[1])
for number in range(100000):
    packet = bytes([128, 0]) + bytes(170)
    capture.add(time.monotonic(), ("192.0.2.1", 4000), ("192.0.2.2", 5000), packet, True)
    time.sleep(0.005)
    if number == 200:
        print("now", number, flush=True)
    if capture.error:
        print("stopped", capture.packets, flush=True)
"""


def test_a_process_that_is_killed_leaves_its_capture(tmp_path: Path) -> None:
    sent = killed(CAPTURE, str(tmp_path / "x.pcapng"))
    assert len(blocks((tmp_path / "x.pcapng").read_bytes())) - 2 > sent - 100


def test_a_limit_on_the_size_of_files_ends_the_capture_after_a_whole_packet(tmp_path: Path) -> None:
    written = killed(CAPTURE, str(tmp_path / "x.pcapng"), after_line="stopped", limit_bytes=40_000)
    assert len(blocks((tmp_path / "x.pcapng").read_bytes())) - 2 == written > 0


def test_a_full_disk_ends_the_capture_with_a_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        capture = Capture(disk / "x.pcapng")

        def stopped() -> bool:
            for _ in range(20):
                capture.add(time.monotonic(), *V4, RTP + bytes(1000), True)
            return capture.error is not None

        wait_until(stopped)
        capture.close()
        dropped = capture.dropped
        capture.add(time.monotonic(), *V4, RTP, True)
        capture.add_sip(SipFrame(time.monotonic(), True, "INVITE sip:x SIP/2.0\r\n\r\n"))
        assert capture.dropped == dropped + 2
        assert len(blocks((disk / "x.pcapng").read_bytes())) - 2 == capture.packets
    assert capture.error is not None
    assert (
        f"stopped (No space left on device); it contains the first {capture.packets} packets" in capture.error
    )
    assert capture.error in caplog.text


def test_a_disk_that_is_full_from_the_beginning_is_an_error_at_once() -> None:
    with pytest.raises(OSError, match="No space left"):
        Capture("/dev/full")


def test_what_waited_for_a_slow_disk_is_written_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a disk that is full by then costs only the last part."""
    monkeypatch.setattr("plivo_nb.media.rtp.capture._ROUND_BYTES", 1000)
    capture = Capture(tmp_path / "x.pcapng")
    for _ in range(100):
        capture.add(time.monotonic(), *V4, RTP, True)
    capture.close()
    assert len(blocks((tmp_path / "x.pcapng").read_bytes())) - 2 == capture.packets == 100
