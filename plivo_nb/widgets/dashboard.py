"""The dashboard: the quality of the current call, on a canvas in the page or as pictures."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload
from weakref import WeakKeyDictionary

import IPython.display

from plivo_nb.errors import InvalidState
from plivo_nb.operation import Operation, check_open
from plivo_nb.quality.limits import loss_limit
from plivo_nb.widgets import voila
from plivo_nb.widgets.call_quality import CallQuality
from plivo_nb.widgets.call_series import SAMPLE_COLUMNS, UNKNOWN_LOSS, CallSeries
from plivo_nb.widgets.dashboard_view import DashboardView
from plivo_nb.widgets.export import default_name, export
from plivo_nb.widgets.export_bar import ExportBar
from plivo_nb.widgets.loop_tasks import LoopTasks, sentence_of
from plivo_nb.widgets.page import Page
from plivo_nb.widgets.page_probe import PageProbe
from plivo_nb.widgets.panels import Panels, ShownCall
from plivo_nb.widgets.phone_view import peer_of
from plivo_nb.widgets.recorded_call import RecordedCall
from plivo_nb.widgets.render_worker import RenderError
from plivo_nb.widgets.stills import Stills

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.engine.log import Entry
    from plivo_nb.events import EventName
    from plivo_nb.widgets.recorded_call import Source
    from plivo_nb.widgets.replay import Replay

PanelsMode = Literal["live", "picture", "auto"]

display: Any = IPython.display.display  # it has no annotations
_LAST_PICTURE_TIMEOUT_S = 3.0  # how long `close` waits for the picture of a call that just ended
_LAST_SAMPLE_TIMEOUT_S = 1.0
_FIRST_STILL_S = 5.0  # seconds into a call
_STILL_INTERVAL_S = 60.0
_ROWS_OF_A_REPORT = 2  # of a network, which comes each second, as the rows do
_ANSWER_S = 2.0  # of free time on the loop, for a page to run panels.js
_TICK_S = 0.1
_LONGEST_PROBE_INTERVAL_S = 10.0
_dashboards: WeakKeyDictionary[Client, LiveDashboard] = WeakKeyDictionary()

# Entry of the client's log: what the mark is called.
_MARKS = {
    "onCallAnswered": "answered",
    "digits sent": "sent {}",
    "digit received": "received {}",
    "connection lost": "connection lost",
    "connected": "reconnected",
    "onMediaError": "sound stopped",
}


class Dashboard:
    """The quality of calls: jitter, round-trip time, packet loss and MOS, warnings and the latest values.

    A cell whose last expression is a dashboard displays it.

    Args:
        source: a `Client`: its calls are shown live, in a `LiveDashboard`. Or a call to go through again, in
            a `plivo_nb.widgets.Replay`: a `Call`; rows of `client.samples`; or the path of a Parquet or CSV
            file of them.
        options: the other arguments of `LiveDashboard` or `Replay`.

    Example:
        >>> import asyncio
        >>> from plivo_nb.testing import FakeServer
        >>> async def main():
        ...     async with FakeServer() as server, server.client() as client:
        ...         dashboard = Dashboard(client)    # as a cell's last expression it is displayed
        ...         await client.login("alice", server.password("alice"))
        ...         call = await client.call("echo")
        ...         await call.hangup()
        ...         await dashboard.close()
        ...         return dashboard                 # or: await dashboard.export("call.png")
        >>> asyncio.run(main())
        <Dashboard, closed>
    """

    _of_recorded_calls: ClassVar[type[Dashboard]]
    _stills: Stills

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls, source: Client, *, panels: PanelsMode = "auto", interval_s: float = 1.1
        ) -> LiveDashboard: ...

        @overload
        def __new__(cls, source: Source, *, media_metrics: pd.DataFrame | None = None) -> Replay: ...

        def __new__(cls, source: Any, **options: Any) -> Any: ...

    else:

        def __new__(cls, source, **options):
            if cls is Dashboard:
                live = hasattr(source, "current_call")
                return super().__new__(LiveDashboard if live else Dashboard._of_recorded_calls)
            return super().__new__(cls)

    def __init_subclass__(cls, *, recorded_calls: bool = False) -> None:
        """Note the subclass that shows recorded calls: its module imports this one, not the reverse."""
        super().__init_subclass__()
        if recorded_calls:
            Dashboard._of_recorded_calls = cls

    def figure(self) -> Figure:
        """The call that is shown as a matplotlib figure; see `Call.plot`.

        Raises:
            InvalidState: there was no call yet.
        """
        from plivo_nb.analysis.plots import call_figure  # late: it imports matplotlib

        call = self._recorded("figure")
        return call_figure(call.samples, media_metrics=call.media_metrics, title=f"The call with {call.name}")

    def export(self, path: str | os.PathLike[str]) -> Operation[Path]:
        """Write the call that is shown to a file. A file is never overwritten.

        Args:
            path: the extension selects what is written: ``.png`` or ``.svg``: a picture; ``.parquet``: the
                samples, and beside it the mediaMetrics events; ``.wav``: the sound that is kept, received
                left and sent right. A relative path is relative to the notebook's folder.

        Returns:
            An operation; awaiting it returns the path written, with a number if there was such a file.

        Raises (when awaited):
            ValueError: the extension is another one.
            InvalidState: there is no call, or no sound of it.
            OSError: the file cannot be written.
        """
        return Operation(f"export {path}", self._export(path))

    def _recorded(self, method: str) -> RecordedCall:
        """The call that is shown; `method` is named in the error if there is none."""
        raise NotImplementedError

    async def _export(self, path: str | os.PathLike[str]) -> Path:
        return await export(self._recorded("export"), path, self._draw_for_file)

    async def _save(self, format_: str) -> Path:
        call = self._recorded("export")
        return await export(call, default_name(call, format_), self._draw_for_file)

    async def _draw_for_file(self, call: RecordedCall, format_: str) -> bytes:
        return await self._stills.draw_for_file(CallSeries.of_frame(call.samples), call.name, format_)


class LiveDashboard(Dashboard):
    """Live quality of a client's calls: jitter, round-trip time, packet loss and MOS, and the latest values.

    A cell whose last expression is a dashboard displays it. A saved notebook cannot show a widget, so the
    cell's output also gets a picture of the call: soon after its beginning, once a minute, and at its end.
    A client has one dashboard: making another closes the first one.

    Args:
        source: the client whose calls are shown.
        panels: ``"live"`` draws in the page, with a cross-hair, marks and warnings; ``"picture"`` shows
            pictures that a process beside the kernel draws, for pages that run no JavaScript of widgets;
            ``"auto"`` is live, and changes to pictures while a page displays widgets and cannot run it.
        interval_s: seconds between two updates; a picture is drawn every second time.

    Raises:
        NoRunningLoop: the client was made in an earlier `asyncio.run`.
    """

    def __init__(self, source: Client, *, panels: PanelsMode = "auto", interval_s: float = 1.1) -> None:
        client = source
        if panels not in ("live", "picture", "auto"):
            raise ValueError(f"panels is {panels!r}; choose 'live', 'picture' or 'auto'.")
        check_open(client.loop, "Dashboard")
        older = _dashboards.get(client)
        if older is not None:
            older.close()
        self._client = client
        self._interval_s = interval_s
        self.page = Page(client.loop, "Call quality")
        self._wake = asyncio.Event()
        self._panels = Panels(client.loop, self._panels_changed)
        self._probe = PageProbe()
        self._stills = Stills()
        self._loop_tasks = LoopTasks(client.loop, self._show_note, "dashboard")
        self._quality = CallQuality(client, self._loop_tasks)
        hidden = self._probe.widget, self.page.widget
        self._view = DashboardView(self._quality.widget, self._panels.widget, *hidden)
        self._auto = panels == "auto"
        self._live = panels != "picture"
        self._view.show_panels(live=self._live)
        self._exports = ExportBar(self._view.note, self._loop_tasks, self._save, self._view.show_note)
        self._exports.enable(False)
        self._view.show_exports(self._exports.widget)
        self._call: Call | None = None
        self._shown: list[ShownCall] = []  # the call, and the one before it
        self._true_loss = UNKNOWN_LOSS
        self._read_to = 0  # number of the next row of the client's samples
        self._log_read_to = 0
        self._entries: list[Entry] = []  # read, and earlier than the first sample
        self._drawn: tuple[int, int, bool] | None = None
        self._still_due_s = 0.0
        self._ended = False  # the still of the end of `_call` has not been drawn yet
        self._closing: Operation[None] | None = None
        self._stopping = False
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
        if client.current_call is not None:
            self._begin(client.current_call)
        self._running = self._loop_tasks.create_task(self._run())
        if self._auto:
            self._loop_tasks.create_task(self._watch_pages())
        if voila.opened_as_app():
            self._loop_tasks.create_task(
                voila.end_with_page(
                    self.page,
                    in_call=lambda: voila.in_answered_call_outside_labs(client),
                    end=client.close,
                )
            )

    # ------------------------------------------------------------------ public

    @property
    def widget(self) -> Any:
        """The ipywidgets box, to be placed in another layout."""
        return self._view.box

    @property
    def panels(self) -> PanelsMode:
        """What is displayed now: ``"live"`` or ``"picture"``."""
        return "live" if self._live else "picture"

    @property
    def picture(self) -> bytes:
        """The last picture of the call, as PNG bytes; empty before the first one."""
        return self._stills.png

    @property
    def note(self) -> str:
        """The message below the panels: why drawing failed, or an empty string."""
        return self._view.note_text

    @property
    def worker_pid(self) -> int | None:
        """Process id of the drawing process, or None while it is not running."""
        return self._stills.worker.pid

    def close(self) -> Operation[None]:
        """Close the widgets, remove the event callbacks, and end the tasks and the drawing process.

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
        self._stills.keep_again()
        self._loop_tasks.close()
        self._quality.close()
        self._view.close()
        await self._stills.worker.close()

    def __repr__(self) -> str:
        return "<Dashboard>" if self._closing is None else "<Dashboard, closed>"

    def _ipython_display_(self) -> None:
        self.show_in(self._view.box, repr(self))

    def show_in(self, box: Any, text: str) -> None:
        """Display `box`, which contains this dashboard's widget, in the running cell.

        Args:
            box: the widget to display.
            text: the output's plain text.
        """
        if self._closing is not None:
            display({"text/plain": text}, raw=True)
            return
        bundle = box._repr_mimebundle_()
        display({**bundle, "text/plain": text}, raw=True)
        self._stills.make_place()

    def show_truth(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Draw the loss that a lab's network caused as faint lines beside the loss that the call measures.

        Args:
            columns: the columns of `TrueLoss`; their last row is used.
        """
        if len(columns["time"]):
            self._true_loss = (float(columns["loss_in"][-1]), float(columns["loss_out"][-1]))

    def figure(self) -> Figure:
        """The call that is shown as a matplotlib figure; see `Call.plot`.

        Raises:
            InvalidState: there was no call yet.
        """
        self._recorded("figure")
        assert self._call is not None
        return self._call.plot()

    def _recorded(self, method: str) -> RecordedCall:
        call = self._call
        if call is None:
            raise InvalidState(f"{method}: the dashboard has shown no call yet; make one with client.call.")
        samples = call.samples
        if not len(samples):
            raise InvalidState(f"{method}: the call has no samples yet; there is one after each second.")
        return RecordedCall.of(samples, call.media_metrics, name=peer_of(call.info), audio=call.audio)

    # ------------------------------------------------------------------ events

    def _begin(self, call: Call) -> None:
        """Show another call. Nothing of the one before it stays but the lines that can be laid over."""
        self._call, self._ended, self._read_to = call, False, 0
        self._true_loss = UNKNOWN_LOSS
        self._stills.forget()
        self._still_due_s = time.monotonic() + _FIRST_STILL_S
        self._shown = [ShownCall(CallSeries(), peer_of(call.info)), *self._shown[:1]]
        self._entries = []
        if call.info.state != "answered":  # what is in the log is about earlier calls
            self._log_read_to, _ = self._client._log_since(self._log_read_to)
        self._panels.show(self._shown)

    def _call_began(self, *_arguments: Any) -> None:
        current = self._client.current_call
        if current is not None and current is not self._call:
            self._begin(current)
        self._wake.set()

    def _call_ended(self, *arguments: Any) -> None:
        call = self._call
        if call is not None and arguments[-1].callUUID in (None, call.info.callUUID):
            self._ended = True
            self._wake.set()

    def _show_note(self, sentence: str) -> None:
        self._view.show_note(sentence)

    def _panels_changed(self) -> None:
        if self._auto and self._panels.answered:
            self._set_live(True)
        if not self._hidden:
            self._wake.set()

    # ------------------------------------------------------------------ pages

    async def _watch_pages(self) -> None:
        """Change to pictures when a page has opened the widgets and does not run panels.js."""
        pause_s = 1.0
        while not self._panels.answered and not self._probe.opened:
            self._probe.ask()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PROBE_INTERVAL_S)
        for _ in range(round(_ANSWER_S / _TICK_S)):  # ticks: while the loop is busy, its time does not count
            if self._panels.answered:
                return
            await asyncio.sleep(_TICK_S)
        if not self._panels.answered:
            self._set_live(False)

    @property
    def _hidden(self) -> bool:
        """True while pages run the panels, and none of them shows the dashboard."""
        return self._live and self._panels.answered and not self._panels.shown

    def _set_live(self, live: bool) -> None:
        if live != self._live:
            self._live = live
            self._drawn = None
            self._view.show_panels(live=live)
            self._wake.set()

    # ------------------------------------------------------------------ updates

    async def _run(self) -> None:
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
            interval_s = self._interval_s if self._live else 2 * self._interval_s
            pause_s = max(interval_s - (time.monotonic() - started), interval_s / 2)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_s)
        if self._ended:
            await self._update()

    async def _update(self) -> None:
        call, ended = self._call, self._ended
        if call is not None:
            if ended:
                await _last_sample(call)
            if ended or not self._hidden:
                self._quality.refresh()
            self._read(call, ended)
        if self._live:
            self._panels.send_new()
        await asyncio.sleep(0)  # several short steps: other tasks of the loop run between them
        await self._draw(ended)
        if ended:
            self._ended = False

    def _read(self, call: Call, ended: bool) -> None:
        shown = self._shown[0]
        series = shown.series
        self._read_to, arrays = call._samples_since(self._read_to, SAMPLE_COLUMNS)
        # Several rows at once are older than the last report of the network.
        true_loss = self._true_loss if len(arrays["time"]) <= _ROWS_OF_A_REPORT else UNKNOWN_LOSS
        series.extend(arrays, true_loss)
        shown.name = peer_of(call.info)
        shown.loss_limit = 100 * loss_limit(series.codec or "OPUS")
        self._read_log(shown)
        shown.ended = shown.ended or ended
        self._exports.enable(series.rows > 0)
        shown.bands = [
            [
                span.panel,
                round(span.since_s, 1),
                round(span.until_s, 1) if math.isfinite(span.until_s) else None,
                span.words.name,
            ]
            for span in self._quality.warnings
        ]

    def _read_log(self, shown: ShownCall) -> None:
        """Take marks from the client's log; those before the first sample wait for it."""
        self._log_read_to, new = self._client._log_since(self._log_read_to)
        self._entries += [entry for entry in new if entry.event in _MARKS]
        if not shown.series.rows:
            return
        for entry in self._entries:
            seconds = shown.series.seconds_at(entry.time_utc_s)
            if seconds is not None and seconds > -1.0:
                text = _MARKS[entry.event].format(entry.text)
                shown.events.append([round(max(seconds, 0.0), 1), text])
        self._entries = []

    async def _draw(self, ended: bool) -> None:
        """Draw the picture that is displayed, or is due for the output of the cell; else nothing."""
        shown = self._shown[0] if self._shown else ShownCall(CallSeries(), "")
        rows = shown.series.rows
        now = time.monotonic()
        keep = rows > 0 and (ended or (not shown.ended and now >= self._still_due_s))
        state = (id(shown), rows, shown.ended)
        if not keep and (self._live or state == self._drawn):
            return
        try:
            png = await self._stills.draw(
                shown.series,
                shown.name,
                ended=shown.ended,
                whole=ended or self._live,
                # That of each minute is only seen in a notebook saved during the call: a third of the bytes.
                pixel_ratio=1 if self._live and not ended else 2,
            )
        except RenderError as error:
            self._view.show_note(str(error))
            return
        self._view.show_note("")
        self._drawn = state
        if not self._live:
            self._view.show_picture(png)
        if keep:
            self._still_due_s = now + _STILL_INTERVAL_S
            self._stills.keep()


async def _last_sample(call: Call) -> None:
    """Wait for the sample of the last part of a second, which comes after the event of the end."""

    async def ended() -> None:
        await call.ended

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended(), _LAST_SAMPLE_TIMEOUT_S)
