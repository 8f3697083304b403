"""Listening to a client's events: by callback, with types for each event; by awaiting one; as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, overload

from plivo_nb.engine.work import Working
from plivo_nb.errors import InvalidState
from plivo_nb.events import (
    AudioDeviceChange,
    CallInfo,
    ConnectionChange,
    DtmfReceived,
    Emitter,
    EventStream,
    MediaMetric,
    MediaPermission,
)
from plivo_nb.operation import Operation

_T = TypeVar("_T")

_Plain = Literal["onLogin", "onLogout", "onCalling", "onWebrtcNotSupported"]
_AboutCall = Literal[
    "onCallRemoteRinging",
    "onCallAnswered",
    "onCallTerminated",
    "onIncomingCallCanceled",
    "onIncomingCallIgnored",
]
_Fn0 = TypeVar("_Fn0", bound=Callable[[], Any])
_FnCause = TypeVar("_FnCause", bound=Callable[[str], Any])
_FnInfo = TypeVar("_FnInfo", bound=Callable[[CallInfo], Any])
_FnFailed = TypeVar("_FnFailed", bound=Callable[[str, CallInfo], Any])
_FnIncoming = TypeVar("_FnIncoming", bound=Callable[[str, Mapping[str, str], CallInfo], Any])
_FnMetric = TypeVar("_FnMetric", bound=Callable[[MediaMetric], Any])
_FnPermission = TypeVar("_FnPermission", bound=Callable[[MediaPermission], Any])
_FnConnection = TypeVar("_FnConnection", bound=Callable[[ConnectionChange], Any])
_FnDevice = TypeVar("_FnDevice", bound=Callable[[AudioDeviceChange], Any])
_FnDtmf = TypeVar("_FnDtmf", bound=Callable[[DtmfReceived], Any])
_Decorator = Callable[[_T], _T]


class Subscribe(Protocol):
    """``client.on`` and ``client.once`` for type checkers: which callback fits which event."""

    @overload
    def __call__(self, name: _Plain, callback: _Fn0) -> _Fn0: ...
    @overload
    def __call__(self, name: _Plain) -> _Decorator[Callable[[], Any]]: ...
    @overload
    def __call__(self, name: Literal["onLoginFailed"], callback: _FnCause) -> _FnCause: ...
    @overload
    def __call__(self, name: Literal["onLoginFailed"]) -> _Decorator[Callable[[str], Any]]: ...
    @overload
    def __call__(self, name: _AboutCall, callback: _FnInfo) -> _FnInfo: ...
    @overload
    def __call__(self, name: _AboutCall) -> _Decorator[Callable[[CallInfo], Any]]: ...
    @overload
    def __call__(self, name: Literal["onCallFailed"], callback: _FnFailed) -> _FnFailed: ...
    @overload
    def __call__(self, name: Literal["onCallFailed"]) -> _Decorator[Callable[[str, CallInfo], Any]]: ...
    @overload
    def __call__(self, name: Literal["onIncomingCall"], callback: _FnIncoming) -> _FnIncoming: ...
    @overload
    def __call__(
        self, name: Literal["onIncomingCall"]
    ) -> _Decorator[Callable[[str, Mapping[str, str], CallInfo], Any]]: ...
    @overload
    def __call__(self, name: Literal["mediaMetrics"], callback: _FnMetric) -> _FnMetric: ...
    @overload
    def __call__(self, name: Literal["mediaMetrics"]) -> _Decorator[Callable[[MediaMetric], Any]]: ...
    @overload
    def __call__(self, name: Literal["onMediaPermission"], callback: _FnPermission) -> _FnPermission: ...
    @overload
    def __call__(
        self, name: Literal["onMediaPermission"]
    ) -> _Decorator[Callable[[MediaPermission], Any]]: ...
    @overload
    def __call__(self, name: Literal["onConnectionChange"], callback: _FnConnection) -> _FnConnection: ...
    @overload
    def __call__(
        self, name: Literal["onConnectionChange"]
    ) -> _Decorator[Callable[[ConnectionChange], Any]]: ...
    @overload
    def __call__(self, name: Literal["onAudioDeviceChange"], callback: _FnDevice) -> _FnDevice: ...
    @overload
    def __call__(
        self, name: Literal["onAudioDeviceChange"]
    ) -> _Decorator[Callable[[AudioDeviceChange], Any]]: ...
    @overload
    def __call__(self, name: Literal["onDtmfReceived"], callback: _FnDtmf) -> _FnDtmf: ...
    @overload
    def __call__(self, name: Literal["onDtmfReceived"]) -> _Decorator[Callable[[DtmfReceived], Any]]: ...


class Listening(Working):
    """What `Client` offers to hear of its events."""

    _emitter: Emitter

    if TYPE_CHECKING:
        on: Subscribe
        once: Subscribe
    else:

        def on(self, name, callback=None):
            """Call `callback` at every event `name` (spec.md section 4); without one, a decorator.

            Callbacks may be coroutine functions. One that raises is logged and breaks nothing.

            Raises:
                ValueError: there is no event of that name.
            """
            return self._emitter.on(name) if callback is None else self._emitter.on(name, callback)

        def once(self, name, callback=None):
            """Like `on`, for the next event of that name only."""
            return self._emitter.once(name) if callback is None else self._emitter.once(name, callback)

    def off(self, name: str, callback: Callable[..., Any] | None = None) -> None:
        """Forget `callback` for that event, or all of its callbacks."""
        self._emitter.off(name, callback)

    def wait_for(self, name: str, timeout: float | None = None) -> Operation[Any]:
        """The next event of that name; listening begins at once, also before the operation is awaited.

        Args:
            name: an event of spec.md section 4.
            timeout: seconds; None: for ever.

        Returns:
            When awaited: None, the event's argument, or the tuple of its arguments.

        Raises:
            ValueError: there is no event of that name.
            TimeoutError: (when awaited) it did not come in time.
            InvalidState: (when awaited) the client was closed meanwhile.

        Example:
            >>> info = await client.wait_for("onCallAnswered", timeout=5)
            >>> cause, info = await client.wait_for("onCallFailed")
        """
        return self.own(Operation(f"wait for {name}", _next(self._emitter.next(name), name, timeout)))

    def events(self) -> EventStream:
        """Every event from now on: ``async for event in client.events(): event.name, event.arguments``."""
        return EventStream(self._emitter)


async def _next(coming: asyncio.Future[Any], name: str, timeout: float | None) -> Any:
    await asyncio.wait([coming], timeout=timeout)
    if not coming.done():
        coming.cancel()
        raise TimeoutError(f"{name} did not come within {timeout:g} s.")
    if coming.cancelled():
        raise InvalidState(f"{name} did not come: the client was closed.")
    return coming.result()
