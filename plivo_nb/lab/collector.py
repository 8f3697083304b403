"""The lab's statistics service. It has the interface of Plivo's, so that nothing of a lab leaves the machine.

POST /v1/browser/validate/   {username, password, domain}  ->  {"data": KEY, "is_rtp_enabled": true}
WebSocket /ws                one JSON object per frame: CALL_ANSWERED, CALL_STATS, CALL_SUMMARY, ...
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from plivo_nb.lab.listening import LOOPBACK, Listening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_logger = logging.getLogger("plivo_nb.lab.collector")

VALIDATE_PATH = "/v1/browser/validate/"
_MAX_BODY_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 16 * 1024
_REQUEST_S = 10.0
_KEPT = 20_000
_KEPT_BYTES = 16 * 1024 * 1024  # of their frames
_MAX_KEYS = 10_000


class Collector:
    """Receives statistics over HTTP and WebSocket, each on a port of its own.

    Args:
        accounts: user names and passwords that are accepted.
        collected: called with each message received; the time and the user are added to it.
        listening: where to listen.

    Attributes:
        messages: the last messages, oldest first.
        rejected: the number of messages that were not JSON or had no valid key.
    """

    def __init__(
        self,
        accounts: Mapping[str, str],
        collected: Callable[[dict[str, Any]], None],
        listening: Listening = LOOPBACK,
    ) -> None:
        self._listening = listening
        self._accounts = accounts
        self._collected = collected
        self._keys: dict[str, str] = {}
        self._http: asyncio.Server | None = None
        self._socket: Server | None = None
        self._http_port = 0
        self._socket_port = 0
        self.messages: deque[dict[str, Any]] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self.rejected = 0

    async def start(self) -> None:
        """Listen on free ports; after the first time, on the same ports again."""
        self._http = await asyncio.start_server(
            self._serve_http,
            self._listening.address,
            self._http_port,
            limit=_MAX_HEAD_BYTES,
            ssl=self._listening.tls,
        )
        self._http_port = int(self._http.sockets[0].getsockname()[1])
        self._socket = await serve(
            self._serve_socket,
            self._listening.address,
            self._socket_port,
            ssl=self._listening.tls,
            process_request=self._listening.refuse_others,
            compression=None,
            max_size=_MAX_BODY_BYTES,
            close_timeout=1,
            ping_interval=None,
        )
        self._socket_port = int(next(iter(self._socket.sockets)).getsockname()[1])

    async def close(self) -> None:
        """Stop listening and close all connections."""
        http, self._http = self._http, None
        socket, self._socket = self._socket, None
        if http is not None:
            http.close()
            await http.wait_closed()
        if socket is not None:
            socket.close()
            await socket.wait_closed()

    async def set_away(self, away: bool) -> None:
        """Stop listening (True), or listen again at the same addresses (False)."""
        if away and self._http is not None:
            await self.close()
        elif not away and self._http is None:
            await self.start()

    @property
    def stats_url(self) -> str:
        """The URL for the option ``statsUrl``."""
        return f"{self._listening.http_url(self._http_port)}{VALIDATE_PATH}"

    @property
    def insights_url(self) -> str:
        """The URL for the option ``insightsUrl``."""
        return f"{self._listening.websocket_url(self._socket_port)}/ws"

    # ------------------------------------------------------------------ POST

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                status, body = await self._answer(reader)
                head = (
                    f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(head.encode("ascii") + body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        """Read one request; returns the status (code and reason) and the body of the answer."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, _, rest = head[0].partition(" ")
        fields = {
            name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in head[1:])
        }
        if not self._listening.takes(fields.get("host"), fields.get("origin")):
            return "403 Forbidden", b""
        length = fields.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:9]) > _MAX_BODY_BYTES:
            return "413 Content Too Large", b""
        body = await reader.readexactly(int(length))
        if rest.partition(" ")[0].partition("?")[0].rstrip("/") != VALIDATE_PATH.rstrip("/"):
            return "404 Not Found", b""
        if method != "POST":
            return "405 Method Not Allowed", b""
        return self._validate(body)

    def _validate(self, body: bytes) -> tuple[str, bytes]:
        try:
            given = json.loads(body)
            user, password = str(given["username"]), str(given["password"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return "400 Bad Request", b""
        expected = self._accounts.get(user)
        if expected is None or not secrets.compare_digest(expected.encode(), password.encode()):
            return "200 OK", b""  # an empty body: statistics are not enabled for this user
        key = secrets.token_hex(16)
        self._keys[key] = user
        while len(self._keys) > _MAX_KEYS:
            del self._keys[next(iter(self._keys))]
        return "200 OK", json.dumps({"data": key, "is_rtp_enabled": True}).encode("utf-8")

    # ------------------------------------------------------------------ WebSocket

    async def _serve_socket(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in connection:
                self._take(frame)

    def _take(self, frame: str | bytes) -> None:
        try:
            message = json.loads(frame)
            user = self._keys[message["callstats_key"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            self.rejected += 1
            return
        entry = {"time_utc_ns": time.time_ns(), "user": user, **message}
        self.messages.append(entry)
        self._sizes.append(len(frame))
        self._bytes += len(frame)
        while len(self.messages) > _KEPT or self._bytes > _KEPT_BYTES:
            self.messages.popleft()
            self._bytes -= self._sizes.popleft()
        self._collected(entry)
