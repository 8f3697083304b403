"""When an app under Voila ends; with the real Voila: tests/browser/widgets/test_voila.py."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.widgets import voila
from plivo_nb.widgets.voila import CHECK_S, LIMIT_S, Silence, check

MINUTE = 60.0


def ends_at(
    beats: list[float],
    until: float,
    calls: Sequence[tuple[float, float]] = (),
    asleep: tuple[float, float] = (0, 0),
    since: float = 0.0,
) -> float | None:
    """The time at which an app with these beats and answered calls ends; None if it does not."""
    silence, now = Silence(since, 0.0), 0.0
    while now < until:
        now += CHECK_S
        if asleep[0] < now < asleep[1]:
            continue
        before = [beat for beat in beats if beat <= now]
        in_call = any(begin <= now < end for begin, end in calls)
        silence, over = check(silence, now, last_beat=before[-1] if before else None, in_call=in_call)
        if over:
            return now
    return None


def every(seconds: float, until: float) -> list[float]:
    return [seconds * step for step in range(int(until / seconds) + 1)]


@pytest.mark.parametrize(
    ("what", "given", "end"),
    [
        ("beats every 30 s", {"beats": every(30, 3600), "until": 3600}, None),
        ("a hidden page that beats each minute", {"beats": every(60, 3600), "until": 3600}, None),
        ("a page that beats every 3 minutes", {"beats": every(180, 3600), "until": 3600}, None),
        ("a page closed after 5 minutes", {"beats": every(30, 300), "until": 3600}, 15 * MINUTE),
        ("3 minutes without a beat", {"beats": [*every(30, 300), *(s + 480 for s in every(30, 3600))],
                                      "until": 3600}, None),
        ("a page that never came", {"beats": [], "until": 3600}, 10 * MINUTE),
        ("a page that came late and went", {"beats": [540.0], "until": 3600}, 19 * MINUTE),
        ("a call of half an hour without a page",
         {"beats": [0.0], "until": 7200, "calls": [(60, 1860)]}, 1860 - CHECK_S + 10 * MINUTE),
        ("a call without an end", {"beats": [0.0], "until": 7200, "calls": [(60, 9999)]}, None),
        ("a machine that slept, and a page that is back in time",
         {"beats": [0.0, 60.0, *(s + 2000 for s in every(30, 1600))], "until": 3600, "asleep": (70, 1990)},
         None),
        ("a machine that slept, without a page afterwards",
         {"beats": [0.0], "until": 7200, "asleep": (70, 1995)}, 1995 + 10 * MINUTE),
        ("a kernel started in advance, without a page",
         {"beats": [], "until": 7200, "since": math.inf}, None),
        ("a kernel started in advance, and its page went",
         {"beats": [1800.0], "until": 7200, "since": math.inf}, 40 * MINUTE),
    ],
)  # fmt: skip
def test_an_app_ends_ten_minutes_after_its_page(what: str, given: dict[str, Any], end: float | None) -> None:
    assert ends_at(**given) == end, what


@given(
    beats=st.lists(st.floats(0, 7200), min_size=1, max_size=50).map(sorted),
    since=st.sampled_from([0.0, math.inf]),
)
def test_it_never_ends_within_ten_minutes_of_a_beat_and_ends_soon_after(
    beats: list[float], since: float
) -> None:
    end = ends_at(beats, 10_000, since=since)
    assert end is not None
    last = max([beat for beat in beats if beat <= end], default=0.0)
    assert LIMIT_S <= end - last <= LIMIT_S + CHECK_S


class Page:
    last_beat: float | None = None


async def test_the_watch_ends_the_app_by_an_injected_clock() -> None:
    page, ended, now = Page(), asyncio.Event(), [0.0]

    def clock() -> float:
        now[0] += CHECK_S
        return now[0]

    async def end() -> None:
        ended.set()

    page.last_beat = 3 * MINUTE
    await voila.watch(page, lambda: False, end, clock=clock, interval_s=0)
    assert ended.is_set()
    assert 13 * MINUTE <= now[0] <= 13 * MINUTE + CHECK_S


@pytest.mark.parametrize(
    ("environment", "as_app", "preheated"),
    [
        ({}, False, False),
        ({"SERVER_SOFTWARE": "jupyter/1"}, False, False),
        ({"SERVER_SOFTWARE": "voila/0.5.8", "VOILA_PREHEAT": "False"}, True, False),
        ({"VOILA_PREHEAT": "True"}, True, True),
    ],
)
def test_voila_is_known_by_the_environment(
    environment: dict[str, str], as_app: bool, preheated: bool
) -> None:
    assert (voila.opened_as_app(environment), voila.is_preheated(environment)) == (as_app, preheated)


@pytest.fixture
async def server():
    """A server with Voila's route below /app, which requires the cookie and its header as Tornado does."""
    shut_down: list[str] = []

    async def shutdown(request: web.Request) -> web.Response:
        cookie = request.cookies.get("_xsrf")
        if not cookie or request.headers.get("X-XSRFToken") != cookie:
            return web.Response(status=403)
        shut_down.append(request.match_info["kernel"])
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/app/voila/api/shutdown/{kernel}", shutdown)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield str(runner.addresses[0][1]), shut_down
    await runner.cleanup()


async def test_the_kernel_is_shut_down_by_voila(server: tuple[str, list[str]]) -> None:
    port, shut_down = server
    environment = {"VOILA_KERNEL_ID": "k-1", "VOILA_APP_PORT": port, "VOILA_BASE_URL": "/app/"}
    assert await voila.shut_down_kernel(environment | {"VOILA_SERVER_URL": "/"})
    assert shut_down == ["k-1"]


async def test_where_voila_does_not_do_it_the_kernel_stays(server: tuple[str, list[str]]) -> None:
    port, shut_down = server
    assert not await voila.shut_down_kernel({})
    assert not await voila.shut_down_kernel({"VOILA_KERNEL_ID": "k-1", "VOILA_APP_PORT": port})
    assert not await voila.shut_down_kernel({"VOILA_KERNEL_ID": "k-1", "VOILA_APP_PORT": "1"})
    assert shut_down == []
