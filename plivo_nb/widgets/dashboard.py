"""The dashboard: the quality of the current call, drawn once a second by a separate process."""

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
from plivo_nb.widgets import dashboard_view
from plivo_nb.widgets.call_quality import CallQuality
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
_LAST_PICTURE_TIMEOUT_S = 3.0  # how long `close` waits for the picture of a call that just ended
_dashboards: WeakKeyDictionary[Client, Dashboard] = WeakKeyDictionary()


class Dashboard:
    """Live quality of a client's calls: jitter, round-trip time, packet loss and MOS, and the latest values.

    A cell whose last expression is a dashboard displays it. When a call ends, the dashboard draws the whole
    call once more and also stores this picture in the cell's output. The saved notebook therefore shows the
    picture; it cannot show a widget without a kernel. A client has one dashboard: making another closes the
    first one.

    Args:
        client: the client whose calls are shown.
        interval_s: seconds between two pictures.

    Example:
        >>> import asyncio
        >>> from plivo_nb.testing import FakeServer
        >>> async def main():
        ...     async with FakeServer() as server, server.client() as client:
        ...         dashboard = Dashboard(client)    # as a cell's last expression it is displayed
        ...         await client.login("alice", server.password("alice"))
        ...         call = await client.call("echo")
        ...         await dashboard.close()
        ...         return dashboard.picture[:4]     # pathlib.Path("call.png").write_bytes(dashboard.picture)
        >>> asyncio.run(main())
        b'\\x89PNG'
    """

    def __init__(self, client: Client, *, interval_s: float = 1.0) -> None:
        older = _dashboards.get(client)
        if older is not None:
            older.close()
        self._client = client
        self._interval_s = interval_s
        self._view = dashboard_view.DashboardView()
        self._worker = RenderWorker()
        self._loop_tasks = LoopTasks(client.loop, self._view.show_note, "dashboard")
        self._quality = CallQuality(client, self._loop_tasks)
        self._view.show_quality(self._quality.widget)
        self._call: Call | None = client.current_call
        self._ended = False  # the last picture of `_call` has not been drawn yet
        self._drawn_rows = -1
        self._wake = asyncio.Event()
        self._closing: Operation[None] | None = None
        self._stopping = False
        self._last_picture: dict[str, str] | None = None
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
        self._remove_close_callback = client.at_close(self.close)
        self._running = self._loop_tasks.create_task(self._run())

    @property
    def widget(self) -> Any:
        """The ipywidgets box, to be placed in another layout."""
        return self._view.box

    @property
    def picture(self) -> bytes:
        """The picture shown now, as PNG bytes."""
        return self._view.picture

    @property
    def note(self) -> str:
        """The message below the picture: why drawing failed, or an empty string."""
        return self._view.note_text

    @property
    def worker_pid(self) -> int | None:
        """Process id of the drawing process, or None while it is not running."""
        return self._worker.pid

    def close(self) -> Operation[None]:
        """Close the widgets, remove the event callbacks, and end the task and the drawing process.

        If a call has just ended, its picture is drawn and stored first. Closing twice does nothing.

        Returns:
            An operation; awaiting it waits until the drawing process has ended.
        """
        if self._closing is None:
            self._remove_close_callback()
            for name, callback in self._subscriptions:
                self._client.off(name, callback)
            self._quality.unsubscribe()
            if _dashboards.get(self._client) is self:
                del _dashboards[self._client]
            self._stopping = True
            self._wake.set()
            self._closing = Operation("close the dashboard", self._finish())
        return self._closing

    async def _finish(self) -> None:
        await asyncio.wait([self._running], timeout=_LAST_PICTURE_TIMEOUT_S)
        if self._last_picture is not None:
            # Repeated in the cell that closes: nbconvert and nbval receive output of the running cell only.
            self._put_into_cell(self._last_picture)
        self._loop_tasks.close()
        self._quality.close()
        self._view.close()
        await self._worker.close()

    def __repr__(self) -> str:
        return "<Dashboard>" if self._closing is None else "<Dashboard, closed>"

    def _ipython_display_(self) -> None:
        self.show_in(self._view.box, repr(self))

    def show_in(self, box: Any, text: str) -> None:
        """Display `box`, which contains this dashboard's widget, in the running cell.

        The saved output of a cell does not contain the state of a widget. A second output is therefore made
        here, and filled with the last picture when a call ends. The page hides the second output while the
        live dashboard is above it (dashboard.css). Its text never changes, for tools that compare outputs.

        Args:
            box: the widget to display.
            text: the output's plain text.
        """
        if self._closing is not None:
            display({"text/plain": text}, raw=True)
            return
        bundle = box._repr_mimebundle_()
        display({**bundle, "text/plain": text}, raw=True)
        display({"text/plain": _PICTURE_TEXT}, raw=True, display_id=self._display_id)

    # ------------------------------------------------------------------ private; runs on the client's loop

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
        await self._draw(dashboard_view.no_columns(), "No call yet")
        while True:
            started = time.monotonic()
            self._wake.clear()
            try:
                await self._update()
            except Exception as error:
                self._view.show_note(sentence_of(error))
            if self._stopping:
                break
            if self._client.current_call is None and not self._ended:
                await self._wake.wait()  # without a call there is nothing to draw
                continue
            # At least half of the interval is left to other tasks, even if drawing is slow.
            pause_s = max(self._interval_s - (time.monotonic() - started), self._interval_s / 2)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_s)
        if self._ended:
            await self._update()

    async def _update(self) -> None:
        call, ended = self._call, self._ended
        if call is None:
            return
        self._quality.refresh()
        samples = call.samples
        if not ended and len(samples) == self._drawn_rows:
            return
        self._drawn_rows = len(samples)
        await asyncio.sleep(0)  # several short steps: other tasks of the loop run between them
        arrays = dashboard_view.to_arrays(samples)
        await asyncio.sleep(0)
        window_s = dashboard_view.window_s(arrays.seconds, whole=ended)
        title = dashboard_view.title(peer_of(call.info), arrays, ended=ended)
        columns = dashboard_view.panel_columns(arrays)
        drawn = await self._draw(columns, title, window_s, arrays.codec or "OPUS")
        if ended:
            self._ended = False
            if drawn and len(arrays):
                self._keep_picture()

    async def _draw(
        self, columns: Any, title: str, window_s: float = dashboard_view.WINDOWS_S[0], codec: str = "OPUS"
    ) -> bool:
        limit = 100 * loss_limit(codec)
        try:
            png = await self._worker.render(columns, title=title, window_s=window_s, loss_limit=limit)
        except RenderError as error:
            self._view.show_note(str(error))
            return False
        self._view.show_note("")
        self._view.show_picture(png)
        return True

    def _keep_picture(self) -> None:
        self._last_picture = {
            "image/png": base64.b64encode(self._view.picture).decode(),
            "text/plain": _PICTURE_TEXT,
        }
        self._put_into_cell(self._last_picture)

    def _put_into_cell(self, picture: dict[str, str]) -> None:
        if get_ipython() is None:
            return  # without IPython there is no cell, and `update_display` would print
        size = {"image/png": {"width": 760}}
        update_display(picture, raw=True, display_id=self._display_id, metadata=size)
