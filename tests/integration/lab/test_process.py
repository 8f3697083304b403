"""The lab as a process: its start, its end, its settings and its events."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from pathlib import Path

import pandas as pd
import pytest
from processes import alive
from waiting import stays, until

from plivo_nb import Client, Lab, LabError


async def test_it_starts_fast_and_leaves_nothing() -> None:
    async with Lab() as lab:
        assert lab.start_seconds is not None
        assert lab.start_seconds < 6
        pid = lab.pid
        assert pid is not None
        assert alive(pid)
        assert (await lab.status())["pid"] == pid
    assert not alive(pid)
    assert not lab.running
    await lab.close()


async def test_a_closed_lab_says_so_and_can_start_again() -> None:
    lab = Lab(robots=False)
    with pytest.raises(LabError, match=r"not running"):
        await lab.status()
    with pytest.raises(LabError, match=r"not running"):
        _ = lab.url
    for _ in range(2):
        await lab.start()
        assert (await lab.status())["calls"] == []
        await lab.close()


async def test_a_forgotten_lab_stops() -> None:
    lab = Lab(robots=False)
    await lab.start()
    pid = lab.pid
    assert pid is not None
    del lab
    gc.collect()
    await until(lambda: not alive(pid), 15)


async def test_a_lab_that_is_killed_is_noticed() -> None:
    async with Lab(robots=False) as lab:
        assert lab.pid is not None
        os.kill(lab.pid, signal.SIGKILL)
        with pytest.raises(LabError, match="gone"):
            await stays(lab.status, 15)
        await until(lambda: not lab.running, 15)


async def test_it_listens_on_loopback_only() -> None:
    async with Lab(robots=False) as lab:
        inodes = set()
        for link in Path(f"/proc/{lab.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                name = os.readlink(link)
                if name.startswith("socket:["):
                    inodes.add(name[8:-1])
        local = []
        for table in ("tcp", "tcp6", "udp", "udp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                if words[9] in inodes:
                    local.append(words[1].partition(":")[0])
        assert len(local) >= 2
        assert set(local) == {"0100007F"}


async def test_a_taken_port_is_one_clear_sentence() -> None:
    async with Lab(robots=False) as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(LabError, match=f"port {port}"):
            await Lab(port=port, robots=False).start()


@pytest.mark.parametrize("accounts", [0, 5000, ["a b"], {"": "x"}])
def test_wrong_accounts_are_refused_at_once(accounts: object) -> None:
    with pytest.raises(ValueError, match=r"account|user name"):
        Lab(accounts)  # type: ignore[arg-type]


async def test_many_accounts_have_names_and_passwords() -> None:
    lab = Lab(accounts=30)
    assert len(lab.accounts) == 30
    assert lab.password("alice") == "alice-secret"
    assert lab.password("user30") == "user30-secret"
    with pytest.raises(LabError, match="nobody"):
        lab.password("nobody")


@pytest.mark.asyncio(loop_scope="session")
async def test_events_are_a_frame(lab: Lab, alice: Client) -> None:
    call = await alice.call("dtmf")
    await call.send_dtmf("7")

    def mine() -> pd.DataFrame:
        return lab.events[lab.events.call_uuid == call.call_uuid]

    await until(lambda: "dtmf" in set(mine()["what"]))
    await call.hangup()
    await until(lambda: "call-ended" in set(mine()["what"]))
    assert list(mine()["what"]) == ["call-started", "call-ringing", "call-answered", "dtmf", "call-ended"]
    assert mine()[mine().what == "dtmf"].detail.iloc[0] == "7"
