"""The control channel: its token, its errors."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from plivo_nb import Lab, LabError
from plivo_nb.lab.control import ControlClient, ControlServer
from plivo_nb.lab.membership import Member


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


async def test_a_client_has_at_most_64_commands_in_progress() -> None:
    in_progress = most = 0
    enough = asyncio.Event()

    async def handle(command: str, arguments: dict[str, object], member: Member) -> int:
        nonlocal in_progress, most
        in_progress += 1
        most = max(most, in_progress)
        await enough.wait()
        in_progress -= 1
        return int(arguments["number"])  # type: ignore[call-overload]

    server = ControlServer("token", handle)
    client = ControlClient()
    await client.open(await server.start(), "token")
    commands = [asyncio.ensure_future(client.do("count", number=number)) for number in range(200)]
    await until(lambda: in_progress == 64)
    await asyncio.sleep(0.1)
    assert most == 64
    enough.set()
    assert await asyncio.gather(*commands) == list(range(200))
    assert most <= 64
    await client.close()
    await server.close()


async def test_events_for_a_client_that_does_not_read_are_dropped_and_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("plivo_nb.lab.control._MAX_UNSENT_BYTES", 1_000_000)

    async def handle(command: str, arguments: dict[str, object], member: Member) -> None: ...

    seen: list[object] = []
    server = ControlServer("token", handle)
    client = ControlClient(lambda name, data: seen.append(data))
    await client.open(await server.start(), "token")
    await until(lambda: len(server._clients) == 1)
    assert client._socket is not None
    client._socket.transport.pause_reading()
    for _ in range(400):
        server.publish("note", "x" * 50_000)
        await asyncio.sleep(0)
    assert server._unsent_bytes <= 1_000_000
    assert server._dropped > 100
    assert caplog.text.count("events are dropped") == 1
    client._socket.transport.resume_reading()
    await until(lambda: server._unsent_bytes == 0)
    server.publish("note", "after")
    await until(lambda: seen[-1] == "after")
    await client.close()
    await server.close()
