"""Plivo and Client: the documented surface of the SDK, in PEP 8 names and in Plivo's (spec.md sections 2-5).

Names and what they promise. What they do is `engine.endpoint`'s: this room delegates.
"""

from __future__ import annotations

import html
import inspect
import logging
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from plivo_nb.call import Call
from plivo_nb.engine.endpoint import Endpoint, refusal
from plivo_nb.engine.engine import Engine, media_stack_loads
from plivo_nb.engine.listening import Listening
from plivo_nb.engine.peer_connection import PeerConnection
from plivo_nb.engine.sip_trace import ALL
from plivo_nb.engine.validation import FEEDBACK_COMMENTS
from plivo_nb.engine.views import Views
from plivo_nb.engine.work import current_task
from plivo_nb.events import CallInfo, Emitter
from plivo_nb.operation import Operation
from plivo_nb.options import DEBUG_LEVELS, read_options

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Mapping

    from plivo_nb.analysis.ladder import Ladder
    from plivo_nb.engine.audio.devices import AudioDevices
    from plivo_nb.engine.call_session import CallSession

_logger = logging.getLogger("plivo_nb.client")
_T = TypeVar("_T")

_LEVELS = {"OFF": logging.CRITICAL + 10, "ERROR": logging.ERROR, "WARN": logging.WARNING}
_LEVELS |= {"INFO": logging.INFO, "DEBUG": logging.DEBUG, "ALL": ALL}


class Client(Listening, Views):
    """A Plivo endpoint in a notebook: log in, call, answer, measure.

    Args:
        options: a dict with Plivo's keys; see `plivo_nb.options.Options`.
        engine: an engine of your own, such as ``Engine(plane="loop")``; by default the loop's shared one.
        keywords: options in PEP 8 names (or Plivo's); they win over the dict.

    Raises:
        NoRunningLoop: made where no event loop runs.
        InvalidOption: only with ``strict=True``.

    Example:
        >>> async with Client(registration_domain_socket=["ws://127.0.0.1:5066"]) as client:
        ...     await client.login("alice", "secret")
        ...     call = await client.call("echo")
        ...     client.samples.tail()
        ...     await call.hangup()
    """

    def __init__(
        self, options: Mapping[str, Any] | None = None, *, engine: Engine | None = None, **keywords: Any
    ) -> None:
        self.options = read_options(options, keywords)
        self._engine = engine or Engine.current()
        super().__init__(self._engine.loop)
        self._emitter = Emitter()
        self._endpoint = Endpoint(self._engine, self.options, self._emitter)
        self._calls: dict[int, Call] = {}
        self._closed = False
        self._at_close: list[Callable[[], Any]] = []
        if "debug" in {*(options or {}), *keywords} or not logging.getLogger("plivo_nb").level:
            self.set_debug(self.options.debug)  # a level that was chosen before is not changed by a default
        self._engine.attach(self)
        if not media_stack_loads():
            self.loop.call_soon(self._endpoint.emit, "onWebrtcNotSupported")

    # ------------------------------------------------------------ login and logout

    def login(self, username: str, password: str) -> Operation[None]:
        """Register at the domain; `onLogin` or `onLoginFailed(cause)` tells, or await it.

        Raises (when awaited):
            LoginFailed: with the SDK's word in `.cause`.
            InvalidState: this client is closed.
        """

        def start() -> tuple[Coroutine[Any, Any, None], None]:
            if self._closed:
                raise refusal("login: this client is closed; make a new Client.")
            return self._endpoint.login(username, password), None

        return self._operation_with_call(f"log in as {username}", start)

    def logout(self) -> Operation[None]:
        """Hang up, un-register and close the sockets; `onLogout`. When logged out: a warning only."""
        return self._operation("log out", self._endpoint.logout)

    def close(self) -> Operation[None]:
        """Log out, stop everything this client started; the last client also stops the I/O plane.

        Await it to know that all is gone. Its frames can be read afterwards.
        """
        return Operation("close the client", self._close(current_task()))

    async def _close(self, caller: asyncio.Task[Any] | None) -> None:
        if self._closed:
            return
        self._closed = True
        await self._endpoint.leave()
        for callback in list(self._at_close):
            result = callback()
            if inspect.isawaitable(result):
                await result
        await self._endpoint.end_calls()
        await self.audio.close()
        await self._emitter.close(spare=caller)
        await self._stop_operations(caller)
        await self._engine.detach(self)

    def at_close(self, callback: Callable[[], Any]) -> Callable[[], None]:
        """Run `callback` (it may give an awaitable) when this client closes; widgets close with it.

        Returns:
            A function that forgets the callback.
        """
        self._at_close.append(callback)
        return lambda: self._at_close.remove(callback) if callback in self._at_close else None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close(current_task())

    # ------------------------------------------------------------ calls

    def call(self, number: str, extraHeaders: Mapping[str, str] | None = None) -> Operation[Call]:
        """Call a number or SIP address.

        Args:
            number: such as ``"echo"``, ``"+14155550100"`` or ``"sip:bob@phone.plivo.com"``. With Plivo, the
                endpoint's application must have an answer URL that returns a Dial element.
            extraHeaders: names ``X-PH-`` and 1-19 of [A-Za-z0-9-]; values 1-120 of [A-Za-z0-9_+()%.-].
                Others are dropped, each with a warning.

        Returns:
            An operation whose `.call` is there at once; awaiting it gives the answered `Call`.

        Raises (when awaited):
            CallFailed: with `.cause` and `.call_info`, when it ends unanswered.
            InvalidState: not logged in, or there is a call already.
        """

        def start() -> tuple[Coroutine[Any, Any, Call], Call]:
            session = self._endpoint.new_call(number, extraHeaders)
            call = self._call_of(session)
            return _giving(self._endpoint.dial(session), call), call

        return self._operation_with_call(f"call {number}", start)

    def answer(self, callUUID: str | None = None) -> Operation[Call]:
        """Answer the ringing call with that id; with none or an unknown one, the most recent.

        An active call is hung up and other ringing ones are rejected (spec.md section 5).

        Raises (when awaited):
            InvalidState: nothing rings. CallFailed: the caller gave up first.
        """

        def start() -> tuple[Coroutine[Any, Any, Call], Call]:
            session = self._endpoint.ringing_call("answer", callUUID, "wait for onIncomingCall.")
            call = self._call_of(session)
            return _giving(self._endpoint.answer(session), call), call

        return self._operation_with_call("answer", start)

    def hangup(self) -> Operation[CallInfo]:
        """End the current call: CANCEL before an answer, BYE after. Await it for the final `CallInfo`.

        Raises (when awaited):
            InvalidState: there is no call.
        """
        return self._operation_with_call("hang up", lambda: self._ending(self._endpoint.begin_hangup()))

    def reject(self, callUUID: str | None = None) -> Operation[CallInfo]:
        """Refuse a ringing call (486); chosen as by `answer`.

        Raises (when awaited):
            InvalidState: nothing rings.
        """

        def start() -> tuple[Coroutine[Any, Any, CallInfo], Call]:
            session = self._endpoint.ringing_call("reject", callUUID, "to end a call use hangup.")
            session.reject()
            return self._ending(session)

        return self._operation_with_call("reject", start)

    def ignore(self, callUUID: str | None = None) -> Operation[CallInfo]:
        """Stop ringing here; it keeps ringing for the caller, who hears 408 after 60 s at the latest.

        Raises (when awaited):
            InvalidState: nothing rings.
        """

        def start() -> tuple[Coroutine[Any, Any, CallInfo], Call]:
            session = self._endpoint.ringing_call("ignore", callUUID, "there is nothing to ignore.")
            session.ignore()
            return _given(session.now_info()), self._call_of(session)

        return self._operation_with_call("ignore", start)

    def _ending(self, session: CallSession) -> tuple[Coroutine[Any, Any, CallInfo], Call]:
        call = self._call_of(session)
        return call.wait_ended(), call

    # ------------------------------------------------------------ during a call

    def send_dtmf(self, digit: str) -> Operation[None]:
        """Send one or more of 0-9 * #, in order, 100 ms each and 70 ms apart. Done when the last is out.

        SIP INFO (application/dtmf-relay) as the published SDK does, or RFC 4733 where the other side
        offered it.

        Raises (when awaited):
            InvalidState: no answered call, or a character that is no digit (nothing is sent then).
        """
        return self._operation(f"send DTMF {digit}", lambda: self._endpoint.begin_dtmf(digit))

    sendDtmf = send_dtmf

    def mute(self) -> bool:
        """The peer gets silence, the RTP flow goes on. Holds for the next call when there is none."""
        return self._endpoint.mute()

    def unmute(self) -> bool:
        """The peer hears the microphone or source again. False, with a warning, when there is no call."""
        return self._endpoint.unmute()

    def get_peer_connection(self) -> dict[str, Any]:
        """{'status': 'success', 'pc': …} in a call, else {'status': 'called in wrong state', 'pc': None}."""
        session = self._endpoint.call_manager.active
        if session is None or not session.media.is_open:
            return {"status": "called in wrong state", "pc": None}
        return {"status": "success", "pc": PeerConnection(session)}

    getPeerConnection = get_peer_connection

    def get_call_uuid(self) -> str | None:
        """The active call's id; None without one, or while the server has not told it."""
        session = self._endpoint.call_manager.active
        return session.uuid if session is not None else None

    getCallUUID = get_call_uuid

    def get_last_call_uuid(self) -> str | None:
        """The id of the call that was answered last, also after it."""
        return self._endpoint.call_manager.last_uuid

    getLastCallUUID = get_last_call_uuid

    def send_quality_feedback(self, callUUID: str, score: int, comment: str) -> Operation[None]:
        """Rate the current or the last call.

        Args:
            callUUID: `get_call_uuid()` or `get_last_call_uuid()`.
            score: 1 (bad) to 5 (excellent).
            comment: one of `FEEDBACK_COMMENTS`.

        Raises (when awaited):
            InvalidFeedback: another call, score or comment, or the option enableTracking is False.
        """

        def start() -> tuple[Coroutine[Any, Any, None], None]:
            self._endpoint.feedback(callUUID, score, comment)
            return _nothing(), None

        return self._operation_with_call("send feedback", start)

    sendQualityFeedback = send_quality_feedback

    # ------------------------------------------------------------ sound

    @property
    def audio(self) -> AudioDevices:
        """The microphone, the speaker, the device that rings, and volumes."""
        return self._endpoint.audio

    def set_ring_tone(self, tone: bool | str) -> bool:
        """Choose what rings for an incoming call.

        Args:
            tone: True: the built-in tone; False: none; a URL or the path of a sound file: that instead.

        Returns:
            False, with a warning, for anything else.
        """
        return self.audio.tones.choose("ring", tone)

    setRingTone = set_ring_tone

    def set_ring_tone_back(self, tone: bool | str) -> bool:
        """Choose what is heard while the far end rings.

        Args:
            tone: True: the built-in tone, and early media is not heard; False: no tone, and the server's
                ringing and announcements are heard; a URL or path: that sound, and no early media.

        Returns:
            False, with a warning, for anything else.
        """
        return self.audio.tones.choose("ringback", tone)

    setRingToneBack = set_ring_tone_back

    def set_connect_tone(self, tone: bool) -> bool:
        """Choose whether the dial tone is heard until the far end rings, answers or refuses."""
        return self.audio.tones.choose("connect", tone)

    setConnectTone = set_connect_tone

    # ------------------------------------------------------------ what there is

    @property
    def is_logged_in(self) -> bool:
        """True while registered."""
        return self._endpoint.registered

    isLoggedIn = is_logged_in

    @property
    def current_call(self) -> Call | None:
        """The active call, also while it still rings at the far end; else None."""
        session = self._endpoint.call_manager.active
        return self._call_of(session) if session is not None else None

    @property
    def incoming_calls(self) -> list[Call]:
        """The calls that ring here, the most recent last."""
        return [self._call_of(session) for session in self._endpoint.call_manager.ringing]

    def ladder(self, call: Call | None = None) -> Ladder:
        """The SIP messages as a ladder: a picture in a notebook, ``str(...)`` for terminals.

        Args:
            call: of this call, with the beginning of its media marked; None: all that is kept.
        """
        from plivo_nb.analysis.ladder import Ladder  # late: it draws with matplotlib

        if call is None:
            return Ladder(self._endpoint.trace.of(None), title="All SIP messages")
        key, peer = call.sip_call_id, call.info.dest if call.info.direction == "OUTGOING" else call.info.src
        messages = self._endpoint.trace.of(key) if key is not None else []
        return Ladder(messages, call.timings, title=f"SIP of the call with {peer}")

    @staticmethod
    def webrtc() -> bool:
        """True where the media stack loads."""
        return media_stack_loads()

    webRTC = webrtc

    @property
    def version(self) -> str:
        """This package's version."""
        from plivo_nb._version import __version__

        return __version__

    @staticmethod
    def set_debug(level: str) -> None:
        """Set the level of the `plivo_nb` logger: OFF, ERROR, WARN, INFO, DEBUG or ALL."""
        if level not in DEBUG_LEVELS:
            _logger.warning("setDebug: %r is no level; use one of %s.", level, ", ".join(DEBUG_LEVELS))
            return
        logging.getLogger("plivo_nb").setLevel(_LEVELS[level])

    setDebug = set_debug

    def _call_of(self, session: CallSession) -> Call:
        call = self._calls.get(id(session))
        if call is None:
            call = self._calls[id(session)] = Call(self, session)
            session.over.add_done_callback(lambda _: self._calls.pop(id(session), None))
        return call

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A Client is alive: it cannot be copied or pickled; keep its frames, such as client.samples."
        )

    def __repr__(self) -> str:
        who = f"logged in as {self.username}" if self.is_logged_in else "logged out"
        if self.is_logged_in and not self.is_connected:
            who += ", server away, reconnecting"
        call = self.current_call
        return f"<Client {who}{f', {call!r}' if call else ''}>"

    def _repr_html_(self) -> str:
        call = self.current_call
        rows = {
            "Logged in as": self.username if self.is_logged_in else "nobody",
            "Server": "connected" if self.is_connected else "not connected",
            "Call": repr(call)[1:-1] if call else "none",
            "Ringing": ", ".join(str(item.info.src) for item in self.incoming_calls) or "none",
            "Muted": "yes" if self.muted else "no",
            "Calls so far": str(len(self.calls)),
            "Last event": next(iter(self.recent_log[-1:]), "none"),
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table><caption>plivo_nb Client</caption>{cells}</table>"


class Plivo:
    """The documentation's entry point: ``Plivo(options).client``.

    Attributes:
        client: the `Client` made with these options.
    """

    def __init__(self, options: Mapping[str, Any] | None = None, **keywords: Any) -> None:
        self.client = Client(options, **keywords)


async def _giving(work: Coroutine[Any, Any, None], call: Call) -> Call:
    await work
    return call


async def _nothing() -> None:
    return None


async def _given(info: CallInfo) -> CallInfo:
    return info


__all__ = ["FEEDBACK_COMMENTS", "Client", "Plivo"]
