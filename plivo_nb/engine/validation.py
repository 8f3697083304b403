"""Checks of what users give to methods: extraHeaders, DTMF digits and quality feedback, by Plivo's rules."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal, get_args
from urllib.parse import unquote

_logger = logging.getLogger("plivo_nb.client")

_HEADER_NAME = re.compile(r"[Xx]-[Pp][Hh]-[A-Za-z0-9-]{1,19}")
_HEADER_VALUE = re.compile(r"[A-Za-z0-9_+()%.\-]{1,120}")
_DIGITS = re.compile(r"[0-9*#]+")

FeedbackComment = Literal[
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
]
#: The comments that `send_quality_feedback` accepts.
FEEDBACK_COMMENTS: tuple[FeedbackComment, ...] = get_args(FeedbackComment)


_LONGEST_CREDENTIAL = 256
_LONGEST_TARGET = 512
_HIDDEN_CATEGORIES = (
    "Cc",
    "Cf",
    "Cs",
    "Zl",
    "Zp",
)  # controls, marks of direction, halves of pairs, line ends
EMPTY_CREDENTIALS = "Username and password must be filled out"


def credentials_problem(username: Any, password: Any) -> str | None:
    """Why nobody can log in with these, as the cause of onLoginFailed; None if one can try."""
    if not (isinstance(username, str) and isinstance(password, str) and username.strip() and password):
        return EMPTY_CREDENTIALS
    if not username.isprintable() or not _can_be_sent(username):
        return "Username has a character that cannot be sent"
    if not _can_be_sent(password) or "\0" in password:
        return "Password has a character that cannot be sent"
    if max(len(username), len(password)) > _LONGEST_CREDENTIAL:
        return f"Username or password is longer than {_LONGEST_CREDENTIAL} characters"
    return None


def _can_be_sent(text: str) -> bool:
    """Whether a text is valid Unicode, without half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def target_problem(number: Any) -> str | None:
    """Why this cannot be called, as a sentence; None if one can try."""
    if not (isinstance(number, str) and number.strip()):
        return f"call needs a number or SIP address as text, such as 'echo', not {number!r:.60}."
    if len(number.strip()) > _LONGEST_TARGET:
        length = len(number.strip())
        return (
            f"call: the number or address has {length} characters; at most {_LONGEST_TARGET} can be dialled."
        )
    hidden = next((one for one in number.strip() if unicodedata.category(one) in _HIDDEN_CATEGORIES), None)
    if hidden is not None:
        return f"call: the number or address has a character that cannot be dialled, U+{ord(hidden):04X}."
    return None


def valid_headers(given: Any) -> dict[str, str]:
    """The headers that can be sent: X-PH-, 1-19 of [A-Za-z0-9-]; values of 1-120 of [A-Za-z0-9_+()%.-].

    Each header that is dropped is named in a warning.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        _logger.warning("extraHeaders must be a dict of names and values, not %r; no header is sent.", given)
        return {}
    kept: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            _logger.warning(
                "The header %r is dropped: a name must be X-PH- and 1-19 characters of A-Z a-z 0-9 -.", name
            )
        elif not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            _logger.warning(
                "The header %s is dropped: a value must be 1-120 characters of A-Z a-z 0-9 _+()%%.-.", name
            )
        else:
            kept[name] = value
    return kept


def split_uri_headers(target: str) -> tuple[str, dict[str, str]]:
    """Take the header fields off a SIP URI that is called: they do not belong into a Request-URI.

    RFC 3261 section 19.1.1 and 19.1.5: they become header fields of the request. Here the rules of
    `valid_headers` apply to them, so that a link cannot set any field but X-PH ones.

    Args:
        target: what was dialled, such as ``sip:bob@host?X-PH-Room=5``.

    Returns:
        The target without them, and the valid ones, unescaped.
    """
    is_uri = target.lower().startswith(("sip:", "sips:"))
    user, at, host = target.partition("@") if is_uri else target.rpartition("@")
    if not at and not is_uri:
        return target, {}  # a number or a name
    before, after = (user + at, host) if at else ("", target)
    address, _, query = after.partition("?")
    fields = [field.partition("=") for field in query.split("&") if field]
    given = {unquote(name): unquote(value) for name, _, value in fields}
    return before + address, valid_headers(given)


def are_digits(given: Any) -> bool:
    """Whether `given` is one or more of the DTMF digits 0-9 * #, and nothing else."""
    return isinstance(given, str) and _DIGITS.fullmatch(given) is not None


def feedback_problem(call_uuid: Any, known: tuple[str | None, ...], score: Any, comment: Any) -> str | None:
    """Why this feedback is not accepted, or None if it is.

    Args:
        call_uuid: id of the call that is rated.
        known: ids of the calls that can be rated.
        score: must be an integer from 1 to 5.
        comment: must be one of `FEEDBACK_COMMENTS`.
    """
    if call_uuid is None or call_uuid not in known:
        return f"{call_uuid!r} is neither the current nor the last call."
    if isinstance(score, bool) or not isinstance(score, int) or not 1 <= score <= 5:
        return f"the score must be a whole number from 1 to 5, not {score!r}."
    if comment not in FEEDBACK_COMMENTS:
        return f"the comment must be one of {', '.join(FEEDBACK_COMMENTS)}."
    return None
