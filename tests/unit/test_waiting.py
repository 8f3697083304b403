"""tests/simulation/waiting.py: a test that waits wrongly passes for the wrong reason."""

import asyncio
import time

import pytest
from waiting import stays, until, wait_until


async def test_until_gives_the_value_as_soon_as_there_is_one() -> None:
    values = iter([None, 0, "", "here", "too late"])
    assert await until(lambda: next(values), interval_s=0) == "here"


async def test_the_condition_may_be_a_coroutine_function() -> None:
    asked = 0

    async def ready() -> bool:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return asked == 3

    assert await until(ready, interval_s=0)
    assert asked == 3


async def test_what_is_not_true_in_time_fails_with_the_condition_and_what_there_is() -> None:
    found = [1, 2]
    with pytest.raises(AssertionError, match=r"not within 0.02 s: .*len\(found\) == 3.*there is \[1, 2\]"):
        await until(lambda: len(found) == 3, timeout_s=0.02, describe=lambda: found)
    with pytest.raises(AssertionError, match="not within"):
        wait_until(lambda: len(found) == 3, timeout_s=0.02)


def test_without_a_loop() -> None:
    end = time.monotonic() + 0.03
    assert wait_until(lambda: time.monotonic() > end)


async def test_stays_fails_at_the_first_moment_it_is_not_so() -> None:
    values = iter([True, True, False])
    with pytest.raises(AssertionError, match="no longer true"):
        await stays(lambda: next(values), for_s=5, interval_s=0)
    await stays(lambda: True, for_s=0.02)
