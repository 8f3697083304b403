"""The messages between the panels in the page and the kernel; what the page draws is in tests/browser."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from plivo_nb.widgets.call_series import COLUMNS, RECENT_ROWS, CallSeries
from plivo_nb.widgets.panels import Panels, ShownCall
from tests.unit.widgets.test_call_series import rows, series_of


class Page:
    """A page that shows the panels: takes rows as panels.js does."""

    def __init__(self, panels: Panels, name: str = "page") -> None:
        self.panels, self.name = panels, name
        self.rows: dict[str, np.ndarray] = {}
        self.next: dict[str, int] = {}
        self.about: dict[str, Any] = {}
        self.order: list[str] = []
        self.messages: list[tuple[dict[str, Any], int]] = []
        self.missed = False
        self.shown = False
        panels.widget.send = self.receive

    async def say(self, kind: str, **more: Any) -> None:
        self.shown = kind == "shown" or (self.shown and kind != "hidden")
        self.panels._on_message(None, {"type": kind, "page": self.name, **more}, [])
        await asyncio.sleep(0)

    async def show(self) -> None:
        await self.say("shown", have=self.next)

    def receive(self, message: dict[str, Any], buffers: list[bytes] | None) -> None:
        block = (
            np.frombuffer(buffers[0], "<f4").reshape(-1, len(COLUMNS))
            if buffers
            else np.empty((0, len(COLUMNS)))
        )
        self.messages.append((message, len(buffers[0]) if buffers else 0))
        start = 0
        for part in message["calls"]:
            new = block[start : start + part["rows"]]
            start += part["rows"]
            key = part["key"]
            if part.get("reset"):
                self.rows[key] = new
            elif part["from"] > self.next.get(key, 0):
                self.missed = True
                continue
            else:
                self.rows[key] = np.concatenate([self.rows[key], new[self.next[key] - part["from"] :]])
            self.next[key] = part["next"]
            self.about[key] = part.get("about", self.about.get(key))
        assert start == len(block)
        self.order = message.get("show", self.order)


@pytest.fixture
async def panels():
    made = Panels(asyncio.get_running_loop(), lambda: None)
    yield made
    made.close()


async def test_nothing_is_sent_while_no_page_shows_the_canvas(panels) -> None:
    page = Page(panels)
    call = ShownCall(series_of(3), "echo")
    panels.show([call])
    panels.send_new()
    await page.say("hello")
    assert panels.answered
    assert page.messages == []
    await page.show()
    assert page.rows["1"][:, 0].tolist() == [1, 2, 3]
    assert page.about["1"]["name"] == "echo"
    await page.say("hidden")
    call.series.extend(rows(3, 4))
    panels.send_new()
    assert len(page.messages) == 1
    await page.show()
    message, size = page.messages[1]
    assert (message["calls"][0]["from"], size) == (3, 4 * 4 * len(COLUMNS))
    assert page.rows["1"][:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]


async def test_a_second_costs_one_row(panels) -> None:
    page = Page(panels)
    call = ShownCall(series_of(5000), "echo")
    panels.show([call])
    await page.show()
    assert len(page.rows["1"]) < 4 * RECENT_ROWS
    page.messages.clear()
    for second in range(5000, 5010):
        call.series.extend(rows(second, 1))
        panels.send_new()
    panels.send_new()
    assert [size for _, size in page.messages] == [4 * len(COLUMNS)] * 10
    assert all(list(message) == ["calls"] and "about" not in str(message) for message, _ in page.messages)
    assert page.next == {"1": 5010}


async def test_a_page_that_has_missed_rows_or_too_many_gets_them(panels) -> None:
    page = Page(panels)
    call = ShownCall(series_of(10), "echo")
    panels.show([call])
    await page.show()
    page.next["1"] = 4  # it asks as if it had no more
    page.rows["1"] = page.rows["1"][:4]
    await page.show()
    assert page.rows["1"][:, 0].tolist() == list(range(1, 11))
    call.series.extend(rows(10, 5 * RECENT_ROWS))
    await page.show()
    assert page.messages[-1][0]["calls"][0]["reset"]
    assert page.rows["1"][-1, 0] == 10 + 5 * RECENT_ROWS


async def test_what_a_call_is_about_is_sent_when_it_changes(panels) -> None:
    page = Page(panels)
    call, before = ShownCall(series_of(2), "echo"), ShownCall(series_of(9), "bob")
    panels.show([before])
    await page.show()
    panels.show([call, before])
    assert page.order == ["2", "1"]
    assert [part["key"] for part in page.messages[-1][0]["calls"]] == ["2"]  # the page has the other one
    call.bands.append([2, 1.0, None, "packet loss"])
    call.events.append([0.0, "answered"])
    panels.send_new()
    assert page.about["2"]["bands"] == [[2, 1.0, None, "packet loss"]]
    assert page.about["2"]["marks"] == [[0.0, "answered"]]
    call.bands[0][2] = 2.0
    panels.send_new()
    assert page.about["2"]["bands"] == [[2, 1.0, 2.0, "packet loss"]]
    count = len(page.messages)
    panels.send_new()
    assert len(page.messages) == count


async def test_only_the_last_warnings_and_events_are_sent(panels) -> None:
    call = ShownCall(series_of(2), "echo")
    call.bands = [[None, float(at), at + 0.5, "warning"] for at in range(1000)]
    call.events = [[float(at), "sent 1"] for at in range(1000)]
    about = call.about()
    assert (len(about["bands"]), len(about["marks"])) == (200, 200)
    assert about["bands"][-1][1] == about["marks"][-1][0] == 999


async def test_two_pages_are_both_served(panels) -> None:
    one, call = Page(panels, "one"), ShownCall(CallSeries(), "echo")
    panels.show([call])
    await one.show()
    call.series.extend(rows(0, 2))
    panels.send_new()
    two = Page(panels, "two")
    await two.show()
    assert two.messages[0][0]["page"] == "two"
    panels._on_message(None, {"type": "hidden", "page": "one"}, [])
    await asyncio.sleep(0)
    assert panels.shown
    call.series.extend(rows(2, 1))
    panels.send_new()
    assert two.next == {"1": 3}
    assert not two.missed


async def test_a_moment_is_chosen_and_shown(panels) -> None:
    page, chosen = Page(panels), []
    panels.on_moment = lambda call, seconds: chosen.append((call, seconds))
    panels.show([ShownCall(series_of(3), "echo")])
    panels.move_cursor(1.0)
    await page.show()
    assert page.messages[-1][0]["cursor"] == 1.0  # also for a page that comes later
    await page.say("moment", key="1", t=2.5)
    assert chosen == [(0, 2.5)]
    panels.move_cursor(1.5)
    assert page.messages[-1][0]["cursor"] == 1.5


async def test_a_wrong_message_is_logged_and_changes_nothing(panels, caplog) -> None:
    page = Page(panels)
    with caplog.at_level(logging.WARNING):
        for content in ("text", {}, {"type": "shown", "page": "x"}, {"type": "moment", "key": "7", "t": 1}):
            panels._on_message(None, content, [])
        await asyncio.sleep(0)
    assert caplog.text.count("is wrong") == 4
    assert (panels.shown, page.messages) == (False, [])
