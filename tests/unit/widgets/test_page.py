"""Page: what it sends to the page, and what it keeps of what the page reports; browser tests run page.js."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from plivo_nb.media.audio.tones import ring_tone
from plivo_nb.widgets.page import Page


class Sent(list[tuple[dict[str, Any], Any]]):
    """The messages to the page, in place of a comm."""

    def __call__(self, content: dict[str, Any], buffers: Any = None) -> None:
        self.append((content, buffers))


@pytest.fixture
async def page():
    page = Page(asyncio.get_running_loop(), "Phone")
    page.widget.send = Sent()
    yield page
    page.close()


async def receive(page: Page, content: Any) -> None:
    page.widget._handle_custom_msg(content, [])
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_ping_is_answered_on_the_loop_after_the_clicks_before_it(page) -> None:
    order: list[str] = []
    page._loop.call_soon_threadsafe(order.append, "click")
    page.widget.send = lambda content, buffers=None: order.append(f"{content['type']} {content['id']}")
    await asyncio.to_thread(page.widget._handle_custom_msg, {"type": "ping", "id": "0.5-1"}, [])
    await asyncio.sleep(0.01)
    assert order == ["click", "pong 0.5-1"]


async def test_beats_are_counted_and_say_whether_the_page_is_visible(page) -> None:
    beats: list[bool] = []
    page.on_beat = lambda: beats.append(page.visible)
    assert page.last_beat is None
    await receive(page, {"type": "beat", "visible": True})
    await receive(page, {"type": "beat", "visible": False})
    assert beats == [True, False]
    assert time.monotonic() - page.last_beat < 5


async def test_the_text_of_the_dial_field_comes_before_the_click(page) -> None:
    typed: list[tuple[str, bool]] = []
    page.on_typed = lambda text, pasted: typed.append((text, pasted))
    await receive(page, {"type": "typed", "text": "echo", "pasted": False})
    await receive(page, {"type": "typed", "text": "1" * 2000, "pasted": True})
    assert typed == [("echo", False), ("1" * 1000, True)]


@pytest.mark.parametrize("message", [None, "beat", {}, {"type": "other"}, {"type": 1}, []])
async def test_messages_that_it_does_not_know_change_nothing(page, message) -> None:
    await receive(page, message)
    assert page.widget.send == []
    assert page.last_beat is None


async def test_the_built_in_ring_is_that_of_the_sound_device(page) -> None:
    page.ring(True)
    page.ring(True)
    page.ring(False)
    (ring, buffers), (stop, _) = page.widget.send
    assert (ring["frequencies"], ring["on_s"], ring["off_s"]) == (
        ring_tone().frequencies_hz,
        ring_tone().on_s,
        ring_tone().off_s,
    )
    assert 0 < ring["level"] * len(ring["frequencies"]) < 1
    assert buffers is None
    assert stop == {"type": "ring", "on": False}


async def test_a_ring_tone_is_a_url_or_the_content_of_a_file(page, tmp_path) -> None:
    file = tmp_path / "ring.wav"
    file.write_bytes(b"RIFF")
    page.ring(True, "https://sounds.example/ring.mp3")
    page.ring(True, str(file))
    page.ring(True, str(tmp_path / "missing.wav"))
    url, content, built_in = page.widget.send
    assert url[0]["url"] == "https://sounds.example/ring.mp3"
    assert content[1] == [b"RIFF"]
    assert "url" not in built_in[0]
    assert built_in[1] is None


async def test_no_tone_is_chosen(page) -> None:
    page.ring(True, False)
    assert page.widget.send == []


async def test_a_page_loaded_anew_is_told_of_ring_and_title(page) -> None:
    await receive(page, {"type": "beat", "visible": True, "first": True})
    assert page.widget.send == []
    page.ring(True)
    page.title("(1) Incoming call")
    page.title("(1) Incoming call")
    told = list(page.widget.send)
    assert told[1] == ({"type": "title", "text": "(1) Incoming call"}, None)
    await receive(page, {"type": "beat", "visible": True, "first": True})
    assert page.widget.send == told * 2


async def test_it_says_whether_the_browser_lets_the_page_ring(page) -> None:
    await receive(page, {"type": "ring", "blocked": True})
    assert page.ring_blocked
    await receive(page, {"type": "ring", "blocked": False})
    assert not page.ring_blocked


def test_messages_after_the_loop_was_closed_are_dropped() -> None:
    loop = asyncio.new_event_loop()
    page = Page(loop, "Phone")
    loop.close()
    page.widget._handle_custom_msg({"type": "ping", "id": "1"}, [])
    page.close()


async def test_close_leaves_no_widget(widget_count) -> None:
    before = widget_count()
    Page(asyncio.get_running_loop(), "Phone").close()
    assert widget_count() == before
