"""The rules of several calls of one account.

At most one call is active. With the option allowMultipleIncomingCalls several may ring; answering one hangs
up the active call and rejects the others that ring.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from plivo_nb.engine import dtmf
from plivo_nb.engine.call_session import CallSession, Identity
from plivo_nb.sip import events as sip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plivo_nb.engine.account import Account
    from plivo_nb.engine.engine import Engine
    from plivo_nb.engine.log import Log
    from plivo_nb.engine.records import Records
    from plivo_nb.events import Direction
    from plivo_nb.plane import wire
    from plivo_nb.sip.trace import MessageRecord

_logger = logging.getLogger("plivo_nb.call_manager")
MAX_RINGING = 50
_HANGUP_S = 1.0


class CallManager:
    """Every call of one client: which is active, which ring, which was last.

    Args:
        engine: its I/O plane carries the media.
        config: of each call's media session.
        emit: fires an event of the client.
        records: the client's calls and samples.
        log: the client's log.
        allow_multiple: the option allowMultipleIncomingCalls.
        on_new: called with every new call before anything happens to it.

    Attributes:
        sessions: the calls that are not over.
        account: who is logged in, or was last.
        last: the call answered last; last_uuid: its callUUID.
        muted: whether the microphone is muted, or will be in the next call.
    """

    def __init__(
        self,
        engine: Engine,
        config: wire.SessionConfig,
        emit: Callable[..., None],
        records: Records,
        log: Log,
        *,
        allow_multiple: bool,
        on_new: Callable[[CallSession], None] | None = None,
    ) -> None:
        self._engine = engine
        self._config = config
        self._emit = emit
        self._records = records
        self._log = log
        self._allow_multiple = allow_multiple
        self._on_new = on_new
        self.sessions: list[CallSession] = []
        self.account: Account | None = None
        self.last_uuid: str | None = None
        self.last: CallSession | None = None
        self.muted = False

    def use(self, config: wire.SessionConfig, *, allow_multiple: bool) -> None:
        """Take changed options, for the calls from now on."""
        self._config = config
        self._allow_multiple = allow_multiple

    # ------------------------------------------------------------ current calls

    @property
    def active(self) -> CallSession | None:
        """The call from `call` or `answer` to its end, or None."""
        return next((session for session in self.sessions if session.active), None)

    @property
    def ringing(self) -> list[CallSession]:
        """Incoming calls that can be answered, the most recent last."""
        return [session for session in self.sessions if session.is_ringing]

    def choose(self, call_uuid: str | None) -> CallSession | None:
        """The ringing call with that id; with none or an unknown id, the most recent ringing call."""
        ringing = self.ringing
        for session in ringing:
            if call_uuid is not None and session.uuid == call_uuid:
                return session
        return ringing[-1] if ringing else None

    # ------------------------------------------------------------ new calls

    def outgoing(self, target: str, headers: Mapping[str, str]) -> CallSession:
        """A new call to `target`; the caller has checked that it is allowed now."""
        session = self._session("OUTGOING", self._account.uri, target, headers)
        session.media.muted = self.muted
        return session

    def _session(self, direction: Direction, src: str, dest: str, headers: Mapping[str, str]) -> CallSession:
        session = CallSession(
            self._engine,
            self._config,
            self._account,
            self._emit,
            identity=Identity(direction, src, dest, headers),
            on_sample=self._records.add_sample,
            on_over=self._on_over,
            on_answered=self._on_answered,
        )
        self.sessions.append(session)
        if self._on_new is not None:
            self._on_new(session)
        return session

    def _incoming(self, event: sip.InviteReceived, at: float) -> None:
        busy = not self._allow_multiple and (self.active is not None or self.ringing)
        if busy or len(self.ringing) >= MAX_RINGING:
            self._log.add("incoming call rejected", f"from {event.caller}: busy")
            self._account.reject(event.call, 486)
            return
        headers = {name: value for name, value in event.headers if name.lower().startswith("x-ph-")}
        user = event.caller.partition("@")[0]
        self._session("INCOMING", user, self._account.uri, headers).on_offered(event, at)

    async def answer(self, session: CallSession) -> None:
        """Answer this call, after hanging up the active one and rejecting the others that ring."""
        active = self.active
        if active is not None:
            active.hangup()
            await asyncio.wait([active.over], timeout=_HANGUP_S)
            active.abandon()
        for other in self.ringing:
            if other is not session:
                other.reject()
        session.media.muted = self.muted
        await session.answer()

    def _on_answered(self, session: CallSession) -> None:
        """Feedback may be given for the call that was answered last."""
        self.last = session
        self.last_uuid = session.uuid

    def _on_over(self, session: CallSession) -> None:
        if session in self.sessions:
            self.sessions.remove(session)
        if session is self.last or session.direction == "OUTGOING":
            self.muted = False
        self._records.add_call(session)

    # ------------------------------------------------------------ events of the SIP core

    @property
    def _account(self) -> Account:
        assert self.account is not None
        return self.account

    def on_sent(self, record: MessageRecord, at: float) -> None:
        """The bytes of a SIP message left at that time (`time.monotonic()` seconds)."""
        if record.start == "INVITE":
            for session in self.sessions:
                if session.key == record.call:
                    session.on_invite_sent(at)

    def on_sip_event(self, event: sip.Event, at: float) -> None:
        """Pass an event of the SIP core to the call that it is about.

        Args:
            event: the event.
            at: when the bytes came that caused it, `time.monotonic()` seconds.
        """
        if isinstance(event, sip.InviteReceived):
            self._incoming(event, at)
            return
        key = getattr(event, "call", None)
        session = next((item for item in self.sessions if item.key is not None and item.key == key), None)
        if session is None:
            _logger.debug("A SIP event is about no known call: %r", event)
            return
        match event:
            case sip.Progress():
                session.on_progress(event, at)
            case sip.Answered():
                session.on_answered(event, at)
            case sip.Confirmed():
                session.on_confirmed(event, at)
            case sip.CallFailed():
                session.on_failed(event, at)
            case sip.Canceled():
                session.on_canceled(event, at)
            case sip.NoAnswer():
                session.on_no_answer()
            case sip.Rejected():
                session.on_rejected(event)
            case sip.Ended():
                session.on_ended(event, at)
            case sip.ReinviteReceived(call=call, body=body):
                self._engine.spawn(session.negotiation.on_reinvite(call, body), "re-INVITE")
            case sip.ReinviteAnswered(body=body):
                self._engine.spawn(session.negotiation.on_reinvite_answered(body), "re-INVITE's answer")
            case sip.ReinviteFailed(code=code, reason=reason):
                self._log.add("re-INVITE refused", f"{code} {reason}", session.uuid)
            case sip.InfoReceived(content_type=content_type, body=body):
                self._on_info(content_type, body)

    def _on_info(self, content_type: str, body: bytes) -> None:
        digit = dtmf.read(content_type, body)
        if digit is not None:
            tone, duration_ms = digit
            self._log.add("digit received", tone)
            self._emit("onDtmfReceived", {"tone": tone, "duration": duration_ms})

    def on_restored(self) -> None:
        """A lost socket is open again: every answered call sends a re-INVITE."""
        for session in list(self.sessions):
            session.negotiation.on_signalling_restored()

    def hang_up_all(self) -> list[CallSession]:
        """End every call; returns those that were not over."""
        ending = list(self.sessions)
        for session in ending:
            if session.is_ringing:
                session.reject()
            elif session.phase == "ignored":
                session.reject(480)
            else:
                session.hangup()
        return ending
