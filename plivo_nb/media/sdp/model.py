"""The values of a session description (RFC 8866, 8839): the types of `plivo_nb.media.sdp`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plivo_nb.codec_table import codec_row

if TYPE_CHECKING:
    from collections.abc import Sequence

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Setup = Literal["actpass", "active", "passive"]
Kind = Literal["offer", "answer", "pranswer"]

PROFILE = "UDP/TLS/RTP/SAVPF"
#: How many candidates of a peer are used; each makes pairs that have to be checked.
MAX_CANDIDATES = 32
_NUMBER = re.compile(r"[0-9]{1,10}")
TELEPHONE_EVENT = "telephone-event"


class IncompatibleSDP(ValueError):
    """A session description with which no call is possible; the message is a sentence for users."""


def number(text: str, maximum: int = 2**32 - 1) -> int | None:
    """The value of ASCII digits, None for another text or a value above `maximum`."""
    if _NUMBER.fullmatch(text) is None:
        return None
    value = int(text)
    return value if value <= maximum else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One ICE candidate (RFC 8839 section 5.1). `protocol` in lower case; `type` host, srflx, relay…"""

    foundation: str
    component: int
    protocol: str
    priority: int
    address: str
    port: int
    type: str
    related_address: str | None = None
    related_port: int | None = None
    tcp_type: str | None = None

    @classmethod
    def parse(cls, value: str) -> Candidate:
        """Parse the value of ``a=candidate:``. Raises ValueError if it is not a candidate."""
        words = value.split()
        if len(words) < 8 or words[6] != "typ":
            raise ValueError(f"not a candidate: {value[:80]!r}")
        extras = dict(zip(words[8::2], words[9::2], strict=False))
        component, priority, port = number(words[1], 256), number(words[3]), number(words[5], 65535)
        if component is None or priority is None or port is None:
            raise ValueError(f"a candidate with a malformed number: {value[:80]!r}")
        return cls(
            foundation=words[0],
            component=component,
            protocol=words[2].lower(),
            priority=priority,
            address=words[4],
            port=port,
            type=words[7],
            related_address=extras.get("raddr"),
            related_port=number(extras.get("rport", ""), 65535),
            tcp_type=extras.get("tcptype"),
        )

    def __str__(self) -> str:
        text = (
            f"{self.foundation} {self.component} {self.protocol} {self.priority} "
            f"{self.address} {self.port} typ {self.type}"
        )
        if self.related_address is not None:
            text += f" raddr {self.related_address} rport {self.related_port or 0}"
        if self.tcp_type is not None:
            text += f" tcptype {self.tcp_type}"
        return text


@dataclass(frozen=True, slots=True)
class Format:
    """One RTP payload format: `name` as registered (opus, PCMU, telephone-event), `clock_rate` in Hz."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""

    def is_called(self, name: str) -> bool:
        """Return whether the format has this name, ignoring case (RFC 8866 section 6.6)."""
        return self.name.lower() == name.lower()

    def parameter(self, name: str) -> str | None:
        """Return a parameter of a=fmtp, such as ``useinbandfec``; None if it is absent."""
        for item in self.parameters.split(";"):
            key, _, value = item.strip().partition("=")
            if key.lower() == name.lower():
                return value
        return None


@dataclass(frozen=True, slots=True)
class Section:
    """An m= section, as needed for its answer: sections other than the audio are answered with port 0."""

    media: str
    profile: str
    formats: str
    mid: str | None


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """The other side's description of its audio, normalised.

    `index` is the index in `sections` of the audio described here. `setup` determines the DTLS role; if the
    peer sent no valid value, it is the one that lets the call connect.
    """

    ice_ufrag: str
    ice_pwd: str
    ice_lite: bool
    candidates: tuple[Candidate, ...]
    fingerprints: tuple[tuple[str, str], ...]
    setup: Setup
    direction: Direction
    formats: tuple[Format, ...]
    mid: str | None
    bundled: bool
    ssrc: int | None
    cname: str | None
    ptime_ms: int | None
    max_ptime_ms: int | None
    sections: tuple[Section, ...]
    index: int

    @property
    def feedback(self) -> bool:
        """Whether the profile allows RTCP reports more often than each 5 s (RFC 4585)."""
        return self.sections[self.index].profile.upper().endswith("F")

    def audio(self, names: Sequence[str]) -> tuple[Format, ...]:
        """Return the formats whose names are in `names` (such as OPUS), in the peer's order.

        Raises:
            IncompatibleSDP: there are none.
        """
        wanted = {name.lower() for name in names}
        common = tuple(f for f in self.formats if f.name.lower() in wanted and _usual_clock(f))
        if not common:
            theirs = ", ".join(f"{f.name}/{f.clock_rate}" for f in self.formats) or "none"
            raise IncompatibleSDP(
                f"There is no common codec: we have {', '.join(names)}, the other side has {theirs}."
            )
        return common

    def telephone_events(self, audio: Sequence[Format]) -> tuple[Format, ...]:
        """Return the telephone-event formats (RFC 4733) with the clock rate of one of the formats `audio`."""
        clocks = {f.clock_rate for f in audio}
        return tuple(f for f in self.formats if f.is_called(TELEPHONE_EVENT) and f.clock_rate in clocks)


@dataclass(frozen=True, slots=True)
class Local:
    """The values of our own description. `version` grows by one with each description that differs."""

    ice_ufrag: str
    ice_pwd: str
    candidates: tuple[Candidate, ...]
    fingerprint: tuple[str, str]
    ssrc: int
    cname: str
    setup: Setup = "actpass"
    direction: Direction = "sendrecv"
    mid: str | None = "0"
    session_id: int = 1
    version: int = 1
    max_average_bitrate_bps: int = 48_000


def is_address(text: str) -> bool:
    """Return whether a candidate's address is an IP address; peers also send mDNS names."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _usual_clock(f: Format) -> bool:
    return f.clock_rate == codec_row(f.name).clock_rate_hz
