"""Operation: ignore it or await it, from the loop it belongs to or from another thread."""

import asyncio
import copy
import logging
import threading

import pytest
from waiting import until

from plivo_nb.errors import InvalidState, NoRunningLoop
from plivo_nb.operation import Operation


async def _gives(value: str) -> str:
    await asyncio.sleep(0)
    return value


async def _fails() -> str:
    await asyncio.sleep(0)
    raise InvalidState("Not now; call login first.")


async def test_awaiting_gives_the_result_more_than_once() -> None:
    operation = Operation("test", _gives("done"))
    assert "under way" in repr(operation)
    assert await operation == "done"
    assert await operation == "done"
    assert repr(operation) == "<Operation test: done>"


async def test_awaiting_raises_the_cause() -> None:
    with pytest.raises(InvalidState, match="login first"):
        await Operation("test", _fails())


async def test_an_ignored_failure_is_logged_and_never_thrown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        operation = Operation("log in", _fails())
        await until(lambda: "log in" in caplog.text)
    assert operation.done()
    assert "login first" in caplog.text


async def test_cancelling_who_awaits_does_not_stop_the_work() -> None:
    done = asyncio.Event()

    async def work() -> str:
        await asyncio.sleep(0.05)
        done.set()
        return "done"

    operation = Operation("test", work())

    async def cell() -> None:
        await operation

    waiting = asyncio.create_task(cell())
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await operation == "done"
    assert done.is_set()


async def test_work_started_from_another_thread_runs_on_its_own_loop() -> None:
    home = asyncio.get_running_loop()
    seen: list[object] = []

    async def work() -> str:
        seen.append(asyncio.get_running_loop())
        return "done"

    def other_thread() -> None:
        async def click() -> None:
            seen.append(await Operation.start(home, "click", lambda: (work(), "the call")))

        asyncio.run(click())

    thread = threading.Thread(target=other_thread)
    thread.start()
    await until(lambda: not thread.is_alive())
    assert seen == [home, "done"]


async def test_its_html_is_escaped() -> None:
    operation = Operation("call <b>x</b>", _gives("x"))
    assert "<b>x</b>" not in operation._repr_html_()
    await operation


def test_without_a_loop_a_sentence_says_what_to_do_and_no_warning_follows() -> None:
    with pytest.raises(NoRunningLoop, match=r"'test' needs a running event loop.*asyncio\.run"):
        Operation("test", _gives("never"))


async def test_work_for_a_loop_that_is_closed_says_where_a_client_has_to_be_made() -> None:
    earlier = asyncio.new_event_loop()
    earlier.close()
    work = _gives("never")
    with pytest.raises(
        NoRunningLoop, match=r"'call' needs the event loop .* in the asyncio\.run\(\) that uses"
    ):
        Operation.start(earlier, "call", lambda: (work, None))
    work.close()


async def test_it_is_neither_copied_nor_pickled() -> None:
    operation = Operation("test", _gives("done"))
    with pytest.raises(TypeError, match="await it"):
        copy.deepcopy(operation)
    await operation
