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
        assert lab.password("alice") not in page
        assert "-secret" not in page


@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        (None, None, True),
        (None, "http://localhost:8888", True),
        (None, "https://example.com", False),
        (None, "null", False),
        ("rebound.example.com", None, False),
        ("rebound.example.com", "http://rebound.example.com", False),
    ],
)
async def test_pages_of_other_sites_cannot_use_the_labs_sockets(
    host: str | None, origin: str | None, passes: bool
) -> None:
    async with Lab(robots=False) as lab:
        urls = {
            "sip": lab.url,
            "statistics": lab._about["insights"],
            "control": lab._about["control"],
        }
        for name, url in urls.items():
            port = int(url.rpartition(":")[2].partition("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            lines = [
                f"GET /{'ws' if name == 'statistics' else ''} HTTP/1.1",
                f"Host: {host or '127.0.0.1'}:{port}",
                *([] if origin is None else [f"Origin: {origin}"]),
                *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
                *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: sip"),
            ]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            status = (await reader.readline()).decode()
            writer.close()
            expected = passes and not (name == "control" and origin is not None)  # it takes no page at all
            assert ("101" in status) is expected, (name, status)


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
