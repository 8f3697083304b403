"""What a user gives to a method, checked: headers, digits, feedback (spec.md section 3)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

_logger = logging.getLogger("plivo_nb.client")

_HEADER_NAME = re.compile(r"[Xx]-[Pp][Hh]-[A-Za-z0-9-]{1,19}")
_HEADER_VALUE = re.compile(r"[A-Za-z0-9_+()%.\-]{1,120}")
_DIGITS = re.compile(r"[0-9*#]+")

#: What `sendQualityFeedback` accepts as a comment.
FEEDBACK_COMMENTS = (
    "bad-audio",
    "call-dropped",
    "wrong-callerid",
    "post-dial-delay",
    "dtmf-not-captured",
    "audio-latency",
    "unsolicited-call",
    "one-way-audio",
    "no-audio",
    "never-connected",
)


def valid_headers(given: Any) -> dict[str, str]:
    """The headers that may be sent; each other one is named in a warning."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        _logger.warning("extraHeaders %r is no dict of names and values; nothing of it is sent.", given)
        return {}
    kept: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            _logger.warning("The header %r is dropped: a name is X-PH- and 1-19 of A-Z a-z 0-9 -.", name)
        elif not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            _logger.warning("The header %s is dropped: a value is 1-120 of A-Z a-z 0-9 _+()%%.-.", name)
        else:
            kept[name] = value
    return kept


def are_digits(given: Any) -> bool:
    """Whether all of it can be sent as DTMF: 0-9 * # and nothing else."""
    return isinstance(given, str) and _DIGITS.fullmatch(given) is not None


def feedback_problem(call_uuid: Any, known: tuple[str | None, ...], score: Any, comment: Any) -> str | None:
    """Why this feedback cannot be taken, or None.

    Args:
        call_uuid: the call it is for.
        known: the ids of the calls that it may be for.
        score, comment: as given.
    """
    if call_uuid is None or call_uuid not in known:
        return f"{call_uuid!r} is neither the current nor the last call."
    if isinstance(score, bool) or not isinstance(score, int) or not 1 <= score <= 5:
        return f"the score must be a whole number from 1 to 5, not {score!r}."
    if comment not in FEEDBACK_COMMENTS:
        return f"the comment must be one of {', '.join(FEEDBACK_COMMENTS)}."
    return None
