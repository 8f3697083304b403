"""The system's HTTP proxy carries the signalling, the statistics POST and their socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from certificates import server_context
from sip_server import SipServer
from statistics_service import Collector
from waiting import until

from plivo_nb import CallFailed, Client, LoginFailed

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "no_proxy")


class Proxy:
    """An HTTP proxy (RFC 9110 sections 7.2 and 9.3.6) that finds every ``*.example`` on this machine.

    Attributes:
        asked: the request lines, without the version.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = False
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{self.port}"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.asked.append(f"{method} {target}")
            if self.refuses:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            place = urlsplit(f"//{target}" if method == "CONNECT" else target)
            assert (place.hostname or "").endswith(".example")
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", place.port)
            try:
                if method == "CONNECT":
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    far_writer.write(head.replace(target.encode(), (place.path or "/").encode(), 1))
                async with asyncio.TaskGroup() as both:
                    both.create_task(_carry(reader, far_writer))
                    both.create_task(_carry(far_reader, writer))
            finally:
                far_writer.transport.abort()
        finally:
            await _finish(writer)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _finish(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """The proxy, which is the system's."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    proxy = Proxy()
    async with proxy.running() as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("https_proxy", url)
        yield proxy


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    running = Collector()
    await running.start()
    yield running
    await running.stop()


def client_of(server: SipServer, collector: Collector, host: str = "", **options: Any) -> Client:
    """A client of both servers, which it knows under names in `host`; without it by their address."""

    def named(url: str, name: str) -> str:
        return url.replace("127.0.0.1", f"{name}.{host}") if host else url

    places = collector.options
    return Client(
        registrationDomainSocket=[named(server.url, "sip")],
        statsUrl=named(places["statsUrl"], "stats"),
        insightsUrl=named(places["insightsUrl"], "insights"),
        enableTracking=True,
        sound="none",
        debug="OFF",
        **options,
    )


async def use(client: Client, collector: Collector) -> None:
    """Log in, and fail a call, of which the statistics service learns."""
    await client.login("alice", "secret")
    await until(lambda: collector.logins)
    with pytest.raises(CallFailed):
        await client.call("bob")
    await until(lambda: collector.messages)


async def test_the_systems_proxy_carries_signalling_and_statistics(
    proxy: Proxy, collector: Collector
) -> None:
    async with SipServer(INVITE=486) as server:
        async with client_of(server, collector, "example", allowInsecure=True) as client:
            await use(client, collector)
        assert server.of("REGISTER")
        assert sorted(set(proxy.asked)) == [
            f"CONNECT insights.example:{collector.port}",
            f"CONNECT sip.example:{server.port}",
            f"POST http://stats.example:{collector.port}/validate/",
        ]


async def test_tls_goes_through_the_proxy_to_the_server_and_is_checked_by_the_servers_name(
    proxy: Proxy, collector: Collector, tmp_path: Path
) -> None:
    context, authority = server_context(tmp_path, "sip.example")
    server = SipServer()
    server.tls = context
    async with server:
        options: dict[str, Any] = {"allowInsecure": True, "caFile": str(authority)}
        async with client_of(server, collector, "example", **options) as client:
            await client.login("alice", "secret")
        assert f"CONNECT sip.example:{server.port}" in proxy.asked
        async with client_of(server, collector, "other.example", **options) as client:
            with pytest.raises(LoginFailed, match=r"TLS connection to sip\.other\.example failed"):
                await client.login("alice", "secret")


async def test_hosts_in_no_proxy_are_reached_directly(
    proxy: Proxy, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "sip.example")
    async with SipServer() as server:
        async with client_of(server, collector, "example", allowInsecure=True) as client:
            with pytest.raises(LoginFailed, match=r"sip\.example"):  # no such name, but for the proxy
                await client.login("alice", "secret")
        assert server.requests == []
        assert not any("sip.example" in line for line in proxy.asked)


async def test_this_machine_is_reached_directly(proxy: Proxy, collector: Collector) -> None:
    async with SipServer(INVITE=486) as server:
        async with client_of(server, collector) as client:
            await use(client, collector)
        assert proxy.asked == []


async def test_a_proxy_that_refuses_is_a_connection_error(proxy: Proxy, collector: Collector) -> None:
    proxy.refuses = True
    async with (
        SipServer() as server,
        client_of(server, collector, "example", allowInsecure=True) as client,
    ):
        with pytest.raises(LoginFailed, match=r"sip\.example") as caught:
            await client.login("alice", "secret")
    assert caught.value.cause == "Connection Error"
    assert "proxy" in str(caught.value)
