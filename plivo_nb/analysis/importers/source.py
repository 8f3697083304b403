"""A file that another program wrote, as bytes, text, a JSON document or JSON lines. Nothing here raises.

What is damaged is cut off, and named in the warnings: the end of a truncated file, the rest of a document
behind a wrong character, a line that is not JSON.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP = b"\x1f\x8b"
_LARGEST_BYTES = 1 << 30
_CHUNK = 1 << 20
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\],]', re.DOTALL)
_CLOSING = {"{": "}", "[": "]"}
_LARGEST = 2.0**63  # larger numbers are no counts, and overflow in sums
_ERRORS = (ValueError, RecursionError)  # of json.loads: also numbers with more than 4300 digits


@dataclass
class Source:
    """The content of a file.

    Args:
        name: what the file's calls are named after.
        data: its bytes; gzip is unpacked.

    Attributes:
        warnings: what could not be read so far, a sentence each.
    """

    name: str
    data: bytes
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._read_to: int | None = None
        self._damaged_lines = 0
        if self.data.startswith(_GZIP):
            self.data = self._unpacked(self.data)

    def warn(self, sentence: str) -> None:
        """Add a warning, unless it has been given."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    @cached_property
    def text(self) -> str:
        """The bytes as text; what is not UTF-8 (or UTF-16 with a byte order mark) becomes U+FFFD."""
        encoding = "utf-16" if self.data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return self.data.decode(encoding, "replace").lstrip("\ufeff")

    @cached_property
    def document(self) -> Any:
        """The text as one JSON document, as far as it goes; None: it does not begin like one.

        `warn_of_damage` names what is missing.
        """
        if self.text.lstrip()[:1] not in ("{", "["):
            return None
        value, self._read_to = parsed(self.text)
        return value

    @cached_property
    def lines(self) -> list[Any]:
        """The values of the lines that are JSON objects or arrays, in their order.

        An object may stand behind what a logger puts before it, such as a time and a level.
        """
        values = []
        for line in self._each_line():
            try:
                value = json.loads(line[len(_logged(line)) :])
            except _ERRORS:
                self._damaged_lines += 1
                continue
            if isinstance(value, dict | list):
                values.append(value)
        return values

    def warn_of_damage(self, used: Any, *, titles: int = 0) -> None:
        """Name what is missing in what the calls were read from.

        Args:
            used: `document` or `lines`.
            titles: so many lines are no JSON in a whole file either.
        """
        if used is self.lines and self._damaged_lines > titles:
            damaged = self._damaged_lines - titles
            every = damaged + len(self.lines)
            self.warn(f"{damaged} of {every} lines are no JSON, or cut off, and were left out.")
        if used is not self.lines and self._read_to is not None:
            self.warn(
                f"The JSON document is damaged or cut off at character {self._read_to} of {len(self.text)}; "
                "what comes after is missing."
            )

    def _each_line(self) -> Iterator[str]:
        for line in self.text.split("\n"):
            line = line.strip().rstrip(",")
            if line:
                yield line

    def _unpacked(self, packed: bytes) -> bytes:
        parts: list[bytes] = []
        size, rest = 0, packed
        try:
            while rest.startswith(_GZIP) and size < _LARGEST_BYTES:
                unpacker = zlib.decompressobj(wbits=31)
                for start in range(0, len(rest), _CHUNK):
                    parts.append(unpacker.decompress(rest[start : start + _CHUNK], _LARGEST_BYTES - size))
                    size += len(parts[-1])
                    if unpacker.eof or size >= _LARGEST_BYTES:
                        break
                if not unpacker.eof:
                    self.warn("The gzip data is cut off, or larger than 1 GiB; what comes after is missing.")
                    break
                rest = unpacker.unused_data + rest[start + _CHUNK :]
        except zlib.error:
            self.warn("The gzip data is damaged; what comes after the damage is missing.")
        return b"".join(parts)


def parsed(text: str) -> tuple[Any, int | None]:
    """A JSON value, as far as it goes.

    Returns:
        the value, and None where all of the text was read; else the character up to which it was. A value
        None: nothing could be read.
    """
    try:
        return json.loads(text), None
    except json.JSONDecodeError as error:
        end = error.pos
    except _ERRORS:
        return None, 0
    if text[end:].strip() and end > 0:
        try:  # a whole value with something behind it
            value, stop = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
        except _ERRORS:
            pass
        else:
            return value, stop
    return _up_to_damage(text, end)


def _up_to_damage(text: str, end: int) -> tuple[Any, int]:
    """Read what is complete before the character `end`: the open brackets are closed there."""
    for keep in (text[:end], text[: text.rfind(",", 0, end) + 1]):
        stack: list[str] = []
        cut, closing = 0, ""
        for token in _TOKEN.finditer(keep):
            sign = token[0]
            if sign[0] == '"':
                if not token[1]:
                    break
            elif sign in "{[":
                stack.append(_CLOSING[sign])
                cut, closing = token.end(), "".join(reversed(stack))
            elif sign in "}]":
                if not stack or stack.pop() != sign:
                    break
                cut, closing = token.end(), "".join(reversed(stack))
            elif sign == ",":
                cut, closing = token.start(), "".join(reversed(stack))
        try:
            return json.loads(keep[:cut] + closing), cut
        except _ERRORS:
            continue
    return None, 0


def number(value: Any) -> float:
    """A finite number; NaN for anything else. Chrome's old statistics have numbers as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return found if -_LARGEST < found < _LARGEST else math.nan


def word(value: Any) -> str:
    """Text; empty for anything else."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    return value if isinstance(value, dict) else {}


def milliseconds(value: Any) -> float:
    """A point in time in ms since 1970, of s, ms or µs since 1970 or an ISO 8601 text.

    Numbers that are none of these, such as those that count from the start of a page, are given back as they
    are; NaN where there is no number.
    """
    if isinstance(value, str) and not value.strip().replace(".", "", 1).isdigit():
        try:
            time = datetime.fromisoformat(value.strip().strip('"'))
        except ValueError:
            return math.nan
        try:
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1e3
        except (OverflowError, ValueError):
            return math.nan
    found = number(value)
    if 1e14 <= found < 1e17:
        return found / 1e3
    if 1e9 <= found < 4e9:
        return found * 1e3
    return found


def is_since_1970(ms: float) -> bool:
    """Whether a time in ms is between the years 2001 and 2096."""
    return 1e12 <= ms < 4e12


def _logged(line: str) -> str:
    """What a logger put before an object; empty where the line is JSON, or a part of it."""
    before = line.partition("{")[0] if "{" in line else ""
    is_json = '"' in before or before.count("[") != before.count("]")
    return "" if is_json else before
