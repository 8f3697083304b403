"""The switch's server: SIP over WebSocket, the page, lost connections."""

from __future__ import annotations

import asyncio

import pytest
from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, NegotiationError

from plivo_nb import Lab


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

        async def sockets() -> int:
            return int((await lab.status())["sockets"])

        async def none() -> bool:
            return await sockets() == 0

        await until(sockets)
        assert await sockets() == 1
        socket.transport.abort()
        await until(none)
        await socket.close()
