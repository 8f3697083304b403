"""CallControls: what a user needs in a call, and the feedback after it, in one place of the phone.

During a call: score, recording, level meters and the keys that were sent. After an answered call: its rating.
Below both: what is recorded, what calls send, the devices and the volume.
"""

from __future__ import annotations

import html
import math
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as W
import numpy as np

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets.audio_settings import AudioSettings
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.feedback import Feedback
from plivo_nb.widgets.key_figures import steady_score
from plivo_nb.widgets.meters import LevelMeters
from plivo_nb.widgets.phone_view import button, clock, close_tree, live_region, peer_of, row
from plivo_nb.widgets.plain_warnings import RULE_WINDOW
from plivo_nb.widgets.sound_source import SoundSource, SourceName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.media.audio.sinks import Recorder
    from plivo_nb.widgets.loop_tasks import LoopTasks

_SHOWN_KEYS = 24


def score_chip(mos: float) -> str:
    """HTML of a MOS with its word; NaN is a score that is not known."""
    word = verdict(mos).word
    number = "–" if mos != mos else f"{mos:.1f}"
    return f'<span class="plivo-chip" data-verdict="{word}"><b>{number}</b> {word}</span>'


def new_recording(peer: str, folder: Path | None = None) -> Path:
    """Create an empty file for a recording, with a name that no other file has.

    Args:
        peer: the other party; characters that do not belong into file names are left out.
        folder: where; by default the current folder.

    Returns:
        Its path, such as ``call-echo-20261125-1503.wav``.

    Raises:
        OSError: the folder is not writable.
    """
    name = re.sub(r"[^A-Za-z0-9+_-]+", "-", peer).strip("-")[:40] or "unknown"
    stem = f"call-{name}-{time.strftime('%Y%m%d-%H%M')}"
    for count in range(1, 1000):
        path = (folder or Path.cwd()) / (f"{stem}.wav" if count == 1 else f"{stem}-{count}.wav")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"There are 999 recordings named {stem}; move some of them elsewhere.")


class CallControls:
    """The controls of the client's current call.

    Args:
        client: the client whose calls are controlled.
        loop_tasks: run what is clicked.
        source: what calls send until another source is chosen; see `SoundSource`.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks, source: SourceName = "microphone") -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self._call: Call | None = None
        self._recorder: Recorder | None = None
        self._recording_note = ""
        self._keys = ""
        self._log_read_to = self._rows_read = 0
        self._recent: dict[str, NDArray[Any]] = {}
        self.feedback = Feedback(client, loop_tasks)
        self.source = SoundSource(client, loop_tasks, source)
        self.settings = AudioSettings(client, loop_tasks)
        self.meters = LevelMeters(client, loop_tasks)
        self._chip = W.HTML(layout=W.Layout(flex="1 1 auto", margin="0"))
        self.record = button("Record", "plivo-record", tooltip="Record both directions to a file")
        self.record.layout.flex = "0 0 118px"
        self.record.on_click(lambda _button: loop_tasks.run_soon(self.toggle_recording))
        self._sent_keys = live_region()
        self._strip = W.VBox(
            [row(self._chip, self.record), self.meters.widget, self._sent_keys],
            layout=W.Layout(grid_gap="6px"),
        )
        self._strip.add_class("plivo-strip")
        self._recording = live_region()
        self.show_settings = W.ToggleButton(
            description="Devices and volume", icon="caret-right", tooltip="Show or hide devices and volume",
            layout=W.Layout(width="100%", height="30px", margin="0"),
        )  # fmt: skip
        self.show_settings.add_class("plivo-fold")
        self.show_settings.observe(self._folded, "value")
        self.settings.widget.layout.display = "none"
        rows = [self._strip, self.feedback.widget, self._recording, self.source.widget, self.show_settings,
                self.settings.widget]  # fmt: skip
        self.widget: Any = W.VBox(rows, layout=W.Layout(grid_gap="6px"))
        self.widget.add_class("plivo-controls")

    # ------------------------------------------------------------------ what users do

    @property
    def recording(self) -> Path | None:
        """The file that the current call is being recorded to; None while it is not."""
        return self._recorder.path if self._is_recording and self._recorder is not None else None

    async def toggle_recording(self) -> None:
        """Begin to record the current call, or stop.

        Raises:
            InvalidState: there is no answered call.
            MediaError: the file cannot be written.
        """
        call = self._client.current_call
        if self._is_recording:
            await self.stop_recording()
        elif call is not None:
            self.start_recording(call)

    def start_recording(self, call: Call) -> Path:
        """Record both directions of this call to a new file in the current folder; returns its path."""
        path = new_recording(peer_of(call.info))
        try:
            self._recorder = call.record(path, both=True)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        code_log_of(self._client).add("recorder = call.record({!r}, both=True)", str(path))
        self._call = call
        self.refresh()
        return path

    async def stop_recording(self) -> None:
        """Stop recording; the file is complete then."""
        call, recorder = self._call, self._recorder
        if call is None or recorder is None:
            return
        self._recorder = None
        code_log_of(self._client).add("await call.stop_recording(recorder)")
        seconds = await call.stop_recording(recorder)
        self._recording_note = _recorded(recorder.path, seconds)
        self.refresh()

    # ------------------------------------------------------------------ what the phone calls

    def refresh(self) -> None:
        """Display the present state of the client."""
        call = self._client.current_call
        if call is not self._call:
            self._change_call(call)
        answered = call is not None and call.phase == "answered"
        rating = call is None and self.feedback.has_call
        self._strip.layout.display = "none" if rating else ""
        self.feedback.widget.layout.display = "" if rating else "none"
        self._show_chip(call if answered else None)
        self._show_recording(answered)
        self._read_sent_keys()
        keys = html.escape(self._keys[-_SHOWN_KEYS:])
        words = f"Keys sent: <b>{keys}</b>" if keys else "In a call, keys are sent as tones."
        self._sent_keys.value = f'<div class="plivo-keys">{words}</div>'
        for part in (self.feedback, self.source, self.settings, self.meters):
            part.refresh()

    def close(self) -> None:
        """Close the widgets. A recording goes on to the end of its call."""
        self.show_settings.unobserve_all()
        for part in (self.feedback, self.source, self.settings, self.meters):
            part.close()
        close_tree(self.widget)

    # ------------------------------------------------------------------ private

    @property
    def _is_recording(self) -> bool:
        return self._recorder is not None and self._recorder.error is None

    def _change_call(self, call: Call | None) -> None:
        if self._recorder is not None:  # the end of the call has ended it
            self._recording_note = self._recorder.error or _recorded(
                self._recorder.path, self._recorder.seconds
            )
            self._recorder = None
        if call is not None:
            self._recording_note = self._keys = ""
        self._call, self._rows_read, self._recent = call, 0, {}

    def _read_sent_keys(self) -> None:
        """Take what was sent as tones in this call, by the pad or by code, from the client's log."""
        self._log_read_to, new = self._client._log_since(self._log_read_to)
        uuid = None if self._call is None else self._call.call_uuid
        self._keys += "".join(
            entry.text for entry in new if entry.event == "digits sent" and entry.call_uuid == uuid
        )

    def _show_chip(self, call: Call | None) -> None:
        chip = (
            score_chip(self._score(call)) if call is not None else '<span class="plivo-chip">No call</span>'
        )
        self._chip.value = f'<div class="plivo-chip-line">{chip}</div>'

    def _score(self, call: Call) -> float:
        """The score in the tiles of the dashboard, too; NaN where there is none."""
        self._rows_read, new = call._samples_since(self._rows_read, ("mos", "loss_in", "loss_out"))
        self._recent = {
            name: np.concatenate([self._recent.get(name, values[:0]), values])[-RULE_WINDOW:]
            for name, values in new.items()
        }
        known = len(self._recent["mos"]) and not call.on_hold
        return steady_score(self._recent) if known else math.nan

    def _show_recording(self, answered: bool) -> None:
        recorder, on = self._recorder, self._is_recording
        self.record.disabled = not answered
        if on and recorder is not None:
            self.record.description = f"■ Stop {clock(recorder.seconds)}"
            self._recording_note = f"Recording to {recorder.path}"
        else:
            self.record.description = "● Record"
            if recorder is not None and recorder.error is not None:
                self._recording_note = recorder.error
        (self.record.add_class if on else self.record.remove_class)("plivo-recording")
        text = html.escape(self._recording_note)
        shown = html.escape(_short(self._recording_note))
        self._recording.value = f'<div class="plivo-file plivo-cut" title="{text}">{shown}</div>'

    def _folded(self, change: Any) -> None:
        self.show_settings.icon = "caret-down" if change["new"] else "caret-right"
        self.settings.widget.layout.display = "" if change["new"] else "none"


def _recorded(path: Path, seconds: float) -> str:
    return f"Recorded {clock(seconds)}: {path}"


def _short(note: str) -> str:
    """The note with the file's name instead of its path."""
    return re.sub(r"^(Recording to|Recorded [0-9:]+:) .*[/\\\\]", r"\1 ", note)
