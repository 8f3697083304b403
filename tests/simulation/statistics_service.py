"""A statistics service for tests: a real one on 127.0.0.1, and what its messages must look like.

The shapes are derived from what the published SDK (2.2.21) sent, one message of each kind in
sdk_statistics.jsonl.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

Message = dict[str, Any]
RECORDED = Path(__file__).with_name("sdk_statistics.jsonl")

# What a user or a call puts into these is free: their keys are not the format's.
_FREE = {"audioConstraints", "mediaConnection"}
_FRACTIONS = {"fractionLoss"}  # recorded as 0 only
# Numbers of which the recording has no missing one, but which can be: null then.
_MAY_BE_NULL = {"rtt", "jitter", "fractionLoss", "packetsLost", "mediaSetupTime", "ssrc", "jitterBufferDelay"}


def recorded() -> list[Message]:
    """One message of each kind, as the published SDK sent it."""
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


def problems(message: Message) -> list[str]:
    """Where a message differs from what was recorded of its kind: keys, their order, types."""
    models = [model for model in recorded() if model["msg"] == message.get("msg")]
    if not models:
        return [f"{message.get('msg')} is no message of the recording"]
    return _compare(message["msg"], message, models)


def _compare(path: str, ours: Any, models: list[Any]) -> list[str]:
    name = path.rpartition(".")[2]
    if isinstance(ours, Mapping) and any(isinstance(model, Mapping) for model in models):
        if name in _FREE:
            return []
        return _compare_keys(path, ours, [model for model in models if isinstance(model, Mapping)])
    kinds = {_kind(model) for model in models}
    if _kind(ours) in kinds or (_kind(ours) == "int" and "float" in kinds):
        return []
    if isinstance(ours, float) and name in _FRACTIONS:
        return []
    if ours is None and name in _MAY_BE_NULL:
        return []
    if name in ("clientRegion", "appId", "appSecret") and isinstance(ours, str):
        return []
    return [f"{path} is {_kind(ours)}, recorded {' or '.join(sorted(kinds))}"]


def _compare_keys(path: str, ours: Mapping[str, Any], models: list[Mapping[str, Any]]) -> list[str]:
    known = {key for model in models for key in model}
    needed = set.intersection(*(set(model) for model in models))
    found = [f"{path}.{key} is not in the recording" for key in ours if key not in known]
    found += [f"{path}.{key} is missing" for key in sorted(needed - set(ours))]
    if not any(_in_order(ours, model) for model in models):
        found.append(f"{path} has its keys in another order: {list(ours)}")
    for key, value in ours.items():
        if key in known:
            found += _compare(f"{path}.{key}", value, [model[key] for model in models if key in model])
    return found


def _in_order(ours: Iterable[str], model: Mapping[str, Any]) -> bool:
    shared = [key for key in ours if key in model]
    return shared == [key for key in model if key in shared]


def _kind(value: Any) -> str:
    return type(value).__name__


class Collector:
    """The service: POST /validate/ and the WebSocket /ws, on one port of 127.0.0.1.

    Attributes:
        logins: bodies of the POSTs.
        messages: what came through the sockets, in order.
        connections: how many sockets there have been.
        close_codes: how each of them ended.
        answer: what the POST gives: (status, text).
    """

    def __init__(self) -> None:
        self.logins: list[dict[str, str]] = []
        self.messages: list[Message] = []
        self.connections = 0
        self.answer = (200, json.dumps({"data": "key-1", "is_rtp_enabled": True}))
        self.close_codes: list[int | None] = []
        self.dropped = 0  # how many messages are lost with their connection
        self._open: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def options(self) -> dict[str, str]:
        """The options of a client that reports here."""
        host = f"127.0.0.1:{self.port}"
        return {"statsUrl": f"http://{host}/validate/", "insightsUrl": f"ws://{host}/ws"}

    def of(self, *kinds: str) -> list[Message]:
        """The messages of these kinds."""
        return [message for message in self.messages if message["msg"] in kinds]

    async def start(self, port: int = 0) -> None:
        """Listen; again on the same port after `stop`."""
        app = web.Application()
        app.router.add_post("/validate/", self._validate)
        app.router.add_get("/ws", self._socket)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every socket and stop listening."""
        await self.hang_up()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def hang_up(self) -> None:
        """Close every socket, as a service that is restarted does."""
        for socket in list(self._open):
            await socket.close(code=1012)

    @property
    def open(self) -> int:
        """How many sockets are open."""
        return len(self._open)

    async def _validate(self, request: web.Request) -> web.Response:
        self.logins.append(await request.json())
        status, text = self.answer
        return web.Response(status=status, text=text, content_type="application/json")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self._open.add(socket)
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT and self.dropped:
                    self.dropped -= 1
                    assert request.transport is not None
                    request.transport.abort()
                elif frame.type is aiohttp.WSMsgType.TEXT:
                    self.messages.append(json.loads(frame.data))
        finally:
            self._open.discard(socket)
            self.close_codes.append(socket.close_code)
        return socket
