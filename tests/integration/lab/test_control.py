"""The control channel: its token, its errors."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from plivo_nb import Lab, LabError
from plivo_nb.lab.control import ControlClient


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
