"""CodeLog: what was clicked, as the Python that does the same."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.client import Client

_MOST_LINES = 200
_logs: WeakKeyDictionary[Client, CodeLog] = WeakKeyDictionary()


class CodeLog:
    """The last lines of Python, oldest first. It never has a password.

    Example:
        >>> log = CodeLog()
        >>> log.add("await client.call({!r})", "echo")
        >>> log.add("await client.hangup()")
        >>> print(log.text)
        await client.call('echo')
        await client.hangup()
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._callbacks: list[Callable[[], None]] = []

    def add(self, code: str, *values: Any) -> None:
        """Add a line.

        Args:
            code: the line, with ``{!r}`` in the place of each value.
            values: what was entered or chosen.
        """
        self._lines.append(code.format(*values))
        for callback in list(self._callbacks):
            callback()

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each line that is added; returns a function that removes it."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    @property
    def lines(self) -> list[str]:
        """The lines."""
        return list(self._lines)

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self._lines)


def code_log_of(client: Client) -> CodeLog:
    """The log of this client, which all of its widgets share."""
    return _logs.setdefault(client, CodeLog())
