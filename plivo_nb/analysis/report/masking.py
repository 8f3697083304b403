"""Numbers, addresses and names of people, replaced by pseudonyms in what is shown of a call."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_URI = re.compile(r"\b(?:sips?|tel|wss?|https?|turns?|stuns?):(?://)?[^\s<>\"',;)]+", re.IGNORECASE)
_SCHEME = re.compile(r"^(?:sips?|tel|wss?|https?|turns?|stuns?):(?://)?", re.IGNORECASE)
_AT = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;()]+")
_IP = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*)(?![\w:])")
_NUMBER = re.compile(r"(?<![\w.:-])(?:\+\d[\d ().-]{3,}\d|\d{7,15})(?![\w.:-])")
_SEPARATORS = re.compile(r"[^\w+]+")


class Masking:
    """Replaces numbers, addresses and names, each always by the same word, such as "number 1".

    Recognised are the values given, and whatever looks like a URI, an address with @, an IP address or a
    telephone number of seven digits or more.

    Args:
        names: values of this call to replace: names, numbers, host names; empty ones are ignored.
        enabled: False: everything stays as it is.

    Example:
        >>> masking = Masking(["Alice Smith"])
        >>> masking("Alice Smith called +14155550100 from 192.0.2.7; Alice Smith hung up")
        'name 1 called number 1 from address 1; name 1 hung up'
    """

    def __init__(self, names: Iterable[str] = (), *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._words: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        wanted = sorted({part for name in names for part in _parts(name)}, key=len, reverse=True)
        pattern = "|".join(re.escape(name) for name in wanted)
        self._known = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE) if wanted else None

    def __call__(self, text: str) -> str:
        """The text with pseudonyms."""
        if not self._enabled:
            return text
        text = _URI.sub(lambda match: self._word("address", match[0]), text)
        text = _AT.sub(lambda match: self._word("address", match[0]), text)
        text = _IP.sub(self._ip, text)
        if self._known is not None:
            text = self._known.sub(lambda match: self._word(_kind(match[0]), match[0]), text)
        return _NUMBER.sub(lambda match: self._word("number", match[0]), text)

    def _ip(self, match: re.Match[str]) -> str:
        try:
            ipaddress.ip_address(match[0])
        except ValueError:
            return match[0]  # such as a time of day
        return self._word("address", match[0])

    def _word(self, kind: str, value: str) -> str:
        key = _SEPARATORS.sub("", value).casefold()
        if key not in self._words:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._words[key] = f"{kind} {self._counts[kind]}"
        return self._words[key]


def _parts(name: str) -> list[str]:
    """A value and its parts: the user and the host of a URI; a number with and without its signs."""
    name = name.strip()
    if not name:
        return []
    parts = [name]
    bare = _SCHEME.sub("", name)
    user, _, host = bare.rpartition("@")
    parts += [part for part in (bare, user, re.split(r"[:;/?]", host)[0]) if part]
    digits = re.sub(r"[^\d+]", "", user or bare)
    if len(digits) >= 4 and re.fullmatch(r"[\d\s().+-]+", user or bare):
        parts += [digits, digits.lstrip("+")]
    return parts


def _kind(value: str) -> str:
    if re.fullmatch(r"[\d\s().+*#-]+", value):
        return "number"
    return "address" if "." in value or ":" in value or "@" in value else "name"
