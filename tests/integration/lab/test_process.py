"""The lab as a process: it starts, it is private, and it is gone when it should be."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, NegotiationError

from plivo_nb import Lab, LabError
from plivo_nb.lab.control import ControlClient
from plivo_nb.lab.network.scenarios import read_scenario

PARENT = """
import asyncio, json, sys
from plivo_nb.lab import Lab
async def main():
    lab = await Lab(robots={robots}).start()
    print(json.dumps({{"pid": lab.pid, "url": lab.url}}), flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return not alive(pid)


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


@pytest.mark.parametrize("robots", [False, True])
async def test_a_parent_killed_with_sigkill_takes_the_lab_along(robots: bool) -> None:
    with parent(robots) as (process, about):
        pid = int(str(about["pid"]))
        assert alive(pid)
        process.send_signal(signal.SIGKILL)
        assert await gone(pid, within_s=15)


async def test_an_interrupted_kernel_does_not_interrupt_the_lab() -> None:
    """SIGINT goes to a process group; the lab has a session, so a group, of its own."""
    async with Lab(robots=False) as lab:
        pid = lab.pid
        assert pid is not None
        assert os.getsid(pid) == pid
        assert os.getsid(pid) != os.getsid(0)


async def test_a_forgotten_lab_stops() -> None:
    lab = Lab(robots=False)
    await lab.start()
    pid = lab.pid
    assert pid is not None
    del lab
    gc.collect()
    assert await gone(pid, within_s=15)


async def test_a_lab_that_is_killed_is_noticed() -> None:
    async with Lab(robots=False) as lab:
        assert lab.pid is not None
        os.kill(lab.pid, signal.SIGKILL)
        with pytest.raises(LabError, match="gone"):
            async with asyncio.timeout(15):
                while True:
                    await lab.status()
                    await asyncio.sleep(0.02)
        async with asyncio.timeout(15):
            while lab.running:
                await asyncio.sleep(0.02)


async def test_the_token_is_needed_and_is_nowhere_to_be_seen() -> None:
    async with Lab(robots=False) as lab:
        child = lab._child
        assert child is not None
        for file in ("cmdline", "environ"):
            assert child.token.encode() not in Path(f"/proc/{lab.pid}/{file}").read_bytes()
        intruder = ControlClient()
        for token in ("", "wrong", child.token[:-1]):
            with pytest.raises(LabError, match="refused the token"):
                await intruder.open(lab._about["control"], token)
        async with connect(lab._about["control"], proxy=None) as socket:
            await socket.send("no JSON")
            with contextlib.suppress(Exception):
                await socket.recv()
            assert socket.close_code == 4401
        with pytest.raises(InvalidStatus, match="403"):  # a page in a browser says where it comes from
            await connect(lab._about["control"], proxy=None, origin="http://example.com")
        assert (await lab.status())["sockets"] == 0


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


async def test_the_control_channel_names_what_is_wrong() -> None:
    async with Lab(robots=False) as lab:
        with pytest.raises(LabError, match=r"no knob 'speed'"):
            await lab.network.set(speed=3)
        with pytest.raises(LabError, match=r"no command 'explode'"):
            await lab._do("explode")
        with pytest.raises(LabError, match="does not understand"):
            await lab._do("status", nonsense=1)
        assert lab._control is not None
        await lab._control._socket.send("[]")  # type: ignore[union-attr]
        assert (await lab.network.settings())["to_callee"]["loss"] == 0


async def test_history_tells_what_was_set_and_when() -> None:
    async with Lab(robots=False) as lab:
        await lab.network.set(loss=0.05, delay_ms=120)
        await lab.network.set(direction="to_caller", jitter_ms=20)
        await lab.network.clear()
        frame = lab.network.history
        assert list(frame["what"].iloc[::2]) == ["clear", "set", "set", "clear"]
        assert frame.index.is_monotonic_increasing
        assert list(frame[frame.direction == "to_caller"]["jitter_ms"]) == [0, 0, 20, 0]
        assert (await lab.network.log()).empty


async def test_the_switch_speaks_sip_and_shows_a_page() -> None:
    async with Lab(robots=False) as lab:
        async with connect(lab.url, subprotocols=["sip"], proxy=None) as socket:  # type: ignore[list-item]
            assert socket.subprotocol == "sip"
        with pytest.raises((InvalidStatus, NegotiationError)):
            await connect(lab.url, proxy=None)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(lab.url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        page = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
        assert "200 OK" in page
        assert lab.url in page


async def test_vanished_sockets_are_cleaned_up() -> None:
    async with Lab(robots=False) as lab:
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(lab.url.rpartition(":")[2]))
            writer.write(b"GET / HTTP/1.1\r\n")
            writer.transport.abort()
            del reader
        socket = await connect(lab.url, subprotocols=["sip"], proxy=None)  # type: ignore[list-item]
        await asyncio.sleep(0.05)
        assert (await lab.status())["sockets"] == 1
        socket.transport.abort()
        async with asyncio.timeout(15):
            while (await lab.status())["sockets"]:
                await asyncio.sleep(0.02)
        await socket.close()


def test_the_command_line_serves_and_stops_at_an_interrupt() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "plivo_nb.lab", "--accounts", "5"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["url"].startswith("ws://127.0.0.1:")
    try:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("name", ["commute", "coffee-shop-wifi", "vpn", "satellite", "3g", "failing-router"])
async def test_a_scenario_sets_the_network_by_itself(name: str) -> None:
    async with Lab(robots=False) as lab:
        about = await lab.network.play(name, speed=100)
        assert about["name"] == name
        assert (await lab.status())["scenario"] == name
        async with asyncio.timeout(15):
            while (await lab.status())["scenario"]:
                await asyncio.sleep(0.02)
        steps = read_scenario(name).steps
        frame = lab.network.history
        assert list(frame["what"])[::2] == ["clear", "clear"] + ["set"] * len(steps)
        expected = dict(steps[-1].knobs)
        assert {
            knob: frame[knob].iloc[-2 if steps[-1].direction == "to_callee" else -1] for knob in expected
        } == expected
        times = frame.index[4::2]
        assert about["seconds"] - 0.15 < (times[-1] - times[0]).total_seconds() < about["seconds"] + 1.5
