"""analysis.importers.captured_packets: UDP and TCP packets of a capture."""

from __future__ import annotations

import builtins
from typing import Any

import foreign_captures
import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Raw

from plivo_nb.analysis.importers.captured_packets import packets_of, streams_of
from plivo_nb.analysis.importers.source import Source


def test_packets_have_their_times_and_addresses() -> None:
    messages = [(0.5, True, b"one"), (0.25, False, b"two")]
    source = Source("f", foreign_captures.saved(foreign_captures.udp(messages)))
    two, one = packets_of(source)
    assert (one.at_s, one.source, one.data, one.sequence) == (
        foreign_captures.START_S + 0.5,
        ("10.0.0.1", 4000),
        b"one",
        None,
    )
    assert (two.to, two.data, two.size) == (("10.0.0.1", 4000), b"two", 3)


def test_packets_with_impossible_times_are_named() -> None:
    packets = foreign_captures.udp([(float(n), True, b"data") for n in range(5)] + [(-1e9, True, b"x")])
    source = Source("f", foreign_captures.saved(packets))
    assert len(packets_of(source)) == 5
    assert source.warnings == ["1 packets with impossible times were left out."]


def test_times_in_nanoseconds_are_such_in_the_first_millisecond_of_a_second_too() -> None:
    data = bytearray(foreign_captures.saved(foreign_captures.udp([(0.0, True, b"x")])))
    data[:4] = b"\x4d\x3c\xb2\xa1"
    data[28:32] = (500_000).to_bytes(4, "little")
    (packet,) = packets_of(Source("f", bytes(data)))
    assert packet.at_s % 1.0 == pytest.approx(0.0005, abs=1e-6)


@pytest.mark.parametrize("ng", [False, True])
@pytest.mark.parametrize("missing", [1, 7, 25])
def test_a_capture_that_is_cut_off_says_so_and_scapy_says_nothing(
    ng: bool, missing: int, caplog: pytest.LogCaptureFixture
) -> None:
    whole = foreign_captures.saved(
        foreign_captures.udp([(float(n), True, b"some data") for n in range(5)]), ng=ng
    )
    source = Source("f", whole)
    assert (len(packets_of(source)), source.warnings) == (5, [])
    source = Source("f", whole[:-missing])
    assert len(packets_of(source)) >= 4
    assert source.warnings == ["The capture is cut off; what comes after is missing."]
    assert caplog.records == []


def test_tcp_is_put_together_in_order_and_once_across_the_end_of_the_numbers() -> None:
    packets = foreign_captures.tcp([(0.0, False, bytes(range(256)) * 4)])
    source = Source("f", foreign_captures.saved(packets[::-1]))
    ((_, _, pieces),) = streams_of(packets_of(source))
    assert b"".join(data for _, data in pieces) == bytes(range(256)) * 4


def test_fragments_and_other_protocols_are_named() -> None:
    fragment = IP(src="10.0.0.1", dst="10.0.0.2", frag=5) / UDP(sport=1, dport=2) / Raw(b"x" * 20)
    source = Source("f", foreign_captures.saved([(1.0, bytes(fragment))]))
    assert packets_of(source) == []
    assert "1 fragments of IP packets were left out." in source.warnings
    other = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP())
    source = Source("f", foreign_captures.saved([(1.0, other)]))
    assert packets_of(source) == []
    assert source.warnings == ["None of the 1 packets is UDP or TCP that can be read."]


def test_without_scapy_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def importing(name: str, *rest: Any) -> Any:
        if name.startswith("scapy"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    source = Source("f", b"\xa1\xb2\xc3\xd4")
    assert packets_of(source) == []
    assert "plivo-nb[captures]" in source.warnings[0]
