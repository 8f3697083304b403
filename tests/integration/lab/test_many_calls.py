"""Forty calls at once through one lab: no SIP failure, media in each, nothing left."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from waiting import until

from plivo_nb import Lab, Silence

CALLS = 40


@pytest.mark.alone
async def test_forty_calls_at_once() -> None:
    async with Lab(accounts=CALLS) as lab, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(lab.client(enableTracking=False)) for _ in range(CALLS)]
        pairs = zip(clients, lab.accounts, strict=True)
        await asyncio.gather(*(client.login(name, lab.password(name)).settled() for client, name in pairs))
        assert all(client.is_logged_in for client in clients)
        operations = [client.call("echo") for client in clients]
        await asyncio.gather(*(operation.settled() for operation in operations))
        calls = [await operation for operation in operations]  # a failed one raises what went wrong
        for call in calls:
            call.play(Silence())
        await until(lambda: all("first_rtp_received" in call.timings for call in calls), 60)
        status = await lab.status()
        assert [call["state"] for call in status["calls"]] == ["answered"] * CALLS
        assert sum(not robot["idle"] for robot in status["robots"]) == CALLS
        counters = await lab.network.counters()
        assert counters["dropped"] == 0
        assert len({call["call_uuid"] for call in counters["calls"]}) == CALLS
        for call in calls:
            call.hangup()
        for call in calls:
            await call.ended

        async def no_calls() -> bool:
            return not (await lab.status())["calls"]

        await until(no_calls, 30)
