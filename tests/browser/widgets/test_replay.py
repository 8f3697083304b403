"""A recorded call in JupyterLab: the slider, playing, a click that is heard, files, and how it looks."""

from __future__ import annotations

import wave
from typing import Any

from playwright.sync_api import expect

CALL = """
import asyncio, plivo_nb
lab = plivo_nb.Lab(seed=3)
await lab.start()
client = lab.client()
await client.login("alice", lab.password("alice"))
call = await client.call("echo")
_ = call.play(plivo_nb.speech_path(), loop=True)
await asyncio.sleep(3)
await lab.network.set(loss=0.3)
await asyncio.sleep(7)
await lab.network.clear()
await asyncio.sleep(2)
_ = await call.hangup()
"""
REPLAY = "replay = plivo_nb.Dashboard(call)\nreplay"
CLOSE = "await replay.close()\nawait client.close()\nawait lab.close()"
PLAYING = "audio => !audio.error && audio.duration > 0 && (audio.currentTime > 0 || !audio.paused)"


def test_a_recorded_call(jupyter, open_notebook, shoot, theme, axe, page) -> None:
    notebook = open_notebook(jupyter.notebook("replay.ipynb", [CALL, REPLAY, CLOSE]))
    page.set_viewport_size({"width": 1400, "height": 1000})
    notebook.run(0)
    notebook.run(1)
    box = page.locator(".plivo-replay")
    expect(box.locator(".plivo-mos")).to_contain_text("mean of the call", timeout=20_000)
    expect(box.locator(".plivo-calm")).to_contain_text("ackets lost on the way to you")
    box.scroll_into_view_if_needed()
    shoot("summary", box)

    moved_by_keyboard(notebook, box)
    heard_at_a_click(notebook, box)
    shoot("moment", box)
    saved(notebook, box, jupyter)

    box.get_by_role("button", name="16×").click()
    box.get_by_role("slider", name="Position in the call").press("Home")
    notebook.wait_for("replay.position", 0.0)
    box.get_by_role("button", name="Play").click()
    notebook.wait_for("replay.playing", False, seconds=10)
    assert notebook.evaluate("replay.position == replay.call.seconds")

    assert axe(box) == []
    looks(page, box, shoot, theme)
    notebook.run(2)
    box.wait_for(state="detached")
    assert notebook.errors() == []


def moved_by_keyboard(notebook: Any, box: Any) -> None:
    handle = box.get_by_role("slider", name="Position in the call")
    handle.press("Home")
    notebook.wait_for("replay.position", 0.0)
    expect(box.locator(".plivo-mos b")).to_have_text("–")
    for _ in range(3):
        handle.press("ArrowRight")
    notebook.wait_for("replay.position", 3.0)
    expect(box.locator(".plivo-clock b")).to_have_text("0:03")
    expect(box.locator(".plivo-times")).to_contain_text("UTC")


def heard_at_a_click(notebook: Any, box: Any) -> None:
    plot = box.locator(".plivo-panels-plot")
    area = plot.bounding_box()
    plot.click(position={"x": area["width"] * 0.2, "y": area["height"] * 0.25})
    expect(box.locator(".plivo-note")).to_contain_text("of what was received at 0:")
    audio = box.locator("audio")
    notebook.page.wait_for_function(PLAYING, arg=audio.element_handle(), timeout=10_000)
    assert 4.0 < notebook.evaluate("replay.position") < 12.0
    expect(box.locator(".plivo-warns").first).to_contain_text("on the way to you")
    box.get_by_role("button", name="Sent").click()
    box.get_by_role("button", name="Hear").click()
    expect(box.locator(".plivo-note")).to_contain_text("of what was sent at 0:")


def saved(notebook: Any, box: Any, jupyter: Any) -> None:
    for format_ in ("PNG", "WAV"):
        box.get_by_role("button", name=format_).click()
        expect(box.locator(".plivo-note")).to_contain_text(f"Saved as {jupyter.root}", timeout=20_000)
        expect(box.locator(".plivo-note")).to_contain_text(f".{format_.lower()}", timeout=20_000)
    assert next(iter(jupyter.root.glob("echo-*.png"))).read_bytes().startswith(b"\x89PNG")
    with wave.open(str(next(iter(jupyter.root.glob("echo-*.wav"))))) as file:
        assert file.getnchannels() == 2
        assert file.getnframes() > 10 * file.getframerate()


def looks(page: Any, box: Any, shoot: Any, theme: Any) -> None:
    """Screenshots, and nothing wider than the replay."""
    for kind, width in (("dark", 1400), ("dark", 1000), ("light", 820), ("light", 700)):
        theme(page, kind)
        page.set_viewport_size({"width": width, "height": 1000})
        box.scroll_into_view_if_needed()
        page.wait_for_timeout(700)
        shoot(f"{kind}-{width}", box)
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth + 1")
