"""A signalling server in a process of its own, which forwards to another one and floods its client on demand.

    python flooding_server.py UPSTREAM_URL

It prints its port. For each line on its standard input, a number, it sends so many WebSocket messages of
one character to each client as fast as the client reads them, and prints ``read`` when they have read them.
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

_SIP = Subprotocol("sip")
_MESSAGE = b"\x81\x01x"
_AT_ONCE = 1_000


async def _forward(source: Connection, target: Connection) -> None:
    try:
        async for message in source:
            await target.send(message)
    except ConnectionClosed:
        pass
    finally:
        await target.close()


async def _flood(client: ServerConnection, count: int) -> None:
    for _ in range(count // _AT_ONCE):
        client.transport.write(_MESSAGE * _AT_ONCE)
        await client.drain()
    await (await client.ping())


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def _main(upstream: str) -> None:
    clients: set[ServerConnection] = set()

    async def handle(client: ServerConnection) -> None:
        clients.add(client)
        async with connect(upstream, subprotocols=[_SIP], proxy=None, ping_interval=None) as server:
            await asyncio.gather(_forward(client, server), _forward(server, client))
        clients.discard(client)

    async with serve(handle, "127.0.0.1", 0, subprotocols=[_SIP], ping_interval=None) as running:
        _tell(next(iter(running.sockets)).getsockname()[1])
        while line := await asyncio.to_thread(sys.stdin.readline):
            await asyncio.gather(*(_flood(client, int(line)) for client in list(clients)))
            _tell("read")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
