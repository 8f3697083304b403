"""Malformed data at every port of a running lab, and calls one after the other: no resource leaks."""

from __future__ import annotations

import asyncio
import contextlib
import os
from random import Random
from urllib.parse import urlsplit

from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from plivo_nb import Lab

PIECES = (
    b"INVITE sip:echo@phone.plivo.com SIP/2.0\r\n",
    b"SIP/2.0 200 OK\r\n",
    b"REGISTER sip:phone.plivo.com SIP/2.0\r\n",
    b"Via: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\n",
    b"Via: ,\r\n",
    b"From: <sip:a@b>;tag=1\r\n",
    b"To: <sip:echo@b>\r\n",
    b"Call-ID: 1\r\n",
    b"CSeq: 1 INVITE\r\n",
    b"CSeq: 99999999999 X\r\n",
    b"Contact: *\r\n",
    b"Content-Length: -1\r\n",
    b"\r\n\r\n",
    b"{",
    b'{"id": 1, "do": "status"}',
    b"null",
    b"\xff\xfe\x00",
    b"GET / HTTP/1.1\r\n",
    b"POST /v1/browser/validate/ HTTP/1.1\r\n",
    b"\x16\xfe\xff",
)


def noise(random: Random) -> bytes:
    parts = [
        random.choice(PIECES) if random.random() < 0.8 else random.randbytes(random.randrange(40))
        for _ in range(9)
    ]
    return b"".join(parts)


async def shout(host: str, port: int, data: bytes) -> None:
    """Send bytes to a TCP port and disconnect."""
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(data)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.transport.abort()


async def test_noise_at_every_door() -> None:
    random = Random(5)
    async with Lab(robots=False) as lab:
        options = lab.options()
        doors = [lab.url, lab._about["control"], options["statsUrl"], options["insightsUrl"]]
        for door in doors:
            parts = urlsplit(door)
            for _ in range(25):
                await shout(parts.hostname or "", parts.port or 0, noise(random))
        for door, protocols in ((lab.url, ["sip"]), (doors[1], None), (options["insightsUrl"], None)):
            for _ in range(4):
                with contextlib.suppress(WebSocketException, OSError):
                    async with connect(door, subprotocols=protocols, proxy=None, close_timeout=1) as socket:  # type: ignore[arg-type]
                        for _ in range(25):
                            data = noise(random)
                            await socket.send(
                                data if random.random() < 0.5 else data.decode("utf-8", "replace")
                            )
        status = await lab.status()
        assert status["malformed"] > 50
        assert status["calls"] == []
        async with lab.client() as client:
            await client.login("alice", lab.password("alice"))
            assert client.is_logged_in


async def test_calls_one_after_the_other_leave_nothing() -> None:
    async with Lab() as lab, lab.client(enableTracking=False) as client:
        await client.login("alice", lab.password("alice"))

        async def one() -> None:
            call = await client.call("echo")
            await call.hangup()

        def files() -> int:
            return len(os.listdir(f"/proc/{lab.pid}/fd"))

        for _ in range(3):
            await one()
        before = files()
        for _ in range(15):
            await one()

        async def no_calls() -> bool:
            return not (await lab.status())["calls"]

        await until(no_calls)
        assert len((await lab.status())["robots"]) <= 4
        await until(lambda: files() <= before + 6, describe=files)
        counters = await lab.network.counters()
        assert len(counters["calls"]) == 18
        assert not any(call["active"] for call in counters["calls"])
