"""The line of the benches: what it loses, what it lets pass, and the descriptions that lead to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from bench.peers.dropper import Dropper, is_rtp

OFFER = (
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n"
    "a=candidate:1 1 udp 2122 127.0.0.1 {port} typ host generation 0\r\n"
    "a=candidate:2 1 udp 2122 10.0.0.9 4000 typ host\r\na=mid:0\r\n"
)


def rtp(number: int) -> bytes:
    return bytes([128, 111]) + number.to_bytes(2, "big") + bytes(160)


class Ends:
    """A speaker's and a listener's socket at a line."""

    def __init__(self, stack: ExitStack, seed: int, loss: float) -> None:
        self.line = Dropper(seed)
        stack.callback(self.line.close)
        self.line.loss = loss
        self.sockets = {}
        for party in ("speaker", "listener"):
            one = self.sockets[party] = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            one.bind(("127.0.0.1", 0))
            one.settimeout(5)
            self.line.reroute(party, OFFER.format(port=one.getsockname()[1]))

    def send(self, party: str, data: bytes) -> None:
        self.sockets[party].sendto(data, ("127.0.0.1", self.line.address(party)))

    def arriving(self, count: int) -> list[int]:
        """Which of so many RTP packets of the speaker the listener gets; a STUN packet ends them."""
        for number in range(count):
            self.send("speaker", rtp(number))
        self.send("speaker", b"\x00\x01end")
        got = []
        while (data := self.sockets["listener"].recv(2000)) != b"\x00\x01end":
            got.append(int.from_bytes(data[2:4], "big"))
        return got


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


def test_the_same_seed_loses_the_same_packets(stack: ExitStack) -> None:
    first, second, third = (Ends(stack, seed, 0.3) for seed in (1, 1, 2))
    arrived = first.arriving(100)
    assert 50 < len(arrived) < 90
    assert first.line.lost == 100 - len(arrived)
    assert second.arriving(100) == arrived
    assert third.arriving(100) != arrived


def test_only_rtp_to_the_listener_is_lost(stack: ExitStack) -> None:
    ends = Ends(stack, 1, 1.0)
    assert ends.arriving(5) == []
    ends.send("speaker", bytes([128, 200]) + bytes(30))  # a sender report
    assert ends.sockets["listener"].recv(2000)[1] == 200
    ends.send("listener", rtp(7))
    assert ends.sockets["speaker"].recv(2000) == rtp(7)


def test_descriptions_lead_to_the_line(stack: ExitStack) -> None:
    line = Dropper(1)
    stack.callback(line.close)
    offer = line.reroute("speaker", OFFER.format(port=5000))
    assert offer.count("a=candidate:") == 1
    assert f"127.0.0.1 {line.address('listener')} typ host" in offer
    plain = line.reroute_plain(
        "listener", "v=0\r\nc=IN IP4 10.0.0.9\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:4001\r\n"
    )
    assert plain == f"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {line.address('speaker')} RTP/AVP 0\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (rtp(1), True),
        (bytes([128, 200]) + bytes(30), False),
        (b"\x00\x01" + bytes(30), False),
        (b"\x80", False),
    ],
)
def test_what_is_rtp(data: bytes, expected: bool) -> None:
    assert is_rtp(data) is expected
