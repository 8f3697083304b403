"""Session descriptions of one audio stream (RFC 8866, 3264, 8839, 8842, 5761), written as browsers do.

Pure text in, values out. `parse` normalises what other peers send and refuses, with a sentence, what cannot
work; `build_offer` and `build_answer` write ours: audio only, DTLS-SRTP, RTP and RTCP on one port, all
candidates known (no trickle). `rewrite_candidates` is for relays, such as the lab's, that put themselves into
the media path.
"""

from plivo_nb.media.sdp.model import (
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
