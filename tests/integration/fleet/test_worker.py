"""fleet.worker: what workers answer when they are asked directly."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from bench.dask_processes import DaskProcesses

from plivo_nb._version import __version__
from plivo_nb.fleet import worker as worker_module
from plivo_nb.fleet.call_host import HostSettings
from plivo_nb.fleet.plan import PlannedCall
from plivo_nb.fleet.worker import WorkerGone, WorkerRefused, Workers

pytestmark = pytest.mark.xdist_group("campaign")


async def test_a_worker_that_was_restarted_says_so(cluster: DaskProcesses) -> None:
    async with cluster.client() as client:
        workers = Workers(client, "none", HostSettings(), "1")
        (first, *_) = await workers.names()
        with pytest.raises(WorkerRefused, match="does not know this campaign"):
            await workers.cancel(first)


async def test_a_call_that_cannot_be_made_is_a_result_and_nothing_is_left_at_the_end(
    cluster: DaskProcesses,
) -> None:
    async with cluster.client() as client:
        workers = Workers(client, "direct", HostSettings(lab_file="/nowhere/class.json"), __version__)
        answers = {}
        for name in await workers.names():
            try:
                await workers.begin(name)
            except WorkerRefused as error:
                answers[name] = str(error)
        assert [("99.0" in answer) for answer in answers.values()] == [True]
        (name,) = set(await workers.names()) - set(answers)
        await workers.start(name, PlannedCall(3, 0.0, "ann", "echo", 1.0), {"row": 3})
        (result,) = await workers.collect(name, 10.0)
        assert (result.number, result.event) == (3, "refused")
        assert "/nowhere/class.json cannot be read" in str(result.cause)
        assert await workers.collect(name, 0.1) == []
        await workers.leave(name, "ann")
        await workers.end(name)
        with pytest.raises(WorkerRefused, match="does not know this campaign"):
            await workers.collect(name, 0.1)


@pytest.mark.skipif(os.name != "posix", reason="a process is stopped by a signal")
async def test_a_worker_that_stands_still_is_gone_and_the_scheduler_is_not(
    cluster: DaskProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_ANSWER_S", 1.0)
    async with cluster.client() as client:
        workers = Workers(client, "still", HostSettings(), __version__)
        name, pid = next(iter((await client.run(os.getpid)).items()))
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(WorkerGone, match="does not answer within 1 s"):
                await workers.cancel(name)
            assert name in await workers.names()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
