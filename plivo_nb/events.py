"""Events: their names, what they carry, and the emitter that hands them out (spec.md section 4).

An event's name and the keys of what it carries are Plivo's, letter for letter.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, overload

_logger = logging.getLogger("plivo_nb.events")

CallState = Literal["ringing", "answered", "rejected", "ignored", "canceled", "failed", "ended"]
Direction = Literal["INCOMING", "OUTGOING"]
Callback = Callable[..., Any]
_C = TypeVar("_C", bound=Callback)

EVENT_NAMES: frozenset[str] = frozenset(
    {
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
    }
)


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


class Emitter:
    """Hands events to callbacks: plain functions or coroutine functions.

    A callback that raises is logged with the event's name; it never reaches the emitter's caller and
    never keeps other callbacks from running. Tasks of coroutine callbacks are owned by the emitter:
    `close` cancels and awaits them.
    """

    def __init__(self, names: frozenset[str] = EVENT_NAMES) -> None:
        self._names = names
        self._callbacks: dict[str, list[tuple[Callback, bool]]] = {}
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

    async def close(self) -> None:
        """Cancel and await the coroutine callbacks that still run, and forget all callbacks."""
        self._callbacks.clear()
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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
