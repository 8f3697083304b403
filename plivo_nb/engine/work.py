"""The operations of a client: started on its loop from any thread, kept until done, stopped at its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from plivo_nb.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")
_MOMENT_S = 0.05


class Working:
    """What `Client` has under way.

    Args:
        loop: where it works.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._operations: set[Operation[Any]] = set()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop this client lives on; from other threads enter it with `call_soon_threadsafe`."""
        return self._loop

    def own(self, operation: Operation[_T]) -> Operation[_T]:
        """Keep an operation until it is done; `close` stops what is left."""
        self._operations.add(operation)
        operation.add_done_callback(lambda: self._operations.discard(operation))
        return operation

    def _operation(self, name: str, work: Callable[[], Coroutine[Any, Any, _T]]) -> Operation[_T]:
        return self._operation_with_call(name, lambda: (work(), None))

    def _operation_with_call(
        self, name: str, start: Callable[[], tuple[Coroutine[Any, Any, _T], Any]]
    ) -> Operation[_T]:
        return self.own(Operation.start(self.loop, name, start))

    async def _stop_operations(self, caller: asyncio.Task[Any] | None) -> None:
        """What is ending anyway gets a moment for it; the rest is stopped, but not who waits for this."""
        left = [item for item in self._operations if not item.done() and not item.is_task(caller)]
        if left:
            await asyncio.wait([asyncio.ensure_future(item.settled()) for item in left], timeout=_MOMENT_S)
        for operation in left:
            operation.cancel()
            await operation.settled()


def current_task() -> asyncio.Task[Any] | None:
    """The running task, or None outside of any loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:  # no running loop: Operation says so
        return None
