"""The account of the phone: who is logged in, and the connection to the server."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.palette import GOOD_COLOUR, POOR_COLOUR, UNKNOWN_COLOUR
from plivo_nb.widgets.phone_view import close_tree

if TYPE_CHECKING:
    from plivo_nb.client import Client
    from plivo_nb.widgets.loop_tasks import LoopTasks

_CONNECTIONS = {
    "connected": (GOOD_COLOUR, "connected"),
    "connecting": (POOR_COLOUR, "connecting…"),
    "none": (UNKNOWN_COLOUR, "not connected"),
}


class AccountForm:
    """The account bar of one client's phone.

    Args:
        client: the client.
        loop_tasks: run what is clicked.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self.widget: Any = W.HTML()

    def refresh(self) -> None:
        """Display the present state of the client."""
        client = self._client
        user = client.username if client.is_logged_in else None
        connecting = "connecting" if client.username is not None else "none"
        colour, words = _CONNECTIONS["connected" if client.is_connected else connecting]
        self.widget.value = (
            f'<div class="plivo-line"><span class="plivo-connection"><span class="plivo-dot" '
            f'style="background:{colour}"></span>{words}</span>'
            f'<span class="plivo-cut">{"logged out" if user is None else html.escape(user)}</span></div>'
        )

    def close(self) -> None:
        """Close the widgets."""
        close_tree(self.widget)
