"""The lab's subprocess ends with its parent, and survives an interrupt of the kernel."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from processes import alive
from waiting import until

from plivo_nb import Lab, LabError
from plivo_nb.lab.child import Child
from plivo_nb.lab.config import LabConfig

PARENT = """
import asyncio, json, sys
from plivo_nb.lab import Lab
async def main():
    lab = await Lab(robots={robots}).start()
    print(json.dumps({{"pid": lab.pid, "url": lab.url}}), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@contextlib.contextmanager
def parent(robots: bool = False) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A process of its own that has started a lab."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(robots=robots)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("robots", [False, True])
async def test_a_parent_killed_with_sigkill_takes_the_lab_along(robots: bool) -> None:
    with parent(robots) as (process, about):
        pid = int(str(about["pid"]))
        assert alive(pid)
        process.send_signal(signal.SIGKILL)
        await until(lambda: not alive(pid), 15)


async def test_an_interrupted_kernel_does_not_interrupt_the_lab() -> None:
    """SIGINT goes to a process group; the lab has a session, so a group, of its own."""
    async with Lab(robots=False) as lab:
        pid = lab.pid
        assert pid is not None
        assert os.getsid(pid) == pid
        assert os.getsid(pid) != os.getsid(0)


async def test_a_process_that_ends_during_its_start_is_reported_with_its_last_output() -> None:
    child = Child(LabConfig(scenario="mars", robots=False))
    with pytest.raises(LabError, match=r"ended during its start \(exit code 1\).*no scenario .*'mars'"):
        await child.ready(20)
    await child.stop(5)
    assert not alive(child.process.pid)


async def test_a_process_that_does_not_start_in_time_is_an_error_and_can_be_stopped() -> None:
    child = Child(LabConfig(robots=False))
    with pytest.raises(LabError, match="did not start within 0 s"):
        await child.ready(0)
    await child.stop(15)
    assert child.exited.is_set()
