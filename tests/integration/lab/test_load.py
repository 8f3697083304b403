"""A lab whose process cannot keep up: it says so, refuses new calls, and takes them again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import psutil
import pytest
from waiting import until

from plivo_nb import CallFailed, Lab

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a process is held up by signals")


async def held_up(pid: int) -> None:
    """Let a process run for a sixth of the time only, in pieces, as one that has too much to do."""
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(0.15)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.03)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.alone
async def test_an_overloaded_lab_refuses_new_calls_with_503_and_recovers() -> None:
    async with Lab() as lab, lab.client() as one, lab.client() as two:
        await one.login("alice", lab.password("alice"))
        await two.login("bob", lab.password("bob"))
        call = await one.call("echo")
        assert lab.pid is not None
        holding = asyncio.create_task(held_up(lab.pid))
        await until(lambda: "overloaded" in set(lab.events["what"]), 20)
        with pytest.raises(CallFailed) as refused:
            await two.call("echo")
        assert refused.value.call_info.code == 503
        assert call.info.state == "answered"
        holding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await holding
        await until(lambda: "recovered" in set(lab.events["what"]), 20)
        again = await two.call("echo")
        assert call.info.state == again.info.state == "answered"
        said = lab.events[lab.events["what"] == "overloaded"].iloc[0]
        assert "ms late" in said["detail"]


@pytest.mark.alone
async def test_a_lab_whose_robots_are_late_refuses_new_calls_too() -> None:
    async with Lab(workers=1) as lab, lab.client() as one, lab.client() as two:
        await one.login("alice", lab.password("alice"))
        await two.login("bob", lab.password("bob"))
        call = await one.call("echo")
        (worker,) = psutil.Process(lab.pid).children()
        holding = asyncio.create_task(held_up(worker.pid))
        await until(lambda: "overloaded" in set(lab.events["what"]), 30)
        with pytest.raises(CallFailed) as refused:
            await two.call("echo")
        assert refused.value.call_info.code == 503
        holding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await holding
        await until(lambda: "recovered" in set(lab.events["what"]), 30)
        again = await two.call("echo")
        assert call.info.state == again.info.state == "answered"
        said = lab.events[lab.events["what"] == "overloaded"].iloc[0]
        assert said["detail"] == "the sound of its robots is late"
