"""The switch's server: SIP over WebSocket, the page, lost connections."""

from __future__ import annotations

import asyncio
import time
from random import Random

import pytest
from switch_rig import FakeMedia
from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError

from plivo_nb import Lab
from plivo_nb.lab.faults import Faults
from plivo_nb.lab.sip.server import SipServer
from plivo_nb.lab.sip.switch import Switch


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


REGISTER = (
    "REGISTER sip:phone.plivo.com SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK{n}\r\n"
    "From: <sip:alice@phone.plivo.com>;tag=1\r\nTo: <sip:alice@phone.plivo.com>\r\nCall-ID: {n}\r\n"
    "CSeq: 1 REGISTER\r\nContact: <sip:x@x.invalid>\r\nX-Long: {long}\r\n\r\n"
)


async def no_metrics() -> str:
    return ""


async def test_a_client_that_does_not_read_is_disconnected_before_much_memory_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("plivo_nb.lab.sip.server._MAX_UNSENT_BYTES", 1_000_000)
    faults = Faults()
    faults.slow(60)  # delayed messages count, too
    running = SipServer(
        lambda port: Switch({}, port, media=FakeMedia(), random=Random(1), is_robot=lambda number: False),
        lambda event: None,
        faults,
        no_metrics,
    )
    port = await running.start(0)
    url = f"ws://127.0.0.1:{port}"
    async with connect(url, subprotocols=["sip"], proxy=None) as socket:  # type: ignore[list-item]
        via = "x" * 50_000
        for number in range(40):
            text = REGISTER.format(n=number, long="").replace("x.invalid;branch", f"x.invalid;x={via};branch")
            try:
                await socket.send(text)
            except ConnectionClosed:
                break
        await asyncio.wait_for(socket.wait_closed(), 5)
    assert socket.close_code == 1006
    assert "does not read" in caplog.text
    await running.close()


async def test_a_flood_of_tiny_frames_does_not_hold_the_lab() -> None:
    async with Lab(robots=False) as lab:
        socket = await connect(lab.url, subprotocols=["sip"], proxy=None)  # type: ignore[list-item]
        masked = b"\x81\x80\0\0\0\0"
        socket.transport.write(masked * 50_000)
        longest = 0.0
        for _ in range(10):
            before = time.monotonic()
            await lab.status()
            longest = max(longest, time.monotonic() - before)
        assert longest < 0.5
        await socket.close()
