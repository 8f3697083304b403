"""A connected pair of transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from transport_peers import Peer, connect
from waiting import until


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Peer, Peer]]:
    caller, callee = Peer(), Peer()
    await connect(caller, callee)
    for peer in (caller, callee):
        await until(lambda p=peer: p.transport.dtls_state == "connected")
    yield caller, callee
    await asyncio.gather(caller.transport.close(), callee.transport.close())
