"""Operation: what every method that starts work returns.

The work has already started. Ignore the operation and events tell the rest, as in the SDK; await it and
it gives the result, or raises this package's exception with the cause. Awaiting shields the work: a
cancelled or interrupted cell does not stop it. An ignored failure is logged, never thrown into a random cell.
"""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from plivo_nb.errors import PlivoError

_logger = logging.getLogger("plivo_nb.operation")
_T = TypeVar("_T")


class Operation(Generic[_T]):
    """Work under way. Await it for its result, or ignore it.

    Args:
        name: what it does, for its repr and the log, such as ``"login as alice"``.
        work: the coroutine that does it; started at once on the running loop.
        call: the call it is about, for `Client.call`.

    Attributes:
        call: the `Call` where there is one, at once, while it still rings.

    Example:
        >>> operation = client.login("alice", "secret")   # runs already
        >>> await operation                               # raises LoginFailed if it failed
    """

    def __init__(self, name: str, work: Coroutine[Any, Any, _T], *, call: Any = None) -> None:
        self.name = name
        self.call = call
        self._awaited = False
        self._task = asyncio.get_running_loop().create_task(work, name=f"plivo_nb {name}")
        self._task.add_done_callback(self._settled)

    def __await__(self) -> Generator[Any, None, _T]:
        self._awaited = True
        return asyncio.shield(self._task).__await__()

    def done(self) -> bool:
        """True once the work has ended, well or not."""
        return self._task.done()

    def cancel(self) -> None:
        """Stop the work. The engine does this at shutdown; a call is ended with its `hangup`."""
        self._task.cancel()

    async def settled(self) -> None:
        """Wait until the work has ended, without raising what it raised."""
        await asyncio.wait([self._task])

    def _settled(self, task: asyncio.Task[_T]) -> None:
        if task.cancelled():
            return
        error = task.exception()  # marks it as retrieved: it must not surface in a random cell
        if error is None or self._awaited:
            return
        if isinstance(error, PlivoError):
            _logger.warning("%s did not succeed: %s", self.name, error)
        else:
            _logger.error("%s failed unexpectedly.", self.name, exc_info=error)

    @property
    def _status(self) -> str:
        if not self._task.done():
            return "under way"
        if self._task.cancelled():
            return "stopped"
        error = self._task.exception()
        return f"failed: {error}" if error is not None else "done"

    def __repr__(self) -> str:
        return f"<Operation {self.name}: {self._status}>"

    def _repr_html_(self) -> str:
        return f"<span><b>{html.escape(self.name)}</b>: {html.escape(self._status)}</span>"
