"""Phone and dashboard side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as W

if TYPE_CHECKING:
    from plivo_nb.widgets.dashboard import Dashboard
    from plivo_nb.widgets.phone import Phone


class SideBySide:
    """A phone and a dashboard next to each other; below each other where the page is narrow.

    The last expression of a cell shows it. Closing phone and dashboard empties it.

    Example:
        >>> SideBySide(Phone(client), Dashboard(client))
    """

    def __init__(self, phone: Phone, dashboard: Dashboard) -> None:
        layout = W.Layout(display="flex", flex_flow="row wrap", align_items="flex-start", grid_gap="10px")
        self._dashboard = dashboard
        self.widget: Any = W.Box([phone.widget, dashboard.widget], layout=layout)

    def close(self) -> None:
        """Take the frame away; phone and dashboard are closed by their own."""
        self.widget.layout.close()
        self.widget.close()

    def __repr__(self) -> str:
        return "<Phone and Dashboard>"

    def _ipython_display_(self) -> None:
        self._dashboard.show_in(self.widget, repr(self))
