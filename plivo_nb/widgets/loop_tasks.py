"""How a click on any thread becomes work on the client's loop, and a failure becomes a sentence.

JupyterLab sends clicks over a subshell. On ipykernel 7.0 to 7.3 that is another thread with a loop of its
own, where a task would be lost or wake seconds late; on other versions it is the kernel's main loop. So every
handler of a widget enters here, and everything runs on the one loop that was captured at the start.
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
    """What to show of an error: the package's own are sentences already; others get their type named."""
    if isinstance(error, PlivoError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class LoopTasks:
    """The work that one widget has started on the client's loop. It owns every task it makes.

    Args:
        loop: the client's loop.
        say: called on that loop with a sentence when something failed, and with "" when new work begins.
        name: of the widget, for the tasks' names and the log.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, say: Callable[[str], None], name: str) -> None:
        self._loop = loop
        self._say = say
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def enter(self, work: Callable[[], Any]) -> None:
        """Run `work` on the loop soon; from any thread. What it returns is awaited if it can be."""
        if not self._closed and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin, work)

    @property
    def here(self) -> bool:
        """True on the loop, False on another thread, such as in a user's own click handler."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def watch(self, awaitable: Awaitable[Any]) -> None:
        """Wait for it in a task of our own, and say what went wrong; from any thread."""
        if self.here:
            self.own(awaitable)
        else:
            self._loop.call_soon_threadsafe(self.own, awaitable)

    def own(self, awaitable: Awaitable[Any]) -> asyncio.Task[None]:
        """Like `watch`, on the loop only; gives the task."""
        task = self._loop.create_task(self._settle(awaitable), name=f"plivo_nb {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if inspect.iscoroutine(awaitable):
            # One cancelled before its first step would be reported as never awaited.
            task.add_done_callback(lambda _: awaitable.close())
        return task

    def close(self) -> None:
        """Cancel every task; nothing begins from now on. On the loop only."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()

    @property
    def running(self) -> int:
        """How many tasks are under way."""
        return len(self._tasks)

    def _begin(self, work: Callable[[], Any]) -> None:
        if self._closed:
            return
        self._say("")
        try:
            result = work()
        except Exception as error:
            self._tell(error)
            return
        if inspect.isawaitable(result):
            self.watch(result)

    async def _settle(self, awaitable: Awaitable[Any]) -> None:
        try:
            await awaitable
        except Exception as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        if not isinstance(error, PlivoError):
            _logger.error("A handler of the %s failed.", self._name, exc_info=error)
        self._say(sentence_of(error))
