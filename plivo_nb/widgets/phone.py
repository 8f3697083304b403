"""The phone: dial, talk, answer. Whatever a click does, a line of code does too."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from plivo_nb.events import CallInfo
from plivo_nb.widgets import phone_view
from plivo_nb.widgets.loop_tasks import LoopTasks

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.events import EventName
    from plivo_nb.operation import Operation

_T = TypeVar("_T")
_phones: WeakKeyDictionary[Client, Phone] = WeakKeyDictionary()

_STATE_WORDS = {
    "onCalling": "Calling…",
    "onCallRemoteRinging": "Ringing…",
    "onCallAnswered": "In call",
    "onCallTerminated": "Call ended",
}
_SHOWN_EVENTS = 5


class Phone:
    """A softphone for one client: the last expression of a cell shows it.

    A client has one phone: making another closes the first, so a cell can be run again. Every method does
    what its button does and returns what the client's method returns; what fails is also shown in the phone.

    Args:
        client: the client whose calls these are. Log it in before or after.
        dial: what stands in the dial field at first.

    Example:
        >>> phone = Phone(client)
        >>> phone                        # shows it
        >>> await phone.call("echo")     # the same as typing echo and clicking Call
    """

    def __init__(self, client: Client, *, dial: str = "") -> None:
        older = _phones.get(client)
        if older is not None:
            older.close()
        self._client = client
        self._face = phone_view.PhoneView()
        self._face.dial.value = dial
        self._chores = LoopTasks(client.loop, self._face.say, "phone")
        self._events: deque[tuple[str, str]] = deque(maxlen=_SHOWN_EVENTS)
        self._state = "Ready"
        self._peer = ""
        self._answered_at: float | None = None
        self._talked_s: float | None = None
        self._closed = False
        self._subscriptions = self._subscribe()
        self._wire_buttons()
        self._take_up(client.current_call)
        self._refresh()
        _phones[client] = self
        self._forget_closing = client.at_close(self.close)
        self._chores.own(self._tick())

    # ------------------------------------------------------------------ what the buttons do

    def call(self, target: str | None = None) -> Operation[Call]:
        """Call `target` (a number or SIP address); without one, what stands in the dial field."""
        if target is not None:
            self._face.dial.value = target
        return self._started(self._client.call(self._face.dial.value.strip()))

    def hangup(self) -> Operation[CallInfo]:
        """End the current call."""
        return self._started(self._client.hangup())

    def answer(self, call_uuid: str | None = None) -> Operation[Call]:
        """Answer the ringing call with that id; without one, the call that the phone shows."""
        return self._started(self._client.answer(call_uuid or self._shown_incoming()))

    def reject(self, call_uuid: str | None = None) -> Operation[CallInfo]:
        """Reject it: the caller hears that you are busy. Same choice of call as `answer`."""
        return self._started(self._client.reject(call_uuid or self._shown_incoming()))

    def ignore(self, call_uuid: str | None = None) -> Operation[CallInfo]:
        """Let it ring for the caller and forget it here. Same choice of call as `answer`."""
        return self._started(self._client.ignore(call_uuid or self._shown_incoming()))

    def mute(self) -> Any:
        """Send silence; holds for the next call when there is none."""
        return self._set_muted(True)

    def unmute(self) -> Any:
        """Send sound again."""
        return self._set_muted(False)

    def send_dtmf(self, digits: str) -> Operation[Any]:
        """Send tones in the call: 0-9 * #, one or several."""
        self._face.say("")
        operation = self._client.send_dtmf(digits)

        async def sent() -> None:
            await operation
            self._note(f"tones sent: {digits}")

        self._chores.watch(sent())
        return operation

    def press(self, key: str) -> Operation[Any] | None:
        """Press a key of the pad: a tone in an answered call, else one more character in the dial field."""
        if self._answered_at is not None:
            return self.send_dtmf(key)
        self._face.dial.value += key
        return None

    def close(self) -> None:
        """Take the phone away: its widgets, its timer and its listeners. The client and its calls go on."""
        if self._closed:
            return
        self._closed = True
        self._forget_closing()
        for name, callback in self._subscriptions:
            self._client.off(name, callback)
        self._chores.close()
        self._face.close()
        if _phones.get(self._client) is self:
            del _phones[self._client]

    # ------------------------------------------------------------------ what can be read

    @property
    def muted(self) -> bool:
        """True while silence is sent."""
        return self._client.muted

    @property
    def state(self) -> str:
        """What the phone's screen says, such as ``"In call"``."""
        return self._state

    @property
    def status(self) -> str:
        """The sentence in the status line; empty when the last thing done went well."""
        return self._face.said

    @property
    def widget(self) -> Any:
        """The ipywidgets box, for layouts of your own."""
        return self._face.box

    def __repr__(self) -> str:
        return "<Phone, closed>" if self._closed else "<Phone>"

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        if self._closed:
            return {"text/plain": repr(self)}
        shown = self._face.box._repr_mimebundle_(**arguments)
        return {**shown, "text/plain": repr(self)}

    # ------------------------------------------------------------------ inside, all on the client's loop

    def _wire_buttons(self) -> None:
        face, enter = self._face, self._chores.enter
        face.on_press(lambda key: enter(lambda: self.press(key)))
        face.on_dial(lambda: enter(self.call))
        for button, work in (
            (face.call, self.call),
            (face.hangup, self.hangup),
            (face.mute, self._toggle_mute),
            (face.answer, self.answer),
            (face.reject, self.reject),
            (face.ignore, self.ignore),
        ):
            button.on_click(lambda _button, work=work: enter(work))

    def _started(self, operation: Operation[_T]) -> Operation[_T]:
        self._face.say("")
        self._chores.watch(operation)
        return operation

    def _toggle_mute(self) -> Any:
        return self._set_muted(not self._client.muted)

    def _set_muted(self, muted: bool) -> Any:
        if not self._chores.here:
            self._chores.enter(lambda: self._set_muted(muted) and None)
            return True
        result = self._client.mute() if muted else self._client.unmute()
        self._note("muted" if muted else "not muted")
        return result

    def _shown_incoming(self) -> str | None:
        ringing = self._client.incoming_calls
        return ringing[-1].info.callUUID if ringing else None

    def _subscribe(self) -> list[tuple[EventName, Any]]:
        def listener(name: EventName) -> Any:
            return lambda *arguments: self._happened(name, *arguments)

        subscriptions = [(name, listener(name)) for name in phone_view.EVENT_WORDS]
        for name, callback in subscriptions:
            self._client.on(name, callback)
        return subscriptions

    def _happened(self, name: EventName, *arguments: Any) -> None:
        info = next((value for value in arguments if isinstance(value, CallInfo)), None)
        if name in _STATE_WORDS or name == "onCallFailed":
            self._call_changed(name, info, *arguments)
        self._note(phone_view.event_text(name, *arguments))

    def _note(self, text: str) -> None:
        """Add a line to the list of last events."""
        self._events.append((time.strftime("%H:%M:%S"), text))
        self._refresh()

    def _call_changed(self, name: str, info: CallInfo | None, *arguments: Any) -> None:
        current = self._client.current_call
        if name in ("onCallTerminated", "onCallFailed"):
            mine = info is None or current is None or current.info.callUUID in (None, info.callUUID)
            if not mine:
                return  # another call, that only rang here, ended; the screen stays with the current one
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

    def _take_up(self, call: Call | None) -> None:
        """Show a call that was there before this phone was."""
        if call is None:
            return
        self._peer = phone_view.peer_of(call.info)
        answered_at = call.timings.get("answered")
        self._answered_at = answered_at
        self._state = "In call" if answered_at is not None else "Calling…"

    async def _tick(self) -> None:
        while True:
            seconds = 0.0 if self._answered_at is None else time.monotonic() - self._answered_at
            await asyncio.sleep(1.0 - seconds % 1.0 + 0.005)  # just after the second turns
            if self._answered_at is not None:
                self._refresh()

    def _refresh(self) -> None:
        if self._closed:
            return
        face, client = self._face, self._client
        talked_s = self._talked_s if self._answered_at is None else time.monotonic() - self._answered_at
        in_call = client.current_call is not None
        face.show_connection(_connection(client), client.username if client.is_logged_in else None)
        face.show_screen(self._state, self._peer, talked_s)
        face.show_incoming([call.info for call in client.incoming_calls])
        face.show_mute(client.muted)
        face.show_events(list(self._events))
        face.call.disabled = in_call
        face.hangup.disabled = not in_call
        face.show_keys_send_tones(self._answered_at is not None)


def _connection(client: Client) -> str:
    if client.is_connected:
        return "connected"
    return "connecting" if client.username is not None else "none"
