"""SoundSource: selects what calls send: the microphone, the speech sample, a tone, silence or a file."""

from __future__ import annotations

import contextlib
import html
from typing import TYPE_CHECKING, Any, Literal, get_args

import ipywidgets as W

from plivo_nb.data import speech_path
from plivo_nb.errors import SourceError
from plivo_nb.media.audio.sources import Silence, Tone
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.phone_view import close_tree, live_region

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.widgets.loop_tasks import LoopTasks

SourceName = Literal["microphone", "speech", "tone", "silence", "file"]
_TONE_HZ = 440.0
_LABELS: dict[str, str] = {
    "microphone": "Microphone",
    "speech": "Speech sample",
    "tone": f"Tone, {_TONE_HZ:g} Hz",
    "silence": "Silence",
    "file": "Audio file…",
}
_BY_CODE = "code"
_BY_CODE_LABEL = "Set by code"


class SoundSource:
    """The selector of what calls send. It applies to the current call and to the following ones.

    What code plays in a call (`Call.play`) is left alone and shown as "Set by code".

    Args:
        client: the client whose calls are concerned.
        loop_tasks: run what is chosen.
        source: what is chosen at first. ``"microphone"`` changes nothing: without a microphone, calls send
            silence.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks, source: SourceName = "microphone") -> None:
        if source not in get_args(SourceName):
            raise ValueError(f"source is one of {', '.join(get_args(SourceName))}, not {source!r}.")
        self._client = client
        self._loop_tasks = loop_tasks
        self._chosen: SourceName = source
        self._call: Call | None = None
        self._applied: object = None
        self._error = ""
        self._refreshing = False
        self._select = W.Dropdown(
            options=_options(by_code=False),
            value=source,
            description="Send",
            tooltip="Sound that calls send",
            layout=W.Layout(width="100%", margin="0"),
        )
        self._select.observe(self._selected, "value")
        self._path = W.Text(
            placeholder="Path of an audio file",
            tooltip="Path of the audio file to send; Enter plays it",
            layout=W.Layout(width="100%", margin="0", display="none"),
        )
        self._path.on_msg(self._entered)
        self._note = live_region()
        self.widget: Any = W.VBox([self._select, self._path, self._note], layout=W.Layout(grid_gap="4px"))
        self.widget.add_class("plivo-source")

    @property
    def chosen(self) -> SourceName:
        """What is chosen for calls in which code plays nothing."""
        return self._chosen

    def choose(self, source: SourceName, path: str = "") -> None:
        """Send this from now on, in the current call and in the following ones.

        Args:
            source: what to send.
            path: the file, for ``"file"``.

        Raises:
            SourceError: there is no such file, or it has no audio.
        """
        self._chosen = source
        if path:
            self._path.value = path
        self._error = ""
        if source == "file" and not self._awaits_path:
            code_log_of(self._client).add(
                "phone.controls.source.choose('file', {!r})", self._path.value.strip()
            )
        elif source != "file":
            code_log_of(self._client).add("phone.controls.source.choose({!r})", source)
        call = self._client.current_call
        try:
            if call is not None and not self._awaits_path:
                self._call = call
                self._apply(call)
        finally:
            self.refresh()

    def refresh(self) -> None:
        """Begin to send what is chosen in a new call, and display what is sent."""
        call = self._client.current_call
        if call is not self._call:
            self._call, self._applied = call, None
            if call is not None:
                self._begin(call)
        self._show()

    def close(self) -> None:
        """Close the widgets. What is sent stays."""
        self._select.unobserve_all()
        close_tree(self.widget)

    @property
    def _awaits_path(self) -> bool:
        return self._chosen == "file" and not self._path.value.strip()

    @property
    def _is_by_code(self) -> bool:
        return self._call is not None and self._call.source is not self._applied

    def _begin(self, call: Call) -> None:
        """Apply the choice to a new call, unless code was faster."""
        untouched = call.source is None or call.sends_microphone
        if not untouched:
            return
        self._applied = call.source
        if self._chosen != "microphone" and not self._awaits_path:
            with contextlib.suppress(SourceError):  # displayed in the note
                self._apply(call)

    def _apply(self, call: Call) -> None:
        try:
            self._play(call)
        except SourceError as error:
            self._error = str(error)
            raise
        self._applied = call.source

    def _play(self, call: Call) -> None:
        match self._chosen:
            case "microphone":
                call.stop_playing()
            case "speech":
                call.play(speech_path(), loop=True)
            case "tone":
                call.play(Tone(_TONE_HZ))
            case "silence":
                call.play(Silence())
            case "file":
                call.play(self._path.value.strip())

    def _selected(self, change: Any) -> None:
        chosen = change["new"]
        if not self._refreshing and chosen in get_args(SourceName):
            self._loop_tasks.run_soon(lambda: self.choose(chosen))

    def _entered(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if content.get("event") == "submit":
            self._loop_tasks.run_soon(lambda: self.choose("file"))

    def _show(self) -> None:
        by_code = self._is_by_code
        self._refreshing = True  # the page did not choose what is shown here
        try:
            if (len(self._select.options) > len(_LABELS)) is not by_code:
                self._select.options = _options(by_code=by_code)
            self._select.value = _BY_CODE if by_code else self._chosen
        finally:
            self._refreshing = False
        self._path.layout.display = "" if self._chosen == "file" and not by_code else "none"
        text = html.escape(self._words(by_code))
        self._note.value = f'<div class="plivo-source-note" title="{text}">{text}</div>'

    def _words(self, by_code: bool) -> str:
        if self._error and not by_code:
            return self._error
        sends = "your code chooses what this call sends" if by_code else _SENDS[self._chosen]
        if self._awaits_path and not by_code:
            sends = "enter the path of an audio file"
        if self._client.audio.mode != "none":
            if by_code or self._chosen == "microphone":
                return "" if not by_code else f"{sends[0].upper()}{sends[1:]}."
            return f"{sends[0].upper()}{sends[1:]} until you choose another sound."
        why = (
            "No sound device is used (sound='none')"
            if self._client.options.sound == "none"
            else "This machine has no sound device"
        )
        return f"{why}: {sends}."


_SENDS: dict[str, str] = {
    "microphone": "calls send silence until you choose another sound",
    "speech": "calls play the speech sample",
    "tone": "calls send a tone",
    "silence": "calls send silence",
    "file": "calls play the audio file",
}


def _options(*, by_code: bool) -> list[tuple[str, str]]:
    options = [(label, name) for name, label in _LABELS.items()]
    return [*options, (_BY_CODE_LABEL, _BY_CODE)] if by_code else options
