"""The ipywidgets of a replay: transport, sound, export. Heights are fixed.

This module has no access to calls: it displays the values that it is given.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.widgets.phone_view import clock, close_tree, live_region
from plivo_nb.widgets.quality_view import QualityView
from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

SPEEDS = (1, 4, 16)


class ReplayView:
    """The widgets of a replay.

    Args:
        panels: the widget of the panels.

    Attributes:
        box: the ipywidgets box.
        quality: tiles and banner.
        play, hear: buttons.
        speed, direction: choices of one of several.
        position: the slider, in seconds into the call.
        slider_value: where the slider stands if nobody has moved it.
        calls: the choice of the call, where there are several.
        note: the widget of the line for messages.
        audio: the player.
    """

    def __init__(self, panels: Any) -> None:
        self.quality = QualityView()
        self._times, self._clock, self.note = W.HTML(), W.HTML(), live_region()
        self.play = W.Button(description="Play", tooltip="Play from this moment, or pause")
        self.speed = _choice([(f"{speed}×", speed) for speed in SPEEDS], "Speed")
        self.position = W.FloatSlider(
            min=0.0,
            max=1.0,
            step=1.0,
            readout=False,
            description="Position in the call",
            layout=W.Layout(flex="1 1 0"),
        )
        self.hear = W.Button(description="Hear", tooltip="Hear five seconds at this moment")
        self.direction = _choice([("Received", False), ("Sent", True)], "Which sound")
        self.audio = W.Audio(value=b"", format="wav", autoplay=True, loop=False)
        self.calls = W.Dropdown(options=[("", 0)], layout=W.Layout(flex="1 1 0", min_width="0"))
        rows = [
            W.HTML(style(), layout=W.Layout(display="none")),
            self._times,
            self.quality.widget,
            panels,
            _row("plivo-transport", self.play, self.position, self._clock, self.speed),
            _row("plivo-sound", self.hear, self.direction, self.audio, self.calls),
            self.note,
        ]
        self.box: Any = W.VBox(rows, layout=W.Layout(grid_gap="8px"))
        for name in ("plivo", "plivo-dashboard", "plivo-replay"):
            self.box.add_class(name)
        self.audio.layout.visibility = "hidden"
        self.slider_value = 0.0
        self.show_note("")

    def on_click(self, button: Any, handler: Callable[[], None]) -> None:
        """Call `handler` when this button is clicked."""
        button.on_click(lambda _button: handler())

    def show_exports(self, widget: Any, *hidden: Any) -> None:
        """Display this widget, which contains `note`, in the last row, and widgets without a look."""
        self.box.children = [
            *(child for child in self.box.children if child is not self.note),
            widget,
            *hidden,
        ]

    def show_calls(self, names: Sequence[str]) -> None:
        """Offer these calls; a single one is not a choice."""
        self.calls.options = [(name, number) for number, name in enumerate(names)]
        self.calls.layout.visibility = "visible" if len(names) > 1 else "hidden"

    def show_length(self, seconds: float) -> None:
        """Set the length of the call."""
        self.position.max = float(max(1, math.ceil(seconds)))

    def show_position(self, seconds: float, length: float, at: pd.Timestamp, name: str) -> None:
        """Display a moment: in the slider, in the call, and by the clock, in UTC and in local time."""
        # Whole seconds: of other values, the page sends back the nearest that the slider can have.
        self.slider_value = (
            self.position.max if seconds >= length else min(round(seconds), math.floor(length))
        )
        self.position.value = self.slider_value
        self._clock.value = f'<div class="plivo-clock"><b>{clock(seconds)}</b> / {clock(length)}</div>'
        self._times.value = (
            f'<div class="plivo-times"><b class="plivo-cut">Replay · {html.escape(name)}</b>'
            f"<span>{html.escape(both_times(at))}</span></div>"
        )

    def show_playing(self, playing: bool) -> None:
        """Display on the button whether it is playing."""
        self.play.description = "Pause" if playing else "Play"

    def show_sound(self, wav: bytes) -> None:
        """Play a WAV file in the page; an empty one hides the player."""
        self.audio.layout.visibility = "visible" if wav else "hidden"
        self.audio.value = wav

    def show_note(self, sentence: str) -> None:
        """Display a sentence in the last line; an empty one clears it."""
        self.note_text = sentence
        text = html.escape(sentence)
        self.note.value = f'<div class="plivo-note plivo-cut" title="{text}">{text}</div>'

    def close(self) -> None:
        """Close every widget in the page and in the kernel."""
        close_tree(self.box)


def both_times(at: pd.Timestamp) -> str:
    """A moment by the kernel's clock and in UTC, such as ``25 Nov 2026 13:00:41 CET · 12:00:41 UTC``."""
    local = at.to_pydatetime().astimezone()
    utc = f"{at:%H:%M:%S} UTC"
    if not local.utcoffset():
        return f"{at:%d %b %Y} {utc}"
    return f"{local:%d %b %Y %H:%M:%S %Z} · {utc}"


def _choice(options: list[tuple[str, Any]], what: str) -> Any:
    made = W.ToggleButtons(options=options, tooltips=[f"{what}: {name}" for name, _ in options])
    made.style.button_width = "auto"
    return made


def _row(name: str, *widgets: Any) -> Any:
    made = W.HBox(widgets, layout=W.Layout(width="100%", grid_gap="6px", align_items="center"))
    made.add_class(name)
    return made
