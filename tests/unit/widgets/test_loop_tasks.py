"""LoopTasks: work from any thread runs on one loop, its errors are displayed, and `close` cancels it."""

from __future__ import annotations

import asyncio
import threading

import pytest
from waiting import until

from plivo_nb.errors import InvalidState
from plivo_nb.widgets.loop_tasks import LoopTasks, sentence_of


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
async def tasks(shown: list[str]):
    tasks = LoopTasks(asyncio.get_running_loop(), shown.append, "test")
    yield tasks
    tasks.close()
    await until(lambda: tasks.running == 0)


async def test_work_from_another_thread_runs_on_the_loop(tasks: LoopTasks) -> None:
    seen: list[bool] = []

    async def work() -> None:
        seen.append(tasks.on_loop)

    def on_thread() -> None:
        seen.append(tasks.on_loop)
        tasks.run_soon(work)
        tasks.watch(work())

    thread = threading.Thread(target=on_thread)
    thread.start()
    await until(lambda: len(seen) == 3)
    thread.join()
    assert seen == [False, True, True]


async def test_an_error_is_displayed_and_cleared_by_the_next_work(tasks: LoopTasks, shown: list[str]) -> None:
    async def fail() -> None:
        raise InvalidState("call: nobody is logged in; login first.")

    tasks.run_soon(fail)
    await until(lambda: shown[-1:] == ["call: nobody is logged in; login first."])
    tasks.run_soon(lambda: None)
    await until(lambda: shown[-1] == "")


async def test_an_unexpected_error_is_logged_with_its_type(
    tasks: LoopTasks, shown: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    tasks.run_soon(lambda: 1 / 0)
    await until(lambda: shown[-1:] == ["ZeroDivisionError: division by zero"])
    assert "A handler of the test failed" in caplog.text
    assert sentence_of(KeyError()) == "KeyError"


async def test_close_cancels_tasks_and_accepts_no_more_work(tasks: LoopTasks, shown: list[str]) -> None:
    task = tasks.create_task(asyncio.sleep(60))
    unstarted = tasks.create_task(asyncio.sleep(60))
    tasks.close()
    await until(lambda: task.cancelled() and unstarted.cancelled())
    tasks.run_soon(lambda: shown.append("ran"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert (shown, tasks.running) == ([], 0)
