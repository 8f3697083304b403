"""plivo_nb.testing.FakeServer: a server without a process, for users' own tests."""

import asyncio

import pytest
from waiting import until

from plivo_nb import CallFailed, LabError, LoginFailed, Tone
from plivo_nb.testing import FakeServer


async def test_it_registers_answers_refuses_and_calls() -> None:
    async with FakeServer() as server, server.client() as client:
        with pytest.raises(LoginFailed):
            await client.login("alice", "wrong")
        await client.login("alice", server.password("alice"))
        call = await client.call("echo")
        call.play(Tone(440))
        await until(lambda: abs(call.audio(-0.3).samples).max(initial=0) > 1000)
        await call.hangup()
        with pytest.raises(CallFailed, match="Busy"):
            await client.call("busy")
        heard = client.wait_for("onIncomingCall", timeout=10)
        await server.call("alice", headers={"X-PH-Test": "1"})
        _, headers, info = await heard
        assert {name.lower() for name in headers} == {"x-ph-test"}
        assert (await client.reject(info.callUUID)).state == "rejected"
        assert [user["user"] for user in server.status["registrations"]] == ["alice"]
        assert {"registered", "call-answered"} <= {event["what"] for event in server.events}
        await server.set_network(loss=0.5)
        away = client.wait_for("onConnectionChange", timeout=10)
        assert server.drop("alice", 1011) == 1
        assert (await away)["eventCode"] == 1011


async def test_it_starts_at_once_and_leaves_nothing() -> None:
    loop = asyncio.get_running_loop()
    server = FakeServer(["ann"], robots=False)
    with pytest.raises(LabError, match="not running"):
        server.url  # noqa: B018  (the access is what is tested)
    began = loop.time()
    await server.start()
    assert loop.time() - began < 1
    with pytest.raises(LabError, match="bert"):
        server.password("bert")
    async with server.client() as client:
        await client.login("ann", server.password("ann"))
        with pytest.raises(CallFailed, match="Not Found"):
            await client.call("echo")
    await server.close()
    await server.close()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert left == []
