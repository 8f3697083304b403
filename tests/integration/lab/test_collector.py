"""The lab's statistics service."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from waiting import until
from websockets.asyncio.client import connect

from plivo_nb import Lab
from plivo_nb.lab.collector import Collector

GIVEN = {"username": "alice", "password": "alice-secret", "domain": "phone.plivo.com"}


@pytest.fixture
def collected() -> list[dict[str, Any]]:
    return []


@pytest_asyncio.fixture
async def collector(collected: list[dict[str, Any]]) -> AsyncIterator[Collector]:
    collector = Collector({"alice": "alice-secret"}, collected.append)
    await collector.start()
    yield collector
    await collector.close()


def request(url: str, body: bytes, method: str) -> tuple[int, bytes]:
    message = urllib.request.Request(url, data=body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(message, timeout=5) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def post(url: str, body: bytes, method: str = "POST") -> tuple[int, bytes]:
    return await asyncio.to_thread(request, url, body, method)


async def test_it_accepts_messages_with_a_key_of_an_account(
    collector: Collector, collected: list[dict[str, Any]]
) -> None:
    status, body = await post(collector.stats_url, json.dumps(GIVEN).encode())
    answer = json.loads(body)
    assert (status, answer["is_rtp_enabled"]) == (200, True)
    message = {"msg": "CALL_STATS", "callstats_key": answer["data"], "callUUID": "u", "local": {"jitter": 3}}
    async with connect(collector.insights_url, proxy=None) as socket:
        await socket.send(json.dumps({**message, "callstats_key": "forged"}))
        await socket.send("no JSON")
        await socket.send(json.dumps(message))
        await until(lambda: collected)
    assert [(entry["user"], entry["local"]) for entry in collected] == [("alice", {"jitter": 3})]
    assert list(collector.messages) == collected
    assert collector.rejected == 2


async def test_wrong_requests_get_no_key(collector: Collector) -> None:
    url = collector.stats_url
    assert await post(url, json.dumps({**GIVEN, "password": "wrong"}).encode()) == (200, b"")
    assert (await post(url, b"no JSON"))[0] == 400
    assert (await post(url + "elsewhere", b"{}"))[0] == 404
    assert (await post(url, b"{}", "PUT"))[0] == 405
    assert (await post(url, bytes(70_000)))[0] == 413


async def test_it_can_be_away_and_comes_back_at_the_same_addresses(collector: Collector) -> None:
    urls = collector.stats_url, collector.insights_url
    await collector.set_away(True)
    with pytest.raises(OSError):
        await post(urls[0], b"{}")
    await collector.set_away(False)
    assert (collector.stats_url, collector.insights_url) == urls
    assert (await post(urls[0], b"{}"))[0] == 400


async def test_the_lab_shows_the_messages_as_a_frame() -> None:
    async with Lab(robots=False) as lab:
        options = lab.options()
        _, body = await post(options["statsUrl"], json.dumps(GIVEN).encode())
        message = {"msg": "CALL_STATS", "callstats_key": json.loads(body)["data"], "callUUID": "u"}
        async with connect(options["insightsUrl"], proxy=None) as socket:
            await socket.send(json.dumps({**message, "local": {"jitter": 3}}))
            await until(lambda: len(lab.collected))
        assert list(lab.collected["user"]) == ["alice"]
        assert lab.collected["local.jitter"].iloc[0] == 3


async def test_deep_json_and_lengths_that_are_none_are_refused(collector: Collector) -> None:
    host, _, port = collector.stats_url.removeprefix("http://").partition("/")[0].partition(":")
    status, _ = await asyncio.to_thread(request, collector.stats_url, b"[" * 60_000, "POST")
    assert status == 400
    for length in ("\u00b2".encode("latin-1"), b"9" * 5_000, b"-1"):
        reader, writer = await asyncio.open_connection(host, int(port))
        fields = f"Host: {host}:{port}\r\nContent-Length: ".encode() + length
        writer.write(b"POST / HTTP/1.1\r\n" + fields + b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        writer.close()
        await writer.wait_closed()


async def test_the_messages_kept_take_a_bounded_number_of_bytes(
    collector: Collector, collected: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plivo_nb.lab.collector._KEPT_BYTES", 50_000)
    _, body = await asyncio.to_thread(request, collector.stats_url, json.dumps(GIVEN).encode(), "POST")
    async with connect(collector.insights_url, proxy=None) as socket:
        await socket.send("[" * 60_000)
        message = {"callstats_key": json.loads(body)["data"], "text": "x" * 9_900}
        for _ in range(9):
            await socket.send(json.dumps(message))
        await until(lambda: len(collected) == 9)
    assert len(collector.messages) == 50_000 // len(json.dumps(message))
    assert collector.rejected == 1
