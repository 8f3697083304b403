"""Session descriptions: what we write, what we forgive, what we refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.media import sdp

# What Plivo's browser SDK 2.2.21 sends in Chromium: stray carriage returns, maps of formats that it removed.
PLIVO_OFFER = (
    "v=0\r\n"
    "o=- 6387418113246183221 2 IN IP4 127.0.0.1\r\n"
    "s=-\r\n"
    "t=0 0\r\n"
    "a=group:BUNDLE 0\r\n"
    "a=extmap-allow-mixed\r\n"
    "a=msid-semantic: WMS 2c2a23d0-15f5-4b01-b30d-00ba40b3c1dd\r\n"
    "m=audio 39895 UDP/TLS/RTP/SAVPF 111 0\r\n"
    "c=IN IP4 192.0.2.2\r\n"
    "a=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=candidate:1416177095 1 udp 2122194687 192.0.2.2 39895 typ host generation 0 network-id 1\r\n"
    "a=candidate:2668618791 1 udp 2122265343 fd00::2 48729 typ host generation 0 network-id 2\r\n"
    "a=candidate:2864968019 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active generation 0\r\n"
    "a=ice-ufrag:X5Xq\r\n"
    "a=ice-pwd:RZlMDcqtI29vv4E/7/13zwpC\r\n"
    "a=ice-options:trickle\r\n"
    "a=fingerprint:sha-256 70:7C:4E:65:97:50:BA:CB:1C:73:29:7C:FE:B4:9E:E4:59:79:F4:8A:93:48:3B:DE:9D:6F:B8"
    ":AF:D0:F2:04:60\r\n"
    "a=setup:actpass\r\n"
    "a=mid:0\r\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
    "a=sendrecv\r\n"
    "a=msid:2c2a23d0-15f5-4b01-b30d-00ba40b3c1dd a4ca2389-c461-4708-93da-642d6dbab825\r\n"
    "a=rtcp-mux\r\n"
    "a=rtcp-rsize\r\n"
    "a=rtcp-xr:rcvr-rtt=all\r\n"
    "a=rtpmap:111 opus/48000/2\r\n"
    "a=rtcp-fb:111 transport-cc\r\n"
    "a=fmtp:111 minptime=10;useinbandfec=1;maxaveragebitrate=48000\r\n"
    "a=rtpmap:63 red/48000/2\r\n"
    "a=fmtp:63 111/111\r\r\n"
    "a=rtpmap:0 PCMU/8000\r\r\r\n"
    "a=rtpmap:110 telephone-event/48000\r\n"
    "a=rtpmap:126 telephone-event/8000\r\n"
    "a=ssrc:2039664294 cname:QTCuuQrvYi3j0kdq\r\n"
    "a=ssrc:2039664294 msid:2c2a23d0-15f5-4b01-b30d-00ba40b3c1dd a4ca2389-c461-4708-93da-642d6dbab825\r\n"
)
OURS = sdp.Local(
    ice_ufrag="abcd",
    ice_pwd="0123456789012345678901",
    candidates=(
        sdp.Candidate("1", 1, "udp", 2130706431, "192.0.2.7", 5004, "host"),
        sdp.Candidate("2", 1, "udp", 1694498815, "203.0.113.9", 6004, "srflx", "192.0.2.7", 5004),
    ),
    fingerprint=("sha-256", ":".join(["0A"] * 32)),
    ssrc=1234,
    cname="us",
)
FORMATS = sdp.offered_formats(["OPUS", "PCMU"])


def without(text: str, start: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(start))


def test_the_captured_offer_is_read() -> None:
    offer = sdp.parse(PLIVO_OFFER)
    assert [(f.payload_type, f.name, f.clock_rate, f.channels) for f in offer.formats] == [
        (111, "opus", 48000, 2),
        (0, "PCMU", 8000, 1),
    ]
    assert offer.formats[0].parameter("useinbandfec") == "1"
    assert offer.formats[0].parameter("maxaveragebitrate") == "48000"
    assert offer.formats[0].parameter("stereo") is None
    assert (offer.ice_ufrag, offer.ice_pwd) == ("X5Xq", "RZlMDcqtI29vv4E/7/13zwpC")
    assert [(c.protocol, c.address, c.port) for c in offer.candidates] == [
        ("udp", "192.0.2.2", 39895),
        ("udp", "fd00::2", 48729),
        ("tcp", "192.0.2.2", 9),
    ]
    assert offer.fingerprints[0][0] == "sha-256"
    assert (offer.setup, offer.mid, offer.bundled, offer.direction) == ("actpass", "0", True, "sendrecv")
    assert (offer.ssrc, offer.cname) == (2039664294, "QTCuuQrvYi3j0kdq")
    assert offer.telephone_events(offer.audio(["OPUS", "PCMU"])) == ()  # not in the m= line: orphans


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


def answer(offer_text: str, **changes: object) -> str:
    offer = sdp.parse(offer_text)
    audio = offer.audio(["OPUS", "PCMU"])
    local = replace(
        OURS, setup=sdp.answer_setup(offer.setup), direction=sdp.answer_direction(offer.direction)
    )
    return sdp.build_answer(replace(local, **changes), offer, [*audio, *offer.telephone_events(audio)])


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


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    [
        ("offer", "", "actpass"),
        ("offer", "a=setup:passive\r\n", "passive"),
        ("answer", "", "active"),
        ("answer", "a=setup:actpass\r\n", "active"),
        ("answer", "a=setup:holdconn\r\n", "active"),
        ("answer", "a=setup:passive\r\n", "passive"),
    ],
)
def test_setup_is_made_to_work(kind: sdp.Kind, line: str, expected: str) -> None:
    assert sdp.parse(PLIVO_OFFER.replace("a=setup:actpass\r\n", line), kind).setup == expected


def test_we_take_the_role_that_is_left() -> None:
    assert sdp.answer_setup("actpass") == "active"
    assert sdp.answer_setup("passive") == "active"
    assert sdp.answer_setup("active") == "passive"


def test_static_payload_types_need_no_rtpmap() -> None:
    text = without(PLIVO_OFFER, "a=rtpmap:0").replace("SAVPF 111 0", "SAVPF 0 8 111 77")
    offer = sdp.parse(text)
    assert [f.name for f in offer.formats] == ["PCMU", "PCMA", "opus"]  # 77 is dynamic and unmapped


def test_session_level_attributes_count() -> None:
    moved = [line for line in PLIVO_OFFER.splitlines() if line.startswith(("a=ice-", "a=finger", "a=setup"))]
    rest = PLIVO_OFFER
    for line in moved:
        rest = rest.replace(line + "\r\n", "")
    at = rest.index("m=audio")
    parsed = sdp.parse(rest[:at] + "\r\n".join(moved) + "\r\na=ice-lite\r\n" + rest[at:])
    plain = sdp.parse(PLIVO_OFFER)
    assert parsed.ice_lite
    assert replace(parsed, ice_lite=False) == plain


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\r\n", "\r\n\r\n"])
def test_line_endings_do_not_matter(ending: str) -> None:
    clean = "\r\n".join(line for line in PLIVO_OFFER.replace("\r\r", "\r").splitlines() if line)
    assert sdp.parse(clean.replace("\r\n", ending)) == sdp.parse(PLIVO_OFFER)


def test_nonsense_candidates_are_passed_over() -> None:
    extra = (
        "a=candidate:\r\na=candidate:x y udp z 1 2 typ host\r\na=candidate:1 1 UDP 5 h.local 9 typ host\r\n"
    )
    found = sdp.parse(PLIVO_OFFER.replace("a=ice-ufrag", extra + "a=ice-ufrag")).candidates
    assert len(found) == 4
    assert found[-1].protocol == "udp"
    assert not sdp.is_address(found[-1].address)
    assert sdp.is_address(found[1].address)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("m=audio 39895", "m=audio 0"), "port 0"),
        (("a=rtcp-mux\r\n", ""), "rtcp-mux"),
        (("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "encrypted"),
        (("a=fingerprint:sha-256", "a=fingerprint:md5"), "fingerprint"),
        (("a=ice-pwd:RZlMDcqtI29vv4E/7/13zwpC\r\n", ""), "ICE"),
        (("m=audio", "m=video"), "no audio"),
        (("m=audio 39895 UDP/TLS/RTP/SAVPF 111 0", "m=audio"), "malformed line"),
        (("m=audio 39895 UDP/TLS/RTP/SAVPF 111 0", "m=audio 5"), "malformed line"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(change: tuple[str, str], sentence: str) -> None:
    with pytest.raises(sdp.IncompatibleSDP, match=sentence) as caught:
        sdp.parse(PLIVO_OFFER.replace(*change))
    assert str(caught.value).endswith(".")


def test_no_common_codec_is_refused_naming_theirs() -> None:
    offer = sdp.parse(PLIVO_OFFER.replace("SAVPF 111 0", "SAVPF 8"))
    with pytest.raises(sdp.IncompatibleSDP, match="PCMA/8000"):
        offer.audio(["OPUS", "PCMU"])


def test_opus_at_another_clock_is_not_opus() -> None:
    offer = sdp.parse(PLIVO_OFFER.replace("opus/48000/2", "opus/16000"))
    assert [f.name for f in offer.audio(["OPUS", "PCMU"])] == ["PCMU"]


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


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_garbage_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(sdp.IncompatibleSDP):
        sdp.parse(text)


@given(st.integers(0, len(PLIVO_OFFER)), st.integers(0, 40))
def test_broken_twins_raise_the_one_error_or_work(at: int, cut: int) -> None:
    text = PLIVO_OFFER[:at] + PLIVO_OFFER[at + cut :]
    try:
        offer = sdp.parse(text)
        answer(text)
    except sdp.IncompatibleSDP:
        return
    assert offer.ice_ufrag


@given(
    st.sampled_from(["host", "srflx", "relay"]),
    st.integers(0, 2**31),
    st.integers(1, 65535),
    st.booleans(),
)
def test_candidates_survive_the_wire(kind: str, priority: int, port: int, related: bool) -> None:
    there = ("192.0.2.1", 9) if related else (None, None)
    candidate = sdp.Candidate("f00", 1, "udp", priority, "2001:db8::1", port, kind, *there)
    assert sdp.Candidate.parse(str(candidate)) == candidate
