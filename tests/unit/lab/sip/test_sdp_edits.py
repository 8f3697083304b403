"""Changes of session descriptions that the switch forwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.lab.sip.sdp_edits import (
    best_candidate,
    has_telephone_event,
    next_version,
    with_direction,
    with_telephone_event,
    without_telephone_event,
)
from plivo_nb.media import sdp

OFFER = (
    "v=0\r\no=- 12 7 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 39895 UDP/TLS/RTP/SAVPF 111 0\r\n"
    "c=IN IP4 192.0.2.2\r\na=candidate:1 1 udp 2122194687 192.0.2.2 39895 typ host\r\n"
    "a=candidate:2 1 udp 2122265343 fd00::2 48729 typ host\r\n"
    "a=candidate:3 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active\r\n"
    "a=ice-ufrag:X5Xq\r\na=ice-pwd:RZlMDcqtI29vv4E/7/13zwpC\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\n"
    "a=fingerprint:sha-256 70:7C\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\r\n"
)


def test_the_best_candidate_is_udp_ipv4_and_loopback_if_there_is_one() -> None:
    assert best_candidate(OFFER) == ("192.0.2.2", 39895)
    loopback = "a=candidate:9 1 udp 1 127.0.0.1 5000 typ host\r\n"
    assert best_candidate(OFFER + loopback) == ("127.0.0.1", 5000)
    hidden = "a=candidate:1 1 udp 2122194687 7f2c-11.local 39895 typ host\r\n"
    assert best_candidate(hidden) is None
    assert best_candidate("a=candidate:broken\r\n") is None


def test_hold_and_resume() -> None:
    held = with_direction(OFFER, "sendonly")
    assert "a=sendonly\r\n" in held
    assert "sendrecv" not in held
    assert with_direction(held, "sendrecv") == OFFER
    assert with_direction("v=0\r\n", "inactive") == "v=0\r\na=inactive\r\n"


def test_the_version_grows() -> None:
    assert "o=- 12 8 IN" in next_version(OFFER)
    assert next_version("v=0\r\n") == "v=0\r\n"


def test_telephone_event_comes_and_goes() -> None:
    offered = with_telephone_event(OFFER)
    assert "m=audio 39895 UDP/TLS/RTP/SAVPF 111 0 110 101\r\n" in offered
    assert has_telephone_event(offered)
    assert not has_telephone_event(OFFER)
    parsed = sdp.parse(offered)
    assert {event.clock_rate for event in parsed.telephone_events(parsed.audio(["OPUS", "PCMU"]))} == {
        48000,
        8000,
    }
    assert without_telephone_event(offered) == OFFER
    assert with_telephone_event(offered) == offered


def test_orphan_rtpmap_lines_are_no_telephone_event() -> None:
    """As Plivo's SDK leaves them when it has taken the payload type out of the m= line."""
    assert not has_telephone_event(OFFER + "a=rtpmap:126 telephone-event/8000\r\n")


@given(st.text(max_size=200), st.sampled_from(["sendonly", "sendrecv"]))
def test_any_text_can_be_edited(text: str, direction: str) -> None:
    best_candidate(text)
    edited = next_version(with_telephone_event(with_direction(text, direction)))
    assert isinstance(without_telephone_event(edited), str)


def test_a_version_that_is_no_number_is_left_alone() -> None:
    for version in ("1" * 5_000, "\u00b2", "\u0663"):
        assert next_version(f"o=- 1 {version} IN IP4 a") == f"o=- 1 {version} IN IP4 a"
