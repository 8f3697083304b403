"""Operation: what every method that starts work returns.

The work has already started. The operation can be ignored, and events report the outcome as in the Browser
SDK. Awaiting it gives the result, or raises an exception of this package with the cause. Awaiting shields the
work: cancelling or interrupting a cell does not stop it. A failure that nobody awaits is logged.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import html
import logging
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from plivo_nb.errors import NoRunningLoop, PlivoError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

_logger = logging.getLogger("plivo_nb.operation")
_T = TypeVar("_T")


def check_open(loop: asyncio.AbstractEventLoop, name: str) -> None:
    """Check that a loop that was stored can still run `name`.

    Raises:
        NoRunningLoop: the loop is closed.

    Example:
        >>> loop = asyncio.new_event_loop()
        >>> check_open(loop, "call")
        >>> loop.close()
        >>> check_open(loop, "call")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        plivo_nb.errors.NoRunningLoop: 'call' needs the event loop that its client was made on, but ...
    """
    if loop.is_closed():
        raise NoRunningLoop(
            f"'{name}' needs the event loop that its client was made on, but that is closed: each "
            "asyncio.run() has a loop of its own. Make the client in the asyncio.run() that uses it, for "
            "example both in one 'async def main()'."
        )


class Operation(Generic[_T]):
    """Work that has started. Await it for its result, or ignore it.

    Args:
        name: what it does, for its repr and the log, such as ``"log in as alice"``.
        work: the coroutine that does it; started at once on the running loop.
        call: the call that the work belongs to, for `Client.call` and `Client.answer`.

    Attributes:
        call: the `Call` where there is one; it is there before the operation is done.

    Raises:
        NoRunningLoop: no event loop is running.

    Example:
        >>> import asyncio
        >>> async def double(number):
        ...     return 2 * number
        >>> async def main():
        ...     operation = Operation("double 21", double(21))
        ...     print(operation)
        ...     return await operation
        >>> asyncio.run(main())
        <Operation double 21: under way>
        42
    """

    def __init__(self, name: str, work: Coroutine[Any, Any, _T] | None = None, *, call: Any = None) -> None:
        self.name = name
        self.call = call
        self._awaited = False
        self._task: asyncio.Task[_T] | None = None
        self._outcome: concurrent.futures.Future[_T] = concurrent.futures.Future()
        if work is not None:
            self._begin(work)

    @classmethod
    def start(
        cls,
        loop: asyncio.AbstractEventLoop,
        name: str,
        begin: Callable[[], tuple[Coroutine[Any, Any, _T], Any]],
    ) -> Operation[_T]:
        """Start work on `loop`, from it or from any other thread.

        Args:
            loop: the event loop that runs the work.
            begin: called on that loop; returns the coroutine, and the call it belongs to or None. An
                exception in it is the operation's failure.

        Raises:
            NoRunningLoop: the loop is closed.
        """
        check_open(loop, name)
        operation: Operation[_T] = cls(name)

        def on_loop() -> None:
            try:
                work, operation.call = begin()
            except Exception as error:
                operation._outcome.set_exception(error)
            else:
                operation._begin(work)

        if _running_loop() is loop:
            on_loop()
        else:
            loop.call_soon_threadsafe(on_loop)
        return operation

    def _begin(self, work: Coroutine[Any, Any, _T]) -> None:
        loop = _running_loop()
        if loop is None:
            work.close()  # so that Python does not warn of a coroutine that was never awaited
            raise NoRunningLoop(
                f"'{self.name}' needs a running event loop: use a notebook cell, or in a script inside "
                "'async def main(): ...' started by 'asyncio.run(main())'."
            )
        self._task = loop.create_task(work, name=f"plivo_nb {self.name}")
        self._task.add_done_callback(self._settled)

    def __await__(self) -> Generator[Any, None, _T]:
        self._awaited = True
        if self._task is not None and self._task.get_loop() is asyncio.get_running_loop():
            return asyncio.shield(self._task).__await__()
        return asyncio.shield(asyncio.wrap_future(self._outcome)).__await__()

    def done(self) -> bool:
        """True once the work has ended, with a result or a failure."""
        return self._outcome.done()

    def cancel(self) -> None:
        """Cancel the work. `Client.close` does this; to end a call use `Call.hangup`."""
        if self._task is not None:
            self._task.cancel()

    def is_task(self, task: asyncio.Task[Any] | None) -> bool:
        """True if `task` is the one that does this work."""
        return task is not None and task is self._task

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the work has ended."""
        self._outcome.add_done_callback(lambda _: callback())

    async def settled(self) -> None:
        """Wait until the work has ended, without raising what it raised."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _settled(self, task: asyncio.Task[_T]) -> None:
        if task.cancelled():
            self._outcome.cancel()
            return
        error = task.exception()  # marks it as retrieved, so that asyncio does not log it in another cell
        if error is None:
            self._outcome.set_result(task.result())
            return
        self._outcome.set_exception(error)
        if self._awaited:
            return
        if isinstance(error, PlivoError):
            _logger.warning("Operation '%s' did not succeed: %s", self.name, error)
        else:
            _logger.error("Operation '%s' failed unexpectedly.", self.name, exc_info=error)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "An Operation cannot be copied or pickled, as it is work under way; await it and keep its result."
        )

    @property
    def _status(self) -> str:
        if not self._outcome.done():
            return "under way"
        if self._outcome.cancelled():
            return "stopped"
        error = self._outcome.exception()
        return f"failed: {error}" if error is not None else "done"

    def __repr__(self) -> str:
        return f"<Operation {self.name}: {self._status}>"

    def _repr_html_(self) -> str:
        return f"<span><b>{html.escape(self.name)}</b>: {html.escape(self._status)}</span>"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
