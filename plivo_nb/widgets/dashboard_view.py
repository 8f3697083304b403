"""The widgets of the dashboard: tiles and banner, panels or picture, and a line for messages.

This module has no access to the client: it displays the values that it is given.
"""

from __future__ import annotations

import html
import struct
import zlib
from typing import Any

import ipywidgets as W

from plivo_nb.widgets.phone_view import close_tree, live_region
from plivo_nb.widgets.theme import style


class DashboardView:
    """The widgets of a dashboard, with one method for each value displayed. All sizes are fixed.

    Args:
        quality: the widget of tiles and banner.
        panels: the widget of the live panels.
        hidden: widgets without a look of their own.

    Attributes:
        note: the widget of the line for messages.
    """

    def __init__(self, quality: Any, panels: Any, *hidden: Any) -> None:
        self._quality = quality
        self._picture = W.Image(value=_blank_png(), format="png", layout=W.Layout(margin="0"))
        self._picture.add_class("plivo-picture")
        self._panels = panels
        self.note = self._last_row = live_region()
        self.show_note("")
        self._style = W.HTML(style(), layout=W.Layout(display="none"))
        self._hidden = hidden
        self.box = W.VBox()
        self.box.add_class("plivo")
        self.box.add_class("plivo-dashboard")
        self.show_panels(live=True)

    def show_panels(self, *, live: bool) -> None:
        """Display the live panels, or pictures."""
        shown = self._panels if live else self._picture
        self.box.children = [self._style, self._quality, shown, self._last_row, *self._hidden]

    def show_exports(self, widget: Any) -> None:
        """Display this widget, which contains `note`, in the last row."""
        self._last_row = widget
        self.box.children = [widget if child is self.note else child for child in self.box.children]

    def show_picture(self, png: bytes) -> None:
        """Display a picture (PNG bytes)."""
        self._picture.value = png

    def show_note(self, sentence: str) -> None:
        """Display a message below the picture; an empty one clears it. The height does not change."""
        self.note_text = sentence
        text = html.escape(sentence)
        self.note.value = f'<div class="plivo-note plivo-dim plivo-cut" title="{text}">{text}</div>'

    def close(self) -> None:
        """Close every widget in the page and in the kernel."""
        for child in {self._panels, self._picture} - set(self.box.children):
            close_tree(child)
        close_tree(self.box)


def _blank_png() -> bytes:
    """One white pixel as PNG, displayed before the first picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
