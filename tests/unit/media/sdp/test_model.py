"""Candidates and formats as values."""

from __future__ import annotations

import pytest
from descriptions import PLIVO_OFFER
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.media import sdp


def test_no_common_codec_is_refused_naming_theirs() -> None:
    offer = sdp.parse(PLIVO_OFFER.replace("SAVPF 111 0", "SAVPF 8"))
    with pytest.raises(sdp.IncompatibleSDP, match="PCMA/8000"):
        offer.audio(["OPUS", "PCMU"])


def test_opus_at_another_clock_is_not_opus() -> None:
    offer = sdp.parse(PLIVO_OFFER.replace("opus/48000/2", "opus/16000"))
    assert [f.name for f in offer.audio(["OPUS", "PCMU"])] == ["PCMU"]


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
