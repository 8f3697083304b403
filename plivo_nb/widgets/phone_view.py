"""The widgets of the phone and their texts. All sizes are fixed, so that nothing moves when a text changes.

This module has no access to the client: it displays the values that it is given.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivo_nb.events import CallInfo, EventName

KEYS = "123456789*0#"

EVENT_WORDS: dict[EventName, str] = {
    "onLogin": "logged in",
    "onLoginFailed": "login failed: {0}",
    "onLogout": "logged out",
    "onCalling": "calling",
    "onCallRemoteRinging": "the other side is ringing",
    "onCallAnswered": "answered",
    "onCallTerminated": "call ended",
    "onCallFailed": "call failed: {0}",
    "onIncomingCall": "incoming call from {0}",
    "onIncomingCallCanceled": "the caller hung up before the answer",
    "onIncomingCallIgnored": "incoming call ignored",
    "onMediaPermission": "microphone: {0[status]}",
    "onConnectionChange": "signalling {0[state]}",
    "onDtmfReceived": "tone received: {0[tone]}",
    "onMediaError": "{0[message]}",
    "mediaMetrics": "{raised} {0[type]}{where}",
}

_DIRECTIONS = {"local": " (sent)", "remote": " (received)"}


def event_text(name: EventName, *arguments: Any) -> str:
    """A short text for one event, for the list of recent events."""
    raised = where = ""
    if name == "mediaMetrics":
        raised = "warning:" if arguments[0].get("active") else "no longer:"
        where = _DIRECTIONS.get(arguments[0].get("stream"), "")
    return EVENT_WORDS[name].format(*arguments, raised=raised, where=where)


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
        self._style = W.HTML(style(), layout=W.Layout(display="none"))
        self.screen, self.status_line, self.log = W.HTML(), W.HTML(), W.HTML()
        self.dial = W.Text(
            placeholder="number or name, such as echo",
            layout=W.Layout(width="100%", height="34px", margin="0"),
        )
        self.call = button("Call", "plivo-go", tooltip="Call the number or name in the dial field")
        self.hangup = button("Hang up", "plivo-stop", tooltip="End the call")
        self.mute = button("Mute", "plivo-plain", tooltip="Stop sending the microphone's sound")
        self.keys = [button(key, "plivo-key", height="32px") for key in KEYS]
        for key in self.keys:
            key.on_click(lambda pressed: self._press(pressed.description))
        columns = W.Layout(grid_template_columns="repeat(3, 1fr)", grid_gap="4px", width="100%")
        self.pad = W.GridBox(self.keys, layout=columns)
        self.buttons = row(self.call, self.hangup, self.mute)
        self.box = W.VBox([self._style], layout=W.Layout(grid_gap="6px", flex="0 0 auto"))
        self.box.add_class("plivo")
        self.box.add_class("plivo-phone")
        self.status = ""
        self.show_status("")

    def arrange(self, widgets: Sequence[Any]) -> None:
        """Display these from top to bottom; `close` closes them."""
        self.box.children = [self._style, *widgets]

    def on_press(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with the key when a key of the dial pad is clicked."""
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
        self.status_line.value = f'<div class="plivo-status" role="status" title="{text}">{text}</div>'

    def show_screen(self, state: str, peer: str, talked_s: float | None) -> None:
        """Display the call's state, the other party and the duration."""
        timer = "" if talked_s is None else clock(talked_s)
        self.screen.value = (
            '<div class="plivo-screen"><div class="plivo-line">'
            f'<span class="plivo-state">{html.escape(state)}</span><span class="plivo-timer">{timer}</span>'
            "</div>"
            f'<div class="plivo-peer plivo-cut">{html.escape(peer)}</div></div>'
        )

    def show_mute(self, muted: bool) -> None:
        """Display on the mute button whether the microphone is muted."""
        self.mute.description = "Unmute" if muted else "Mute"
        (self.mute.add_class if muted else self.mute.remove_class)("plivo-on")

    def show_keys_send_tones(self, tones: bool) -> None:
        """Set the tooltips of the dial pad: keys send tones, or dial."""
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
