"""When an app under Voila ends; with the real Voila: tests/browser/widgets/test_voila.py."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from waiting import stays, until

from plivo_nb.lab.network.knobs import DIRECTIONS, default_knobs
from plivo_nb.widgets import voila
from plivo_nb.widgets.dashboard import Dashboard
from plivo_nb.widgets.knobs import Knobs
from plivo_nb.widgets.phone import Phone
from plivo_nb.widgets.replay import Replay
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


class InVoila:
    """Short limits, and what would be asked of Voila."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shut_down = 0
        monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.8")
        monkeypatch.setattr(voila, "CHECK_S", 0.01)
        monkeypatch.setattr(voila, "LIMIT_S", 0.2)
        monkeypatch.setattr(voila, "shut_down_kernel", self._shut_down)

    async def _shut_down(self) -> bool:
        self.shut_down += 1
        return True


@pytest.fixture
def in_voila(monkeypatch: pytest.MonkeyPatch) -> InVoila:
    return InVoila(monkeypatch)


async def test_the_kernel_ends_once_when_no_widget_beats_and_every_widget_is_closed(
    in_voila: InVoila,
) -> None:
    silent, beating, closed = Page(), Page(), []

    async def broken() -> None:
        raise OSError("no connection")

    async def close() -> None:
        closed.append("phone")

    tasks = [
        asyncio.create_task(voila.end_with_page(silent, end=broken)),
        asyncio.create_task(voila.end_with_page(silent, end=close)),
        asyncio.create_task(voila.end_with_page(beating)),
    ]

    def goes_on() -> bool:
        beating.last_beat = time.monotonic()
        return not in_voila.shut_down

    await stays(goes_on, 0.5)
    await until(lambda: in_voila.shut_down)
    assert closed == ["phone"]
    await asyncio.wait(tasks)
    assert in_voila.shut_down == 1


async def test_a_widget_that_finds_out_after_all_have_ended_ends_nothing_again(
    in_voila: InVoila, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_out = [asyncio.Event(), asyncio.Event()]
    waiting = iter(found_out)

    async def watch(page: Any, in_call: Any, end: Any) -> None:
        await next(waiting).wait()
        await end()

    monkeypatch.setattr(voila, "watch", watch)
    tasks = [asyncio.create_task(voila.end_with_page(Page())) for _ in found_out]
    for event, task in zip(found_out, tasks, strict=True):
        await asyncio.sleep(0)
        event.set()
        await task
    assert in_voila.shut_down == 1


async def test_a_call_of_one_widget_keeps_the_kernel_and_a_closed_widget_counts_no_more(
    in_voila: InVoila,
) -> None:
    in_call = asyncio.create_task(voila.end_with_page(Page(), in_call=lambda: True))
    other = asyncio.create_task(voila.end_with_page(Page()))
    await stays(lambda: not in_voila.shut_down, 0.5)
    in_call.cancel()
    await until(lambda: in_voila.shut_down)
    await other


async def closed(widget: Any) -> None:
    operation = widget.close()
    if operation is not None:
        await operation


@pytest.mark.parametrize("make", [Phone, Dashboard])
async def test_phone_and_dashboard_close_the_client_after_their_page_but_not_in_a_call(
    make: Any, client: Any, make_call: Any, in_voila: InVoila
) -> None:
    widget = make(client)
    client.current_call = make_call("echo")
    client.current_call.state = "answered"
    await stays(lambda: not in_voila.shut_down, 0.5)
    client.current_call = None
    await until(lambda: in_voila.shut_down)
    assert repr(widget).endswith(", closed>")
    await closed(widget)


async def test_in_a_lab_a_phone_keeps_a_call_and_a_dashboard_alone_does_not(
    client: Any, make_call: Any, in_voila: InVoila
) -> None:
    client.options = dataclasses.replace(client.options, loopback_candidates=True)
    client.current_call = make_call("echo")
    client.current_call.state = "answered"
    phone, dashboard = Phone(client), Dashboard(client)
    await stays(lambda: not in_voila.shut_down, 0.5)
    phone.close()
    await until(lambda: in_voila.shut_down)
    client.current_call = None
    await dashboard.close()


async def test_the_knobs_alone_end_the_kernel_too(in_voila: InVoila) -> None:
    network: Any = SimpleNamespace(
        current={name: default_knobs() for name in DIRECTIONS}, on_change=lambda callback: lambda: None
    )
    knobs = Knobs(network)
    await until(lambda: in_voila.shut_down)
    knobs.close()


async def test_a_replay_alone_ends_the_kernel_too(make_call: Any, in_voila: InVoila) -> None:
    call = make_call("echo")
    call.rows = 5
    replay = Replay(call.samples.assign(call_uuid="uuid-1", audio_out_level=0.1))
    await until(lambda: in_voila.shut_down)
    await replay.close()


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
