"""The phone: buttons to call, answer and hang up. Each button has a method with the same effect."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from plivo_nb.operation import check_open
from plivo_nb.widgets import phone_view, voila
from plivo_nb.widgets.account import AccountForm
from plivo_nb.widgets.browser_sound import BrowserSoundPanel
from plivo_nb.widgets.call_controls import CallControls
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.copy_code import CopyCode
from plivo_nb.widgets.dial_string import dial_string
from plivo_nb.widgets.event_words import EVENT_WORDS, event_text
from plivo_nb.widgets.history import History
from plivo_nb.widgets.incoming import IncomingCalls
from plivo_nb.widgets.loop_tasks import LoopTasks, sentence_of
from plivo_nb.widgets.page import Page
from plivo_nb.widgets.screen import CurrentCall, EndedCall, Screen, Snapshot, screen_of, why_ended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.events import CallInfo, EventName
    from plivo_nb.operation import Operation
    from plivo_nb.widgets.sound_source import SourceName

_logger = logging.getLogger("plivo_nb.widgets")
_T = TypeVar("_T")
_phones: WeakKeyDictionary[Client, Phone] = WeakKeyDictionary()

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
        server, accounts: as of `AccountForm`: what the login form displays, and users to choose from. With
            ``accounts=lab.accounts`` a lab's users log in without typing a password.

    Attributes:
        page: the phone's connection to the page that shows it.

    Raises:
        NoRunningLoop: the client was made in an earlier `asyncio.run`.

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

    def __init__(
        self,
        client: Client,
        *,
        dial: str = "",
        source: SourceName = "microphone",
        server: str | None = None,
        accounts: Sequence[str] | Mapping[str, str] = (),
    ) -> None:
        check_open(client.loop, "Phone")
        older = _phones.get(client)
        if older is not None:
            older.close()
        self._client = client
        self._view = phone_view.PhoneView()
        self._view.dial.value = dial
        self._loop_tasks = LoopTasks(client.loop, self._view.show_status, "phone")
        self.page = Page(client.loop, "Phone", keypad=True)
        self._account = AccountForm(client, self._loop_tasks, server=server, accounts=accounts)
        self._incoming = IncomingCalls(client, self._loop_tasks, self.page)
        self._page_sound = BrowserSoundPanel(client, self._loop_tasks)
        self._controls = CallControls(client, self._loop_tasks, source)
        self._history = History(client, self._loop_tasks, self.call)
        self._code = code_log_of(client)
        self._copy_code = CopyCode(self._code)
        self._parts: list[Part] = [
            self._account,
            self._incoming,
            self._page_sound,
            self._controls,
            self._history,
            self._copy_code,
        ]
        self._view.arrange(self._from_top_to_bottom())
        self._events: deque[tuple[str, str]] = deque(maxlen=_SHOWN_EVENTS)
        self._last_call = client.current_call  # the current call, or the one before
        self._ended: EndedCall | None = None
        self._closed = False
        self._subscriptions = self._subscribe()
        self._wire_buttons()
        self.refresh()
        _phones[client] = self
        self._remove_close_callback = client.at_close(self.close)
        self._loop_tasks.create_task(self._update_timer())
        if voila.opened_as_app():
            self._loop_tasks.create_task(
                voila.end_with_page(
                    self.page, in_call=lambda: voila.in_answered_call(client), end=client.close
                )
            )

    # ------------------------------------------------------------------ methods of the buttons

    def call(self, target: str | None = None) -> Operation[Call]:
        """Call `target` (a number, user name or SIP address); by default the content of the dial field."""
        if target is not None:
            self._view.dial.value = target
        self._view.dial.value = dialled = self._view.dialled
        self._code.add("call = await client.call({!r})", dialled)
        return self._watched(self._client.call(dialled))

    def hangup(self) -> Operation[CallInfo]:
        """End the current call."""
        self._code.add("await client.hangup()")
        return self._watched(self._client.hangup())

    def answer(self, call_uuid: str | None = None) -> Operation[Call]:
        """Answer the ringing call with this call UUID; by default the call that the phone displays."""
        uuid = call_uuid or self._shown_incoming()
        self._code.add("call = await client.answer({!r})", uuid)
        return self._watched(self._client.answer(uuid))

    def reject(self, call_uuid: str | None = None) -> Operation[CallInfo]:
        """Reject the call; the caller gets a busy signal. The call is chosen as in `answer`."""
        uuid = call_uuid or self._shown_incoming()
        self._code.add("await client.reject({!r})", uuid)
        return self._watched(self._client.reject(uuid))

    def ignore(self, call_uuid: str | None = None) -> Operation[CallInfo]:
        """Stop ringing here; the caller still hears ringing. The call is chosen as in `answer`."""
        uuid = call_uuid or self._shown_incoming()
        self._code.add("await client.ignore({!r})", uuid)
        return self._watched(self._client.ignore(uuid))

    def mute(self) -> Any:
        """Send silence instead of sound; without a call this applies to the next one."""
        return self._set_muted(True)

    def unmute(self) -> Any:
        """Send sound again."""
        return self._set_muted(False)

    def send_dtmf(self, digits: str) -> Operation[Any]:
        """Send DTMF tones in the call: one or more of ``0-9 * #``."""
        self._view.show_status("")
        self._code.add("await client.send_dtmf({!r})", digits)
        operation = self._client.send_dtmf(digits)

        async def sent() -> None:
            await operation
            self._add_event(f"tones sent: {digits}")

        self._loop_tasks.watch(sent())
        return operation

    def press(self, key: str) -> Operation[Any] | None:
        """Press a key of the dial pad: send a tone in an answered call, else add it to the dial field.

        Args:
            key: one of ``0-9 * #``; or ``"delete"``, which deletes the last character of the dial field.
        """
        if key == phone_view.DELETE:
            self._view.dial.value = self._view.dial.value[:-1]
            return None
        if self._screen.sends_tones:
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
        """The state as displayed, such as ``"In call"`` or ``"Ended (you hung up)"``."""
        return self._screen.words

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
    def code(self) -> str:
        """What was done with the phone, as the Python that does the same; a line for each action."""
        return self._code.text

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

    def refresh(self) -> None:
        """Display the present state of the client. The phone does so itself at each event."""
        if self._closed:
            return
        self._last_call = self._client.current_call or self._last_call
        self._view.show_screen(self._screen)
        self._view.show_mute(self._client.muted)
        self._view.show_events(list(self._events))
        for part in self._parts:
            try:
                part.refresh()
            except Exception as error:  # the other parts are displayed all the same
                _logger.exception("A part of the phone cannot be displayed.")
                self._view.show_status(sentence_of(error))

    # ------------------------------------------------------------------ private; runs on the client's loop

    @property
    def _screen(self) -> Screen:
        return screen_of(self._snapshot())

    def _snapshot(self) -> Snapshot:
        client, call = self._client, self._client.current_call
        return Snapshot(
            username=client.username,
            logged_in=client.is_logged_in,
            connected=client.is_connected,
            reconnect_in_s=client.reconnect_in_s,
            ringing=tuple(phone_view.peer_of(ringing.info) for ringing in client.incoming_calls),
            call=None if call is None else self._current_call(call),
            ended=self._ended,
        )

    def _current_call(self, call: Call) -> CurrentCall:
        answered_at = call.timings.get("answered")
        connection = self._client.get_peer_connection()["pc"]
        return CurrentCall(
            peer=phone_view.peer_of(call.info),
            phase=call.phase,
            talked_s=None if answered_at is None else time.monotonic() - answered_at,
            on_hold=call.on_hold,
            media_lost=connection is not None and connection.connectionState in ("disconnected", "failed"),
        )

    def _from_top_to_bottom(self) -> list[Any]:
        """The widgets in the order in which they are displayed."""
        view = self._view
        return [
            self._account.widget,
            view.screen,
            view.dialling(self._incoming.widget),
            view.buttons,
            self._page_sound.widget,
            self._controls.widget,
            self._history.widget,
            view.log,
            self._copy_code.widget,
            self.page.widget,
        ]

    def _wire_buttons(self) -> None:
        view, run_soon = self._view, self._loop_tasks.run_soon
        view.on_press(lambda key: run_soon(lambda: self.press(key)))
        view.on_dial(lambda: run_soon(self.call))
        self.page.on_typed = self._typed
        for button, action in (
            (view.call, self.call),
            (view.hangup, self.hangup),
            (view.mute, self._toggle_mute),
        ):
            button.on_click(lambda _button, action=action: run_soon(action))

    def _typed(self, text: str, pasted: bool) -> None:
        """Take the text of the dial field; a pasted number loses its separators at once."""
        self._view.dial.value = text
        if pasted and (dialled := dial_string(text)) != text:
            self.page.replace_typed(text, dialled)

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
        self._code.add("client.mute()" if muted else "client.unmute()")
        result = self._client.mute() if muted else self._client.unmute()
        self._add_event("muted" if muted else "not muted")
        return result

    def _shown_incoming(self) -> str | None:
        ringing = self._client.incoming_calls
        return ringing[-1].info.callUUID if ringing else None

    def _subscribe(self) -> list[tuple[EventName, Any]]:
        def listener(name: EventName) -> Any:
            return lambda *arguments: self._on_event(name, *arguments)

        subscriptions = [(name, listener(name)) for name in EVENT_WORDS]
        for name, callback in subscriptions:
            self._client.on(name, callback)
        return subscriptions

    def _on_event(self, name: EventName, *arguments: Any) -> None:
        if name in ("onCallTerminated", "onCallFailed", "onIncomingCallCanceled"):
            self._call_ended(arguments[-1], arguments[0] if name == "onCallFailed" else None)
        elif name in ("onCalling", "onIncomingCall", "onCallAnswered", "onLogout"):
            self._ended = None
        self._add_event(event_text(name, *arguments))

    def _call_ended(self, info: CallInfo, cause: str | None) -> None:
        """Keep how the call ended; not for one that only rang beside the current call."""
        call = self._last_call
        if call is not None and call.info.callUUID == info.callUUID:
            self._ended = _ended_call(info, cause or call.cause, call)
            self._loop_tasks.create_task(self._complete(info, cause or call.cause, call))
        elif self._client.current_call is None:
            self._ended = _ended_call(info, cause, None)

    async def _complete(self, info: CallInfo, cause: str | None, call: Call) -> None:
        """Add the last sample, which comes when the call's media is closed."""
        before = self._ended
        await call.ended
        if self._ended is before:
            self._ended = _ended_call(info, cause, call)
            self.refresh()

    def _add_event(self, text: str) -> None:
        """Add an entry to the list of recent events."""
        self._events.append((time.strftime("%H:%M:%S"), text))
        self.refresh()

    async def _update_timer(self) -> None:
        """Refresh each second while something that is displayed counts seconds."""
        while True:
            # Taken before the screen is drawn: if the full second passes meanwhile, the next turn shows it.
            seconds = self._answered_for_s()
            if (
                self._client.current_call
                or self._client.incoming_calls
                or self._client.reconnect_in_s is not None
            ):
                self.refresh()
            to_full_second = math.floor(seconds) + 1.0 - self._answered_for_s()
            await asyncio.sleep(min(1.0, max(0.0, to_full_second)) + 0.005)

    def _answered_for_s(self) -> float:
        call = self._client.current_call
        answered_at = None if call is None else call.timings.get("answered")
        return 0.0 if answered_at is None else time.monotonic() - answered_at


def _ended_call(info: CallInfo, cause: str | None, call: Call | None) -> EndedCall:
    """What is displayed of a call that ended; `call` is None where it only rang here."""
    summary = (call.summary if call is not None else None) or {}
    duration_s = summary.get("duration_s", math.nan)
    return EndedCall(
        peer=phone_view.peer_of(info),
        why=why_ended(info, cause),
        talked_s=None if math.isnan(duration_s) else duration_s,
        mean_mos=summary.get("mos_mean", math.nan),
    )
