"""Reading and changing session descriptions that the switch forwards. Text in, text out."""

from __future__ import annotations

import re

from plivo_nb.addresses import is_loopback
from plivo_nb.media.sdp import Candidate, is_address

# The payload types that browsers use; any free numbers are allowed (RFC 4733 section 3).
TELEPHONE_EVENTS = ((110, 48000), (101, 8000))
_DIRECTION = re.compile(r"a=(?:sendrecv|sendonly|recvonly|inactive)(?=\r*\n|$)")
_ORIGIN = re.compile(r"^(o=\S++ \S++ )([0-9]{1,19})(?![0-9])", re.MULTILINE)
_AUDIO = re.compile(r"^m=audio [1-9]\d* \S+[ \d]*", re.MULTILINE)
_TELEPHONE_RTPMAP = re.compile(r"^a=rtpmap:([0-9]{1,3}) telephone-event/.*$", re.MULTILINE | re.IGNORECASE)


def best_candidate(text: str) -> tuple[str, int] | None:
    """The best IPv4 UDP candidate of a description, loopback preferred; None if there is none."""
    found: list[tuple[tuple[bool, bool, int], tuple[str, int]]] = []
    for line in text.splitlines():
        if not line.startswith("a=candidate:"):
            continue
        try:
            candidate = Candidate.parse(line.partition(":")[2])
        except ValueError:
            continue
        usable = candidate.protocol == "udp" and candidate.component == 1 and is_address(candidate.address)
        if usable and ":" not in candidate.address and 0 < candidate.port < 65536:
            loopback = is_loopback(candidate.address)
            rank = (not loopback, candidate.type != "host", -candidate.priority)
            found.append((rank, (candidate.address, candidate.port)))
    return min(found)[1] if found else None


def with_direction(text: str, direction: str) -> str:
    """Set the direction (RFC 3264 section 8.4: ``sendonly`` = hold, ``sendrecv`` = resume).

    Example:
        >>> with_direction("a=sendrecv", "sendonly")
        'a=sendonly'
    """
    if _DIRECTION.search(text):
        return _DIRECTION.sub(f"a={direction}", text)
    return text + f"a={direction}\r\n"


def next_version(text: str) -> str:
    """Increase the version of the origin by one, as a changed description must (RFC 3264 section 8)."""
    return _ORIGIN.sub(lambda match: f"{match[1]}{int(match[2]) + 1}", text, count=1)


def has_telephone_event(text: str) -> bool:
    """Whether the audio m= line has a payload type of telephone-event (RFC 4733)."""
    audio = _AUDIO.search(text)
    formats = audio[0].split()[3:] if audio else []
    return any(match[1] in formats for match in _TELEPHONE_RTPMAP.finditer(text))


def with_telephone_event(text: str) -> str:
    """Add telephone-event; a description that has it is not changed."""
    audio = _AUDIO.search(text)
    if audio is None or has_telephone_event(text):
        return text
    numbers = "".join(f" {number}" for number, _ in TELEPHONE_EVENTS)
    text = text[: audio.end()] + numbers + text[audio.end() :]
    return text + "".join(
        f"a=rtpmap:{number} telephone-event/{rate}\r\n" for number, rate in TELEPHONE_EVENTS
    )


def without_telephone_event(text: str) -> str:
    """Remove telephone-event."""
    numbers = {match[1] for match in _TELEPHONE_RTPMAP.finditer(text)}
    audio = _AUDIO.search(text)
    if not numbers or audio is None:
        return text
    words = audio[0].split()
    kept = " ".join(words[:3] + [word for word in words[3:] if word not in numbers])
    text = text[: audio.start()] + kept + text[audio.end() :]
    gone = tuple(f"a={name}:{number} " for number in numbers for name in ("rtpmap", "fmtp"))
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(gone))
