"""Level meters: two bytes, ten times a second, while a page displays them and a call is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from waiting import until

from plivo_nb.widgets import meters
from plivo_nb.widgets.meters import LevelMeters, level_byte


class Sent(LevelMeters):
    """Level meters whose messages are kept here, as a page gets them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.messages: list[tuple[dict[str, Any], bytes]] = []
        self.widget.send = lambda content, buffers: self.messages.append((content, buffers[0]))

    def page(self, visible: bool) -> None:
        self.widget._handle_custom_msg({"visible": visible}, [])


@pytest.fixture
async def shown_meters(client, loop_tasks):
    made = Sent(client, loop_tasks)
    client.on(
        "onCallAnswered",
        lambda info: made.refresh(),
    )
    client.on("onCallTerminated", lambda info: made.refresh())
    yield made
    made.close()


def test_a_level_is_a_byte_of_half_decibels() -> None:
    assert [level_byte(dbfs) for dbfs in (-120, -100, -99.5, -0.5, 0, 3)] == [0, 0, 1, 199, 200, 200]


async def test_levels_are_sent_in_a_call_while_a_page_displays_them(shown_meters, client) -> None:
    shown_meters.page(True)
    await asyncio.sleep(0.15)
    assert shown_meters.messages == []  # no call
    call = client.answered()
    assert shown_meters.messages == [({"probe": True}, bytes((0, 0)))]
    call.levels_dbfs = (-20.0, -40.0)
    shown_meters.page(True)  # the answer to the probe
    await until(lambda: len(shown_meters.messages) >= 4)
    assert shown_meters.messages[-1] == ({}, bytes((160, 120)))
    client.ended()
    assert shown_meters.messages[-1] == ({}, bytes((0, 0)))
    count = len(shown_meters.messages)
    await asyncio.sleep(0.25)
    assert len(shown_meters.messages) == count


async def test_a_hidden_page_gets_one_question_and_no_levels(shown_meters, client) -> None:
    shown_meters.page(True)
    client.answered()
    await until(lambda: len(shown_meters.messages) >= 2)
    shown_meters.page(False)
    await until(lambda: shown_meters.messages[-1][0] == {"probe": True})
    count = len(shown_meters.messages)
    await asyncio.sleep(0.25)
    assert len(shown_meters.messages) == count
    shown_meters.page(True)  # another page answers
    await until(lambda: len(shown_meters.messages) > count + 1)


async def test_a_page_that_is_gone_without_a_word_gets_none_after_a_while(
    shown_meters, client, monkeypatch
) -> None:
    monkeypatch.setattr(meters, "_LEASE_S", 0.15)
    shown_meters.page(True)
    client.answered()
    await until(lambda: not shown_meters.wanted)
    await asyncio.sleep(0.15)
    count = len(shown_meters.messages)
    await asyncio.sleep(0.2)
    assert len(shown_meters.messages) == count


async def test_a_closed_meter_sends_nothing(shown_meters, client, loop_tasks) -> None:
    shown_meters.page(True)
    client.answered()
    await until(lambda: len(shown_meters.messages) >= 2)
    shown_meters.close()
    await until(lambda: not loop_tasks.running)
    count = len(shown_meters.messages)
    await asyncio.sleep(0.15)
    assert len(shown_meters.messages) == count


async def test_anything_else_from_a_page_hides(shown_meters, client) -> None:
    for content in ({}, {"visible": "yes"}, []):
        shown_meters.widget._handle_custom_msg(content, [])
    await asyncio.sleep(0.01)
    assert not shown_meters.wanted
