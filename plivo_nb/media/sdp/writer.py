"""Writes session descriptions as browsers do: offers, answers, and changes for relays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plivo_nb.codec_table import codec_row
from plivo_nb.media.sdp.model import (
    PROFILE,
    Candidate,
    Direction,
    Format,
    Local,
    Section,
    SessionDescription,
    Setup,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_REVERSED: dict[Direction, Direction] = {"sendonly": "recvonly", "recvonly": "sendonly"}


def offered_formats(names: Sequence[str]) -> tuple[Format, ...]:
    """Return the formats of an offer for these codec names (`plivo_nb.codec_table`), in the same order."""
    rows = [codec_row(name) for name in names]
    return tuple(Format(row.payload_type, row.encoding, row.clock_rate_hz, row.channels) for row in rows)


def build_offer(local: Local, formats: Sequence[Format]) -> str:
    """Return an offer of one audio stream with these formats (`offered_formats`), in order of preference."""
    section = Section("audio", PROFILE, "", local.mid)
    lines = _session_lines(local, [local.mid] if local.mid is not None else [])
    lines += _audio_lines(local, section, formats)
    return _text(lines)


def build_answer(local: Local, offer: SessionDescription, formats: Sequence[Format]) -> str:
    """Return the answer to `offer` with `formats` (of `SessionDescription.audio` and `telephone_events`).

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
    """Return our DTLS role (RFC 8842 section 5.3): active if allowed, since that saves a round trip."""
    return "passive" if offered == "active" else "active"


def answer_direction(offered: Direction, wanted: Direction = "sendrecv") -> Direction:
    """Return the part of `wanted` that the offered direction allows (RFC 3264 section 6.1)."""
    theirs = _REVERSED.get(offered, offered)
    send = "send" in theirs and "send" in wanted
    receive = "recv" in theirs and "recv" in wanted
    if send and receive:
        return "sendrecv"
    return "sendonly" if send else "recvonly" if receive else "inactive"


def rewrite_candidates(text: str, address: str, port: int) -> str:
    """Replace all candidates by one host candidate of a relay (`address`, UDP `port`).

    The port of the m= line and the c= line are changed too; all else is kept byte for byte. This applies to
    the first m= section in use; a text without one is returned unchanged.
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
            limit = local.max_average_bitrate_bps
            lines.append(f"a=fmtp:{f.payload_type} minptime=10;useinbandfec=1;maxaveragebitrate={limit}")
    return [*lines, f"a=ssrc:{local.ssrc} cname:{local.cname}", f"a=ssrc:{local.ssrc} msid:{track}"]


def _default_candidate(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate most likely to work without ICE (RFC 8839 section 4.2.1.2)."""
    rank = {"relay": 0, "srflx": 1, "host": 2}
    usable = [c for c in candidates if c.component == 1 and c.protocol == "udp" and c.type in rank]
    return min(usable, key=lambda c: (rank[c.type], ":" in c.address, -c.priority), default=None)


def _after_connection(lines: Sequence[str]) -> int:
    """Return the index for a first candidate line: after the active section's c= line, or its m= line."""
    place = 0
    for index, line in enumerate(lines):
        if line.startswith("m="):
            if place:
                break
            place = index + 1 if line.split()[1] != "0" else 0
        elif place and line.startswith("c="):
            return index + 1
    return place
