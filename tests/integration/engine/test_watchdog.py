"""A plane that hangs while a client is logged in, and goes on."""

from __future__ import annotations

import logging
import time

import pytest
from waiting import until

from plivo_nb.engine.watchdog import HUNG_S
from plivo_nb.testing import FakeServer


async def test_a_plane_that_hangs_is_said_and_so_is_its_return(caplog: pytest.LogCaptureFixture) -> None:
    async with FakeServer() as server, server.client() as client:
        await client.login("alice", server.password("alice"))
        plane = client._engine._plane
        assert plane is not None
        assert plane._loop is not None
        with caplog.at_level(logging.WARNING):
            plane._loop.call_soon_threadsafe(time.sleep, HUNG_S + 1.0)
            await until(lambda: len(client.log[client.log.event == "I/O plane"]) == 2, 15)
        said = client.log[client.log.event == "I/O plane"].text.tolist()
        assert "has not answered" in said[0]
        assert "answers again" in said[1]
        assert said[0] in caplog.text
        assert (await client.call("busy").call.ended).code == 486
