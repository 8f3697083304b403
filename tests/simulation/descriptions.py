"""Session descriptions for tests: an offer of Plivo's SDK, and ours."""

from __future__ import annotations

from dataclasses import replace

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


def answer(offer_text: str, **changes: object) -> str:
    offer = sdp.parse(offer_text)
    audio = offer.audio(["OPUS", "PCMU"])
    local = replace(
        OURS, setup=sdp.answer_setup(offer.setup), direction=sdp.answer_direction(offer.direction)
    )
    return sdp.build_answer(replace(local, **changes), offer, [*audio, *offer.telephone_events(audio)])
