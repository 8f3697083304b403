"""The panel of a page's sound, and the link to pages that it is."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from plivo_nb.widgets.browser_sound import BrowserSoundPanel


class Audio:
    """Notes what the panel does with the client's sound."""

    def __init__(self) -> None:
        self.mode = "none"
        self.links: list[Any] = []

    def connect_page(self, link: Any) -> None:
        self.links.append(link)
        self.mode = "browser"

    def disconnect_page(self, link: Any) -> None:
        self.links = [one for one in self.links if one is not link]


@pytest.fixture
def audio(client, monkeypatch: pytest.MonkeyPatch) -> Audio:
    audio = Audio()
    monkeypatch.setattr(client, "audio", audio)
    return audio


@pytest.fixture
async def panel(client, audio, loop_tasks):
    made = BrowserSoundPanel(client, loop_tasks)
    yield made
    if made.widget.comm is not None:
        made.close()


def say(panel: BrowserSoundPanel, content: Any, buffers: Any = ()) -> None:
    panel.widget._handle_custom_msg(content, buffers)


async def test_it_is_seen_only_while_a_page_gives_the_sound(panel, audio) -> None:
    panel.refresh()
    assert (panel.widget.active, panel.widget.layout.display) == (False, "none")
    audio.mode = "browser"
    panel.refresh()
    assert (panel.widget.active, panel.widget.layout.display) == (True, "")


async def test_the_client_gets_the_link_when_a_page_is_there(panel, audio) -> None:
    say(panel, {"type": "hello"})
    say(panel, "nonsense")
    await asyncio.sleep(0.01)
    assert audio.links == [], "that was no page"
    say(panel, {"type": "hello", "page": "one"})
    say(panel, {"type": "beat", "page": "one"})
    await asyncio.sleep(0.01)
    assert audio.links == [panel]
    assert panel.widget.active


async def test_messages_go_both_ways(panel, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(panel.widget, "send", lambda content, buffers: sent.append((content, buffers)))
    heard: list[Any] = []
    panel.listen(lambda page, message, buffers: heard.append((page, message["type"], list(buffers))))
    say(panel, {"type": "sound", "page": "one"}, [b"12"])
    say(panel, {"type": "beat", "page": "one"}, None)
    assert heard == [("one", "sound", [b"12"]), ("one", "beat", [])]
    panel.send("one", {"type": "use", "on": True})
    panel.send("", {"type": "sound"}, [b"34"])
    assert sent == [
        ({"type": "use", "on": True, "page": "one"}, None),
        ({"type": "sound", "page": ""}, [b"34"]),
    ]


async def test_a_closed_panel_sends_and_hears_nothing(client, audio, loop_tasks) -> None:
    panel = BrowserSoundPanel(client, loop_tasks)
    say(panel, {"type": "hello", "page": "one"})
    await asyncio.sleep(0.01)
    panel.close()
    assert audio.links == []
    panel.send("one", {"type": "use", "on": True})
    say(panel, {"type": "beat", "page": "one"})


def test_the_script_is_one_module_with_the_worklets_in_it(panel) -> None:
    script = panel.widget._esm
    assert script.startswith("const WORKLETS = ")
    assert "registerProcessor" in script.splitlines()[0]
    assert len(re.findall(r"^export default ", script, re.MULTILINE)) == 1
