"""How connections are made: proxies of the system, certificates, redirects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from certificates import server_context
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus, WebSocketException

from plivo_nb.connections import system_proxy, tls_context, websocket


def test_the_systems_proxy_is_used_but_not_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert system_proxy("https://stats.example/x") == "http://proxy.example:3128"
    assert system_proxy("https://inside.example/x") is None
    assert system_proxy("https://localhost/x") is None
    assert system_proxy("http://stats.example/x") is None


def test_a_file_that_is_no_certificate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        tls_context(__file__)
    _, authority = server_context(tmp_path)
    assert len(tls_context(str(authority)).get_ca_certs()) > len(tls_context().get_ca_certs())


@pytest.fixture
async def redirecting(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """A server over TLS that redirects all but /there to `told["to"]`."""
    told: dict[str, Any] = {"to": "", "paths": []}
    context, told["ca_file"] = server_context(tmp_path)

    def answer(connection: ServerConnection, request: Any) -> Any:
        told["paths"].append(request.path)
        if request.path == "/there":
            return None
        response = connection.respond(307, "")
        response.headers["Location"] = told["to"]
        return response

    async with serve(
        ServerConnection.wait_closed, "127.0.0.1", 0, ssl=context, process_request=answer
    ) as server:
        told["url"] = f"wss://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield told


async def test_a_redirect_on_the_same_host_is_followed(redirecting: dict[str, Any]) -> None:
    redirecting["to"] = "/there"
    async with await websocket(redirecting["url"], ca_file=str(redirecting["ca_file"])) as socket:
        assert socket.request is not None
    assert redirecting["paths"] == ["/", "/there"]


@pytest.mark.parametrize(
    "target", ["wss://localhost:1/there", "ws://127.0.0.1:1/there", "//127.0.0.2/there", ""]
)
async def test_a_redirect_to_another_host_or_without_tls_is_not_followed(
    redirecting: dict[str, Any], target: str
) -> None:
    redirecting["to"] = target
    connection = await websocket(redirecting["url"], ca_file=str(redirecting["ca_file"]), open_timeout=5)
    with pytest.raises((InvalidStatus, WebSocketException)):
        await connection
