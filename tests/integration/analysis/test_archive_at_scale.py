"""An archive that a client wrote, analysed in pandas, in Dask, and by the command line with two workers."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from plivo_nb import read
from plivo_nb.analysis import replay
from plivo_nb.errors import CallFailed
from plivo_nb.testing import FakeServer


@pytest.fixture
async def archive(tmp_path: Path) -> Path:
    """Three calls: two that were answered, and one to a number that there is not."""
    folder = tmp_path / "calls"
    async with FakeServer() as server, server.client() as client:
        client.record_to(folder)
        await client.login("alice", server.password("alice"))
        for label in ("lan", "wifi"):
            call = await client.call("echo")
            call.tags["label"] = label
            while len(call.samples) < 3:
                await asyncio.sleep(0.05)
            await call.hangup()
        with pytest.raises(CallFailed):
            await client.call("nobody")
    return folder


async def test_pandas_dask_and_two_workers_say_the_same_of_an_archive(archive: Path, tmp_path: Path) -> None:
    pandas, lazy = read(archive), read(archive, engine="dask")
    assert len(pandas) == 3
    pd.testing.assert_frame_equal(pandas.calls, lazy.calls, check_exact=True)
    pd.testing.assert_frame_equal(replay(pandas.samples), replay(lazy.samples), check_exact=True)
    cohorts = lazy.cohorts("label")
    pd.testing.assert_frame_equal(pandas.cohorts("label"), cohorts, check_exact=True)
    assert cohorts.loc["wifi", "mos_p50"] > 4.0
    assert lazy.cohorts().loc["all", ["calls", "failed"]].tolist() == [3, 1]
    pd.testing.assert_frame_equal(pandas.diagnose().frame(), lazy.diagnose().frame())

    command = "from plivo_nb.cli import main; main()"
    out = tmp_path / "month.html"
    done = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-c",
            command,
            "report",
            str(archive),
            "--out",
            str(out),
            "--by",
            "label",
            "--workers",
            "2",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    text = out.read_text("utf-8")
    assert "<h1>3 calls</h1>" in text
    assert re.search(r"Not answered</th><td>1 \(33.3 %\)", text)
    assert "By label" in text
