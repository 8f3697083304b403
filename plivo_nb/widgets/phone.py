"""The phone: buttons to call, answer and hang up. Each button has a method with the same effect."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from plivo_nb.events import CallInfo
from plivo_nb.widgets import phone_view
from plivo_nb.widgets.account import AccountForm
from plivo_nb.widgets.call_controls import CallControls
from plivo_nb.widgets.history import History
from plivo_nb.widgets.incoming import IncomingCalls
from plivo_nb.widgets.loop_tasks import LoopTasks

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.events import EventName
    from plivo_nb.operation import Operation
    from plivo_nb.widgets.sound_source import SourceName

_T = TypeVar("_T")
_phones: WeakKeyDictionary[Client, Phone] = WeakKeyDictionary()

_STATE_WORDS = {
    "onCalling": "Calling…",
    "onCallRemoteRinging": "Ringing…",
    "onCallAnswered": "In call",
    "onCallTerminated": "Call ended",
}
_SHOWN_EVENTS = 5


class Part(Protocol):
    """A part of the phone: one class in one module.

    Attributes:
        widget: the ipywidgets box.
    """

    widget: Any

    def refresh(self) -> None:
        """Display the present state of the client. Called at each event, and each second in a call."""

    def close(self) -> None:
        """Close the widgets and remove the event callbacks."""


class Phone:
    """A softphone for one client. A cell whose last expression is a phone displays it.

    A client has one phone: making another closes the first one, so that a cell can be run again. Each method
    has the effect of its button and returns what the client's method returns. Errors are also displayed in
    the phone's status line.

    Args:
        client: the client whose calls are shown. It may log in before or after.
        dial: initial content of the dial field.
        source: what calls send until another sound is chosen: ``"microphone"``, ``"speech"`` (the spoken
            sample), ``"tone"``, ``"silence"`` or ``"file"``.

    Example:
        >>> import asyncio
        >>> from plivo_nb.testing import FakeServer
        >>> async def main():
        ...     async with FakeServer() as server, server.client() as client:
        ...         await client.login("alice", server.password("alice"))
        ...         phone = Phone(client)        # as a cell's last expression it is displayed
        ...         await phone.call("echo")     # same as entering echo and clicking Call
        ...         return phone.state
        >>> asyncio.run(main())
        'In call'
    """

    def __init__(self, client: Client, *, dial: str = "", source: SourceName = "microphone") -> None:
        older = _phones.get(client)
        if older is not None:
            older.close()
        self._client = client
        self._view = phone_view.PhoneView()
        self._view.dial.value = dial
        self._loop_tasks = LoopTasks(client.loop, self._view.show_status, "phone")
        self._account = AccountForm(client, self._loop_tasks)
        self._incoming = IncomingCalls(client, self._loop_tasks)
        self._controls = CallControls(client, self._loop_tasks, source)
        self._history = History(client, self._loop_tasks, self.call)
        self._parts: list[Part] = [self._account, self._incoming, self._controls, self._history]
        self._view.arrange(self._from_top_to_bottom())
        self._events: deque[tuple[str, str]] = deque(maxlen=_SHOWN_EVENTS)
        self._state = "Ready"
        self._peer = ""
        self._answered_at: float | None = None
        self._talked_s: float | None = None
        self._closed = False
        self._subscriptions = self._subscribe()
        self._wire_buttons()
        self._show_existing_call(client.current_call)
        self._refresh()
        _phones[client] = self
        self._remove_close_callback = client.at_close(self.close)
        self._loop_tasks.create_task(self._update_timer())

    # ------------------------------------------------------------------ methods of the buttons

    def call(self, target: str | None = None) -> Operation[Call]:
        """Call `target` (a number, user name or SIP address); by default the content of the dial field."""
        if target is not None:
            self._view.dial.value = target
        return self._watched(self._client.call(self._view.dial.value.strip()))

    def hangup(self) -> Operation[CallInfo]:
        """End the current call."""
        return self._watched(self._client.hangup())

    def answer(self, call_uuid: str | None = None) -> Operation[Call]:
        """Answer the ringing call with this call UUID; by default the call that the phone displays."""
        return self._watched(self._client.answer(call_uuid or self._shown_incoming()))

    def reject(self, call_uuid: str | None = None) -> Operation[CallInfo]:
        """Reject the call; the caller gets a busy signal. The call is chosen as in `answer`."""
        return self._watched(self._client.reject(call_uuid or self._shown_incoming()))

    def ignore(self, call_uuid: str | None = None) -> Operation[CallInfo]:
        """Stop ringing here; the caller still hears ringing. The call is chosen as in `answer`."""
        return self._watched(self._client.ignore(call_uuid or self._shown_incoming()))

    def mute(self) -> Any:
        """Send silence instead of sound; without a call this applies to the next one."""
        return self._set_muted(True)

    def unmute(self) -> Any:
        """Send sound again."""
        return self._set_muted(False)

    def send_dtmf(self, digits: str) -> Operation[Any]:
        """Send DTMF tones in the call: one or more of ``0-9 * #``."""
        self._view.show_status("")
        operation = self._client.send_dtmf(digits)

        async def sent() -> None:
            await operation
            self._controls.keys_sent(digits)
            self._add_event(f"tones sent: {digits}")

        self._loop_tasks.watch(sent())
        return operation

    def press(self, key: str) -> Operation[Any] | None:
        """Press a key of the dial pad: send a tone in an answered call, else add it to the dial field."""
        if self._answered_at is not None:
            return self.send_dtmf(key)
        self._view.dial.value += key
        return None

    def close(self) -> None:
        """Close the widgets, stop the timer and remove the event callbacks. The client's calls continue."""
        if self._closed:
            return
        self._closed = True
        self._remove_close_callback()
        for name, callback in self._subscriptions:
            self._client.off(name, callback)
        self._loop_tasks.close()
        for part in self._parts:
            part.close()
        self._view.close()
        if _phones.get(self._client) is self:
            del _phones[self._client]

    # ------------------------------------------------------------------ properties

    @property
    def muted(self) -> bool:
        """True if the client sends silence."""
        return self._client.muted

    @property
    def state(self) -> str:
        """The call's state as displayed, for example ``"In call"``."""
        return self._state

    @property
    def status(self) -> str:
        """The error message in the status line; empty if the last action succeeded."""
        return self._view.status

    @property
    def selected_call(self) -> Call | None:
        """The call that is selected in the history; None without one."""
        return self._history.selected_call

    @property
    def controls(self) -> CallControls:
        """The controls of the current call, for example ``phone.controls.source.choose("tone")``."""
        return self._controls

    @property
    def widget(self) -> Any:
        """The ipywidgets box, to be placed in another layout."""
        return self._view.box

    def __repr__(self) -> str:
        return "<Phone, closed>" if self._closed else "<Phone>"

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        if self._closed:
            return {"text/plain": repr(self)}
        shown = self._view.box._repr_mimebundle_(**arguments)
        return {**shown, "text/plain": repr(self)}

    # ------------------------------------------------------------------ private; runs on the client's loop

    def _from_top_to_bottom(self) -> list[Any]:
        """The widgets in the order in which they are displayed."""
        view = self._view
        return [
            self._account.widget,
            view.screen,
            self._incoming.widget,
            view.dial,
            view.pad,
            view.buttons,
            self._controls.widget,
            view.status_line,
            self._history.widget,
            view.log,
        ]

    def _wire_buttons(self) -> None:
        view, run_soon = self._view, self._loop_tasks.run_soon
        view.on_press(lambda key: run_soon(lambda: self.press(key)))
        view.on_dial(lambda: run_soon(self.call))
        for button, action in (
            (view.call, self.call),
            (view.hangup, self.hangup),
            (view.mute, self._toggle_mute),
        ):
            button.on_click(lambda _button, action=action: run_soon(action))

    def _watched(self, operation: Operation[_T]) -> Operation[_T]:
        self._view.show_status("")
        self._loop_tasks.watch(operation)
        return operation

    def _toggle_mute(self) -> Any:
        return self._set_muted(not self._client.muted)

    def _set_muted(self, muted: bool) -> Any:
        if not self._loop_tasks.on_loop:
            self._loop_tasks.run_soon(lambda: self._set_muted(muted) and None)
            return True
        result = self._client.mute() if muted else self._client.unmute()
        self._add_event("muted" if muted else "not muted")
        return result

    def _shown_incoming(self) -> str | None:
        ringing = self._client.incoming_calls
        return ringing[-1].info.callUUID if ringing else None

    def _subscribe(self) -> list[tuple[EventName, Any]]:
        def listener(name: EventName) -> Any:
            return lambda *arguments: self._on_event(name, *arguments)

        subscriptions = [(name, listener(name)) for name in phone_view.EVENT_WORDS]
        for name, callback in subscriptions:
            self._client.on(name, callback)
        return subscriptions

    def _on_event(self, name: EventName, *arguments: Any) -> None:
        info = next((value for value in arguments if isinstance(value, CallInfo)), None)
        if name in _STATE_WORDS or name == "onCallFailed":
            self._call_changed(name, info, *arguments)
        self._add_event(phone_view.event_text(name, *arguments))

    def _add_event(self, text: str) -> None:
        """Add an entry to the list of recent events."""
        self._events.append((time.strftime("%H:%M:%S"), text))
        self._refresh()

    def _call_changed(self, name: str, info: CallInfo | None, *arguments: Any) -> None:
        current = self._client.current_call
        if name in ("onCallTerminated", "onCallFailed"):
            mine = info is None or current is None or current.info.callUUID in (None, info.callUUID)
            if not mine:
                return  # a second incoming call ended; the current call stays displayed
            if self._answered_at is not None:
                self._talked_s = time.monotonic() - self._answered_at
            self._answered_at = None
            self._state = str(arguments[0]) if name == "onCallFailed" else _STATE_WORDS[name]
        else:
            self._state = _STATE_WORDS[name]
            self._talked_s = None
            self._answered_at = time.monotonic() if name == "onCallAnswered" else None
        if info is not None:
            self._peer = phone_view.peer_of(info)
        elif current is not None:
            self._peer = phone_view.peer_of(current.info)

    def _show_existing_call(self, call: Call | None) -> None:
        """Display a call that was made before this phone."""
        if call is None:
            return
        self._peer = phone_view.peer_of(call.info)
        answered_at = call.timings.get("answered")
        self._answered_at = answered_at
        self._state = "In call" if answered_at is not None else "Calling…"

    async def _update_timer(self) -> None:
        while True:
            seconds = 0.0 if self._answered_at is None else time.monotonic() - self._answered_at
            await asyncio.sleep(1.0 - seconds % 1.0 + 0.005)  # just after a full second
            if self._answered_at is not None:
                self._refresh()

    def _refresh(self) -> None:
        if self._closed:
            return
        view, client = self._view, self._client
        talked_s = self._talked_s if self._answered_at is None else time.monotonic() - self._answered_at
        in_call = client.current_call is not None
        view.show_screen(self._state, self._peer, talked_s)
        view.show_mute(client.muted)
        view.show_events(list(self._events))
        view.call.disabled = in_call
        view.hangup.disabled = not in_call
        view.show_keys_send_tones(self._answered_at is not None)
        for part in self._parts:
            part.refresh()
