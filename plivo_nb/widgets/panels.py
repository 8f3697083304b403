"""Panels: the canvas in the page (panels.js) that draws calls, and the messages that it is fed with.

The kernel sends rows of float32 as they come, in binary custom messages; nothing is sent while no page shows
the canvas. All messages are custom messages of one anywidget:

    page to kernel   {"type": "hello", "page": id}     the page has run panels.js
                     {"type": "shown", "page": id, "have": {key: rows}}
                                                       it shows the canvas, and has so many rows of each call
                     {"type": "hidden", "page": id}
                     {"type": "moment", "key": key, "t": seconds}   a moment was chosen: a click, or Enter
    kernel to page   {"calls": [call, ...], "page": id, "show": [key, ...], "cursor": seconds or null}
                     all but "calls" only where needed; "page": only this page is meant;
                     "show": the call that is drawn, then the one that can be laid over it
    call             {"key": key, "from": row, "next": row, "rows": n, "reset": true, "about": {...}}
                     the buffer has the rows of all calls in turn, each as `call_series.COLUMNS`. They are
                     the rows `from` .. `next` - 1, or with "reset" all that is kept of 0 .. `next` - 1.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import traitlets

from plivo_nb.widgets.call_series import COLUMNS, TRUE_LOSS
from plivo_nb.widgets.figure import DRAWN, PANELS
from plivo_nb.widgets.theme import FIGURE_LIMITS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping, Sequence

    from plivo_nb.widgets.call_series import CallSeries

_MOST_SPANS = 200  # warnings and marks that are sent: the last ones
_logger = logging.getLogger("plivo_nb.widgets")


_TRUTH = [[TRUE_LOSS[0], "received", "steps-post"], [TRUE_LOSS[1], "sent", "steps-post"]]


def _spec() -> dict[str, Any]:
    """What panels.js draws: figure.py has it, too, for the pictures."""
    panels = [
        {
            "title": title,
            "series": [[column, colour, DRAWN.get(column, "steps-post")] for column, colour in columns],
            "top": top,
            "limit": FIGURE_LIMITS.get(limit),  # None: each call has its own
            "label": label,
            # Drawn as faint lines: what the network did, beside what the call measured.
            "truth": _TRUTH if ("loss_in", "received") in columns else [],
        }
        for title, columns, top, limit, label in PANELS
    ]
    return {"columns": list(COLUMNS), "panels": panels}


class _Canvas(anywidget.AnyWidget):
    _esm = Path(__file__).with_name("panels.js")
    spec = traitlets.Dict().tag(sync=True)


class ShownCall:
    """A call as the panels draw it.

    Args:
        series: its values.
        name: who the other party is.

    Attributes:
        ended: True once it is over.
        bands: [panel or None for all, start, end or None, text] of each warning, in seconds into the call.
        events: [seconds into the call, text] of what is not in the series.
        loss_limit: warning limit of its codec, in percent.
    """

    def __init__(self, series: CallSeries, name: str) -> None:
        self.series = series
        self.name = name
        self.ended = False
        self.bands: list[list[Any]] = []
        self.events: list[list[Any]] = []
        self.loss_limit = 0.0

    def about(self) -> dict[str, Any]:
        """What the page knows of it beside the rows."""
        marks = [[round(mark.t, 1), mark.text] for mark in self.series.marks[-_MOST_SPANS:]]
        return {
            "name": self.name,
            "codec": self.series.codec or "",
            "ended": self.ended,
            "loss_limit": self.loss_limit,
            "bands": self.bands[-_MOST_SPANS:],
            "marks": sorted(marks + self.events[-_MOST_SPANS:]),
        }


class Panels:
    """The canvas of one dashboard.

    Use it on one event loop only.

    Args:
        loop: the event loop on which messages of pages are handled.
        on_change: called when a page has said hello, or shows the canvas, or no longer shows it.

    Attributes:
        answered: True once a page has run panels.js.
        on_moment: called with the call's number in `show`, and seconds into the call, when one is chosen.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_change: Callable[[], None]) -> None:
        self.widget: Any = _Canvas(spec=_spec())
        self.answered = False
        self.on_moment: Callable[[int, float], None] = lambda _call, _seconds: None
        self._loop = loop
        self._on_change = on_change
        self._pages: set[str] = set()  # those that show the canvas
        self._calls: dict[str, ShownCall] = {}
        self._count = 0
        self._cursor: float | None = None
        self._sent: dict[str, int] = {}
        self._about: dict[str, dict[str, Any]] = {}
        self.widget.on_msg(self._on_message)
        self.widget.add_class("plivo-panels")

    @property
    def shown(self) -> bool:
        """True while a page shows the canvas."""
        return bool(self._pages)

    def show(self, calls: Sequence[ShownCall]) -> None:
        """Draw the first of these calls; the second one can be laid over it."""
        keys = {id(call): key for key, call in self._calls.items()}
        kept: dict[str, ShownCall] = {}
        for call in calls:
            key = keys.get(id(call))
            if key is None:
                self._count += 1
                key = str(self._count)
            kept[key] = call
        self._calls = kept
        self._sent = {key: self._sent.get(key, 0) for key in kept}
        self._about = {key: self._about[key] for key in kept if key in self._about}
        if self._pages:
            self._send({"calls": self._new_parts(), "show": list(kept)})

    def send_new(self) -> None:
        """Send what is new to the pages that show the canvas; nothing if there is none."""
        if not self._pages:
            return
        parts = self._new_parts()
        if parts:
            self._send({"calls": parts})

    def move_cursor(self, seconds: float | None) -> None:
        """Place the cross-hair at this time of the call, or remove it.

        It stays there when the pointer leaves the panels, and is displayed whatever part of the call is.
        """
        self._cursor = seconds
        if self._pages:
            self._send({"calls": [], "cursor": seconds})

    def close(self) -> None:
        """Close the widget in the pages and in the kernel."""
        self._pages.clear()
        self.widget.layout.close()
        self.widget.close()

    # ------------------------------------------------------------------ private

    def _new_parts(self) -> list[dict[str, Any]]:
        """What each call has that has not been sent to all pages."""
        parts = []
        for key, call in self._calls.items():
            part = self._part(key, self._sent[key])
            about = call.about()
            if about != self._about.get(key):
                part["about"] = self._about[key] = about
            self._sent[key] = call.series.rows
            if part["next"] > part["from"] or "about" in part:
                parts.append(part)
        return parts

    def _part(self, key: str, have: int) -> dict[str, Any]:
        series = self._calls[key].series
        rows = series.since(have) if have else None
        part: dict[str, Any] = {"key": key, "from": have, "next": series.rows}
        if rows is None:
            rows = series.history()
            part |= {"from": 0, "reset": True}
        return {**part, "rows": len(rows), "values": rows}

    def _send(self, message: dict[str, Any]) -> None:
        values = [part.pop("values") for part in message["calls"]]
        block = np.concatenate(values).astype("<f4").tobytes() if values else b""
        self.widget.send(message, [block] if block else None)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        # Called on another thread in some versions of ipykernel; see loop_tasks.py.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._receive, content)

    def _receive(self, content: Any) -> None:
        try:
            kind, page = content["type"], str(content.get("page", ""))
            if kind == "hello":
                self.answered = True
            elif kind == "shown":
                self._welcome(page, content["have"])
            elif kind == "hidden":
                self._pages.discard(page)
            elif kind == "moment":
                self.on_moment(list(self._calls).index(content["key"]), float(content["t"]))
                return
        except (AttributeError, KeyError, TypeError, ValueError):
            _logger.warning("A message of the panels in the page is wrong: %.200r", content)
            return
        self._on_change()

    def _welcome(self, page: str, have: Mapping[str, int]) -> None:
        """Send a page what it lacks."""
        rows = {key: min(int(have.get(key, 0)), call.series.rows) for key, call in self._calls.items()}
        if not self._pages:  # until now nobody had what is sent as new
            self._sent = {key: call.series.rows for key, call in self._calls.items()}
            self._about = {key: call.about() for key, call in self._calls.items()}
        self._pages.add(page)
        self.answered = True
        parts = [self._part(key, count) for key, count in rows.items()]
        for part in parts:
            part["about"] = self._calls[part["key"]].about()
        message = {"calls": parts, "page": page, "show": list(self._calls)}
        self._send(message if self._cursor is None else {**message, "cursor": self._cursor})
