"""The buttons that save a call: what they save, and what they say."""

from __future__ import annotations

from pathlib import Path

import ipywidgets as W
from waiting import until

from plivo_nb.errors import InvalidState
from plivo_nb.widgets.export_bar import ExportBar
from plivo_nb.widgets.phone_view import close_tree


async def test_a_click_saves_and_says_where(loop_tasks, shown, widget_count) -> None:
    async def save(format_: str) -> Path:
        if format_ == "wav":
            raise InvalidState("There is no sound.")
        return Path("folder", f"call.{format_}")

    before = widget_count()
    bar = ExportBar(W.HTML(), loop_tasks, save, shown.append)
    assert [button.description for button in bar.buttons.values()] == ["PNG", "SVG", "Parquet", "WAV"]
    bar.buttons["svg"].click()
    await until(lambda: shown[-1:] == [f"Saved as {Path('folder', 'call.svg')}"])
    bar.buttons["wav"].click()
    await until(lambda: shown[-1:] == ["There is no sound."])
    bar.enable(False)
    assert {button.disabled for button in bar.buttons.values()} == {True}
    bar.enable(True)
    assert {button.disabled for button in bar.buttons.values()} == {False}
    close_tree(bar.widget)
    assert widget_count() == before
