"""Session descriptions of one audio stream (RFC 8866, 3264, 8839, 8842, 5761), written as browsers do.

`parse` reads and normalises the descriptions of other peers, and raises `IncompatibleSDP` if no call is
possible. `build_offer` and `build_answer` write ours: audio only, DTLS-SRTP, RTP and RTCP on one port, all
candidates included (no trickle). `rewrite_candidates` is for media relays, such as the lab's.
"""

from plivo_nb.media.sdp.model import (
    MAX_CANDIDATES,
    PROFILE,
    Candidate,
    Direction,
    Format,
    IncompatibleSDP,
    Kind,
    Local,
    Section,
    SessionDescription,
    Setup,
    is_address,
)
from plivo_nb.media.sdp.reader import parse
from plivo_nb.media.sdp.writer import (
    answer_direction,
    answer_setup,
    build_answer,
    build_offer,
    offered_formats,
    rewrite_candidates,
)

__all__ = [
    "MAX_CANDIDATES",
    "PROFILE",
    "Candidate",
    "Direction",
    "Format",
    "IncompatibleSDP",
    "Kind",
    "Local",
    "Section",
    "SessionDescription",
    "Setup",
    "answer_direction",
    "answer_setup",
    "build_answer",
    "build_offer",
    "is_address",
    "offered_formats",
    "parse",
    "rewrite_candidates",
]
