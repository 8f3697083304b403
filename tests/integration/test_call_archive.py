"""call_archive: a kernel that is killed while a cell blocks it has stored its call until then."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest
from small_disk import killed

from plivo_nb import read

BLOCKED_CALL = """
import asyncio, sys, time
from plivo_nb.testing import FakeServer

async def main(folder):
    async with FakeServer() as server, server.client() as client:
        client.record_to(folder, sound=True)
        await client.login("alice", server.password("alice"))
        call = await client.call("echo")
        while not len(call.samples):
            await asyncio.sleep(0.05)
        blocked_at = time.time()
        time.sleep(9)  # a cell that computes, and is interrupted by a restart of the kernel
        print("now", blocked_at, flush=True)
        time.sleep(60)

asyncio.run(main(sys.argv[1]))
"""


def test_a_killed_kernel_leaves_the_call_with_the_samples_of_the_blocking_cell(tmp_path):
    blocked_at = pd.Timestamp(killed(BLOCKED_CALL, str(tmp_path)), unit="s", tz="UTC")
    [path] = tmp_path.rglob("*.arrows")
    stored = read(tmp_path)
    assert stored.calls[["dest", "state"]].to_numpy().tolist() == [["echo", "answered"]]
    assert (stored.samples.index[-1] - blocked_at).total_seconds() > 1.0, "nothing was stored meanwhile"
    assert stored.samples["loop_lag_ms"].notna().iloc[0]
    assert stored.samples["loop_lag_ms"].isna().iloc[-1], "the loop did not count it any more"
    assert path.with_suffix(".opus").stat().st_size > 1000
    assert not stored.warnings


FORGOTTEN = """
import asyncio, sys
from plivo_nb.testing import FakeServer

async def main(folder):
    server = await FakeServer().start()
    client = server.client()
    client.record_to(folder, sound=True)
    await client.login("alice", server.password("alice"))
    call = await client.call("echo")
    while not len(call.samples):
        await asyncio.sleep(0.05)
    return server, client

if sys.argv[2] == "run":
    kept = asyncio.run(main(sys.argv[1]))
else:  # as a kernel, whose loop is stopped and never closed
    loop = asyncio.new_event_loop()
    kept = loop.run_until_complete(main(sys.argv[1]))
"""


@pytest.mark.parametrize("way", ["run", "exit"])
def test_a_script_that_ends_during_a_call_leaves_a_file_that_can_be_read(tmp_path, way):
    done = subprocess.run(
        [sys.executable, "-c", FORGOTTEN, str(tmp_path), way],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    stored = read(tmp_path)
    assert len(stored) == 1, done.stderr
    assert len(stored.samples) >= 1, done.stderr
    assert not stored.warnings
