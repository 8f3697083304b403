"""Robots in worker processes: they do what robots in the lab's process do, and their processes end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest
from hearing import Ear
from processes import alive
from waiting import until

from plivo_nb import CallFailed, Client, Lab, LabError, Tone


def workers_of(lab: Lab) -> list[int]:
    """The process ids of the lab's workers."""
    pids = []
    for child in psutil.Process(lab.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # also one that was killed and not yet waited for
            if "plivo_nb.lab.robots.worker" in child.cmdline():
                pids.append(child.pid)
    return sorted(pids)


async def idle(lab: Lab) -> dict[str, bool]:
    return {robot["robot"]: robot["idle"] for robot in (await lab.status())["robots"]}


async def busy_by_worker(lab: Lab) -> list[int]:
    """How many robots are busy in each of two workers; the names say whose they are."""
    busy = [int(name.removeprefix("robot-")) for name, is_idle in (await idle(lab)).items() if not is_idle]
    return sorted(sum(number % 2 == rest for number in busy) for rest in (0, 1))


@contextlib.asynccontextmanager
async def in_lab(*users: str) -> AsyncIterator[tuple[Lab, list[Client]]]:
    """A lab with two workers, and clients that are logged in."""
    async with Lab(list(users), workers=2) as lab, contextlib.AsyncExitStack() as stack:
        clients = []
        for user in users:
            client = lab.client(enableTracking=False, allowMultipleIncomingCalls=True)
            clients.append(await stack.enter_async_context(client))
            await client.login(user, lab.password(user))
        yield lab, clients


async def test_calls_are_spread_over_the_workers() -> None:
    async with in_lab("ann", "bob", "carl", "dora") as (lab, clients):
        assert len(workers_of(lab)) == 2
        calls = [await client.call("echo") for client in clients]
        assert await busy_by_worker(lab) == [2, 2]
        ear = Ear()
        calls[0].add_sink(ear)
        calls[0].play(Tone(440))
        await until(lambda: ear.level(440) > 0.05)
        for call in calls:
            await call.hangup()

        async def all_idle() -> bool:
            return await busy_by_worker(lab) == [0, 0]

        await until(all_idle)


async def test_robots_tell_and_ask_the_lab_as_those_in_its_process_do() -> None:
    async with in_lab("ann") as (lab, [ann]):
        call = await ann.call("one-way")

        async def dropped() -> bool:
            return bool((await lab.network.counters())["to_caller"]["dropped_lost"])

        await until(dropped)
        await call.hangup()

        call = await ann.call("dtmf")
        await call.send_dtmf("5")
        await until(lambda: "dtmf" in set(lab.events["what"]))
        await call.hangup()

        came: list[dict[str, str]] = []
        ann.on("onIncomingCall", lambda caller, headers, *more: came.append(dict(headers)))
        call = await ann.call("headers", {"X-PH-Seat": "7"})
        await call.hangup()
        await until(lambda: bool(came))
        assert came[0]["X-PH-Seat"] == "7"
        await ann.reject()

        with pytest.raises(CallFailed) as refused:
            await ann.call("reject")
        assert refused.value.call_info.code == 603
        call = await ann.call("echo")
        killed = await lab.faults.kill_robot()
        assert killed.startswith("robot-")


async def test_robots_of_all_workers_call() -> None:
    async with in_lab("ann") as (lab, _):
        with pytest.raises(LabError, match="No robot is in a call"):
            await lab.faults.kill_robot()
        made = await lab.call("ann", n=5)
        assert [entry["state"] for entry in made] == ["ringing"] * 5
        assert len({entry["robot"] for entry in made}) == 5
        assert await busy_by_worker(lab) == [2, 3]
        with pytest.raises(LabError, match="No robot can call as 'busy'"):
            await lab.call("ann", role="busy")
        with pytest.raises(LabError, match="1 to 200 calls, not 0"):
            await lab.call("ann", n=0)


@pytest.mark.skipif(os.name != "posix", reason="a process is killed by a signal")
async def test_a_worker_that_dies_is_replaced_and_the_others_calls_go_on() -> None:
    async with in_lab("ann", "bob", "carl") as (lab, (*clients, third)):
        first, second = workers_of(lab)
        calls = [await client.call("echo") for client in clients]
        assert await busy_by_worker(lab) == [1, 1]
        os.kill(first, signal.SIGKILL)

        async def replaced() -> bool:
            pids = workers_of(lab)
            return len(pids) == 2 and first not in pids and second in pids

        await until(replaced, 20)
        again = await third.call("echo")
        assert await busy_by_worker(lab) == [1, 1], "the robots of the one that died are forgotten"
        for call in [*calls, again]:
            if call.phase == "answered":
                await call.hangup()


async def test_no_worker_is_left_when_the_lab_ends() -> None:
    async with Lab(workers=2) as lab:
        pids = workers_of(lab)
        assert len(pids) == 2
    assert not [pid for pid in pids if alive(pid)]


@pytest.mark.skipif(os.name != "posix", reason="a process is killed by a signal")
async def test_no_worker_outlives_a_lab_that_is_killed() -> None:
    async with Lab(workers=2) as lab:
        pids = workers_of(lab)
        await lab.client().close()
        assert lab.pid is not None
        os.kill(lab.pid, signal.SIGKILL)
        await until(lambda: not [pid for pid in pids if alive(pid)], 10)
        await asyncio.sleep(0)
