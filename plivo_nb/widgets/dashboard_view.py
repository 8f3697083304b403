"""The widgets of the dashboard: tiles with the latest values, panels or picture, and a line for messages.

This module has no access to the client: it displays the values that it is given.
"""

from __future__ import annotations

import html
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets.phone_view import close_tree
from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Mapping

_OLD_S = 1.5  # the age of a value is shown from here on


class DashboardView:
    """The widgets of a dashboard, with one method for each value displayed. All sizes are fixed.

    Args:
        panels: the widget of the live panels.
        probe: an invisible widget that pages answer to.
    """

    def __init__(self, panels: Any, probe: Any) -> None:
        self._figures = W.HTML(figures_html({}))
        self._picture = W.Image(value=_blank_png(), format="png", layout=W.Layout(margin="0"))
        self._picture.add_class("plivo-picture")
        self._panels = panels
        self._note = W.HTML()
        self.show_note("")
        self._style = W.HTML(style(), layout=W.Layout(display="none"))
        self._probe = probe
        self.box = W.VBox(layout=W.Layout(grid_gap="6px", flex="1 1 480px"))
        self.box.add_class("plivo")
        self.box.add_class("plivo-dashboard")
        self.show_panels(live=True)

    def show_panels(self, *, live: bool) -> None:
        """Display the live panels, or pictures."""
        shown = self._panels if live else self._picture
        self.box.children = [self._style, self._figures, shown, self._note, self._probe]

    def show_figures(self, figures: Mapping[str, Any]) -> None:
        """Display the values of a sample by column; an empty mapping displays dashes."""
        self._figures.value = figures_html(figures)

    def show_picture(self, png: bytes) -> None:
        """Display a picture (PNG bytes)."""
        self._picture.value = png

    def show_note(self, sentence: str) -> None:
        """Display a message below the picture; an empty one clears it. The height does not change."""
        self.note_text = sentence
        text = html.escape(sentence)
        self._note.value = (
            f'<div class="plivo-note plivo-dim plivo-cut" role="status" title="{text}">{text}</div>'
        )

    def close(self) -> None:
        """Close every widget in the page and in the kernel."""
        for child in {self._panels, self._picture} - set(self.box.children):
            close_tree(child)
        close_tree(self.box)


def figures_html(figures: Mapping[str, Any]) -> str:
    """The tiles with the latest values, as HTML."""

    def number(name: str, digits: int = 0, factor: float = 1.0) -> str:
        value = figures.get(name)
        return "–" if value is None or value != value else f"{value * factor:.{digits}f}"

    def age(name: str, before: str = "") -> str:
        seconds = figures.get(name, math.nan)
        return f"{before}{seconds:.0f} s old" if seconds >= _OLD_S else ""

    def worse(one: str, other: str) -> str:
        values = [figures.get(name, math.nan) for name in (one, other)]
        return one if values[1] != values[1] or values[0] >= values[1] else other

    rating = verdict(figures.get("mos", math.nan))
    loss, jitter = worse("loss_in", "loss_out"), worse("jitter_in_ms", "jitter_out_ms")
    codec = figures.get("codec")
    reported = age("report_age_s", ", ")
    tiles = [
        f'<div class="plivo-tile plivo-mos" style="background:{rating.colour}"><span>MOS</span>'
        f'<b>{number("mos", 2)}</b><span class="plivo-word">{rating.word}</span></div>',
        _tile("round trip", number("rtt_ms"), "ms", age("rtt_age_s")),
        _tile("packet loss", number(loss, 1, 100), "%",
              f"in {number('loss_in', 1, 100)} · out {number('loss_out', 1, 100)}{reported}"),
        _tile("jitter", number(jitter), "ms",
              f"in {number('jitter_in_ms')} · out {number('jitter_out_ms')}{reported}"),
        _tile("codec", html.escape(codec) if isinstance(codec, str) else "–", "",
              f"{number('bitrate_in_kbps')} kbit/s" if figures else ""),
        _tile("loop lag", number("loop_lag_ms"), "ms", "of this kernel"),
    ]  # fmt: skip
    return f'<div class="plivo-figures">{"".join(tiles)}</div>'


def _tile(name: str, value: str, unit: str, detail: str) -> str:
    shown_unit = f"<small>{unit}</small>" if unit else ""
    return f'<div class="plivo-tile"><span>{name}</span><b>{value}{shown_unit}</b><span>{detail}</span></div>'


def _blank_png() -> bytes:
    """One white pixel as PNG, displayed before the first picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
