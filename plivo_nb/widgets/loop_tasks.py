"""Tasks that widgets start on the client's event loop, from any thread.

JupyterLab sends clicks over a subshell. In ipykernel 7.0 to 7.3 a subshell is another thread with its own
event loop, on which a task may be lost or resumed seconds late; in other versions it is the kernel's main
loop. Every handler of a widget is therefore passed to the client's loop, which is stored at the start.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import PlivoError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_logger = logging.getLogger("plivo_nb.widgets")


def sentence_of(error: BaseException) -> str:
    """The text to display for an error. Errors that are not of this package are shown with their type.

    Example:
        >>> sentence_of(ZeroDivisionError("division by zero"))
        'ZeroDivisionError: division by zero'
    """
    if isinstance(error, PlivoError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class LoopTasks:
    """The tasks of one widget on the client's event loop; `close` cancels them.

    Args:
        loop: the client's event loop.
        show: called on that loop with a message when a task has failed, and with "" when new work begins.
        name: name of the widget, used in task names and in the log.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, show: Callable[[str], None], name: str) -> None:
        self._loop = loop
        self._show = show
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def run_soon(self, work: Callable[[], Any]) -> None:
        """Run `work` on the loop soon, and await its result if that is awaitable. From any thread."""
        if not self._closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin, work)

    def call_soon(self, work: Callable[[], Any]) -> None:
        """As `run_soon`, for what no user asked for: the message that is displayed stays. From any thread."""
        if not self._closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin, work, False)

    @property
    def on_loop(self) -> bool:
        """True if called on the loop; False on another thread, for example in a click handler of the user."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def watch(self, awaitable: Awaitable[Any]) -> None:
        """Await it in a task, and display its error if it fails. From any thread."""
        if self.on_loop:
            self.create_task(awaitable)
        else:
            self._loop.call_soon_threadsafe(self.create_task, awaitable)

    def create_task(self, awaitable: Awaitable[Any]) -> asyncio.Task[None]:
        """As `watch`, but only on the loop; returns the task."""
        task = self._loop.create_task(self._settle(awaitable), name=f"plivo_nb {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if inspect.iscoroutine(awaitable):
            # A coroutine whose task is cancelled before its first step would be reported as never awaited.
            task.add_done_callback(lambda _: awaitable.close())
        return task

    def close(self) -> None:
        """Cancel every task, and accept no more work. Only on the loop."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()

    @property
    def running(self) -> int:
        """Number of unfinished tasks."""
        return len(self._tasks)

    def _begin(self, work: Callable[[], Any], clear: bool = True) -> None:
        if self._closed:
            return
        if clear:
            self._show("")
        try:
            result = work()
        except Exception as error:
            self._report(error)
            return
        if inspect.isawaitable(result):
            self.watch(result)

    async def _settle(self, awaitable: Awaitable[Any]) -> None:
        try:
            await awaitable
        except Exception as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        if not isinstance(error, PlivoError):
            _logger.error("A handler of the %s failed.", self._name, exc_info=error)
        self._show(sentence_of(error))
