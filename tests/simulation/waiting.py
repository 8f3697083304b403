"""Waiting in tests: for a condition, never for a time that should be long enough.

from waiting import until, wait_until

await until(lambda: call.state == "answered")
call = await until(lambda: client.current_call)          # gives what the condition gave
await until(lab_is_idle)                                 # the condition may be a coroutine function
wait_until(process_has_ended, timeout_s=30)              # where no loop runs
await stays(lambda: client.is_logged_in, for_s=0.5)      # what must not happen
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
TIMEOUT_S = 20.0  # only a test that fails waits so long


async def until(
    condition: Callable[[], T | Awaitable[T]],
    timeout_s: float = TIMEOUT_S,
    describe: Callable[[], object] | None = None,
    interval_s: float = 0.01,
) -> T:
    """Wait until the condition is true, and return its value.

    `describe` is called when it does not become true in time; the error shows what it returns.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := await _value(condition)):
        assert time.monotonic() < deadline, _too_late(condition, timeout_s, describe)
        await asyncio.sleep(interval_s)
    return value


def wait_until(
    condition: Callable[[], T],
    timeout_s: float = TIMEOUT_S,
    describe: Callable[[], object] | None = None,
    interval_s: float = 0.01,
) -> T:
    """As `until`, for tests that do not run in a loop."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, _too_late(condition, timeout_s, describe)
        time.sleep(interval_s)
    return value


async def stays(
    condition: Callable[[], object | Awaitable[object]],
    for_s: float,
    describe: Callable[[], object] | None = None,
    interval_s: float = 0.01,
) -> None:
    """Fail as soon as the condition is false; return when it was true for so long."""
    end = time.monotonic() + for_s
    while True:
        value = await _value(condition)
        assert value, f"no longer true: {_source(condition)}{_described(describe)}"
        if time.monotonic() >= end:
            return
        await asyncio.sleep(interval_s)


async def _value(condition: Callable[[], T | Awaitable[T]]) -> T:
    value = condition()
    return (await value) if inspect.isawaitable(value) else value


def _too_late(
    condition: Callable[[], object], timeout_s: float, describe: Callable[[], object] | None
) -> str:
    return f"not within {timeout_s:g} s: {_source(condition)}{_described(describe)}"


def _described(describe: Callable[[], object] | None) -> str:
    return "" if describe is None else f"; there is {describe()!r}"


def _source(condition: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return repr(condition)
