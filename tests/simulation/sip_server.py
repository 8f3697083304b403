"""A SIP server over a real WebSocket whose answers a test decides, one status after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from plivo_nb.sip.message import Request, Response, parse

SILENCE = 0  # a status: no response
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


class SipServer:
    """Registers everybody for `expires` seconds and answers every call, unless told otherwise.

    `statuses` has the answers to come for a method; its last is used again and again.
    """

    def __init__(self, **statuses: int | list[int]) -> None:
        self.statuses = {
            method: deque([given] if isinstance(given, int) else given) for method, given in statuses.items()
        }
        self.headers: dict[int, list[tuple[str, str]]] = {}
        self.expires = 120
        self.requests: list[Request] = []
        self.keep_alives: list[str | bytes] = []  # frames of white space
        self.sockets: list[ServerConnection] = []
        self.opened = 0
        self.port = 0
        self.tls: Any = None
        self._server: Any = None

    @property
    def url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> SipServer:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol("sip")],
            ssl=self.tls,
            close_timeout=1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def of(self, method: str) -> list[Request]:
        """The requests of a method."""
        return [request for request in self.requests if request.method == method]

    async def drop(self, code: int = 1012) -> None:
        """Close every socket."""
        await asyncio.gather(*(socket.close(code) for socket in list(self.sockets)))

    async def send(self, message: Request | Response) -> None:
        await self.sockets[-1].send(str(message))

    async def _serve(self, socket: ServerConnection) -> None:
        self.opened += 1
        self.sockets.append(socket)
        try:
            async for frame in socket:
                if not frame.strip():
                    self.keep_alives.append(frame)
                    continue
                message = parse(frame)
                if isinstance(message, Request) and message.method != "ACK":
                    for response in self._answers(message):
                        await socket.send(str(response))
        except ConnectionClosed:
            pass
        finally:
            self.sockets.remove(socket)

    def _answers(self, request: Request) -> list[Response]:
        self.requests.append(request)
        statuses = self.statuses.get(request.method, deque([200]))
        status = statuses.popleft() if len(statuses) > 1 else statuses[0]
        if status == SILENCE:
            return []
        response = Response.to_request(request, status, to_tag="server")
        for name, value in self.headers.get(status, ()):
            response.headers.add(name, value)
        if request.method == "REGISTER" and status == 200 and request.headers.get("Expires") != "0":
            response.headers.add("Contact", f"<{request.contacts[0].uri}>;expires={self.expires}")
        if request.method == "INVITE" and status == 200:
            response.headers.add("Contact", "<sip:callee@server.invalid>")
            response.headers.add("Content-Type", "application/sdp")
            response.body = SDP
        return [response]
