"""Level meters: how loud the call is in each direction, ten times a second.

The levels are those that the I/O plane reports anyway; reading them takes nothing away from the samples. They
are sent as two bytes, not as JSON, and only during an answered call while a page displays the meters.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget

from plivo_nb.widgets.phone_view import close_tree

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.widgets.loop_tasks import LoopTasks

_INTERVAL_S = 0.1
_LEASE_S = 6.0  # a page that displays the meters renews it each 2 s
_SILENT_DBFS = -100.0


class _Meters(anywidget.AnyWidget):
    _esm = Path(__file__).with_name("meters.js")


def level_byte(dbfs: float) -> int:
    """A level as one byte: steps of 0.5 dB above -100 dBFS.

    Example:
        >>> level_byte(-100.0), level_byte(-20.0), level_byte(0.0)
        (0, 160, 200)
    """
    return round(2 * (min(max(dbfs, _SILENT_DBFS), 0.0) - _SILENT_DBFS))


class LevelMeters:
    """Two level meters, of what is received and of what is sent.

    Args:
        client: the client whose current call is measured.
        loop_tasks: run the task that sends levels.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self.widget: Any = _Meters()
        self.widget.layout.width = "100%"
        self.widget.on_msg(self._on_message)
        self._visible_until = 0.0
        self._sending: asyncio.Task[None] | None = None
        self._call: Call | None = None

    def refresh(self) -> None:
        """Begin to send levels if there is an answered call."""
        call = self._client.current_call
        answered = call if call is not None and call.phase == "answered" else None
        if answered is not self._call:
            self._call = answered
            self._send(_SILENT_DBFS, _SILENT_DBFS, probe=answered is not None)

    def close(self) -> None:
        """Send no more levels, and close the widget."""
        self._call = None
        if self._sending is not None:
            self._sending.cancel()
        close_tree(self.widget)

    @property
    def wanted(self) -> bool:
        """Whether levels are sent: in an answered call, while a page displays the meters."""
        return self._call is not None and time.monotonic() < self._visible_until

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A page displays the meters, or hides them; called on any thread."""
        visible = isinstance(content, dict) and content.get("visible") is True
        self._loop_tasks.call_soon(lambda: self._page_is(visible))

    def _page_is(self, visible: bool) -> None:
        self._visible_until = time.monotonic() + _LEASE_S if visible else 0.0
        if not visible and self._call is not None:
            self._send(*self._call.levels_dbfs, probe=True)  # another page may display them
        if self.wanted and (self._sending is None or self._sending.done()):
            self._sending = self._loop_tasks.create_task(self._send_levels())

    async def _send_levels(self) -> None:
        while self._call is not None and self.wanted:
            self._send(*self._call.levels_dbfs)
            await asyncio.sleep(_INTERVAL_S)

    def _send(self, received_dbfs: float, sent_dbfs: float, *, probe: bool = False) -> None:
        levels = bytes((level_byte(received_dbfs), level_byte(sent_dbfs)))
        self.widget.send({"probe": True} if probe else {}, buffers=[levels])
