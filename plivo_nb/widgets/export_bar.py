"""ExportBar: a button for each format that a call can be saved in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.widgets.export import FORMATS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from plivo_nb.widgets.loop_tasks import LoopTasks

_WORDS = {
    "png": ("PNG", "Save a picture as PNG beside the notebook"),
    "svg": ("SVG", "Save a picture as SVG beside the notebook"),
    "parquet": ("Parquet", "Save samples and warnings as Parquet beside the notebook"),
    "wav": ("WAV", "Save the sound that is kept as WAV beside the notebook"),
}


class ExportBar:
    """The buttons, to the right of a line for messages.

    Args:
        note: the widget with the line for messages.
        loop_tasks: runs what a click starts, and displays its error.
        save: saves the call in the format under a name of its own, and returns the path.
        show: displays a sentence in the line for messages.

    Attributes:
        widget: the ipywidgets box.
        buttons: by format.
    """

    def __init__(
        self,
        note: Any,
        loop_tasks: LoopTasks,
        save: Callable[[str], Awaitable[Path]],
        show: Callable[[str], None],
    ) -> None:
        self._save = save
        self._show = show
        self.buttons: dict[str, Any] = {}
        for format_ in FORMATS:
            description, tooltip = _WORDS[format_]
            button = self.buttons[format_] = W.Button(description=description, tooltip=tooltip)
            button.on_click(partial(self._clicked, loop_tasks, format_))
        label = W.HTML('<div class="plivo-label">Save as</div>')
        self.widget: Any = W.HBox([note, label, *self.buttons.values()])
        self.widget.add_class("plivo-exports")

    def enable(self, enabled: bool) -> None:
        """Enable the buttons, once there is a call to save."""
        for button in self.buttons.values():
            if button.disabled == enabled:
                button.disabled = not enabled

    def _clicked(self, loop_tasks: LoopTasks, format_: str, _button: Any) -> None:
        loop_tasks.run_soon(partial(self._run, format_))

    async def _run(self, format_: str) -> None:
        path = await self._save(format_)
        self._show(f"Saved as {path}")
