"""Events of a client: names, arguments, callback types, and the emitter that calls the callbacks.

Names and keys are those of Plivo's Browser SDK page. Three of the keys and names printed there are typing
errors and are corrected here: ``no_microphone_acesss``, ``dec`` and ``Type`` are `no_microphone_access`,
`desc` and `type`.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NotRequired, Protocol, TypedDict, TypeVar, get_args, overload

if TYPE_CHECKING:
    from plivo_nb.operation import Operation

_logger = logging.getLogger("plivo_nb.events")

CallState = Literal["ringing", "answered", "rejected", "ignored", "canceled", "failed", "ended"]
Direction = Literal["INCOMING", "OUTGOING"]
DtmfDigit = Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "A", "B", "C", "D"]
Callback = Callable[..., Any]
_C = TypeVar("_C", bound=Callback)

#: The name of an event; annotate variables that hold one with it.
EventName = Literal[
    "onLogin",
    "onLoginFailed",
    "onLogout",
    "onCalling",
    "onCallRemoteRinging",
    "onCallAnswered",
    "onCallTerminated",
    "onCallFailed",
    "onIncomingCall",
    "onIncomingCallCanceled",
    "onIncomingCallIgnored",
    "onMediaPermission",
    "onWebrtcNotSupported",
    "onAudioDeviceChange",
    "onConnectionChange",
    "onDtmfReceived",
    "onMediaError",
    "mediaMetrics",
]
EVENT_NAMES: frozenset[EventName] = frozenset(get_args(EventName))


@dataclass(frozen=True, slots=True)
class CallInfo(Mapping[str, Any]):
    """The `callInfo` of Plivo's page: a snapshot of one call, which does not change after the event.

    Read it by attribute or, like a dict, by Plivo's keys.

    Attributes:
        callUUID: the server's X-CallUUID; where it sends none, the SIP Call-ID; None before either is known.
        direction: 'INCOMING' or 'OUTGOING'.
        src: OUTGOING: this client's SIP URI; INCOMING: the caller's number or endpoint.
        dest: OUTGOING: what was dialled; INCOMING: this client's SIP URI.
        state: ringing, answered, rejected, ignored, canceled, failed or ended.
        extraHeaders: the X-PH headers sent or received.
        code, reason, protocol, originator: how the call ended: the status code and text, 'SIP' or the
            protocol of the Reason header (RFC 3326), 'local', 'remote' or 'system'; None where there is none.
        contact: the address that the call was redirected to, where that was not followed; else None.

    Example:
        >>> info = CallInfo("c-1", "OUTGOING", "sip:alice@phone.plivo.com", "echo", "ringing")
        >>> info.callUUID, info["state"]
        ('c-1', 'ringing')
    """

    callUUID: str | None
    direction: Direction
    src: str
    dest: str
    state: CallState
    extraHeaders: Mapping[str, str] = field(default_factory=dict)
    code: int | None = None
    reason: str | None = None
    protocol: str | None = None
    originator: str | None = None
    contact: str | None = None

    def __getitem__(self, key: str) -> Any:
        if key not in _CALL_INFO_KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_CALL_INFO_KEYS)

    def __len__(self) -> int:
        return len(_CALL_INFO_KEYS)


_CALL_INFO_KEYS = tuple(item.name for item in fields(CallInfo))


class MediaPermission(TypedDict):
    """Argument of `onMediaPermission`. `error` is NotFoundError (no microphone) or NotAllowedError."""

    status: Literal["success", "failure"]
    stream: NotRequired[bool]
    error: NotRequired[str]


class ConnectionChange(TypedDict):
    """Argument of `onConnectionChange`. `eventCode` is the close code of the WebSocket (RFC 6455, 7.4)."""

    state: Literal["connected", "disconnected"]
    eventCode: NotRequired[int]
    eventReason: NotRequired[str]


class MediaMetric(TypedDict):
    """Argument of `mediaMetrics`, with the keys of Plivo's page.

    `type` is high_jitter, high_rtt, high_packetloss, low_mos, no_audio_received, no_microphone_access,
    ice_timeout or ice_connection. `value` is a number (jitter and RTT in ms, loss as a fraction 0..1, level
    in dBFS), for ice_connection the ICE connection's state. `active` is False when the condition has ended.
    """

    group: Literal["network", "audio"]
    level: Literal["warning"]
    type: str
    value: float | str
    active: bool
    desc: str
    stream: Literal["local", "remote", "None"]


class AudioDeviceChange(TypedDict):
    """Argument of `onAudioDeviceChange`. `device` is an object as in `client.audio.available_devices`."""

    change: Literal["added", "removed"]
    device: Any


class DtmfReceived(TypedDict):
    """Argument of `onDtmfReceived`: the digit, and its duration in ms."""

    tone: DtmfDigit
    duration: int


class MediaFault(TypedDict):
    """First argument of `onMediaError`: a source, sink, recording or capture stopped; the call goes on.

    `what` is what stopped, `path` its file (None for sources and sinks), `message` a sentence that says why.
    """

    what: Literal["source", "sink", "recording", "capture"]
    path: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event of `Client.events`: its name, the callbacks' arguments, and its time (UTC)."""

    name: EventName
    arguments: tuple[Any, ...]
    time: datetime

    @property
    def value(self) -> Any:
        """None for no argument, the argument itself for one, else the tuple of all."""
        if not self.arguments:
            return None
        return self.arguments[0] if len(self.arguments) == 1 else self.arguments


_NoArgument = Literal["onLogin", "onLogout", "onCalling", "onWebrtcNotSupported"]
_AboutCall = Literal[
    "onCallRemoteRinging",
    "onCallAnswered",
    "onCallTerminated",
    "onIncomingCallCanceled",
    "onIncomingCallIgnored",
]
_Incoming = Callable[[str, Mapping[str, str], CallInfo], Any]
_C0 = TypeVar("_C0", bound=Callable[[], Any])
_CCause = TypeVar("_CCause", bound=Callable[[str], Any])
_CInfo = TypeVar("_CInfo", bound=Callable[[CallInfo], Any])
_CFailed = TypeVar("_CFailed", bound=Callable[[str, CallInfo], Any])
_CIncoming = TypeVar("_CIncoming", bound=_Incoming)
_CMetric = TypeVar("_CMetric", bound=Callable[[MediaMetric], Any])
_CPermission = TypeVar("_CPermission", bound=Callable[[MediaPermission], Any])
_CConnection = TypeVar("_CConnection", bound=Callable[[ConnectionChange], Any])
_CDevice = TypeVar("_CDevice", bound=Callable[[AudioDeviceChange], Any])
_CDtmf = TypeVar("_CDtmf", bound=Callable[[DtmfReceived], Any])
_CFault = TypeVar("_CFault", bound=Callable[[MediaFault, CallInfo], Any])

_T = TypeVar("_T")
_Decorator = Callable[[_T], _T]


class Subscribe(Protocol):
    """Types of ``client.on`` and ``client.once``: which callback fits which event."""

    @overload
    def __call__(self, name: _NoArgument, callback: _C0) -> _C0: ...
    @overload
    def __call__(self, name: _NoArgument) -> _Decorator[Callable[[], Any]]: ...
    @overload
    def __call__(self, name: Literal["onLoginFailed"], callback: _CCause) -> _CCause: ...
    @overload
    def __call__(self, name: Literal["onLoginFailed"]) -> _Decorator[Callable[[str], Any]]: ...
    @overload
    def __call__(self, name: _AboutCall, callback: _CInfo) -> _CInfo: ...
    @overload
    def __call__(self, name: _AboutCall) -> _Decorator[Callable[[CallInfo], Any]]: ...
    @overload
    def __call__(self, name: Literal["onCallFailed"], callback: _CFailed) -> _CFailed: ...
    @overload
    def __call__(self, name: Literal["onCallFailed"]) -> _Decorator[Callable[[str, CallInfo], Any]]: ...
    @overload
    def __call__(self, name: Literal["onIncomingCall"], callback: _CIncoming) -> _CIncoming: ...
    @overload
    def __call__(self, name: Literal["onIncomingCall"]) -> _Decorator[_Incoming]: ...
    @overload
    def __call__(self, name: Literal["mediaMetrics"], callback: _CMetric) -> _CMetric: ...
    @overload
    def __call__(self, name: Literal["mediaMetrics"]) -> _Decorator[Callable[[MediaMetric], Any]]: ...
    @overload
    def __call__(self, name: Literal["onMediaPermission"], callback: _CPermission) -> _CPermission: ...
    @overload
    def __call__(
        self, name: Literal["onMediaPermission"]
    ) -> _Decorator[Callable[[MediaPermission], Any]]: ...
    @overload
    def __call__(self, name: Literal["onConnectionChange"], callback: _CConnection) -> _CConnection: ...
    @overload
    def __call__(
        self, name: Literal["onConnectionChange"]
    ) -> _Decorator[Callable[[ConnectionChange], Any]]: ...
    @overload
    def __call__(self, name: Literal["onAudioDeviceChange"], callback: _CDevice) -> _CDevice: ...
    @overload
    def __call__(
        self, name: Literal["onAudioDeviceChange"]
    ) -> _Decorator[Callable[[AudioDeviceChange], Any]]: ...
    @overload
    def __call__(self, name: Literal["onDtmfReceived"], callback: _CDtmf) -> _CDtmf: ...
    @overload
    def __call__(self, name: Literal["onDtmfReceived"]) -> _Decorator[Callable[[DtmfReceived], Any]]: ...
    @overload
    def __call__(self, name: Literal["onMediaError"], callback: _CFault) -> _CFault: ...
    @overload
    def __call__(
        self, name: Literal["onMediaError"]
    ) -> _Decorator[Callable[[MediaFault, CallInfo], Any]]: ...


class WaitFor(Protocol):
    """Types of ``client.wait_for``: what each event gives when it is awaited."""

    @overload
    def __call__(self, name: _NoArgument, timeout: float | None = None) -> Operation[None]: ...
    @overload
    def __call__(self, name: Literal["onLoginFailed"], timeout: float | None = None) -> Operation[str]: ...
    @overload
    def __call__(self, name: _AboutCall, timeout: float | None = None) -> Operation[CallInfo]: ...
    @overload
    def __call__(
        self, name: Literal["onCallFailed"], timeout: float | None = None
    ) -> Operation[tuple[str, CallInfo]]: ...
    @overload
    def __call__(
        self, name: Literal["onIncomingCall"], timeout: float | None = None
    ) -> Operation[tuple[str, Mapping[str, str], CallInfo]]: ...
    @overload
    def __call__(
        self, name: Literal["mediaMetrics"], timeout: float | None = None
    ) -> Operation[MediaMetric]: ...
    @overload
    def __call__(
        self, name: Literal["onMediaPermission"], timeout: float | None = None
    ) -> Operation[MediaPermission]: ...
    @overload
    def __call__(
        self, name: Literal["onConnectionChange"], timeout: float | None = None
    ) -> Operation[ConnectionChange]: ...
    @overload
    def __call__(
        self, name: Literal["onAudioDeviceChange"], timeout: float | None = None
    ) -> Operation[AudioDeviceChange]: ...
    @overload
    def __call__(
        self, name: Literal["onDtmfReceived"], timeout: float | None = None
    ) -> Operation[DtmfReceived]: ...
    @overload
    def __call__(
        self, name: Literal["onMediaError"], timeout: float | None = None
    ) -> Operation[tuple[MediaFault, CallInfo]]: ...


class EventStream:
    """Every event from now on, in order: ``async for event in stream``. It ends when the client closes.

    Args:
        emitter: whose events.
        limit: maximum number of events waiting for a slow reader; then the oldest is dropped.

    Attributes:
        missed: number of events dropped.
    """

    def __init__(self, emitter: Emitter, limit: int = 10_000) -> None:
        self._waiting: asyncio.Queue[Event | None] = asyncio.Queue(limit)
        self.missed = 0
        self._forget = emitter.watch(self._take)

    def _take(self, event: Event | None) -> None:
        if self._waiting.full():
            self._waiting.get_nowait()
            self.missed += 1
        self._waiting.put_nowait(event)

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        event = await self._waiting.get()
        if event is None:
            self._take(None)  # every other reader of this stream ends too
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Stop listening."""
        self._forget()
        self._take(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Subscription:
    """A callback, and the context (PEP 567) in which it was registered.

    In a notebook the context says which cell output belongs to. What a callback prints, and what is logged
    about it, is thus always shown below the cell that registered it, whatever runs when the event comes.
    """

    callback: Callback
    once: bool
    context: contextvars.Context

    def in_context(self) -> contextvars.Context:
        """A copy of the context: a context cannot be entered twice, and callbacks may cause events."""
        return self.context.copy()


class Emitter:
    """Calls the callbacks of events: functions or coroutine functions.

    A callback runs in the context (`contextvars`) in which it was registered. An exception in a callback is
    logged with the event's name. It does not reach the caller of `emit`, and the other callbacks are called.
    The emitter owns the tasks of coroutine callbacks: `close` cancels and awaits them.

    Args:
        utc_ns: the clock of the events' times, ns since 1970.
    """

    def __init__(self, utc_ns: Callable[[], int] = time.time_ns) -> None:
        self._utc_ns = utc_ns
        self._subscriptions: dict[str, list[_Subscription]] = {}
        self._watchers: list[Callable[[Event | None], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @overload
    def on(self, name: str) -> Callable[[_C], _C]: ...
    @overload
    def on(self, name: str, callback: _C) -> _C: ...
    def on(self, name: str, callback: Callback | None = None) -> Any:
        """Call `callback` at every event `name`; without a callback, a decorator.

        Raises:
            ValueError: there is no event of that name.

        Example:
            >>> emitter = Emitter()
            >>> @emitter.on("onLoginFailed")
            ... def failed(cause):
            ...     print(cause)
            >>> emitter.emit("onLoginFailed", "Authentication Error")
            Authentication Error
        """
        return self._add(name, callback, once=False)

    @overload
    def once(self, name: str) -> Callable[[_C], _C]: ...
    @overload
    def once(self, name: str, callback: _C) -> _C: ...
    def once(self, name: str, callback: Callback | None = None) -> Any:
        """Like `on`, for the next event of that name only."""
        return self._add(name, callback, once=True)

    def off(self, name: str, callback: Callback | None = None) -> None:
        """Remove `callback` from the event `name`, or all of its callbacks when none is given."""
        self._check(name)
        if callback is None:
            self._subscriptions.pop(name, None)
            return
        kept = [item for item in self._subscriptions.get(name, []) if item.callback != callback]
        self._subscriptions[name] = kept

    def emit(self, name: EventName, *arguments: Any) -> None:
        """Call every callback of `name` now, in the order of registration."""
        self._check(name)
        event = Event(name, arguments, datetime.fromtimestamp(self._utc_ns() / 1e9, UTC))
        for watcher in list(self._watchers):
            watcher(event)
        for subscription in list(self._subscriptions.get(name, [])):
            if subscription.once:
                left = self._subscriptions.get(name, [])
                if subscription not in left:
                    continue  # an event that a callback of this one caused was the next one
                left.remove(subscription)
            context = subscription.in_context()
            result = context.run(_call, name, subscription.callback, arguments)
            if inspect.isawaitable(result):
                self._own(name, result, context)

    async def close(self, spare: asyncio.Task[Any] | None = None) -> None:
        """Cancel and await the coroutine callbacks that still run, and remove all callbacks.

        Args:
            spare: a task that is not cancelled, because it awaits this method.
        """
        self._closed = True
        self._subscriptions.clear()
        for watcher in list(self._watchers):
            watcher(None)
        self._watchers.clear()
        spared = {spare, asyncio.current_task()}
        tasks = [task for task in self._tasks if task not in spared]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def watch(self, watcher: Callable[[Event | None], None]) -> Callable[[], None]:
        """Call `watcher` with every event, and with None at the end; returns a function that stops it."""
        if self._closed:
            watcher(None)
            return lambda: None
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher) if watcher in self._watchers else None

    def next(self, name: str) -> asyncio.Future[Any]:
        """A future of the next event's `Event.value`; cancelled when the emitter closes first."""
        self._check(name)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def take(event: Event | None) -> None:
            if future.done():
                return
            if event is None:
                future.cancel()
            elif event.name == name:
                future.set_result(event.value)

        forget = self.watch(take)
        future.add_done_callback(lambda _: forget())
        return future

    def _check(self, name: str) -> None:
        if name not in EVENT_NAMES:
            raise ValueError(f"There is no event {name!r}; the events are {', '.join(sorted(EVENT_NAMES))}.")

    def _add(self, name: str, callback: Callback | None, *, once: bool) -> Any:
        self._check(name)
        if callback is None:
            return lambda function: self._add(name, function, once=once)
        if not callable(callback):
            raise ValueError(f"The callback of {name} must be a function, not {callback!r}.")
        subscription = _Subscription(callback, once, contextvars.copy_context())
        self._subscriptions.setdefault(name, []).append(subscription)
        return callback

    def _own(self, name: str, awaitable: Awaitable[Any], context: contextvars.Context) -> None:
        async def run() -> None:
            try:
                await awaitable
            except Exception:
                _logger.exception("A callback of %s raised; the call and other callbacks go on.", name)

        loop = asyncio.get_running_loop()
        task = loop.create_task(run(), name=f"plivo_nb callback of {name}", context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _call(name: str, callback: Callback, arguments: tuple[Any, ...]) -> Any:
    """What the callback returns; None, after a log record, if it raises."""
    try:
        return callback(*arguments)
    except Exception:
        _logger.exception("A callback of %s raised; the call and other callbacks go on.", name)
        return None
