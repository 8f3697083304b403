"""Parses session descriptions of other peers, tolerating common deviations."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from plivo_nb.media.sdp.model import (
    MAX_CANDIDATES,
    PROFILE,
    Candidate,
    Direction,
    Format,
    IncompatibleSDP,
    Kind,
    Section,
    SessionDescription,
    Setup,
    number,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROFILES = (PROFILE, "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP")
_HASHES = ("sha-256", "sha-384", "sha-512")
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")
# RFC 3551 table 4: the static payload types, which a peer may use without rtpmap.
_STATIC = {0: ("PCMU", 8000), 3: ("GSM", 8000), 8: ("PCMA", 8000), 9: ("G722", 8000), 18: ("G729", 8000)}
_MAX_PAYLOAD_TYPE = 127
_MAX_PTIME_MS = 10_000
_MAX_SECTIONS = 32


def parse(text: str, kind: Kind = "offer", codecs: Sequence[str] = ()) -> SessionDescription:
    """Parse another peer's description: the first audio section with which a call is possible.

    Args:
        text: the SDP.
        kind: an offer, an answer, or a provisional answer.
        codecs: names of codecs, of which the section must have one; () if any will do.

    Tolerated: stray carriage returns and empty lines, rtpmap and fmtp lines of payload types that are not in
    the m= line, static payload types without rtpmap, no a=mid, no a=setup, actpass in an answer, malformed
    candidates, further m= sections.

    Raises:
        IncompatibleSDP: no audio, audio refused (port 0), no rtcp-mux, no DTLS-SRTP, no ICE.
    """
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
    if len(starts) > _MAX_SECTIONS:
        raise IncompatibleSDP(
            f"The other side's description has {len(starts)} media sections; at most {_MAX_SECTIONS} are "
            "supported."
        )
    ends = [*starts, len(lines)]
    session = lines[: ends[0]]
    blocks = [lines[a:b] for a, b in itertools.pairwise(ends)]
    sections = tuple(_section(block) for block in blocks)
    refusals = []
    for index in _audio_in_use(blocks, kind):
        try:
            found = _description(session, blocks[index], sections, index, kind)
            if codecs:
                found.audio(codecs)
        except IncompatibleSDP as refusal:
            refusals.append(refusal)
        else:
            return found
    raise refusals[0]


def _description(
    session: Sequence[str], block: Sequence[str], sections: tuple[Section, ...], index: int, kind: Kind
) -> SessionDescription:
    """Read one audio section, with what it inherits from the session.

    Raises:
        IncompatibleSDP: no call is possible with it.
    """
    section = sections[index]
    if section.profile.upper() not in _PROFILES:
        raise IncompatibleSDP(
            f"The other side offers audio as {section.profile}; only WebRTC's encrypted audio is supported."
        )
    if _attribute(block, "rtcp-mux") is None:
        raise IncompatibleSDP(
            "The other side does not support RTP and RTCP on one port (no a=rtcp-mux), which WebRTC requires."
        )
    ufrag, pwd = _inherited(session, block, "ice-ufrag"), _inherited(session, block, "ice-pwd")
    if not ufrag or not pwd:
        raise IncompatibleSDP("The other side does not support ICE (no a=ice-ufrag or no a=ice-pwd).")
    ssrc, cname = _source(block)
    groups = [value.split() for value in _attributes(session, "group")]
    return SessionDescription(
        ice_ufrag=ufrag,
        ice_pwd=pwd,
        ice_lite=_attribute(session, "ice-lite") is not None,
        candidates=_candidates(block),
        fingerprints=_fingerprints(session, block),
        setup=_setup(_inherited(session, block, "setup"), kind),
        direction=_direction(session, block),
        formats=_formats(block, section),
        mid=section.mid,
        bundled=any(group[:1] == ["BUNDLE"] and section.mid in group[1:] for group in groups),
        ssrc=ssrc,
        cname=cname,
        ptime_ms=_milliseconds(block, "ptime"),
        max_ptime_ms=_milliseconds(block, "maxptime"),
        sections=sections,
        index=index,
    )


def _attribute(block: Sequence[str], name: str) -> str | None:
    """Return the value of the first attribute of that name; '' for a flag, None if it is absent."""
    flag, prefix = f"a={name}", f"a={name}:"
    for line in block:
        if line.startswith(prefix):
            return line[len(prefix) :].strip()
        if line == flag:
            return ""
    return None


def _attributes(block: Sequence[str], name: str) -> list[str]:
    return [line[len(name) + 3 :].strip() for line in block if line.startswith(f"a={name}:")]


def _inherited(session: Sequence[str], block: Sequence[str], name: str) -> str | None:
    value = _attribute(block, name)
    return _attribute(session, name) if value is None else value


def _section(block: Sequence[str]) -> Section:
    words = block[0][2:].split()
    if len(words) < 3:
        raise IncompatibleSDP(f"The other side's description has a malformed line: {block[0]!r}.")
    return Section(words[0], words[2], " ".join(words[3:]), _attribute(block, "mid") or None)


def _audio_in_use(blocks: Sequence[Sequence[str]], kind: Kind) -> list[int]:
    """The indexes of the audio sections whose port is not 0."""
    audio = [i for i, block in enumerate(blocks) if block[0].startswith("m=audio ")]
    if not audio:
        raise IncompatibleSDP("The other side's description has no audio.")
    in_use = [i for i in audio if _port(blocks[i][0])]
    if in_use:
        return in_use
    raise IncompatibleSDP(
        "The other side refused the audio (port 0)."
        if kind != "offer"
        else "The other side offers no audio that is in use (port 0)."
    )


def _port(line: str) -> int:
    """The port of an m= line; 0 where it has none."""
    words = line.split()
    port = words[1].partition("/")[0] if len(words) > 1 else ""
    return number(port, 65535) or 0


def _setup(value: str | None, kind: Kind) -> Setup:
    if value in ("active", "passive"):
        return "active" if value == "active" else "passive"
    # An answer must contain a role (RFC 8842 section 5.3); without one, active is assumed, as browsers send.
    return "actpass" if kind == "offer" else "active"


def _direction(session: Sequence[str], block: Sequence[str]) -> Direction:
    for part in (block, session):
        for direction in _DIRECTIONS:
            if f"a={direction}" in part:
                return direction
    return "sendrecv"


def _fingerprints(session: Sequence[str], block: Sequence[str]) -> tuple[tuple[str, str], ...]:
    values = _attributes(block, "fingerprint") or _attributes(session, "fingerprint")
    pairs = [tuple(value.split()) for value in values]
    usable = tuple((p[0].lower(), p[1].upper()) for p in pairs if len(p) == 2 and p[0].lower() in _HASHES)
    if not usable:
        raise IncompatibleSDP(
            "The other side sends no supported DTLS fingerprint (a=fingerprint with "
            "sha-256, sha-384 or sha-512), so its audio cannot be encrypted."
        )
    return usable


def _formats(block: Sequence[str], section: Section) -> tuple[Format, ...]:
    maps: dict[int, str] = {}
    parameters: dict[int, str] = {}
    for table, name in ((maps, "rtpmap"), (parameters, "fmtp")):
        for value in _attributes(block, name):
            word, _, rest = value.partition(" ")
            payload_type = number(word, _MAX_PAYLOAD_TYPE)
            if payload_type is not None:
                table.setdefault(payload_type, rest.strip())
    found = []
    for word in dict.fromkeys(section.formats.split()):
        payload_type = number(word, _MAX_PAYLOAD_TYPE)
        if payload_type is None:
            continue
        made = _format(payload_type, maps.get(payload_type), parameters.get(payload_type, ""))
        if made is not None:
            found.append(made)
    return tuple(found)


def _format(payload_type: int, rtpmap: str | None, parameters: str) -> Format | None:
    if rtpmap is None:
        if payload_type not in _STATIC:
            return None
        name, clock = _STATIC[payload_type]
        return Format(payload_type, name, clock, 1, parameters)
    name, _, rest = rtpmap.partition("/")
    clock_text, _, channels = rest.partition("/")
    stated = number(clock_text)
    if not name or stated is None:
        return None
    return Format(payload_type, name, stated, number(channels, 255) or 1, parameters)


def _candidates(block: Sequence[str]) -> tuple[Candidate, ...]:
    found: list[Candidate] = []
    for value in _attributes(block, "candidate"):
        if len(found) == MAX_CANDIDATES:
            break
        try:
            found.append(Candidate.parse(value))
        except ValueError:
            continue  # RFC 8839 section 5.1: unknown candidates are ignored
    return tuple(found)


def _source(block: Sequence[str]) -> tuple[int | None, str | None]:
    ssrc: int | None = None
    for value in _attributes(block, "ssrc"):
        word, _, attribute = value.partition(" ")
        source = number(word)
        if source is None:
            continue
        ssrc = source if ssrc is None else ssrc
        if attribute.startswith("cname:"):
            return source, attribute[6:]
    return ssrc, None


def _milliseconds(block: Sequence[str], name: str) -> int | None:
    """The value of a=ptime or a=maxptime; None where it is absent or of no use."""
    value = _attribute(block, name) or ""
    return number(value, _MAX_PTIME_MS) or None
