"""History: the calls of a client that have ended, the latest first.

The list is one anywidget, so that 50 calls are 50 rows of one page element and not 50 trees of widgets.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from plivo_nb.errors import InvalidState
from plivo_nb.quality.limits import verdict
from plivo_nb.widgets.phone_view import clock, close_tree, peer_of
from plivo_nb.widgets.screen import why_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.widgets.loop_tasks import LoopTasks

KEPT_CALLS = 50


class _List(anywidget.AnyWidget):
    _esm = Path(__file__).with_name("history.js")
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    missed = traitlets.Int(0).tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)


class History:
    """The last 50 calls of one client, folded under a line that counts the missed ones.

    Args:
        client: the client whose calls are listed, from now on.
        loop_tasks: run what is clicked.
        redial: called with the number of a row whose button was clicked.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks, redial: Callable[[str], Any]) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self._redial = redial
        self._open: list[Call] = []
        self._calls: dict[str, Call] = {}  # the latest last
        self._added = 0
        self.widget: Any = _List()
        self.widget.layout.width = "100%"
        self.widget.on_msg(self._on_message)

    @property
    def selected_call(self) -> Call | None:
        """The call of the selected row; None without one."""
        return self._calls.get(self.widget.selected)

    def refresh(self) -> None:
        """Note new calls, and list those that have ended."""
        current = self._client.current_call
        for call in [*self._client.incoming_calls, *([] if current is None else [current])]:
            if call not in self._open:
                self._open.append(call)
                self._loop_tasks.create_task(self._list_at_end(call))  # an ignored call ends without an event
        ended = [call for call in self._open if call.summary is not None]
        if not ended:
            return
        self._open = [call for call in self._open if call not in ended]
        rows = list(self.widget.rows)
        missed = 0
        for call in ended:
            self._added += 1
            row = row_of(call, f"call-{self._added}")
            self._calls[row["id"]] = call
            rows.insert(0, row)
            missed += row["kind"] == "missed"
        for old in rows[KEPT_CALLS:]:
            del self._calls[old["id"]]
        if self.widget.selected not in self._calls:
            self.widget.selected = ""
        self.widget.rows = rows[:KEPT_CALLS]
        self.widget.missed += missed

    def close(self) -> None:
        """Close the list, and keep no call any more."""
        self._calls.clear()
        self._open.clear()
        close_tree(self.widget)

    async def _list_at_end(self, call: Call) -> None:
        await call.ended
        self.refresh()

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        row_id = content.get("redial") if isinstance(content, dict) else None
        if isinstance(row_id, str):
            self._loop_tasks.run_soon(lambda: self._call_again(row_id))

    def _call_again(self, row_id: str) -> Any:
        call = self._calls.get(row_id)
        if call is None:
            raise InvalidState("This call is not in the history any more.")
        info = call.info
        return self._redial(info.dest if info.direction == "OUTGOING" else info.src)


def row_of(call: Call, row_id: str) -> dict[str, Any]:
    """What the page displays of a call that has ended.

    Args:
        call: the call.
        row_id: identifies the row.

    Returns:
        id; kind: outgoing, incoming or missed; who; at_ms: its beginning, ms since 1970 UTC; length: of the
        conversation, empty without one; mos and verdict: mean MOS in a number and a word; why it ended.
    """
    summary = call.summary
    assert summary is not None
    duration_s, mos = summary["duration_s"], summary["mos_mean"]
    answered = not math.isnan(duration_s)
    kind = "outgoing"
    if summary["direction"] == "INCOMING":
        kind = "incoming" if answered or summary["state"] == "rejected" else "missed"
    return {
        "id": row_id,
        "kind": kind,
        "who": peer_of(call.info),
        "at_ms": round(1000 * summary["time"]),
        "length": clock(duration_s) if answered else "",
        "mos": "" if math.isnan(mos) else f"{mos:.1f}",
        "verdict": "" if math.isnan(mos) else verdict(mos).word,
        "why": why_ended(call.info, call.cause),
    }
