"""The lab's parts on one event loop, without a process."""

from __future__ import annotations

import asyncio
import socket

import pytest

from plivo_nb.errors import LabError
from plivo_nb.lab.config import LabConfig
from plivo_nb.lab.service import LabService, serve

CONFIG = LabConfig(robots=False, servers=2)


async def test_serve_runs_until_it_is_stopped_and_leaves_no_task() -> None:
    ready: asyncio.Future[LabService] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    running = asyncio.create_task(serve(CONFIG, on_ready=ready.set_result, stop=stop))
    service = await ready
    assert len(set(service.urls)) == 2
    assert service.control_url is None
    assert service.status()["registrations"] == []
    stop.set()
    await running
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_port_in_use_is_an_error_and_leaves_no_task() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LabError, match=f"cannot listen on port {port}.*use another, or 0"):
            await serve(LabConfig(port=port, robots=False))
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_unknown_commands_and_robots_are_errors() -> None:
    service = LabService(CONFIG)
    await service.start()
    try:
        with pytest.raises(LabError, match="no command 'explode'"):
            await service.handle("explode", {})
        with pytest.raises(LabError, match="robots=True"):
            await service.handle("call", {"user": "alice", "n": 1, "headers": None, "role": "echo"})
        with pytest.raises(LabError, match="no robots"):
            await service.handle("fault.kill_robot", {})
        assert (await service.handle("network.set", {"loss": 0.1}))["to_callee"]["loss"] == 0.1
    finally:
        await service.close()
