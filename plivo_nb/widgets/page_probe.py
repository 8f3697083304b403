"""PageProbe: finds out whether a page has opened the widgets of a kernel.

The kernel does not learn that a page displays its widgets. A widget that a page can answer without JavaScript
of ours is needed, as the question is whether the page runs that. `Play`, the player of ipywidgets, is such a
one: told to play, it counts in the page, and the page sends the count.
"""

from __future__ import annotations

from typing import Any

import ipywidgets as W


class PageProbe:
    """An invisible player. Place `widget` in the box that pages display.

    Attributes:
        opened: True once a page has answered.
    """

    def __init__(self) -> None:
        self.opened = False
        self.widget: Any = W.Play(max=1, interval=100, layout=W.Layout(display="none"))
        self.widget.observe(self._on_value, "value")

    def ask(self) -> None:
        """Ask the pages that have opened the widget."""
        # The player starts when `playing` becomes true, so a page that is told nothing else does not start.
        self.widget.playing = False
        self.widget.value = 0
        self.widget.playing = True

    def _on_value(self, change: Any) -> None:
        if change["new"] == 1:
            self.opened = True
