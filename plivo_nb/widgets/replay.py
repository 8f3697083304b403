"""Replay: a call to go through again, with the panels, tiles and warnings of each moment, and its sound."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import InvalidState, NoRunningLoop
from plivo_nb.operation import Operation
from plivo_nb.quality.limits import loss_limit
from plivo_nb.widgets import voila
from plivo_nb.widgets.call_series import CallSeries
from plivo_nb.widgets.dashboard import Dashboard
from plivo_nb.widgets.export import NO_AUDIO
from plivo_nb.widgets.export_bar import ExportBar
from plivo_nb.widgets.loop_tasks import LoopTasks
from plivo_nb.widgets.page import Page
from plivo_nb.widgets.panels import Panels, ShownCall
from plivo_nb.widgets.phone_view import clock
from plivo_nb.widgets.recorded_call import RecordedCall, recorded_calls
from plivo_nb.widgets.replay_view import ReplayView, both_times
from plivo_nb.widgets.stills import Stills

if TYPE_CHECKING:
    import pandas as pd

    from plivo_nb.widgets.recorded_call import Source

_STEP_S = 0.25  # between two moments while it plays


class Replay(Dashboard, recorded_calls=True):
    """A call to go through again. A cell whose last expression is a replay displays it.

    Play it, move the slider, or click a moment in the panels: tiles and banner show what a dashboard showed
    then, and a click plays five seconds of sound while the kernel keeps them (`Call.audio`). At the end the
    tiles sum the call up. The keyboard works on each control; in the panels, the arrow keys choose a moment
    and Enter plays it.

    Args:
        source: a `Call`; rows of `client.samples`, of one or several calls; or the path of a Parquet or CSV
            file of them.
        media_metrics: rows of `client.media_metrics`, for the warnings of a frame. A `Call` has its own, and
            a Parquet file of `export` has them in a file beside it.

    Raises:
        NoRunningLoop: no event loop is running.
        TypeError: the source is none of these.
        ValueError: it has no samples.
        OSError: the file cannot be read.

    Example:
        >>> import asyncio
        >>> from plivo_nb.testing import FakeServer
        >>> async def main():
        ...     async with FakeServer() as server, server.client() as client:
        ...         await client.login("alice", server.password("alice"))
        ...         call = await client.call("echo")
        ...         await asyncio.sleep(1.2)
        ...         await call.hangup()
        ...         replay = Replay(call)     # as a cell's last expression it is displayed
        ...         replay.seek(1.0)
        ...         await replay.close()
        ...         return replay.position
        >>> asyncio.run(main())
        1.0
    """

    def __init__(self, source: Source, *, media_metrics: pd.DataFrame | None = None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise NoRunningLoop("A replay needs a running event loop: make it in a notebook cell.") from None
        self._calls = recorded_calls(source, media_metrics)
        self._shown = [_shown(call) for call in self._calls]
        self._panels = Panels(loop, lambda: None)
        self._panels.on_moment = self._moment_chosen
        self.page = Page(loop, "Replay of a call")
        self._view = ReplayView(self._panels.widget)
        self._stills = Stills()
        self._loop_tasks = LoopTasks(loop, self._view.show_note, "replay")
        self.exports = ExportBar(self._view.note, self._loop_tasks, self._save, self._view.show_note)
        self._view.show_exports(self.exports.widget, self.page.widget)
        self._call = self._calls[0]
        self._position = 0.0
        self._playing: asyncio.Task[None] | None = None
        self._closing: Operation[None] | None = None
        self._view.show_calls([f"{call.name} · {both_times(call.began)}" for call in self._calls])
        self._wire()
        self._show_call(0)
        if voila.opened_as_app():
            self._loop_tasks.create_task(voila.end_with_page(self.page))

    # ------------------------------------------------------------------ public

    @property
    def widget(self) -> Any:
        """The ipywidgets box, to be placed in another layout."""
        return self._view.box

    @property
    def call(self) -> RecordedCall:
        """The call that is shown."""
        return self._call

    @property
    def position(self) -> float:
        """The moment that is shown, in seconds into the call."""
        return self._position

    @property
    def playing(self) -> bool:
        """True while it plays."""
        return self._playing is not None

    @property
    def note(self) -> str:
        """The sentence in the last line."""
        return self._view.note_text

    def seek(self, seconds: float) -> None:
        """Show another moment.

        Args:
            seconds: into the call; at its end the tiles sum the call up.
        """
        call, view = self._call, self._view
        self._position = min(max(float(seconds), 0.0), call.seconds)
        at = self._position
        view.show_position(at, call.seconds, call.time(at), call.name)
        view.quality.show_figures(call.figures(at))
        if at >= call.seconds:
            view.quality.show_sentence(call.summary())
        else:
            view.quality.show_warnings(call.warnings_at(at), call.recent(at))
        self._panels.move_cursor(at)

    def play(self, speed: int | None = None) -> None:
        """Play from the present moment; at the end of the call, from its beginning.

        Args:
            speed: 1, 4 or 16; by default as chosen before.
        """
        if speed is not None:
            self._view.speed.value = speed
        if self._playing is None:
            self.seek(0.0 if self._position >= self._call.seconds else self._position)
            self._playing = self._loop_tasks.create_task(self._play())
            self._view.show_playing(True)

    def pause(self) -> None:
        """Stop playing."""
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None
            self._view.show_playing(False)

    def hear(self, seconds: float | None = None, *, sent: bool | None = None) -> bool:
        """Play five seconds of sound in the page.

        Args:
            seconds: the moment; by default the one that is shown.
            sent: what was sent; by default as chosen in the replay, at first what was received.

        Returns:
            False if the sound of this moment is not kept; the replay says so.
        """
        at = self._position if seconds is None else float(seconds)
        if sent is not None:
            self._view.direction.value = sent
        clip = self._call.clip(at, sent=self._view.direction.value)
        if clip is None:
            self._view.show_sound(b"")
            self._view.show_note(
                NO_AUDIO if self._call.audio is None else f"The sound at {clock(at)} is no longer kept."
            )
            return False
        direction = "sent" if self._view.direction.value else "received"
        self._view.show_sound(clip.wav())
        self._view.show_note(f"{clip.seconds:.0f} s of what was {direction} at {clock(at)}.")
        return True

    def close(self) -> Operation[None]:
        """Close the widgets and the drawing process. Closing twice does nothing."""
        if self._closing is None:
            self.pause()
            self._loop_tasks.close()
            self._panels.close()
            self._view.close()
            self._closing = Operation("close the replay", self._stills.worker.close())
        return self._closing

    def __repr__(self) -> str:
        return "<Replay>" if self._closing is None else "<Replay, closed>"

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        if self._closing is not None:
            return {"text/plain": repr(self)}
        return {**self._view.box._repr_mimebundle_(**arguments), "text/plain": repr(self)}

    # ------------------------------------------------------------------ private; runs on the loop

    def _wire(self) -> None:
        view, run_soon = self._view, self._loop_tasks.run_soon
        view.on_click(view.play, lambda: run_soon(self._toggle))
        view.on_click(view.hear, lambda: run_soon(self._hear))
        view.position.observe(self._slider_moved, "value")
        view.calls.observe(lambda change: run_soon(lambda: self._show_call(change["new"])), "value")

    def _slider_moved(self, change: Any) -> None:
        seconds = float(change["new"])
        if seconds != self._view.slider_value:
            self._loop_tasks.run_soon(lambda: self.seek(seconds))

    def _show_call(self, number: int) -> None:
        self.pause()
        self._call = self._calls[number]
        others = self._shown[number - 1 : number] if number else self._shown[1:2]
        self._panels.show([self._shown[number], *others])
        self._view.show_length(self._call.seconds)
        self.seek(self._call.seconds)

    def _moment_chosen(self, _call: int, seconds: float) -> None:
        self.seek(seconds)
        self.hear(self._position)

    def _toggle(self) -> None:
        if self._playing is None:
            self.play()
        else:
            self.pause()

    def _hear(self) -> None:
        self.hear()

    async def _play(self) -> None:
        shown_at = time.monotonic()
        while self._position < self._call.seconds:
            await asyncio.sleep(_STEP_S)
            before, shown_at = shown_at, time.monotonic()
            self.seek(self._position + (shown_at - before) * self._view.speed.value)
        self._playing = None
        self._view.show_playing(False)

    def _recorded(self, method: str) -> RecordedCall:
        if self._closing is not None:
            raise InvalidState(f"{method}: this replay is closed; make a new one.")
        return self._call


def _shown(call: RecordedCall) -> ShownCall:
    shown = ShownCall(CallSeries.of_frame(call.samples), call.name)
    shown.ended = True
    shown.loss_limit = 100 * loss_limit(shown.series.codec or "OPUS")
    for span in call.warnings:
        shown.bands.append([span.panel, span.since_s, span.until_s, span.words.name])
    return shown
