"""Session descriptions of one audio stream (RFC 8866, 3264, 8839, 8842, 5761), written as browsers do.

Pure text in, values out. `parse` normalises what other peers send and refuses, with a sentence, what cannot
work; `build_offer` and `build_answer` write ours: audio only, DTLS-SRTP, RTP and RTCP on one port, all
candidates known (no trickle). `rewrite_candidates` is for relays, such as the lab's, that put themselves into
the media path.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Setup = Literal["actpass", "active", "passive"]
Kind = Literal["offer", "answer", "pranswer"]

PROFILE = "UDP/TLS/RTP/SAVPF"
_PROFILES = (PROFILE, "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP")
_HASHES = ("sha-256", "sha-384", "sha-512")
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")
_REVERSED: dict[Direction, Direction] = {"sendonly": "recvonly", "recvonly": "sendonly"}
# RFC 3551 table 4: the static payload types that a peer may use without saying what they are.
_STATIC = {0: ("PCMU", 8000), 3: ("GSM", 8000), 8: ("PCMA", 8000), 9: ("G722", 8000), 18: ("G729", 8000)}
_TELEPHONE_EVENT = "telephone-event"
_NUMBER = re.compile(r"\d+")


class IncompatibleSDP(ValueError):
    """A session description that we cannot work with; the message is one sentence for people."""


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
        """Read what stands after ``a=candidate:``; ValueError when it is none."""
        words = value.split()
        if len(words) < 8 or words[6] != "typ":
            raise ValueError(f"not a candidate: {value!r}")
        extras = dict(zip(words[8::2], words[9::2], strict=False))
        related_port = extras.get("rport")
        return cls(
            foundation=words[0],
            component=int(words[1]),
            protocol=words[2].lower(),
            priority=int(words[3]),
            address=words[4],
            port=int(words[5]),
            type=words[7],
            related_address=extras.get("raddr"),
            related_port=None if related_port is None else int(related_port),
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
        """Format names compare without case (RFC 8866 section 6.6)."""
        return self.name.lower() == name.lower()

    def parameter(self, name: str) -> str | None:
        """One parameter of a=fmtp, such as ``useinbandfec``; None when it is not there."""
        for item in self.parameters.split(";"):
            key, _, value = item.strip().partition("=")
            if key.lower() == name.lower():
                return value
        return None


@dataclass(frozen=True, slots=True)
class Section:
    """One m= section as its answer needs it: a section that is not ours is answered with port 0."""

    media: str
    profile: str
    formats: str
    mid: str | None


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """What the other side said about its audio, normalised.

    `index` says which of `sections` is the audio described here. `setup` is what the DTLS role follows from;
    where the peer said nothing usable it is what makes the call work.
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
    sections: tuple[Section, ...]
    index: int

    def audio(self, names: Sequence[str]) -> tuple[Format, ...]:
        """The formats among `names` (OPUS, PCMU), in the peer's order.

        Raises:
            IncompatibleSDP: there is none.
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
        """The telephone-event formats (RFC 4733) whose clock is that of one of the formats `audio`."""
        clocks = {f.clock_rate for f in audio}
        return tuple(f for f in self.formats if f.is_called(_TELEPHONE_EVENT) and f.clock_rate in clocks)


@dataclass(frozen=True, slots=True)
class Local:
    """Our side of a description. `version` grows by one with each description that differs from the last."""

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


def offered_formats(names: Sequence[str], max_average_bitrate_bps: int = 48_000) -> tuple[Format, ...]:
    """What we offer for the codec names OPUS and PCMU: exactly these (Plivo's own SDK refuses more)."""
    known = {
        "opus": Format(111, "opus", 48000, 2, _opus_parameters(max_average_bitrate_bps)),
        "pcmu": Format(0, "PCMU", 8000),
    }
    return tuple(known[name.lower()] for name in names)


def build_offer(local: Local, formats: Sequence[Format]) -> str:
    """An offer of one audio stream with these formats (`offered_formats`), in order of preference."""
    section = Section("audio", PROFILE, "", local.mid)
    lines = _session_lines(local, [local.mid] if local.mid is not None else [])
    lines += _audio_lines(local, section, formats)
    return _text(lines)


def build_answer(local: Local, offer: SessionDescription, formats: Sequence[Format]) -> str:
    """The answer to `offer` with `formats` (of `SessionDescription.audio` and `telephone_events`).

    Sections other than the audio are refused with port 0 (RFC 3264 section 6). `local.setup` and
    `local.direction` must fit the offer: see `answer_setup` and `answer_direction`.
    """
    lines = _session_lines(local, [offer.mid] if offer.bundled and offer.mid is not None else [])
    for index, section in enumerate(offer.sections):
        if index == offer.index:
            lines += _audio_lines(local, section, formats)
        else:
            lines += [f"m={section.media} 0 {section.profile} {section.formats}", "c=IN IP4 0.0.0.0"]
            lines += [f"a=mid:{section.mid}"] if section.mid is not None else []
            lines += ["a=inactive"]
    return _text(lines)


def answer_setup(offered: Setup) -> Setup:
    """Our side of the DTLS set-up (RFC 8842 section 5.3): active where we may, a round trip faster."""
    return "passive" if offered == "active" else "active"


def answer_direction(offered: Direction, wanted: Direction = "sendrecv") -> Direction:
    """What of `wanted` the offered direction leaves us (RFC 3264 section 6.1)."""
    theirs = _REVERSED.get(offered, offered)
    send = "send" in theirs and "send" in wanted
    receive = "recv" in theirs and "recv" in wanted
    if send and receive:
        return "sendrecv"
    return "sendonly" if send else "recvonly" if receive else "inactive"


def parse(text: str, kind: Kind = "offer") -> SessionDescription:
    """Read another side's description, forgiving what can be forgiven.

    Forgiven: stray carriage returns and empty lines, rtpmap and fmtp lines of payload types that are not in
    the m= line, static payload types without rtpmap, no a=mid, no a=setup, actpass in an answer, candidates
    that make no sense, further m= sections.

    Raises:
        IncompatibleSDP: no audio, audio refused (port 0), no rtcp-mux, no DTLS-SRTP, no ICE.
    """
    lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
    session = lines[: starts[0]] if starts else lines
    blocks = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    sections = tuple(_section(block) for block in blocks)
    index = _choose_audio(blocks, kind)
    block, section = blocks[index], sections[index]
    if section.profile.upper() not in _PROFILES:
        raise IncompatibleSDP(
            f"The other side wants its audio as {section.profile}; only WebRTC's encrypted audio works."
        )
    if _attribute(block, "rtcp-mux") is None:
        raise IncompatibleSDP(
            "The other side does not take RTP and RTCP on one port (no a=rtcp-mux); WebRTC asks for it."
        )
    ufrag, pwd = _inherited(session, block, "ice-ufrag"), _inherited(session, block, "ice-pwd")
    if not ufrag or not pwd:
        raise IncompatibleSDP("The other side does not speak ICE (no a=ice-ufrag or no a=ice-pwd).")
    ssrc, cname = _source(block)
    bundle = (_attribute(session, "group") or "").split()
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
        bundled=bundle[:1] == ["BUNDLE"] and section.mid in bundle[1:],
        ssrc=ssrc,
        cname=cname,
        ptime_ms=_ptime(block),
        sections=sections,
        index=index,
    )


def rewrite_candidates(text: str, address: str, port: int) -> str:
    """Put a relay into the path: one host candidate (`address`, UDP `port`) instead of all.

    The m= line's port and the c= line follow; all else stays byte for byte. Works on the first m= section
    that is in use; a text without one comes back unchanged.
    """
    family = "IP6" if ":" in address else "IP4"
    candidate = f"a=candidate:1 1 udp 2130706431 {address} {port} typ host"
    out: list[str] = []
    inside = done = placed = False
    for line in text.splitlines(keepends=True):
        body = line.rstrip("\r\n")
        end = line[len(body) :]
        if body.startswith("m="):
            inside = not done and len(body.split()) > 3 and body.split()[1] != "0"
            if inside:
                done = True
                line = re.sub(r"^(m=\S+ )\d+", rf"\g<1>{port}", body) + end
        elif inside and body.startswith("c="):
            line = f"c=IN {family} {address}{end}"
        elif inside and body.startswith("a=candidate:"):
            if placed:
                continue
            placed = True
            line = candidate + end
        out.append(line)
    if done and not placed:
        out.insert(_after_connection(out), candidate + "\r\n")
    return "".join(out)


# ---------------------------------------------------------------- writing


def _opus_parameters(max_average_bitrate_bps: int) -> str:
    return f"minptime=10;useinbandfec=1;maxaveragebitrate={max_average_bitrate_bps}"


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _session_lines(local: Local, bundle: Sequence[str]) -> list[str]:
    lines = ["v=0", f"o=- {local.session_id} {local.version} IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if bundle:
        lines.append(f"a=group:BUNDLE {' '.join(bundle)}")
    return [*lines, f"a=msid-semantic: WMS {local.cname}"]


def _audio_lines(local: Local, section: Section, formats: Sequence[Format]) -> list[str]:
    default = _default_candidate(local.candidates)
    address, port = (default.address, default.port) if default else ("0.0.0.0", 9)
    family = "IP6" if ":" in address else "IP4"
    track = f"{local.cname} {local.cname}-audio"
    lines = [
        f"m=audio {port} {section.profile} {' '.join(str(f.payload_type) for f in formats)}",
        f"c=IN {family} {address}",
        "a=rtcp:9 IN IP4 0.0.0.0",
        *(f"a=candidate:{candidate}" for candidate in local.candidates),
        "a=end-of-candidates",
        f"a=ice-ufrag:{local.ice_ufrag}",
        f"a=ice-pwd:{local.ice_pwd}",
        f"a=fingerprint:{local.fingerprint[0]} {local.fingerprint[1]}",
        f"a=setup:{local.setup}",
    ]
    if section.mid is not None:
        lines.append(f"a=mid:{section.mid}")
    lines += [f"a={local.direction}", f"a=msid:{track}", "a=rtcp-mux"]
    for f in formats:
        channels = f"/{f.channels}" if f.channels > 1 else ""
        lines.append(f"a=rtpmap:{f.payload_type} {f.name}/{f.clock_rate}{channels}")
        if f.is_called("opus"):
            lines.append(f"a=fmtp:{f.payload_type} {_opus_parameters(local.max_average_bitrate_bps)}")
    return [*lines, f"a=ssrc:{local.ssrc} cname:{local.cname}", f"a=ssrc:{local.ssrc} msid:{track}"]


def _default_candidate(candidates: Sequence[Candidate]) -> Candidate | None:
    """The one most likely to work without ICE (RFC 8839 section 4.2.1.2): relayed, reflexive, host."""
    rank = {"relay": 0, "srflx": 1, "host": 2}
    usable = [c for c in candidates if c.component == 1 and c.protocol == "udp" and c.type in rank]
    return min(usable, key=lambda c: (rank[c.type], ":" in c.address, -c.priority), default=None)


def _after_connection(lines: Sequence[str]) -> int:
    """Where a first candidate line goes: after the active section's c= line, or its m= line."""
    place = 0
    for index, line in enumerate(lines):
        if line.startswith("m="):
            if place:
                break
            place = index + 1 if line.split()[1] != "0" else 0
        elif place and line.startswith("c="):
            return index + 1
    return place


# ---------------------------------------------------------------- reading


def _attribute(block: Sequence[str], name: str) -> str | None:
    """The value of the first attribute of that name; '' for a flag, None when it is not there."""
    for line in block:
        key, _, value = line[2:].partition(":")
        if line.startswith("a=") and key == name:
            return value.strip()
    return None


def _attributes(block: Sequence[str], name: str) -> list[str]:
    return [line[len(name) + 3 :].strip() for line in block if line.startswith(f"a={name}:")]


def _inherited(session: Sequence[str], block: Sequence[str], name: str) -> str | None:
    value = _attribute(block, name)
    return _attribute(session, name) if value is None else value


def _section(block: Sequence[str]) -> Section:
    words = block[0][2:].split()
    if len(words) < 3:
        raise IncompatibleSDP(f"The other side's description has a broken line: {block[0]!r}.")
    return Section(words[0], words[2], " ".join(words[3:]), _attribute(block, "mid") or None)


def _choose_audio(blocks: Sequence[Sequence[str]], kind: Kind) -> int:
    audio = [i for i, block in enumerate(blocks) if block[0].startswith("m=audio ")]
    if not audio:
        raise IncompatibleSDP("The other side's description has no audio.")
    for i in audio:
        port = blocks[i][0].split()[1].partition("/")[0]
        if _NUMBER.fullmatch(port) and port != "0":
            return i
    raise IncompatibleSDP(
        "The other side refused the audio (port 0)."
        if kind != "offer"
        else "The other side offers no audio that is in use (port 0)."
    )


def _setup(value: str | None, kind: Kind) -> Setup:
    if value in ("active", "passive"):
        return "active" if value == "active" else "passive"
    # An answer must decide (RFC 8842 section 5.3); one that does not is taken as the usual browser's: active.
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
            "The other side sends no DTLS fingerprint that we know (a=fingerprint with "
            "sha-256, sha-384 or sha-512), so its audio cannot be encrypted."
        )
    return usable


def _formats(block: Sequence[str], section: Section) -> tuple[Format, ...]:
    maps: dict[int, str] = {}
    parameters: dict[int, str] = {}
    for table, name in ((maps, "rtpmap"), (parameters, "fmtp")):
        for value in _attributes(block, name):
            number, _, rest = value.partition(" ")
            if _NUMBER.fullmatch(number):
                table.setdefault(int(number), rest.strip())
    found = []
    for word in dict.fromkeys(section.formats.split()):
        if not _NUMBER.fullmatch(word) or int(word) > 127:
            continue
        made = _format(int(word), maps.get(int(word)), parameters.get(int(word), ""))
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
    if not name or not _NUMBER.fullmatch(clock_text):
        return None
    count = int(channels) if _NUMBER.fullmatch(channels) else 1
    return Format(payload_type, name, int(clock_text), count, parameters)


def _usual_clock(f: Format) -> bool:
    return f.clock_rate == (48000 if f.is_called("opus") else 8000)


def _candidates(block: Sequence[str]) -> tuple[Candidate, ...]:
    found = []
    for value in _attributes(block, "candidate"):
        try:
            found.append(Candidate.parse(value))
        except ValueError:
            continue  # RFC 8839 section 5.1: what is not understood is ignored
    return tuple(found)


def is_address(text: str) -> bool:
    """Whether a candidate's address is one: peers also send names (mDNS), which cannot be reached as such."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _source(block: Sequence[str]) -> tuple[int | None, str | None]:
    ssrc: int | None = None
    for value in _attributes(block, "ssrc"):
        number, _, attribute = value.partition(" ")
        if not _NUMBER.fullmatch(number):
            continue
        ssrc = int(number) if ssrc is None else ssrc
        if attribute.startswith("cname:"):
            return int(number), attribute[6:]
    return ssrc, None


def _ptime(block: Sequence[str]) -> int | None:
    value = _attribute(block, "ptime") or ""
    return int(value) if _NUMBER.fullmatch(value) else None
