"""Endpoint: one account and its calls, and the rules of when a method may be called.

The rules of login and logout, of methods in a wrong state, of digits and of feedback are here; those of
several calls are in `call_manager`. A method checks, starts what is to be done, and returns the call session;
what takes longer is a coroutine that the caller runs.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from plivo_nb.engine import causes, dtmf, validation
from plivo_nb.engine.account import Account
from plivo_nb.engine.audio.devices import AudioDevices
from plivo_nb.engine.call_manager import CallManager
from plivo_nb.engine.log import Log
from plivo_nb.engine.media_link import session_config
from plivo_nb.engine.media_metrics import MediaMetrics
from plivo_nb.engine.records import Records
from plivo_nb.engine.sip_trace import SipTrace
from plivo_nb.errors import InvalidFeedback, InvalidState, LoginFailed
from plivo_nb.events import CallInfo, Emitter, EventName

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.options import Options
    from plivo_nb.sip.trace import MessageRecord

_logger = logging.getLogger("plivo_nb.client")
_END_TIMEOUT_S = 1.0


class Endpoint:
    """One account at a time, and its calls.

    Args:
        engine: the engine whose loop and I/O plane are used.
        options: the client's options.
        emitter: calls the callbacks of the client's events.

    Attributes:
        account: the account that is logged in or logging in; None when logged out.
        call_manager: the calls.
        followers: called with each new call, before anything happens to it.
        feedback_listeners: called with the id of each call that was rated.
        records: samples, metrics and calls that were kept.
        log: the client's log.
        trace: the SIP messages that were kept.
        tracking: mediaMetrics and the statistics service.
        audio: microphone, speaker and tones.
    """

    def __init__(self, engine: Engine, options: Options, emitter: Emitter) -> None:
        self._engine = engine
        self._options = options
        self._emitter = emitter
        self.followers: list[Callable[[CallSession], None]] = []
        self.feedback_listeners: list[Callable[[str], None]] = []
        self.log = Log(engine.utc_ns)
        self.trace = SipTrace(engine.utc_ns)
        self.records = Records(engine)
        self.tracking = MediaMetrics(engine, options, self.emit, self.records)
        self.call_manager = CallManager(
            engine,
            session_config(options),
            self.emit,
            self.records,
            self.log,
            allow_multiple=options.allow_multiple_incoming_calls,
            on_new=self._follow,
        )
        self.audio = AudioDevices(engine, options, self.emit, self.tracking.microphone)
        engine.plane_listeners.append(self._on_plane)
        self.account: Account | None = None
        self._logging_in: asyncio.Future[None] | None = None

    def emit(self, name: EventName, *arguments: Any) -> None:
        """Add an event to the log and call its callbacks."""
        info = next((item for item in arguments if isinstance(item, CallInfo)), None)
        words = [str(item) for item in arguments if not isinstance(item, CallInfo)]
        self.log.add(name, " ".join(words), info.callUUID if info else None)
        self._emitter.emit(name, *arguments)

    def _on_plane(self, sentence: str) -> None:
        self.log.add("I/O plane", sentence)

    def close(self) -> None:
        """Listen no more; the records stay."""
        if self._on_plane in self._engine.plane_listeners:
            self._engine.plane_listeners.remove(self._on_plane)

    def _follow(self, session: CallSession) -> None:
        """Attach audio and tracking to a new call, before anything happens to it."""
        self.audio.follow(session)
        self.tracking.follow(session)
        for follow in list(self.followers):
            follow(session)

    @property
    def registered(self) -> bool:
        """True while logged in."""
        return self.account is not None and self.account.registered

    def change_options(self, options: Options) -> None:
        """Use other options from the next login on.

        Raises:
            InvalidState: somebody is logged in, or logging in; logged as a warning too.
        """
        if self.account is not None:
            raise refusal("change_options: options can change while nobody is logged in; logout first.")
        self._options = options
        self.tracking.use(options)
        multiple = options.allow_multiple_incoming_calls
        self.call_manager.use(session_config(options), allow_multiple=multiple)

    # ------------------------------------------------------------ login and logout

    async def login(self, username: str, password: str) -> None:
        """Register; another user is logged out first, the same one is not registered twice.

        Raises:
            LoginFailed: with the SDK's word, after `onLoginFailed`.
        """
        try:
            problem = validation.credentials_problem(username, password)
            if problem is not None:
                raise LoginFailed(problem)
            if self.call_manager.active is not None:
                raise LoginFailed("Cannot login when there is an ongoing call")
        except LoginFailed as error:
            self.emit("onLoginFailed", error.cause)
            raise
        if self.account is not None and self.account.username == username:
            if self.account.registered:
                return
            if self._logging_in is not None:
                await asyncio.shield(self._logging_in)
                return
        await self.leave()
        coming = self._logging_in = self._engine.loop.create_future()
        coming.add_done_callback(_quiet)
        try:
            await self._register(username, password)
        except BaseException as error:
            coming.set_exception(error if isinstance(error, LoginFailed) else LoginFailed("Canceled"))
            raise
        else:
            coming.set_result(None)
        finally:
            if self._logging_in is coming:
                self._logging_in = None

    async def _register(self, username: str, password: str) -> None:
        refusal = self._options.refused_addresses.get("registration_domain_socket")
        if refusal is not None:
            self.emit("onLoginFailed", causes.CONNECTION_ERROR)
            raise LoginFailed(causes.CONNECTION_ERROR, f"Login failed: {refusal}")
        account = Account(
            self._engine,
            self._options.registration_domain_socket,
            self.emit,
            self.log,
            on_sip_event=self.call_manager.on_sip_event,
            on_restored=self.call_manager.on_restored,
            realms=self._options.realms,
            follow_redirects=self._options.follow_redirects,
            ca_file=self._options.ca_file,
            on_message=self.trace.add,
            on_sent=self._sent,
        )
        self.account = self.call_manager.account = account
        try:
            await account.login(username, password)
        except LoginFailed as error:
            if self.account is account:
                self.account = None
            await account.close()
            self.emit("onLoginFailed", error.cause)
            raise
        self.tracking.logged_in(username, password, account.domain)
        self.emit("onLogin")
        await self._replace_others()
        _logged_in.add(self)

    async def _replace_others(self) -> None:
        """Log out another client of this process that has the same user: its cell was run again.

        Both would ring. A client that has a call keeps it, and is only warned of.
        """
        for other in list(_logged_in):
            if other is self or not other.registered or not self._has_same_user(other):
                continue
            who = f"{self.account.username if self.account else ''} was still logged in by another Client"
            if other.call_manager.sessions or other._engine.loop is not self._engine.loop:
                _logger.warning("%s of this kernel, which stays logged in: calls ring at both.", who)
                continue
            _logger.warning(
                "%s of this kernel, which is logged out now; before making it again, await client.close().",
                who,
            )
            await other.leave()

    def _has_same_user(self, other: Endpoint) -> bool:
        servers = set(self._options.registration_domain_socket)
        same_server = not servers.isdisjoint(other._options.registration_domain_socket)
        both = (self.account, other.account)
        return same_server and len({account and account.username for account in both}) == 1

    def _sent(self, number: int, record: MessageRecord, at: float) -> None:
        self.trace.sent(number, at)
        self.call_manager.on_sent(record, at)

    async def logout(self) -> None:
        """Hang up, unregister and close the sockets; when nobody is logged in, only warn."""
        if self.account is None:
            _logger.warning("logout: nobody is logged in; there is nothing to do.")
        await self.leave()

    async def leave(self) -> None:
        """Log out; when nobody is logged in, do nothing."""
        account, self.account = self.account, None
        if account is None:
            return
        await self.end_calls()
        was_registered = account.registered
        await account.logout()
        await self.tracking.logged_out()
        if was_registered:
            self.emit("onLogout")

    def send_goodbyes(self) -> None:
        """Hang up and un-register at once, and wait for no answer."""
        self.call_manager.hang_up_all()
        if self.account is not None:
            self.account.send_goodbye()

    async def end_calls(self) -> None:
        """End every call; one whose far end does not answer the BYE or CANCEL within 1 s is abandoned."""
        ending = [session.closed for session in self.call_manager.hang_up_all()]
        if ending:
            await asyncio.wait(ending, timeout=_END_TIMEOUT_S)
        left = list(self.call_manager.sessions)
        for session in left:
            session.abandon()
        if left:
            await asyncio.wait([session.closed for session in left], timeout=_END_TIMEOUT_S)

    # ------------------------------------------------------------ calls

    def call(
        self, number: Any, extra_headers: Any
    ) -> tuple[CallSession, Callable[[], Coroutine[Any, Any, None]]]:
        """Start a call.

        Returns:
            The session, and a coroutine function that sends the INVITE and waits for the answer; it raises
            `CallFailed` when the call ends unanswered.

        Raises:
            InvalidState: no call can be made now; logged as a warning too.
        """
        problem = self._why_no_call() or validation.target_problem(number)
        if problem is not None:
            raise refusal(problem)
        target, uri_headers = validation.split_uri_headers(number.strip())
        headers = uri_headers | validation.valid_headers(extra_headers)
        session = self.call_manager.outgoing(target, headers)
        region = self._options.client_region
        sent = [*headers.items(), *([("X-ClientRegion", region)] if region else [])]
        return session, partial(session.dial, target, sent)

    def _why_no_call(self) -> str | None:
        if not self.registered:
            return "call: nobody is logged in; login first and wait for onLogin."
        # An outgoing call becomes active in the loop's next turn; until then it forbids another one too.
        if any(session.active or session.direction == "OUTGOING" for session in self.call_manager.sessions):
            return "call: there is a call already; hangup first."
        if self.call_manager.ringing:
            return "call: a call is ringing; answer, reject or ignore it first."
        return None

    def answer(self, call_uuid: str | None) -> tuple[CallSession, Callable[[], Coroutine[Any, Any, None]]]:
        """Answer a ringing call.

        Returns:
            The session, and a coroutine function that answers and waits for the ACK; it raises `CallFailed`
            when the call ends first.

        Raises:
            InvalidState: no call is ringing.
        """
        session = self._ringing("answer", call_uuid, "wait for onIncomingCall.")
        return session, partial(self.call_manager.answer, session)

    def reject(self, call_uuid: str | None) -> CallSession:
        """Reject a ringing call.

        Raises:
            InvalidState: no call is ringing.
        """
        session = self._ringing("reject", call_uuid, "to end a call use hangup.")
        session.reject()
        return session

    def ignore(self, call_uuid: str | None) -> CallSession:
        """Ignore a ringing call.

        Raises:
            InvalidState: no call is ringing.
        """
        session = self._ringing("ignore", call_uuid, "there is nothing to ignore.")
        session.ignore()
        return session

    def _ringing(self, method: str, call_uuid: str | None, instead: str) -> CallSession:
        session = self.call_manager.choose(call_uuid)
        if session is None:
            raise refusal(f"{method}: no call is ringing; {instead}")
        return session

    def hangup(self) -> CallSession:
        """End the current call, or reject the one that is only ringing.

        Raises:
            InvalidState: there is no call.
        """
        session = self.call_manager.active
        if session is not None:
            session.hangup()
            return session
        if not self.call_manager.ringing:
            raise refusal("hangup: there is no call; make one with call.")
        _logger.warning("hangup: the call is only ringing, so it is rejected; use reject for that.")
        return self.reject(None)

    # ------------------------------------------------------------ during a call

    def send_dtmf(self, digits: str) -> Coroutine[Any, Any, None]:
        """Check digits, play their tones, and return a coroutine that sends them in the current call.

        Raises:
            InvalidState: no answered call, or a wrong character: nothing is sent then.
        """
        session = self.call_manager.active
        if session is None or session.phase != "answered":
            raise refusal("sendDtmf: there is no answered call; make one with call and wait for its answer.")
        if not validation.are_digits(digits):
            raise refusal("sendDtmf: only 0-9, * and # can be sent; nothing was sent.")
        self.audio.tones.digits(digits)
        return self._send_dtmf(session, digits)

    async def _send_dtmf(self, session: CallSession, digits: str) -> None:
        await dtmf.send(session, digits)
        self.log.add("digits sent", digits, session.uuid)

    def mute(self) -> bool:
        """Send silence, in the current call or from the start of the next one."""
        self.call_manager.muted = True
        for session in self.call_manager.sessions:
            session.set_muted(True)
        return True

    def unmute(self) -> bool:
        """Send audio again; False, with a warning, when there is no call."""
        was, self.call_manager.muted = self.call_manager.muted, False
        for session in self.call_manager.sessions:
            session.set_muted(False)
        if self.call_manager.active is None:
            _logger.warning("unmute: there is no call%s.", "; the next one is not muted" if was else "")
            return False
        return True

    def feedback(self, call_uuid: str, score: int, comment: str) -> None:
        """Keep feedback on the current or the last call, and send it to the statistics service.

        Raises:
            InvalidFeedback: another call, score or comment, or no tracking; logged as a warning too.
        """
        active, last = self.call_manager.active, self.call_manager.last
        known = (active.uuid if active is not None else None, self.call_manager.last_uuid)
        problem = (
            validation.feedback_problem(call_uuid, known, score, comment)
            if self._options.enable_tracking
            else "feedback needs the option enableTracking."
        )
        if problem is not None:
            _logger.warning("sendQualityFeedback: %s", problem)
            raise InvalidFeedback(f"sendQualityFeedback: {problem}")
        self.records.feedback[call_uuid] = (score, comment)
        for listener in list(self.feedback_listeners):
            listener(call_uuid)
        rated = active if active is not None and active.uuid == call_uuid else last
        if rated is not None:
            self.tracking.feedback(rated, score, comment)


#: The endpoints of all clients of this process that have logged in.
_logged_in: weakref.WeakSet[Endpoint] = weakref.WeakSet()


def refusal(sentence: str) -> InvalidState:
    """Log a warning that a method cannot be called now; returns the exception with the same sentence."""
    _logger.warning(sentence)
    return InvalidState(sentence)


def _quiet(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
