"""Writing offers and answers, and the changes of a relay."""

from __future__ import annotations

from dataclasses import replace

import pytest
from descriptions import FORMATS, OURS, PLIVO_OFFER, answer, without

from plivo_nb.media import sdp


def test_our_offer_has_exactly_opus_and_pcmu() -> None:
    text = sdp.build_offer(OURS, FORMATS)
    assert text.endswith("\r\n")
    lines = text.split("\r\n")
    assert "m=audio 6004 UDP/TLS/RTP/SAVPF 111 0" in lines  # the default candidate is the reflexive one
    assert "c=IN IP4 203.0.113.9" in lines
    assert "a=fmtp:111 minptime=10;useinbandfec=1;maxaveragebitrate=48000" in lines
    assert [line for line in lines if line.startswith("a=rtpmap")] == [
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:0 PCMU/8000",
    ]
    for wanted in (
        "a=rtcp-mux",
        "a=setup:actpass",
        "a=mid:0",
        "a=end-of-candidates",
        "a=ssrc:1234 cname:us",
        "a=candidate:2 1 udp 1694498815 203.0.113.9 6004 typ srflx raddr 192.0.2.7 rport 5004",
    ):
        assert wanted in lines
    assert "telephone-event" not in text
    assert "a=ice-options:trickle" not in lines


def test_an_offer_without_candidates_is_still_one() -> None:
    text = sdp.build_offer(replace(OURS, candidates=()), FORMATS)
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\n" in text
    assert sdp.parse(text).candidates == ()


@pytest.mark.parametrize("names", [["OPUS"], ["PCMU"], ["PCMU", "OPUS"]])
def test_the_codecs_option_rules_the_offer(names: list[str]) -> None:
    local = replace(OURS, max_average_bitrate_bps=24_000)
    formats = sdp.parse(sdp.build_offer(local, sdp.offered_formats(names))).formats
    assert [f.name.upper() for f in formats] == names
    assert all(f.parameter("maxaveragebitrate") == "24000" for f in formats if f.is_called("opus"))


def test_what_we_write_we_read() -> None:
    theirs = sdp.parse(sdp.build_offer(OURS, FORMATS))
    assert theirs.candidates == OURS.candidates
    assert theirs.fingerprints == (OURS.fingerprint,)
    assert [replace(f, parameters="") for f in theirs.formats] == list(FORMATS)


def test_the_answer_to_the_captured_offer() -> None:
    text = answer(PLIVO_OFFER)
    lines = text.split("\r\n")
    assert "m=audio 6004 UDP/TLS/RTP/SAVPF 111 0" in lines
    assert "a=setup:active" in lines
    assert "a=group:BUNDLE 0" in lines
    parsed = sdp.parse(text, "answer")
    assert parsed.setup == "active"
    assert parsed.audio(["OPUS"])[0].payload_type == 111


def test_telephone_event_is_answered_when_offered_without_fmtp() -> None:
    offered = PLIVO_OFFER.replace("SAVPF 111 0", "SAVPF 111 0 110 126 13")
    offered = offered.replace("a=ssrc:20", "a=fmtp:126 0-16\r\na=ssrc:20", 1)
    text = answer(offered)
    assert "m=audio 6004 UDP/TLS/RTP/SAVPF 111 0 110 126\r\n" in text
    assert "a=rtpmap:110 telephone-event/48000\r\n" in text
    assert "a=rtpmap:126 telephone-event/8000\r\n" in text
    assert "a=fmtp:126" not in text
    offer = sdp.parse(offered)
    only_pcmu = offer.audio(["PCMU"])
    assert [f.payload_type for f in offer.telephone_events(only_pcmu)] == [126]


def test_payload_types_of_the_offer_are_kept() -> None:
    text = answer(PLIVO_OFFER.replace("111", "96"))
    assert "a=rtpmap:96 opus/48000/2\r\n" in text
    assert "a=fmtp:96 minptime" in text


def test_other_sections_are_refused_with_port_0() -> None:
    video = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n"
    text = answer(PLIVO_OFFER.replace("BUNDLE 0", "BUNDLE 0 1") + video)
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96 97\r\n" in text
    assert "a=group:BUNDLE 0\r\n" in text
    assert text.index("m=audio") < text.index("m=video")
    first = PLIVO_OFFER.index("m=audio")
    swapped = answer(PLIVO_OFFER[:first] + video + PLIVO_OFFER[first:])
    assert swapped.index("m=video 0") < swapped.index("m=audio 6004")


def test_no_mid_and_no_bundle_are_answered_without() -> None:
    text = answer(without(without(PLIVO_OFFER, "a=mid"), "a=group"))
    assert "a=mid" not in text
    assert "a=group" not in text


@pytest.mark.parametrize(
    ("offered", "ours"),
    [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")],
)
def test_directions_mirror(offered: sdp.Direction, ours: sdp.Direction) -> None:
    text = answer(PLIVO_OFFER.replace("a=sendrecv", f"a={offered}"))
    assert f"a={ours}\r\n" in text
    assert sdp.parse(text, "answer").direction == ours


@pytest.mark.parametrize("wanted", ["sendrecv", "sendonly", "recvonly", "inactive"])
def test_a_direction_never_grows(wanted: sdp.Direction) -> None:
    assert sdp.answer_direction("sendrecv", wanted) == wanted
    assert sdp.answer_direction("inactive", wanted) == "inactive"


def test_we_take_the_role_that_is_left() -> None:
    assert sdp.answer_setup("actpass") == "active"
    assert sdp.answer_setup("passive") == "active"
    assert sdp.answer_setup("active") == "passive"


def test_a_relay_changes_the_path_and_nothing_else() -> None:
    text = sdp.rewrite_candidates(PLIVO_OFFER, "127.0.0.1", 4321)
    before, after = PLIVO_OFFER.splitlines(keepends=True), text.splitlines(keepends=True)
    assert [line for line in after if line.startswith("a=candidate")] == [
        "a=candidate:1 1 udp 2130706431 127.0.0.1 4321 typ host\r\n"
    ]
    assert "m=audio 4321 UDP/TLS/RTP/SAVPF 111 0\r\n" in after
    assert "c=IN IP4 127.0.0.1\r\n" in after
    moved = ("a=candidate", "m=audio", "c=IN")
    assert [x for x in after if not x.startswith(moved)] == [x for x in before if not x.startswith(moved)]
    assert sdp.rewrite_candidates(text, "127.0.0.1", 4321) == text


def test_a_relay_adds_a_candidate_where_there_is_none() -> None:
    text = sdp.rewrite_candidates(without(PLIVO_OFFER, "a=candidate"), "::1", 4321)
    assert "c=IN IP6 ::1\r\na=candidate:1 1 udp 2130706431 ::1 4321 typ host\r\n" in text
    bare = sdp.rewrite_candidates(without(without(PLIVO_OFFER, "a=candidate"), "c="), "127.0.0.1", 4321)
    assert "SAVPF 111 0\r\na=candidate:1 1 udp" in bare


def test_a_relay_leaves_refused_sections_alone() -> None:
    refused = PLIVO_OFFER.replace("m=audio 39895", "m=audio 0")
    assert sdp.rewrite_candidates(refused, "127.0.0.1", 4321) == refused
    video = (
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=candidate:1 1 udp 1 192.0.2.2 9 typ host\r\n"
    )
    assert sdp.rewrite_candidates(PLIVO_OFFER + video, "127.0.0.1", 4321).endswith(video)
