"""The list of ringing calls."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from plivo_nb.widgets.incoming import IncomingCalls


class Page:
    """What the page was asked for last."""

    def ring(self, on: bool, tone: bool | str = True) -> None:
        self.tone = tone if on else False

    def title(self, text: str) -> None:
        self.text = text


@pytest.fixture
async def incoming(client, loop_tasks):
    incoming = IncomingCalls(client, loop_tasks)
    incoming.refresh()
    yield incoming
    incoming.close()


def rows(incoming: IncomingCalls) -> list[Any]:
    return list(incoming._rows.values())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_each_ringing_call_has_buttons_of_its_own(incoming, client, stand_in_call) -> None:
    assert incoming._list.children == ()
    for name in ("bob", "<carol>", "dave"):
        client.rings(stand_in_call(name, "INCOMING", f"uuid-{name}"))
    incoming.refresh()
    assert "3 calls are ringing" in incoming._title.value
    by_peer = {row.peer: row for row in rows(incoming)}
    assert "<carol>" not in by_peer["<carol>"]._caller.value
    by_peer["bob"].answer.click()
    by_peer["<carol>"].reject.click()
    by_peer["dave"].ignore.click()
    await turns()
    assert client.asked == [("answer", "uuid-bob"), ("reject", "uuid-<carol>"), ("ignore", "uuid-dave")]


async def test_a_click_on_a_call_that_ended_does_not_answer_another(
    incoming, client, stand_in_call, shown
) -> None:
    client.rings(stand_in_call("bob", "INCOMING", "uuid-bob"))
    client.rings(stand_in_call("carol", "INCOMING", "uuid-carol"))
    incoming.refresh()
    bob = incoming._rows["uuid-bob"]
    client.incoming_calls.pop(0)
    bob.answer.click()
    await turns()
    assert client.asked == []
    assert shown[-1] == "The call from bob is not ringing any more."


async def test_a_row_says_who_rings_how_long_and_with_which_headers(incoming, client, stand_in_call) -> None:
    call = stand_in_call("14155550100", "INCOMING", "uuid-1")
    call.caller_name, call.headers = "<i>Bob</i>", {"X-PH-Room": "5<b>"}
    call.timings["ringing"] = time.monotonic() - 7.2
    client.rings(call)
    incoming.refresh()
    (row,) = rows(incoming)
    assert "<b>&lt;i&gt;Bob&lt;/i&gt;</b> 14155550100" in row._caller.value
    assert ">0:07<" in row._time.value
    assert "<dt>X-PH-Room</dt><dd>5&lt;b&gt;</dd>" in row._headers.value
    assert "<summary>1 header</summary>" in row._headers.value
    unfolded = row._headers.value
    call.timings["ringing"] -= 1
    incoming.refresh()
    assert ">0:08<" in row._time.value
    assert row._headers.value is unfolded or row._headers.value == unfolded


async def test_the_button_says_that_answering_ends_the_current_call(incoming, client, stand_in_call) -> None:
    client.rings(stand_in_call("bob", "INCOMING", "uuid-bob"))
    incoming.refresh()
    (row,) = rows(incoming)
    assert row.answer.description == "Answer"
    client.answered()
    incoming.refresh()
    assert row.answer.description == "End current & answer"
    assert row.answer.tooltip == "End the current call and answer the one from bob"
    client.ended()
    incoming.refresh()
    assert row.answer.description == "Answer"


async def test_the_most_recent_call_comes_first(incoming, client, stand_in_call) -> None:
    for name in ("bob", "carol"):
        client.rings(stand_in_call(name, "INCOMING", f"uuid-{name}"))
    incoming.refresh()
    shown = [row.widget for row in (incoming._rows["uuid-carol"], incoming._rows["uuid-bob"])]
    assert list(incoming._list.children) == shown


async def test_fifty_calls_leave_nothing(client, loop_tasks, stand_in_call, widget_count) -> None:
    before = widget_count()
    incoming = IncomingCalls(client, loop_tasks)
    for number in range(50):
        client.rings(stand_in_call("bob", "INCOMING", f"uuid-{number}"))
        incoming.refresh()
        if number % 7 == 6:
            client.incoming_calls.clear()
            incoming.refresh()
    client.incoming_calls.clear()
    incoming.refresh()
    assert len(incoming._unused) == 3, "kept for the calls to come"
    assert incoming._list.children == ()
    incoming.close()
    assert widget_count() == before


async def test_the_page_rings_and_its_title_says_who_calls_while_calls_ring(
    client, loop_tasks, stand_in_call
) -> None:
    page = Page()
    incoming = IncomingCalls(client, loop_tasks, page)  # type: ignore[arg-type]
    incoming.refresh()
    assert (page.tone, page.text) == (False, "")
    for name in ("bob", "carol"):
        client.rings(stand_in_call(name, "INCOMING", f"uuid-{name}"))
        incoming.refresh()
    assert (page.tone, page.text) == (True, "Call from carol and 1 more")
    client.audio.ring_tone = False
    incoming.refresh()
    assert page.tone is False
    client.audio.ring_tone, client.audio.mode = "ring.wav", "device"
    incoming.refresh()
    assert page.tone is False, "it rings at the kernel's ring-tone device"
    client.audio.mode = "none"
    incoming.refresh()
    assert page.tone == "ring.wav"
    client.incoming_calls.clear()
    incoming.refresh()
    assert (page.tone, page.text) == (False, "")
    incoming.close()
