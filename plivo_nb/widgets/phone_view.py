"""The widgets of the phone and their texts. All sizes are fixed, so that nothing moves when a text changes.

This module has no access to the client: it displays the values that it is given.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets.dial_string import dial_string
from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivo_nb.events import CallInfo
    from plivo_nb.widgets.screen import Kind, Screen

KEYS = "123456789*0#"
DELETE = "delete"  # the key beside the dial field

_KIND_CLASSES: dict[Kind, str] = {
    "off": "plivo-off",
    "waiting": "plivo-waiting",
    "ready": "plivo-ready",
    "ringing": "plivo-alerting",
    "talking": "plivo-talking",
    "held": "plivo-held",
    "ended": "plivo-ended",
}


def peer_of(info: CallInfo) -> str:
    """The other party of a call: the user name or number of the address."""
    address = info.dest if info.direction == "OUTGOING" else info.src
    return address.removeprefix("sip:").split("@")[0] if info.direction == "OUTGOING" else address


def clock(seconds: float) -> str:
    """A duration as m:ss, or h:mm:ss from one hour.

    Example:
        >>> clock(61.9), clock(3600.0)
        ('1:01', '1:00:00')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class PhoneView:
    """The widgets of a phone that belong to no part, with one method for each value displayed."""

    def __init__(self) -> None:
        self._press: Callable[[str], None] = lambda key: None
        self.status = ""
        self._style = W.HTML(style(), layout=W.Layout(display="none"))
        self.status_line, self.log = live_region(), W.HTML()
        self._state = live_region()
        self._timer, self._peer, self._note = W.HTML(), W.HTML(), W.HTML()
        self.screen = W.VBox([W.HBox([self._state, self._timer]), self._peer, self._note])
        self.screen.add_class("plivo-screen")
        self._screen_kind = _KIND_CLASSES["off"]
        self.will_dial = W.HTML()
        self.dial = W.Text(
            placeholder="number or name, such as echo",
            layout=W.Layout(width="100%", height="34px", margin="0"),
        )
        self.dial.add_class("plivo-dial")
        self.dial.layout.flex = "1 1 0"
        self.delete = button("Delete", "plivo-delete", tooltip="Delete the last character")
        self.delete.layout.flex = "0 0 42px"
        self.delete.on_click(lambda _button: self._press(DELETE))
        self.call = button("Call", "plivo-go", tooltip="Call the number or name in the dial field")
        self.call.add_class("plivo-start")
        self.hangup = button("Hang up", "plivo-stop", tooltip="End the call")
        self.mute = button("Mute", "plivo-plain", tooltip="Stop sending the microphone's sound")
        self.keys = [button(key, "plivo-key", height="32px") for key in KEYS]
        for key in self.keys:
            key.on_click(lambda pressed: self._press(pressed.description))
        columns = W.Layout(grid_template_columns="repeat(3, 1fr)", grid_gap="4px", width="100%")
        self.dial.observe(lambda _change: self._show_will_dial(), "value")
        self._show_will_dial()
        self.pad = W.GridBox(self.keys, layout=columns)
        # The error takes the place of what will be dialled, so that it is near the buttons.
        self.message = W.VBox([self.will_dial, self.status_line])
        self.message.add_class("plivo-message")
        self.buttons = row(self.call, self.hangup, self.mute)
        self.box = W.VBox([self._style])
        self.box.add_class("plivo")
        self.box.add_class("plivo-phone")
        self.show_status("")

    def dialling(self, incoming: Any) -> Any:
        """Dial field, message and pad, over which the list of incoming calls is laid while calls ring."""
        box = W.VBox([incoming, row(self.dial, self.delete), self.message, self.pad])
        box.add_class("plivo-dialling")
        return box

    def arrange(self, widgets: Sequence[Any]) -> None:
        """Display these from top to bottom; `close` closes them."""
        self.box.children = [self._style, *widgets]

    def on_press(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with the key when a key of the dial pad, or `DELETE`, is clicked."""
        self._press = handler

    def on_dial(self, handler: Callable[[], None]) -> None:
        """Call `handler` when Enter is pressed in the dial field."""

        def received(_widget: Any, content: Any, _buffers: Any) -> None:
            if content.get("event") == "submit":
                handler()

        self.dial.on_msg(received)

    def show_status(self, sentence: str) -> None:
        """Display a message in the status line; an empty one clears it."""
        self.status = sentence
        text = html.escape(sentence)
        self.status_line.value = f'<div class="plivo-status" title="{text}">{text}</div>'
        self._show_will_dial()

    @property
    def dialled(self) -> str:
        """What is called: the content of the dial field without the separators of a written number."""
        return dial_string(self.dial.value)

    def _show_will_dial(self) -> None:
        typed, dialled = self.dial.value.strip(), self.dialled
        shown = typed and dialled != typed and not self.status
        words = f"Will dial {html.escape(dialled[:80])}" if shown else ""
        self.will_dial.value = (
            f'<div class="plivo-line plivo-dim"><span class="plivo-cut">{words}</span></div>'
        )

    def show_screen(self, screen: Screen) -> None:
        """Display the screen, and enable the buttons that it allows."""
        self._show_keys_send_tones(screen.sends_tones)  # first: who reads "In call" may press a key at once
        self._state.value = f'<div class="plivo-state">{screen.state}</div>'
        timer = screen.extra if screen.kind == "waiting" else ""
        if screen.talked_s is not None:
            timer = clock(screen.talked_s)
        self._timer.value = f'<div class="plivo-timer">{timer}</div>'
        self._peer.value = f'<div class="plivo-peer plivo-cut">{html.escape(screen.peer)}</div>'
        self._note.value = f'<div class="plivo-remark plivo-cut">{_note_html(screen)}</div>'
        kind = _KIND_CLASSES[screen.kind]
        if kind != self._screen_kind:
            self.screen.remove_class(self._screen_kind)
            self.screen.add_class(kind)
            self._screen_kind = kind
        self.call.disabled = not screen.can_call
        self.hangup.disabled = not screen.can_hang_up

    def show_mute(self, muted: bool) -> None:
        """Display on the mute button whether the microphone is muted."""
        self.mute.description = "Unmute" if muted else "Mute"
        (self.mute.add_class if muted else self.mute.remove_class)("plivo-on")

    def _show_keys_send_tones(self, tones: bool) -> None:
        """Tell the page and, in tooltips, the user what the keys of the dial pad do: send tones, or dial."""
        (self.pad.add_class if tones else self.pad.remove_class)("plivo-tones")
        for key in self.keys:
            key.tooltip = f"Send the tone {key.description}" if tones else f"Dial {key.description}"

    def show_events(self, events: Sequence[tuple[str, str]]) -> None:
        """Display the recent events, newest first. Each is a time and a text."""
        lines = "".join(
            f'<div class="plivo-cut"><time>{at}</time>{html.escape(text)}</div>'
            for at, text in reversed(events)
        )
        self.log.value = f'<div class="plivo-events">{lines}</div>'

    def close(self) -> None:
        """Close every widget in the page and in the kernel."""
        close_tree(self.box)


def _note_html(screen: Screen) -> str:
    """The sentence; for a call that ended, why it ended and how good it was."""
    words = html.escape(screen.note)
    if screen.kind == "ended":
        words = html.escape(screen.extra[:1].upper() + screen.extra[1:])
    if math.isnan(screen.mean_mos):
        return words
    word = verdict(screen.mean_mos).word
    colour = f"var(--plivo-{'good' if word == 'excellent' else word})"
    score = f'<span class="plivo-score" style="background:{colour}">{screen.mean_mos:.1f} {word}</span>'
    return f'{words}<span class="plivo-dim"> · mean MOS </span>{score}'


def live_region() -> Any:
    """An HTML widget whose changes a screen reader speaks: page.js gives its element the role "status".

    A role inside the HTML would not do: what is inside is replaced when the text changes.
    """
    region = W.HTML()
    region.add_class("plivo-region")
    return region


def close_tree(widget: Any) -> None:
    """Close a widget, its children, and the layout and style models of each."""
    for child in getattr(widget, "children", ()):
        close_tree(child)
    for part in (getattr(widget, "style", None), getattr(widget, "layout", None), widget):
        if isinstance(part, W.Widget):
            part.close()


def button(text: str, kind: str, height: str = "34px", **more: Any) -> Any:
    """A button that shares the width of its row; `kind` is its class in the style sheet."""
    made = W.Button(
        description=text, layout=W.Layout(width="auto", height=height, margin="0", flex="1 1 0"), **more
    )
    made.add_class(kind)
    return made


def row(*buttons: Any) -> Any:
    """Buttons side by side."""
    return W.HBox(buttons, layout=W.Layout(width="100%", grid_gap="6px"))
