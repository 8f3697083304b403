"""Plivo and Client: the documented surface of the SDK, in PEP 8 names and in Plivo's (spec.md sections 2-5).

This room validates, delegates and emits. Protocol lives in `sip`, media in `media`, what ties them in
`engine`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from typing import TYPE_CHECKING, Any, TypeVar

from plivo_nb.call import Call
from plivo_nb.engine import causes
from plivo_nb.engine.account import Account
from plivo_nb.engine.audio import AudioDevices
from plivo_nb.engine.engine import Engine
from plivo_nb.engine.log import Log
from plivo_nb.engine.media_config import session_config
from plivo_nb.engine.peer_connection import PeerConnection
from plivo_nb.engine.records import Records
from plivo_nb.engine.switchboard import Switchboard
from plivo_nb.engine.tracking import Tracking
from plivo_nb.errors import CallFailed, InvalidFeedback, InvalidState, LoginFailed
from plivo_nb.events import Callback, CallInfo, Emitter
from plivo_nb.operation import Operation
from plivo_nb.options import DEBUG_LEVELS, read_options

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    import pandas as pd

    from plivo_nb.engine.session import Session

_logger = logging.getLogger("plivo_nb.client")
_T = TypeVar("_T")

_HEADER_NAME = re.compile(r"[Xx]-[Pp][Hh]-[A-Za-z0-9-]{1,19}")
_HEADER_VALUE = re.compile(r"[A-Za-z0-9_+()%.\-]{1,120}")
_DIGITS = re.compile(r"[0-9*#]+")
_LEVELS = {"OFF": logging.CRITICAL + 10, "ERROR": logging.ERROR, "WARN": logging.WARNING}
_LEVELS |= {"INFO": logging.INFO, "DEBUG": logging.DEBUG, "ALL": logging.DEBUG}
FEEDBACK_COMMENTS = (
    "bad-audio",
    "call-dropped",
    "wrong-callerid",
    "post-dial-delay",
    "dtmf-not-captured",
    "audio-latency",
    "unsolicited-call",
    "one-way-audio",
    "no-audio",
    "never-connected",
)


class Client:
    """A Plivo endpoint in a notebook: log in, call, answer, measure.

    Args:
        options: a dict with Plivo's keys; see `plivo_nb.options.Options`.
        engine: an engine of your own, such as ``Engine(plane="loop")``; by default the loop's shared one.
        keywords: options in PEP 8 names (or Plivo's); they win over the dict.

    Raises:
        NoRunningLoop: made where no event loop runs.
        InvalidOption: only with ``strict=True``.

    Example:
        >>> client = Client(registration_domain_socket=["ws://127.0.0.1:5066"])
        >>> await client.login("alice", "secret")
        >>> call = await client.call("echo")
        >>> client.samples.tail()
        >>> await call.hangup(); await client.close()
    """

    def __init__(
        self, options: Mapping[str, Any] | None = None, *, engine: Engine | None = None, **keywords: Any
    ) -> None:
        self.options = read_options(options, keywords)
        self._account: Account | None = None
        self._calls: dict[int, Call] = {}
        self._operations: set[Operation[Any]] = set()
        self._engine = engine or Engine.current()
        self._emitter = Emitter()
        self._log = Log()
        self._records = Records(self._engine)
        self._tracking = Tracking(self._engine, self.options, self._emit, self._records)
        self._switchboard = Switchboard(
            self._engine,
            session_config(self.options),
            self._emit,
            self._records,
            self._log,
            allow_multiple=self.options.allow_multiple_incoming_calls,
            on_new=self._follow,
        )
        self._audio = AudioDevices(
            self._engine, self.options, self._emit, self._tracking.microphone, self.own
        )
        self._closed = False
        self._at_close: list[Callable[[], Any]] = []
        self.set_debug(self.options.debug)
        self._engine.attach(self)

    # ------------------------------------------------------------ events

    def on(self, name: str, callback: Callback | None = None) -> Any:
        """Call `callback` at every event `name` (spec.md section 4); without one, a decorator.

        Callbacks may be coroutine functions. One that raises is logged and breaks nothing.

        Raises:
            ValueError: there is no event of that name.
        """
        return self._emitter.on(name) if callback is None else self._emitter.on(name, callback)

    def once(self, name: str, callback: Callback | None = None) -> Any:
        """Like `on`, for the next event of that name only."""
        return self._emitter.once(name) if callback is None else self._emitter.once(name, callback)

    def off(self, name: str, callback: Callback | None = None) -> None:
        """Forget `callback` for that event, or all of its callbacks."""
        self._emitter.off(name, callback)

    def _emit(self, name: str, *arguments: Any) -> None:
        info = next((item for item in arguments if isinstance(item, CallInfo)), None)
        words = [str(item) for item in arguments if not isinstance(item, CallInfo)]
        self._log.add(name, " ".join(words), info.callUUID if info else None)
        self._emitter.emit(name, *arguments)

    # ------------------------------------------------------------ login and logout

    def login(self, username: str, password: str) -> Operation[None]:
        """Register at the domain; `onLogin` or `onLoginFailed(cause)` tells, or await it.

        Raises (when awaited):
            LoginFailed: with the SDK's word in `.cause`.
        """
        return self._operation(f"log in as {username}", lambda: self._login(username, password))

    async def _login(self, username: str, password: str) -> None:
        try:
            if not (isinstance(username, str) and isinstance(password, str) and username and password):
                raise LoginFailed("Username and password must be filled out")
            if self._switchboard.active is not None:
                raise LoginFailed("Cannot login when there is an ongoing call")
            if self._account is not None:
                if self._account.registered and self._account.username == username:
                    return
                await self._leave()
            account = Account(
                self._engine,
                self.options.registration_domain_socket,
                self._emit,
                self._log,
                on_sip_event=self._switchboard.on_sip_event,
                on_restored=self._switchboard.on_restored,
            )
            self._account = self._switchboard.account = account
            try:
                await account.login(username, password)
            except LoginFailed:
                self._account = None
                await account.close()
                raise
        except LoginFailed as error:
            self._emit("onLoginFailed", error.cause)
            raise
        self._tracking.logged_in(username, password, account.domain)
        self._emit("onLogin")

    def logout(self) -> Operation[None]:
        """Hang up, un-register and close the socket; `onLogout`."""
        return self._operation("log out", self._logout)

    async def _logout(self) -> None:
        if self._account is None:
            _logger.warning("logout: nobody is logged in; there is nothing to do.")
            return
        await self._leave()

    async def _leave(self) -> None:
        account, self._account = self._account, None
        if account is None:
            return
        await self._end_calls()
        was_registered = account.registered
        await account.logout()
        await self._tracking.logged_out()
        if was_registered:
            self._emit("onLogout")

    async def _end_calls(self) -> None:
        ending = [self._call_of(session).ended for session in self._switchboard.hang_up_all()]
        if ending:
            tasks = [asyncio.ensure_future(_wait(item)) for item in ending]
            _, late = await asyncio.wait(tasks, timeout=1.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            for session in list(self._switchboard.sessions):
                session.abandon()

    async def close(self) -> None:
        """Log out, stop everything this client started; the last client also stops the I/O plane."""
        if self._closed:
            return
        self._closed = True
        await self._leave()
        for callback in list(self._at_close):
            result = callback()
            if inspect.isawaitable(result):
                await result
        await self._end_calls()
        current = asyncio.current_task()
        for operation in list(self._operations):
            if not operation.done() and not operation.is_task(current):
                operation.cancel()
                await operation.settled()
        await self._audio.close()
        await self._emitter.close()
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
        await self.close()

    # ------------------------------------------------------------ calls

    def call(self, number: str, extra_headers: Mapping[str, str] | None = None) -> Operation[Call]:
        """Call a number or SIP address.

        Args:
            number: such as ``"echo"``, ``"+14155550100"`` or ``"sip:bob@phone.plivo.com"``. With Plivo, the
                endpoint's application must have an answer URL that returns a Dial element.
            extra_headers: names ``X-PH-`` and 1-19 of [A-Za-z0-9-]; values 1-120 of [A-Za-z0-9_+()%.-].
                Others are dropped, each with a warning.

        Returns:
            An operation whose `.call` is there at once; awaiting it gives the answered `Call`.

        Raises (when awaited):
            CallFailed: with `.cause` and `.call_info`, when it ends unanswered.
            InvalidState: not logged in, or there is a call already.
        """

        def start() -> tuple[Coroutine[Any, Any, Call], Call | None]:
            session = self._new_outgoing(number, extra_headers)
            if isinstance(session, InvalidState):
                return _refused(session), None
            call = self._call_of(session)
            headers = list(session.identity.extra_headers.items())
            if self.options.client_region:
                headers.append(("X-ClientRegion", self.options.client_region))
            return self._dial(session, call, headers), call

        return self._operation_with_call(f"call {number}", start)

    def _new_outgoing(self, number: str, extra_headers: Mapping[str, str] | None) -> Session | InvalidState:
        problem = self._why_no_call()
        if problem is None and not (isinstance(number, str) and number.strip()):
            problem = "call needs a number or a SIP address, such as call('echo')."
        if problem is not None:
            _logger.warning(problem)
            return InvalidState(problem)
        return self._switchboard.outgoing(number.strip(), _valid_headers(extra_headers))

    def _why_no_call(self) -> str | None:
        if self._account is None or not self._account.registered:
            return "call: nobody is logged in; login first and wait for onLogin."
        if self._switchboard.active is not None:
            return "call: there is a call already; hangup first."
        if self._switchboard.ringing:
            return "call: a call is ringing; answer, reject or ignore it first."
        return None

    async def _dial(self, session: Session, call: Call, headers: list[tuple[str, str]]) -> Call:
        await session.dial(session.identity.dest, headers)
        self._switchboard.remember(session)
        return call

    def answer(self, call_uuid: str | None = None) -> Operation[Call]:
        """Answer the ringing call with that id; with none or an unknown one, the most recent.

        An active call is hung up and other ringing ones are rejected (spec.md section 5).

        Raises (when awaited):
            InvalidState: nothing rings. CallFailed: the caller gave up first.
        """

        def start() -> tuple[Coroutine[Any, Any, Call], Call | None]:
            session = self._switchboard.choose(call_uuid)
            if session is None:
                return _refused(_warn("answer: no call is ringing; wait for onIncomingCall.")), None
            call = self._call_of(session)
            return self._answer(session, call), call

        return self._operation_with_call("answer", start)

    async def _answer(self, session: Session, call: Call) -> Call:
        await self._switchboard.answer(session)
        return call

    def hangup(self) -> Operation[CallInfo]:
        """End the current call: CANCEL before an answer, BYE after. Await it for the final `CallInfo`.

        Raises (when awaited):
            InvalidState: there is no call.
        """
        return self._operation("hang up", self._hangup)

    async def _hangup(self) -> CallInfo:
        session = self._switchboard.active
        if session is None and self._switchboard.ringing:
            _logger.warning("hangup: the call only rings, so it is rejected; use reject for that.")
            return await self._reject(None)
        if session is None:
            raise _warn("hangup: there is no call; make one with call.")
        session.hangup()
        return await self._call_of(session).ended

    def reject(self, call_uuid: str | None = None) -> Operation[CallInfo]:
        """Refuse a ringing call (486); chosen as by `answer`.

        Raises (when awaited):
            InvalidState: nothing rings.
        """
        return self._operation("reject", lambda: self._reject(call_uuid))

    async def _reject(self, call_uuid: str | None) -> CallInfo:
        session = self._switchboard.choose(call_uuid)
        if session is None:
            raise _warn("reject: no call is ringing; to end a call use hangup.")
        call = self._call_of(session)
        session.reject()
        return await call.ended

    def ignore(self, call_uuid: str | None = None) -> Operation[CallInfo]:
        """Stop ringing here; it keeps ringing for the caller, who hears 408 after 60 s at the latest.

        Raises (when awaited):
            InvalidState: nothing rings.
        """
        return self._operation("ignore", lambda: self._ignore(call_uuid))

    async def _ignore(self, call_uuid: str | None) -> CallInfo:
        session = self._switchboard.choose(call_uuid)
        if session is None:
            raise _warn("ignore: no call is ringing; there is nothing to ignore.")
        session.ignore()
        return session.now_info()

    # ------------------------------------------------------------ during a call

    def send_dtmf(self, digits: str) -> Operation[None]:
        """Send one or more of 0-9 * #, in order, 100 ms each and 70 ms apart. Done when the last is out.

        SIP INFO (application/dtmf-relay) as the published SDK does, or RFC 4733 where the other side
        offered it.

        Raises (when awaited):
            InvalidState: no answered call, or a character that is no digit (nothing is sent then).
        """
        return self._operation(f"send DTMF {digits}", lambda: self._send_dtmf(digits))

    sendDtmf = send_dtmf

    async def _send_dtmf(self, digits: str) -> None:
        session = self._switchboard.active
        if session is None or session.phase != "answered":
            raise _warn("send_dtmf: there is no answered call; make one with call and wait for its answer.")
        if not isinstance(digits, str) or not _DIGITS.fullmatch(digits):
            raise _warn("send_dtmf: only 0-9, * and # can be sent; nothing was sent.")
        self._audio.digits(digits)
        await session.send_dtmf(digits)
        self._log.add("digits sent", digits, session.uuid)

    def mute(self) -> bool:
        """The peer gets silence, the RTP flow goes on. Holds for the next call when there is none."""
        self._switchboard.muted = True
        for session in self._switchboard.sessions:
            session.set_muted(True)
        return True

    def unmute(self) -> bool:
        """The peer hears the microphone or source again. False, with a warning, when there is no call."""
        session = self._switchboard.active
        was = self._switchboard.muted
        self._switchboard.muted = False
        for item in self._switchboard.sessions:
            item.set_muted(False)
        if session is None:
            _logger.warning("unmute: there is no call%s.", "; the next one is not muted" if was else "")
            return False
        return True

    def get_peer_connection(self) -> dict[str, Any]:
        """{'status': 'success', 'pc': …} in a call, else {'status': 'called in wrong state', 'pc': None}."""
        session = self._switchboard.active
        if session is None or not session.media.is_open:
            return {"status": "called in wrong state", "pc": None}
        return {"status": "success", "pc": PeerConnection(session)}

    getPeerConnection = get_peer_connection

    def get_call_uuid(self) -> str | None:
        """The active call's id; None without one, or while the server has not told it."""
        session = self._switchboard.active
        return session.uuid if session is not None else None

    getCallUUID = get_call_uuid

    def get_last_call_uuid(self) -> str | None:
        """The id of the call that was answered last, also after it."""
        return self._switchboard.last_uuid

    getLastCallUUID = get_last_call_uuid

    def send_quality_feedback(self, call_uuid: str, score: int, comment: str) -> Operation[None]:
        """Rate the current or the last call.

        Args:
            call_uuid: `get_call_uuid()` or `get_last_call_uuid()`.
            score: 1 (bad) to 5 (excellent).
            comment: one of `FEEDBACK_COMMENTS`.

        Raises (when awaited):
            InvalidFeedback: another call, score or comment, or the option enableTracking is False.
        """
        return self._operation("send feedback", lambda: self._feedback(call_uuid, score, comment))

    sendQualityFeedback = send_quality_feedback

    async def _feedback(self, call_uuid: str, score: int, comment: str) -> None:
        problem = None
        if not self.options.enable_tracking:
            problem = "feedback needs the option enableTracking."
        elif call_uuid is None or call_uuid not in (self.get_call_uuid(), self.get_last_call_uuid()):
            problem = f"{call_uuid!r} is neither the current nor the last call."
        elif isinstance(score, bool) or not isinstance(score, int) or not 1 <= score <= 5:
            problem = f"the score must be a whole number from 1 to 5, not {score!r}."
        elif comment not in FEEDBACK_COMMENTS:
            problem = f"the comment must be one of {', '.join(FEEDBACK_COMMENTS)}."
        if problem is not None:
            _logger.warning("sendQualityFeedback: %s", problem)
            raise InvalidFeedback(f"sendQualityFeedback: {problem}")
        self._records.feedback[call_uuid] = (score, comment)
        active = self._switchboard.active
        rated = active if active is not None and active.uuid == call_uuid else self._switchboard.last
        if rated is not None:
            self._tracking.feedback(rated, score, comment)

    # ------------------------------------------------------------ sound

    @property
    def audio(self) -> AudioDevices:
        """The microphone, the speaker, the device that rings, and volumes."""
        return self._audio

    def set_ring_tone(self, tone: bool | str) -> bool:
        """Choose what rings for an incoming call.

        Args:
            tone: True: the built-in tone; False: none; a URL or the path of a sound file: that instead.

        Returns:
            False, with a warning, for anything else.
        """
        return self._audio.set_tone("ring", tone)

    setRingTone = set_ring_tone

    def set_ring_tone_back(self, tone: bool | str) -> bool:
        """Choose what is heard while the far end rings.

        Args:
            tone: True: the built-in tone, and early media is not heard; False: no tone, and the server's
                ringing and announcements are heard; a URL or path: that sound, and no early media.

        Returns:
            False, with a warning, for anything else.
        """
        return self._audio.set_tone("ringback", tone)

    setRingToneBack = set_ring_tone_back

    def set_connect_tone(self, tone: bool) -> bool:
        """Choose whether the dial tone is heard until the far end rings, answers or refuses."""
        return self._audio.set_tone("connect", tone)

    setConnectTone = set_connect_tone

    def _follow(self, session: Session) -> None:
        """What accompanies every call, from before anything happens to it."""
        self._audio.follow(session)
        self._tracking.follow(session)

    # ------------------------------------------------------------ what there is

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop this client lives on; from other threads enter it with `call_soon_threadsafe`."""
        return self._engine.loop

    @property
    def is_logged_in(self) -> bool:
        """True while registered."""
        return self._account is not None and self._account.registered

    isLoggedIn = is_logged_in

    @property
    def is_connected(self) -> bool:
        """True while the signalling socket is open."""
        return self._account is not None and self._account.connected

    @property
    def muted(self) -> bool:
        """True while muted, or while a mute waits for the next call."""
        return self._switchboard.muted

    @property
    def username(self) -> str | None:
        """Who is logged in, or None."""
        return self._account.username if self._account is not None else None

    @property
    def current_call(self) -> Call | None:
        """The active call, also while it still rings at the far end; else None."""
        session = self._switchboard.active
        return self._call_of(session) if session is not None else None

    @property
    def incoming_calls(self) -> list[Call]:
        """The calls that ring here, the most recent last."""
        return [self._call_of(session) for session in self._switchboard.ringing]

    @property
    def samples(self) -> pd.DataFrame:
        """One row per call and second, a copy; `plivo_nb.schema("samples")` tells columns and units."""
        return self._records.samples()

    @property
    def media_metrics(self) -> pd.DataFrame:
        """Every mediaMetrics event with Plivo's keys, a copy."""
        return self._records.media_metrics()

    @property
    def calls(self) -> pd.DataFrame:
        """One row a call that ended: who, when, set-up times, cause, mean and 5th percentile MOS."""
        return self._records.calls()

    @property
    def log(self) -> pd.DataFrame:
        """What happened, in order: index `time` (UTC), event, call_uuid, text."""
        return self._log.frame()

    @property
    def recent_log(self) -> list[str]:
        """The last 50 entries of the log as short lines, for widgets."""
        return [f"{entry.event} {entry.text}".strip() for entry in self._log.tail(50)]

    @staticmethod
    def webrtc() -> bool:
        """True where the media stack loads."""
        from plivo_nb.plane import plane

        return plane is not None

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

    # ------------------------------------------------------------ operations

    def own(self, operation: Operation[_T]) -> Operation[_T]:
        """Keep an operation until it is done; `close` stops what is left."""
        self._operations.add(operation)
        operation.add_done_callback(lambda: self._operations.discard(operation))
        return operation

    def _operation(self, name: str, work: Callable[[], Coroutine[Any, Any, _T]]) -> Operation[_T]:
        return self._operation_with_call(name, lambda: (work(), None))

    def _operation_with_call(
        self, name: str, start: Callable[[], tuple[Coroutine[Any, Any, _T], Call | None]]
    ) -> Operation[_T]:
        return self.own(Operation.start(self.loop, name, start))

    def _call_of(self, session: Session) -> Call:
        call = self._calls.get(id(session))
        if call is None:
            call = self._calls[id(session)] = Call(self, session)
            session.over.add_done_callback(lambda _: self._calls.pop(id(session), None))
        return call

    def __repr__(self) -> str:
        who = f"logged in as {self.username}" if self.is_logged_in else "logged out"
        call = self.current_call
        return f"<Client {who}{f', {call!r}' if call else ''}>"


class Plivo:
    """The documentation's entry point: ``Plivo(options).client``."""

    def __init__(self, options: Mapping[str, Any] | None = None, **keywords: Any) -> None:
        self.client = Client(options, **keywords)


def _warn(sentence: str) -> InvalidState:
    _logger.warning(sentence)
    return InvalidState(sentence)


async def _refused(error: Exception) -> Any:
    raise error


async def _wait(ended: Any) -> None:
    await ended


def _valid_headers(extra_headers: Mapping[str, str] | None) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in (extra_headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            _logger.warning("The header %r is dropped: a name is X-PH- and 1-19 of A-Z a-z 0-9 -.", name)
        elif not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            _logger.warning("The header %s is dropped: a value is 1-120 of A-Z a-z 0-9 _+()%%.-.", name)
        else:
            kept[name] = value
    return kept


__all__ = ["FEEDBACK_COMMENTS", "CallFailed", "Client", "Plivo", "causes"]
