"""The service's client: whether it is contacted, and the queue before it is there."""

import asyncio
import gzip
import json
import logging
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from certificates import server_context
from statistics_messages import ABOUT, ALICE, SIGNALLING, stats
from statistics_service import Collector
from waiting import until

from plivo_nb.insights import Service, is_wanted, messages
from plivo_nb.options import PLIVO_SERVERS, read_options

# ---------------------------------------------------------------- whether it is contacted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, True),
        ({"registration_domain_socket": [PLIVO_SERVERS[1]]}, True),
        ({"enable_tracking": False}, False),
        ({"registration_domain_socket": ["ws://127.0.0.1:5066"]}, False),
        ({"registration_domain_socket": ["wss://notplivo.com/x"]}, False),
        ({"registration_domain_socket": ["wss://plivo.com.example/x"]}, False),
        ({"registration_domain_socket": ["ws://127.0.0.1:1"], "stats_url": "http://127.0.0.1:2/"}, False),
        ({"registration_domain_socket": ["ws://127.0.0.1:1"], "insights_url": "ws://127.0.0.1:2/"}, False),
        (
            {
                "registration_domain_socket": ["ws://127.0.0.1:1"],
                "stats_url": "http://127.0.0.1:2/",
                "insights_url": "ws://127.0.0.1:2/ws",
            },
            True,
        ),
    ],
)
def test_a_server_that_is_not_plivos_never_makes_plivos_service_be_told(options: dict, wanted: bool) -> None:
    assert is_wanted(read_options(None, {**options, "strict": True})) is wanted


# ---------------------------------------------------------------- the queue


async def test_the_queue_is_bounded_and_numbers_go_first() -> None:
    service = Service("http://127.0.0.1:9/", "ws://127.0.0.1:9/", queue_size=3)
    summary = ABOUT.summary(ALICE, SIGNALLING, {})
    feedback = messages.feedback(ALICE, 5, "no-audio")
    for message in (stats(), summary, stats(), feedback, messages.toggle_mute(ALICE, True)):
        service.put(message)
    assert service.waiting == 3
    assert service.dropped == 2
    service.put(messages.toggle_mute(ALICE, False))
    assert service.dropped == 3, "with no numbers left the oldest goes"


async def test_another_users_messages_are_not_sent_in_my_name(collector: Collector) -> None:
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    service.login("bob", "secret", "phone.plivo.com")
    assert service.waiting == 0
    await service.logout()


async def test_nothing_is_kept_for_an_account_without_the_service(collector: Collector) -> None:
    collector.answer = (200, "")
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.login("alice", "secret", "phone.plivo.com")
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    await until(lambda: not service.waiting)
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    assert service.waiting == 0
    await service.logout()
    assert collector.connections == 0


async def test_numbers_are_not_sent_where_they_are_not_wanted(collector: Collector) -> None:
    collector.answer = (200, json.dumps({"data": "key-2", "is_rtp_enabled": False}))
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.put(stats())
    service.login("alice", "secret", "phone.plivo.com")
    await until(lambda: service.rtp_enabled is False)
    service.put(stats())
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    await until(lambda: collector.messages)
    assert [message["msg"] for message in collector.messages] == ["FEEDBACK"]
    assert collector.messages[0]["callstats_key"] == "key-2"
    await service.logout()


@pytest.mark.parametrize(
    "answer",
    [
        (403, "no"),
        (200, "{"),
        (200, "[1]"),
        (200, '{"data": 7}'),
        (302, ""),
        (200, '{"data": "' + "x" * 2_000 + '"}'),
        (200, "[" * 60_000),
        (200, '{"data": "key"}' + " " * 200_000),
    ],
    ids=lambda answer: f"{answer[0]} {answer[1][:12]} {len(answer[1])}",
)
async def test_an_answer_that_is_none_switches_it_off(collector: Collector, answer: tuple) -> None:
    collector.answer = answer
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.login("alice", "secret", "phone.plivo.com")
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    await until(lambda: not service.waiting)
    assert len(collector.logins) == 1
    await service.logout()


async def test_a_compressed_answer_is_not_expanded() -> None:
    bomb = gzip.compress(gzip.compress(b" " * 200_000_000, 9), 9)  # a thousand bytes
    posts = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal posts
        posts += 1
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip, gzip"})

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service = Service(f"http://127.0.0.1:{runner.addresses[0][1]}/", "ws://127.0.0.1:9/")
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    tracemalloc.start()
    try:
        service.login("alice", "secret", "phone.plivo.com")
        await until(lambda: not service.waiting)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert (posts, service.rtp_enabled) == (1, None)
    await service.logout()
    await runner.cleanup()


async def test_a_service_that_is_away_is_tried_again_and_gets_everything_in_order(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    port = collector.port
    await collector.stop()
    service = Service(
        collector.options["statsUrl"], collector.options["insightsUrl"], first_retry_s=0.02, max_retry_s=0.05
    )
    service.login("alice", "hush-hush", "phone.plivo.com")
    for score in (1, 2, 3):
        service.put(messages.feedback(ALICE, score, "no-audio"))
    await asyncio.sleep(0.15)
    collector.answer = (503, "later")
    await collector.start(port)
    await until(lambda: len(collector.logins) >= 2)
    collector.answer = (200, '{"data": "key-3", "is_rtp_enabled": true}')
    await until(lambda: len(collector.messages) == 3)
    await collector.hang_up()
    await until(lambda: not collector.open)
    for score in (4, 5):
        service.put(messages.feedback(ALICE, score, "no-audio"))
    await until(lambda: len(collector.messages) == 5)
    assert [message["info"]["overall"] for message in collector.messages] == [1, 2, 3, 4, 5]
    assert collector.connections == 2
    await service.logout()
    assert collector.logins[-1] == {"username": "alice", "password": "hush-hush", "domain": "phone.plivo.com"}
    assert "hush-hush" not in caplog.text
    await until(lambda: not collector.open)


async def test_goodbye_waits_for_what_is_queued_but_not_for_a_service_that_is_away() -> None:
    loop = asyncio.get_running_loop()
    service = Service("http://127.0.0.1:9/", "ws://127.0.0.1:9/", first_retry_s=10)
    service.login("alice", "secret", "phone.plivo.com")
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    await asyncio.sleep(0.3)
    began = loop.time()
    await service.logout()
    assert loop.time() - began < 3  # the next try would be after 10 s
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")] == []


@pytest.fixture
async def collector():
    running = Collector()
    await running.start()
    yield running
    await running.stop()


@pytest.mark.parametrize(("lost", "told", "dropped"), [(1, 1, 0), (2, 0, 1)])
async def test_a_message_that_was_lost_with_its_connection_is_sent_again_once(
    collector: Collector, lost: int, told: int, dropped: int
) -> None:
    collector.dropped = lost
    service = Service(
        collector.options["statsUrl"], collector.options["insightsUrl"], first_retry_s=0.05, max_retry_s=0.1
    )
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    service.login("alice", "secret", "phone.plivo.com")
    await until(lambda: service.waiting == 0)
    assert len(collector.of("FEEDBACK")) == service.sent == told
    assert service.dropped == dropped
    await service.logout()


async def test_the_socket_is_closed_with_1000(collector: Collector) -> None:
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    service.login("alice", "secret", "phone.plivo.com")
    await until(lambda: service.sent == 1)
    await service.logout()
    await until(lambda: collector.close_codes == [1000])


# ---------------------------------------------------------------- redirects of the POST


@pytest.fixture
async def redirecting(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """A service over TLS whose /old redirects to `told["to"]`; what /new gets is in `told["logins"]`."""
    told: dict[str, Any] = {"to": "", "logins": [], "status": 307}
    context, told["ca_file"] = server_context(tmp_path)

    async def old(request: web.Request) -> web.Response:
        return web.Response(status=told["status"], headers={"Location": told["to"]})

    async def new(request: web.Request) -> web.Response:
        told["logins"].append(await request.json())
        return web.json_response({"data": "key", "is_rtp_enabled": True})

    app = web.Application()
    app.router.add_post("/old", old)
    app.router.add_post("/new", new)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    told["url"] = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield told
    await runner.cleanup()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_the_login_follows_a_redirect_on_the_same_host(
    redirecting: dict[str, Any], status: int
) -> None:
    redirecting |= {"to": "/new", "status": status}
    service = Service(f"{redirecting['url']}/old", "ws://127.0.0.1:9/", ca_file=str(redirecting["ca_file"]))
    service.login("alice", "secret", "domain")
    await until(lambda: service.rtp_enabled)
    assert redirecting["logins"] == [{"username": "alice", "password": "secret", "domain": "domain"}]
    await service.logout()


@pytest.mark.parametrize(
    "target", ["https://localhost:{port}/new", "http://127.0.0.1:{port}/new", "ftp://x", ""]
)
async def test_the_password_does_not_follow_a_redirect_to_another_host_or_without_tls(
    redirecting: dict[str, Any], target: str, caplog: pytest.LogCaptureFixture
) -> None:
    redirecting["to"] = target.format(port=redirecting["url"].rpartition(":")[2])
    service = Service(f"{redirecting['url']}/old", "ws://127.0.0.1:9/", ca_file=str(redirecting["ca_file"]))
    service.login("alice", "secret", "domain")
    await until(lambda: "redirects the login" in caplog.text)
    assert redirecting["logins"] == []
    await service.logout()


async def test_without_its_ca_file_a_private_service_gets_no_password(redirecting: dict[str, Any]) -> None:
    service = Service(f"{redirecting['url']}/new", "ws://127.0.0.1:9/", first_retry_s=0.01)
    service.login("alice", "secret", "domain")
    await until(lambda: service._unreachable)
    assert redirecting["logins"] == []
    await service.logout()


@pytest.mark.parametrize("option", ["stats_url", "insights_url"])
def test_a_refused_address_turns_the_service_off(option: str) -> None:
    assert not is_wanted(read_options(None, {option: "http://elsewhere.example/"}))
