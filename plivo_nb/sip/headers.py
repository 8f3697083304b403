"""The header fields of a SIP message: an ordered multi-dict, names without case (RFC 3261 section 7.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plivo_nb.sip.values import is_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORBIDDEN = re.compile(r"[\r\n\0]")


class Headers:
    """Header fields in order: names compare without case, are kept as received, may repeat."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        for name, value in fields:
            self.add(name, value)

    @staticmethod
    def _field(name: str, value: str) -> tuple[str, str, str]:
        if not is_token(name):
            raise ValueError(f"{name!r} is not a header name.")
        if FORBIDDEN.search(value):
            raise ValueError(f"The value of {name} has a line break or NUL in it, which would forge headers.")
        return name.lower(), name, value

    def get(self, name: str) -> str | None:
        """The first value of that name, None where there is none."""
        key = name.lower()
        for field in self._fields:
            if field[0] == key:
                return field[2]
        return None

    def get_all(self, name: str) -> list[str]:
        """All values of that name, in order."""
        key = name.lower()
        return [field[2] for field in self._fields if field[0] == key]

    def add(self, name: str, value: str) -> None:
        """Append a field. Raises ValueError where name or value would break the message."""
        self._fields.append(self._field(name, value))

    def echo(self, name: str, value: str) -> None:
        """Append a field as it was received, without the checks of `add`: `parse` has checked it."""
        self._fields.append((name.lower(), name, value))

    def add_first(self, name: str, value: str) -> None:
        """Insert a field before all others, as a proxy does with its Via or Record-Route."""
        self._fields.insert(0, self._field(name, value))

    def set(self, name: str, value: str) -> None:
        """Replace all fields of that name by one, at the place of the first."""
        new = self._field(name, value)
        places = [place for place, field in enumerate(self._fields) if field[0] == new[0]]
        if not places:
            self._fields.append(new)
            return
        self._fields[places[0]] = new
        for place in reversed(places[1:]):
            del self._fields[place]

    def remove(self, name: str) -> None:
        """Remove all fields of that name, if any."""
        key = name.lower()
        self._fields = [field for field in self._fields if field[0] != key]

    def remove_first(self, name: str) -> str | None:
        """Remove the first field of that name and return its value; None if there is none."""
        key = name.lower()
        for place, field in enumerate(self._fields):
            if field[0] == key:
                del self._fields[place]
                return field[2]
        return None

    def items(self) -> list[tuple[str, str]]:
        """All fields as (name as received, value)."""
        return [(name, value) for _, name, value in self._fields]

    def copy(self) -> Headers:
        """Return a copy."""
        new = Headers()
        new._fields = self._fields.copy()
        return new

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return (name for _, name, _ in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(name for _, name, _ in self._fields)}>"
