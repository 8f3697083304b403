"""ClassBoard: every student's call as a live table, and the network's knobs for one student or for all."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as W
import traitlets

from plivo_nb.errors import LabError
from plivo_nb.widgets import voila
from plivo_nb.widgets.class_view import ClassRecord
from plivo_nb.widgets.loop_tasks import LoopTasks
from plivo_nb.widgets.page import Page
from plivo_nb.widgets.phone_view import close_tree, live_region
from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plivo_nb.lab import Lab

REFRESH_S = 1.0
_GREATEST = {"loss": 1.0, "delay_ms": 2000.0, "jitter_ms": 1000.0}


class _Table(anywidget.AnyWidget):
    _esm = Path(__file__).with_name("class_board.js")
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)


class ClassBoard:
    """The calls of a class, for its teacher. A cell whose last expression is a `ClassBoard` displays it.

    A row a student: with whom, for how long, MOS as a number and as a curve over the call, round trip,
    packet loss in both directions, and why the last call ended. MOS and round trip are those that the
    student's client reports to the lab's statistics service each few seconds. The loss is the lab's own
    count of what it dropped in the last five seconds: it does not depend on what a client says, and packets
    that are lost before they reach the lab, or after they left it, are not in it. The table's head says
    which is whose. Below the table are loss, delay and jitter, for one student or for all: those of a
    student win over those for all.

    Args:
        lab: a running lab of which you are the teacher.

    Raises:
        LabError: you joined the lab as a student.

    Example:
        >>> import asyncio
        >>> from plivo_nb import ClassBoard, Lab
        >>> async def main():
        ...     async with Lab(["ann", "bob"], random_passwords=True) as lab:
        ...         board = ClassBoard(lab)         # as a cell's last expression it is displayed
        ...         await board.set("ann", delay_ms=150)
        ...         users = [row["user"] for row in board.rows]
        ...         board.close()
        ...         return users
        >>> asyncio.run(main())
        ['ann', 'bob']
    """

    def __init__(self, lab: Lab) -> None:
        if lab.user is not None:
            raise LabError(f"Only the teacher sees the whole class; you joined as {lab.user}.")
        self._lab = lab
        self._record = ClassRecord(list(lab.accounts))
        self._closed = False
        loop = asyncio.get_running_loop()
        self._table: Any = _Table(rows=self._record.rows())
        self._table.on_msg(self._on_message)
        self._status_line = live_region()
        page = Page(loop, "Class")
        head = W.HTML(style(), layout=W.Layout(display="none"))
        self.widget: Any = W.VBox([head, self._table, self._status_line, page.widget])
        self.widget.add_class("plivo")
        self.widget.add_class("plivo-class")
        self._loop_tasks = LoopTasks(loop, self._show_status, "class board")
        self._unsubscribe = lab.on_entry(self._record.take)
        self._loop_tasks.create_task(self._refresh())
        if voila.opened_as_app():
            self._loop_tasks.create_task(voila.end_with_page(page, end=lab.close))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What is displayed now, a dict a student; see `plivo_nb.widgets.class_view.ClassRecord.rows`."""
        return self._record.rows()

    async def set(self, user: str | None = None, **knobs: float) -> None:
        """Set knobs of the network, as the form below the table does.

        Args:
            user: for the calls of this student; None: for all.
            knobs: such as ``loss=0.05`` or ``delay_ms=120``, see `lab.network.set`.

        Raises:
            LabError: there is no such knob, or a value is out of range.
        """
        await self._lab.network.set(user=user, **knobs)  # type: ignore[arg-type]

    async def clear(self, user: str | None = None) -> None:
        """Reset the knobs: those of a student, so that those for all count again; or all of them."""
        await self._lab.network.clear(user)

    def close(self) -> None:
        """Close the widget; the lab goes on."""
        if self._closed:
            return
        self._closed = True
        self._unsubscribe()
        self._loop_tasks.close()
        close_tree(self.widget)

    def __repr__(self) -> str:
        return "<ClassBoard, closed>" if self._closed else f"<ClassBoard of {len(self.rows)} students>"

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        if self._closed:
            return {"text/plain": repr(self)}
        return {**self.widget._repr_mimebundle_(**arguments), "text/plain": repr(self)}

    # ------------------------------------------------------------------ private; runs on the loop

    async def _refresh(self) -> None:
        while True:
            self._record.update(await self._lab.status())
            rows = self._record.rows()
            if rows != self._table.rows:
                self._table.rows = rows
            await asyncio.sleep(REFRESH_S)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if isinstance(content, dict):
            self._loop_tasks.run_soon(lambda: self._asked(content))

    async def _asked(self, content: Mapping[str, Any]) -> None:
        """Do what the form of the page asks for."""
        user = content.get("user") or None
        if user is not None and user not in self._lab.accounts:
            return
        who = user or "all"
        if content.get("type") == "clear":
            await self.clear(user)
            self._show_status(f"The network of {who} is reset.")
            return
        knobs = {name: _value(content.get(name), most) for name, most in _GREATEST.items()}
        await self.set(user, **{name: value for name, value in knobs.items() if value is not None})
        self._show_status(f"The network of {who} is set.")

    def _show_status(self, text: str) -> None:
        self._status_line.value = text


def _value(given: Any, most: float) -> float | None:
    """A number of the form, from 0 to `most`; None where it is none."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        return None
    return min(max(float(given), 0.0), most)
