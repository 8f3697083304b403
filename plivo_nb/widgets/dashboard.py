"""The dashboard: how good the call is, once a second, drawn beside the kernel and never on its loop."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
import uuid
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import IPython.display
from IPython import get_ipython

from plivo_nb.operation import Operation
from plivo_nb.quality.limits import loss_limit
from plivo_nb.widgets import dashboard_view as faces
from plivo_nb.widgets.loop_tasks import LoopTasks, sentence_of
from plivo_nb.widgets.phone_view import peer_of
from plivo_nb.widgets.render_worker import RenderError, RenderWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.events import EventName

# IPython's functions have no annotations.
display: Any = IPython.display.display
update_display: Any = IPython.display.update_display
_PICTURE_TEXT = "<the last call: jitter, round trip, packet loss and MOS>"
_PATIENCE_S = 3.0  # for a last picture at the close
_dashboards: WeakKeyDictionary[Client, Dashboard] = WeakKeyDictionary()


class Dashboard:
    """Live quality of a client's calls: jitter, round trip, loss and MOS, and the key figures in large type.

    The last expression of a cell shows it. When a call ends, its whole course is drawn once more and stays:
    in the page, and as a picture in the cell's output, so that it is in the saved notebook too (pages cannot
    show a widget whose kernel is gone). A client has one dashboard: making another closes the first.

    Args:
        client: whose calls to watch.
        interval_s: seconds between pictures.

    Example:
        >>> dashboard = Dashboard(client)
        >>> dashboard
    """

    def __init__(self, client: Client, *, interval_s: float = 1.0) -> None:
        older = _dashboards.get(client)
        if older is not None:
            older.close()
        self._client = client
        self._interval_s = interval_s
        self._face = faces.DashboardView()
        self._worker = RenderWorker()
        self._chores = LoopTasks(client.loop, self._face.note, "dashboard")
        self._call: Call | None = client.current_call
        self._ended = False  # the last picture of `_call` is due
        self._drawn_rows = -1
        self._wake = asyncio.Event()
        self._closing: Operation[None] | None = None
        self._stopping = False
        self._kept: dict[str, str] | None = None
        self._display_id = f"plivo_nb-{uuid.uuid4().hex}"
        self._subscriptions: list[tuple[EventName, Callable[..., None]]] = [
            ("onCalling", self._call_began),
            ("onCallAnswered", self._call_began),
            ("onCallTerminated", self._call_ended),
            ("onCallFailed", self._call_ended),
        ]
        for name, callback in self._subscriptions:
            client.on(name, callback)
        _dashboards[client] = self
        self._forget_closing = client.at_close(self.close)
        self._running = self._chores.own(self._run())

    @property
    def widget(self) -> Any:
        """The ipywidgets box, for layouts of your own."""
        return self._face.box

    @property
    def picture(self) -> bytes:
        """The picture shown now, as PNG: `pathlib.Path("call.png").write_bytes(dashboard.picture)`."""
        return self._face.picture

    @property
    def note(self) -> str:
        """The sentence below the picture: what is wrong with the drawing, or nothing."""
        return self._face.noted

    @property
    def worker_pid(self) -> int | None:
        """The drawing process's id while it runs."""
        return self._worker.pid

    def close(self) -> Operation[None]:
        """Take the dashboard away: its widgets, its task, its listeners and the drawing process.

        A picture that is due, because a call just ended, is drawn and kept before.

        Returns:
            An operation: ignore it, or await it to know that the process is gone.
        """
        if self._closing is None:
            self._forget_closing()
            for name, callback in self._subscriptions:
                self._client.off(name, callback)
            if _dashboards.get(self._client) is self:
                del _dashboards[self._client]
            self._stopping = True
            self._wake.set()
            self._closing = Operation("close the dashboard", self._wind_up())
        return self._closing

    async def _wind_up(self) -> None:
        await asyncio.wait([self._running], timeout=_PATIENCE_S)
        if self._kept is not None:
            # Once more, as an output of the cell that closes: nbconvert and nbval hear only the present cell.
            self._put_into_cell(self._kept)
        self._chores.close()
        self._face.close()
        await self._worker.close()

    def __repr__(self) -> str:
        return "<Dashboard>" if self._closing is None else "<Dashboard, closed>"

    def _ipython_display_(self) -> None:
        self.show_in(self._face.box, repr(self))

    def show_in(self, box: Any, text: str) -> None:
        """Show `box`, which holds this dashboard's widget, in the present cell, with room for a picture.

        A cell's output keeps what was displayed, not what a widget shows. So a second output is made here:
        the last picture is put there when a call ends; the page hides it as long as the live dashboard
        stands above it (see theme.css). Its text is the same all the time, for tools that compare outputs.
        """
        if self._closing is not None:
            display({"text/plain": text}, raw=True)
            return
        bundle = box._repr_mimebundle_()
        display({**bundle, "text/plain": text}, raw=True)
        display({"text/plain": _PICTURE_TEXT}, raw=True, display_id=self._display_id)

    # ------------------------------------------------------------------ inside, all on the client's loop

    def _call_began(self, *_arguments: Any) -> None:
        current = self._client.current_call
        if current is not None and current is not self._call:
            self._call, self._ended, self._drawn_rows = current, False, -1
        self._wake.set()

    def _call_ended(self, *arguments: Any) -> None:
        call = self._call
        if call is not None and arguments[-1].callUUID in (None, call.info.callUUID):
            self._ended = True
            self._wake.set()

    async def _run(self) -> None:
        await self._draw(faces.no_columns(), "No call yet")
        while True:
            started = time.monotonic()
            self._wake.clear()
            try:
                await self._turn()
            except Exception as error:
                self._face.note(sentence_of(error))
            if self._stopping:
                break
            if self._client.current_call is None and not self._ended:
                await self._wake.wait()  # nothing happens without a call: no work, no copy of the samples
                continue
            # Half the interval at least is left to the loop, however slow the machine draws.
            pause_s = max(self._interval_s - (time.monotonic() - started), self._interval_s / 2)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_s)
        if self._ended:
            await self._turn()

    async def _turn(self) -> None:
        call, ended = self._call, self._ended
        if call is None:
            return
        samples = call.samples
        if not ended and len(samples) == self._drawn_rows:
            return
        self._drawn_rows = len(samples)
        await asyncio.sleep(0)  # a turn in small steps: between them the loop does what is due
        reading = faces.read(samples)
        await asyncio.sleep(0)
        if len(reading):
            self._face.show_figures(faces.key_figures(reading))
        await asyncio.sleep(0)
        window_s = max(faces.WINDOWS_S[0], reading.seconds) if ended else faces.window_s(reading.seconds)
        title = faces.title(peer_of(call.info), reading, ended=ended)
        drawn = await self._draw(faces.panel_columns(reading), title, window_s, reading.codec or "OPUS")
        if ended:
            self._ended = False
            if drawn and len(reading):
                self._keep()

    async def _draw(
        self, columns: Any, title: str, window_s: float = faces.WINDOWS_S[0], codec: str = "OPUS"
    ) -> bool:
        limit = 100 * loss_limit(codec)
        try:
            png = await self._worker.render(columns, title=title, window_s=window_s, loss_limit=limit)
        except RenderError as error:
            self._face.note(str(error))
            return False
        self._face.note("")
        self._face.show_picture(png)
        return True

    def _keep(self) -> None:
        self._kept = {
            "image/png": base64.b64encode(self._face.picture).decode(),
            "text/plain": _PICTURE_TEXT,
        }
        self._put_into_cell(self._kept)

    def _put_into_cell(self, picture: dict[str, str]) -> None:
        if get_ipython() is None:
            return  # a script has no cells, and IPython would print
        size = {"image/png": {"width": 760}}
        update_display(picture, raw=True, display_id=self._display_id, metadata=size)
