"""Events: their names, what they carry, and the emitter that hands them out (spec.md section 4).

An event's name and the keys of what it carries are Plivo's, letter for letter.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired, TypedDict, TypeVar, get_args, overload

_logger = logging.getLogger("plivo_nb.events")

CallState = Literal["ringing", "answered", "rejected", "ignored", "canceled", "failed", "ended"]
Direction = Literal["INCOMING", "OUTGOING"]
Callback = Callable[..., Any]
_C = TypeVar("_C", bound=Callback)

#: The name of an event, for variables that hold one.
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
    "mediaMetrics",
]
EVENT_NAMES: frozenset[EventName] = frozenset(get_args(EventName))


@dataclass(frozen=True, slots=True)
class CallInfo(Mapping[str, Any]):
    """A snapshot of one call, as events carry it. It never changes after the event.

    Read it by attribute (``info.callUUID``) or like a dict with Plivo's keys (``info["callUUID"]``).
    `code`, `reason`, `protocol` and `originator` are None where a call's end has none.
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
    """What `onMediaPermission` carries. `error`: NotFoundError (no microphone) or NotAllowedError."""

    status: Literal["success", "failure"]
    stream: NotRequired[bool]
    error: NotRequired[str]


class ConnectionChange(TypedDict):
    """What `onConnectionChange` carries; `eventCode` is the WebSocket's close code."""

    state: Literal["connected", "disconnected"]
    eventCode: NotRequired[int]
    eventReason: NotRequired[str]


class MediaMetric(TypedDict):
    """What `mediaMetrics` carries (spec.md section 6)."""

    group: Literal["network", "audio"]
    level: Literal["warning"]
    type: str
    value: float | str
    active: bool
    desc: str
    stream: Literal["local", "remote", "None"]


class AudioDeviceChange(TypedDict):
    """What `onAudioDeviceChange` carries; `device` as `client.audio.available_devices` gives it."""

    change: Literal["added", "removed"]
    device: Any


class DtmfReceived(TypedDict):
    """What `onDtmfReceived` carries: one of 0-9 * # A-D, and its length in ms."""

    tone: str
    duration: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as `Client.events` gives it: its name, what callbacks get, and when (UTC)."""

    name: str
    arguments: tuple[Any, ...]
    time: datetime

    @property
    def value(self) -> Any:
        """What it carries: None, the one argument, or the tuple of all."""
        return value_of(self.arguments)


def value_of(arguments: tuple[Any, ...]) -> Any:
    """None for no argument, the argument itself for one, else the tuple."""
    return None if not arguments else arguments[0] if len(arguments) == 1 else arguments


class EventStream:
    """Every event from now on, in order: ``async for event in stream``. It ends when the client closes.

    Args:
        limit: how many events wait at most for a slow reader; then the oldest are forgotten and counted in
            `missed`.
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
            self._take(None)  # whoever else reads ends too
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Stop listening."""
        self._forget()
        self._take(None)


class Emitter:
    """Hands events to callbacks: plain functions or coroutine functions.

    A callback that raises is logged with the event's name; it never reaches the emitter's caller and
    never keeps other callbacks from running. Tasks of coroutine callbacks are owned by the emitter:
    `close` cancels and awaits them.
    """

    def __init__(self, names: frozenset[str] = EVENT_NAMES) -> None:
        self._names = names
        self._callbacks: dict[str, list[tuple[Callback, bool]]] = {}
        self._watchers: list[Callable[[Event | None], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @overload
    def on(self, name: str) -> Callable[[_C], _C]: ...
    @overload
    def on(self, name: str, callback: _C) -> _C: ...
    def on(self, name: str, callback: Callback | None = None) -> Any:
        """Call `callback` at every event `name`; without a callback, a decorator.

        Raises:
            ValueError: there is no event of that name.

        Example:
            >>> @client.on("onCallAnswered")
            ... def answered(info): ...
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
        """Forget `callback` for the event `name`, or all of its callbacks when none is given."""
        self._check(name)
        if callback is None:
            self._callbacks.pop(name, None)
            return
        kept = [entry for entry in self._callbacks.get(name, []) if entry[0] is not callback]
        self._callbacks[name] = kept

    def emit(self, name: str, *arguments: Any) -> None:
        """Run every callback of `name` now, in the order of registration."""
        self._check(name)
        event = Event(name, arguments, datetime.now(UTC))
        for watcher in list(self._watchers):
            watcher(event)
        for entry in list(self._callbacks.get(name, [])):
            callback, once = entry
            if once:
                self._callbacks[name].remove(entry)
            try:
                result = callback(*arguments)
            except Exception:
                _logger.exception("A callback of %s raised; the call and other callbacks go on.", name)
                continue
            if inspect.isawaitable(result):
                self._own(name, result)

    async def close(self, spare: asyncio.Task[Any] | None = None) -> None:
        """Cancel and await the coroutine callbacks that still run, and forget all callbacks.

        Args:
            spare: not this one: it waits for the end of this.
        """
        self._callbacks.clear()
        for watcher in list(self._watchers):
            watcher(None)
        self._watchers.clear()
        spared = {spare, asyncio.current_task()}
        tasks = [task for task in self._tasks if task not in spared]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def watch(self, watcher: Callable[[Event | None], None]) -> Callable[[], None]:
        """Give `watcher` every event of any name, and None at the end; returns a function that stops it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher) if watcher in self._watchers else None

    def next(self, name: str) -> asyncio.Future[Any]:
        """A future for what the next event of that name carries; cancelled when there will be none."""
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
        if name not in self._names:
            raise ValueError(f"There is no event {name!r}; the events are {', '.join(sorted(self._names))}.")

    def _add(self, name: str, callback: Callback | None, *, once: bool) -> Any:
        self._check(name)
        if callback is None:
            return lambda function: self._add(name, function, once=once)
        if not callable(callback):
            raise ValueError(f"The callback of {name} must be a function, not {callback!r}.")
        self._callbacks.setdefault(name, []).append((callback, once))
        return callback

    def _own(self, name: str, awaitable: Awaitable[Any]) -> None:
        async def run() -> None:
            try:
                await awaitable
            except Exception:
                _logger.exception("A callback of %s raised; the call and other callbacks go on.", name)

        task = asyncio.get_running_loop().create_task(run(), name=f"plivo_nb callback of {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
