"""Cancellation of a coroutine at each of its awaits in turn, and the TCP connections that are left."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import psutil


async def cancelled_at(work: Coroutine[Any, Any, Any], step: int, *, late: bool) -> bool:
    """Run `work` in a task and cancel it at its `step`th await, counted from 0.

    Args:
        late: cancel when what it waits for has happened, before it goes on; else when the wait begins.

    Returns:
        False if it was complete before that await.
    """
    task = asyncio.get_running_loop().create_task(_watch(_Steps(work, step, late=late)))
    done, _ = await asyncio.wait([task], timeout=10)
    assert done, f"It did not end after its cancellation at await {step}."
    return task.cancelled() or task.result()


async def _watch(steps: _Steps) -> bool:
    await steps
    return steps.cancelled


class _Steps:
    def __init__(self, work: Coroutine[Any, Any, Any], step: int, *, late: bool) -> None:
        self._work, self._step, self._late = work, step, late
        self.cancelled = False

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        thrown: BaseException | None = None
        for number in itertools.count():
            try:
                waited_for = self._work.throw(thrown) if thrown is not None else self._work.send(None)
            except StopIteration as end:
                return end.value
            if number == self._step:
                self.cancelled = True
                if self._late and waited_for is not None:
                    waited_for.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            thrown = None
            try:
                yield waited_for
            except BaseException as error:
                thrown = error
        return None


def connections_to(port: int) -> Callable[[], bool]:
    """A condition: this process has an open TCP connection to the port of this machine."""

    def any_open() -> bool:
        found = psutil.Process().net_connections("tcp")
        return any(c.raddr and c.raddr.port == port and c.status != psutil.CONN_NONE for c in found)

    return any_open
