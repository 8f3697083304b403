"""analysis.importers.captured_sip: SIP calls over UDP, TCP and WebSocket."""

from __future__ import annotations

import foreign_captures
import pytest

from plivo_nb.analysis.importers.captured_packets import packets_of
from plivo_nb.analysis.importers.captured_sip import SipCall, calls_of
from plivo_nb.analysis.importers.source import Source


def calls(packets: foreign_captures.Frames) -> tuple[list[SipCall], list[str]]:
    source = Source("f", foreign_captures.saved(packets))
    return calls_of(packets_of(source), source), source.warnings


@pytest.mark.parametrize("transport", ["udp", "tcp", "websocket"])
def test_a_call_has_its_times_addresses_and_formats(transport: str) -> None:
    messages = foreign_captures.signalling()
    packets = (
        foreign_captures.udp(messages, port=5060)
        if transport == "udp"
        else foreign_captures.tcp(messages, websocket=transport == "websocket")
    )
    ((call,), warnings) = calls(packets)
    assert warnings == []
    assert (call.call_id, call.uuid, call.secure) == ("call-1", "uuid-1", False)
    assert call.caller == ("10.0.0.1", 5060 if transport == "udp" else 40_000)
    assert call.media == {foreign_captures.HERE, foreign_captures.THERE}
    assert call.caller_media == {foreign_captures.HERE}
    assert call.formats == {96: ("OPUS", 48_000)}
    assert call.times["ended"] - call.times["answered"] == pytest.approx(10.1)


def test_a_call_that_is_refused_has_failed_and_the_callee_sees_it_as_incoming() -> None:
    messages = [
        foreign_captures.signalling()[0],
        (-2.0, False, foreign_captures.sip("SIP/2.0 407 Proxy Authentication Required", "1 INVITE")),
        (-1.0, False, foreign_captures.sip("SIP/2.0 486 Busy Here", "2 INVITE")),
    ]
    ((call,), _) = calls(foreign_captures.udp(messages, port=5060))
    about = call.about(lambda end: end[0] == "198.51.100.2")
    assert (about["state"], about["code"], about["reason"]) == ("failed", 486, "Busy Here")
    assert (about["direction"], about["originator"]) == ("INCOMING", None)


def test_tls_is_named() -> None:
    found, warnings = calls(foreign_captures.tcp([(0.0, True, b"\x16\x03\x01" + bytes(50))]))
    assert found == []
    assert "TLS" in warnings[0]
