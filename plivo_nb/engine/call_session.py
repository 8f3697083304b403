"""One call: the SIP dialog and the media session, joined.

Theory of operation
-------------------

1. A call is in one `State`. A `Trigger` is something that happens to it: a method that the user called, an
   event of the SIP core, or a failure of our own.
2. `TRANSITIONS` is the whole state machine. A trigger that has no row for the current state changes nothing:
   it is logged at debug level and nothing is sent.
3. Every call ends in the state "over", exactly once. The row that leads there names the final `callInfo`
   state and the one event that is fired then. An ignored call ends without an event, because
   onIncomingCallIgnored was its last one.
4. A row may fix the cause of the failure; where it does not, the trigger brings the cause.
5. What a row requires on the wire is sent after the row has been applied, so that an answer of the SIP core
   that comes at once meets the new state.
6. A hang-up is not the end: "canceling" (no onCallAnswered was fired yet) and "hanging up" (one was) wait
   until the SIP core confirms it. `abandon` ends the call without waiting.
7. "connecting" is the time from the 2xx (or its ACK) until the media session has the far end's description.
   onCallAnswered follows it.
8. Users see the coarser `Phase` (`Call.phase`). A state that `_PHASES` does not list leaves it as it was.

The states of an outgoing call are new, preparing, calling, ringing, connecting, answered; those of an
incoming call are new, alerting, answering, connecting, answered, or ignored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plivo_nb.engine import causes
from plivo_nb.engine.media_link import MediaLink
from plivo_nb.engine.negotiation import Negotiation
from plivo_nb.errors import CallFailed, MediaError, PlaneDied
from plivo_nb.events import CallInfo, CallState, Direction
from plivo_nb.plane import wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from plivo_nb.engine.account import Account
    from plivo_nb.engine.engine import Engine
    from plivo_nb.quality.sampler import SampleRow
    from plivo_nb.sip import events as sip

_logger = logging.getLogger("plivo_nb.call_session")

State = Literal[
    "new",
    "preparing",  # outgoing: the media session is being made
    "calling",  # outgoing: the INVITE is sent
    "ringing",  # outgoing: the far end rings
    "alerting",  # incoming: it rings here
    "answering",  # incoming: the media session is being made, the 200 is sent
    "connecting",
    "answered",
    "ignored",
    "canceling",
    "hanging up",
    "over",
]
Phase = Literal["new", "preparing", "calling", "ringing", "answering", "answered", "ignored", "over"]
Trigger = Literal[
    # the user's
    "dial",
    "answer",
    "ignore",
    "reject",
    "hang up",
    # the SIP core's
    "offered",  # an INVITE came
    "progress",  # a 18x came
    "answered",  # a 2xx came
    "confirmed",  # the ACK to our 200 came
    "declined",  # the far end refused: 403, 603 and their like
    "failed",  # another final response, no response in time, or no connection
    "canceled",  # the caller sent CANCEL
    "no answer",  # our timer answered 408
    "rejected",  # our refusal is on its way
    "ended",  # BYE either way, or the dialog broke
    # our own
    "invite sent",
    "connected",  # the media session has both descriptions
    "local failure",  # media that cannot be made or fails, no RTP, a dead I/O plane, an address of no use
    "abandoned",  # the far end does not answer our hang-up
]

_PHASES: dict[State, Phase] = {
    "new": "new",
    "preparing": "preparing",
    "calling": "calling",
    "ringing": "ringing",
    "alerting": "ringing",
    "answering": "answering",
    "connecting": "answered",
    "answered": "answered",
    "ignored": "ignored",
    "over": "over",
}


#: The states of the media session whose times are kept in `CallSession.timings`.
_TIMED_STATES = {("ice", "checking"), ("ice", "connected"), ("dtls", "connected")}


@dataclass(frozen=True, slots=True)
class Transition:
    """What a trigger does in a state.

    Attributes:
        to: the next state.
        event: the client's event that is fired, if any.
        final: for "over", the state in the final `callInfo`.
        cause: for onCallFailed, the cause; None: the trigger brings it.
    """

    to: State
    event: str | None = None
    final: CallState | None = None
    cause: str | None = None


_To = Transition
_ENDED = Transition("over", "onCallTerminated", "ended")
_FAILED = Transition("over", "onCallFailed", "failed")
_NO_ANSWER = Transition("over", "onCallFailed", "failed", causes.NO_ANSWER)
_REJECTED = Transition("over", "onCallFailed", "rejected", causes.REJECTED)
_CANCELED = Transition("over", "onCallFailed", "canceled", causes.CANCELED)
_CALLER_GONE = Transition("over", "onIncomingCallCanceled", "canceled")
_IGNORED = Transition("over", None, "ignored")

TRANSITIONS: dict[tuple[State, Trigger], Transition] = {
    # An outgoing call up to its answer.
    ("new", "dial"): _To("preparing", "onCalling"),
    ("preparing", "invite sent"): _To("calling"),
    ("calling", "progress"): _To("ringing", "onCallRemoteRinging"),
    ("ringing", "progress"): _To("ringing"),
    ("calling", "answered"): _To("connecting"),
    ("ringing", "answered"): _To("connecting"),
    # An incoming call up to its answer.
    ("new", "offered"): _To("alerting", "onIncomingCall"),
    ("alerting", "answer"): _To("answering"),
    ("alerting", "ignore"): _To("ignored", "onIncomingCallIgnored"),
    ("answering", "confirmed"): _To("connecting"),
    # Both.
    ("connecting", "connected"): _To("answered", "onCallAnswered"),
    # We hang up.
    ("new", "hang up"): _CANCELED,
    ("preparing", "hang up"): _CANCELED,
    ("calling", "hang up"): _To("canceling"),
    ("ringing", "hang up"): _To("canceling"),
    ("alerting", "hang up"): _REJECTED,
    ("answering", "hang up"): _To("canceling"),
    ("connecting", "hang up"): _To("canceling"),
    ("answered", "hang up"): _To("hanging up"),
    ("ignored", "hang up"): _IGNORED,
    # The SIP core confirms our hang-up; whatever ended the call meanwhile, it was given up by us.
    ("canceling", "declined"): _CANCELED,
    ("canceling", "failed"): _CANCELED,
    ("canceling", "canceled"): _CANCELED,
    ("canceling", "no answer"): _CANCELED,
    ("canceling", "rejected"): _CANCELED,
    ("canceling", "ended"): _CANCELED,
    ("hanging up", "ended"): _ENDED,
    # We refuse.
    ("alerting", "reject"): _REJECTED,
    ("ignored", "reject"): _IGNORED,
    # The far end does not take our call.
    ("calling", "declined"): _REJECTED,
    ("ringing", "declined"): _REJECTED,
    ("calling", "failed"): _FAILED,
    ("ringing", "failed"): _FAILED,
    # The caller gives up, or nobody answers here in time.
    ("alerting", "canceled"): _CALLER_GONE,
    ("answering", "canceled"): _CALLER_GONE,
    ("ignored", "canceled"): _IGNORED,
    ("alerting", "no answer"): _NO_ANSWER,
    ("answering", "no answer"): _NO_ANSWER,
    ("ignored", "no answer"): _IGNORED,
    # The dialog ends.
    ("answering", "ended"): _FAILED,
    ("connecting", "ended"): _FAILED,
    ("answered", "ended"): _ENDED,
    # A failure of our own.
    ("new", "local failure"): _FAILED,
    ("preparing", "local failure"): _FAILED,
    ("calling", "local failure"): _FAILED,
    ("ringing", "local failure"): _FAILED,
    ("alerting", "local failure"): _FAILED,
    ("answering", "local failure"): _FAILED,
    ("connecting", "local failure"): _FAILED,
    ("answered", "local failure"): _To("hanging up"),
    ("ignored", "local failure"): _IGNORED,
    # We stop waiting.
    ("new", "abandoned"): _FAILED,
    ("preparing", "abandoned"): _FAILED,
    ("calling", "abandoned"): _FAILED,
    ("ringing", "abandoned"): _FAILED,
    ("alerting", "abandoned"): _FAILED,
    ("answering", "abandoned"): _FAILED,
    ("connecting", "abandoned"): _FAILED,
    ("answered", "abandoned"): _ENDED,
    ("ignored", "abandoned"): _IGNORED,
    ("canceling", "abandoned"): _CANCELED,
    ("hanging up", "abandoned"): _ENDED,
}


class Identity:
    """The lasting facts of one call, and the `callInfo` snapshots of it that events carry.

    Args:
        direction: 'INCOMING' or 'OUTGOING'.
        src: outgoing: own SIP URI; incoming: FROM number or endpoint.
        dest: outgoing: what was dialled; incoming: own SIP URI.
        extra_headers: the X-PH headers sent or received.

    Attributes:
        key: the SIP Call-ID, once there is one.
        uuid: X-CallUUID where the server gave one; the Call-ID once an event carried that; else None.
    """

    def __init__(self, direction: Direction, src: str, dest: str, extra_headers: Mapping[str, str]) -> None:
        self.direction: Direction = direction
        self.src = src
        self.dest = dest
        self.extra_headers = dict(extra_headers)
        self.key: str | None = None
        self.uuid: str | None = None
        self._reported = False

    @property
    def peer(self) -> str:
        """The other side, for log lines."""
        return self.dest if self.direction == "OUTGOING" else self.src

    def learn_uuid(self, x_call_uuid: str | None) -> None:
        """Take the server's X-CallUUID, unless an event has carried another id already: that one stays."""
        if x_call_uuid and not self._reported:
            self.uuid = x_call_uuid

    def info(self, state: CallState, **ending: Any) -> CallInfo:
        """A snapshot for an event; from the first one on, the call's id stays."""
        if self.uuid is None:
            self.uuid = self.key
        self._reported = self.uuid is not None
        return self.snapshot(state, **ending)

    def snapshot(self, state: CallState, **ending: Any) -> CallInfo:
        """A snapshot that no event carries; the call's id may still change."""
        return CallInfo(
            callUUID=self.uuid,
            direction=self.direction,
            src=self.src,
            dest=self.dest,
            state=state,
            extraHeaders=dict(self.extra_headers),
            **ending,
        )


class CallSession:
    """One call of one account, from `dial` or the INVITE received to the end of its media.

    Args:
        engine: its I/O plane carries the media.
        config: of the media session.
        account: sends and receives the SIP messages.
        emit: fires an event of the client.
        identity: direction and parties.
        on_sample: called with each sample of an answered call.
        on_over: called once, when the call has ended.
        on_answered: called once, just before onCallAnswered.

    Attributes:
        state: the state in `TRANSITIONS`. phase: the same as users see it.
        cause: why the call failed, or why we ended it; else None.
        tags: words of the user for the call, by name.
        display_name: the name that the caller gives; empty without one and for an outgoing call.
        answered: resolved when onCallAnswered is fired; raises `CallFailed` when that can no longer be.
        over: resolved with the final `CallInfo`.
        closed: resolved when media and recordings are closed too.
        timings: `time.monotonic()` seconds by name, those of messages and media by the I/O plane: dialled,
            invite_sent, ringing, answered, ice_checking, ice_connected, dtls_connected, first_rtp_sent,
            first_rtp_received, ended.
        media: the media session.
        negotiation: offers and answers after the first.
        at_end: awaited after the media session is closed.
        watchers: called with every trigger that had an effect, and with ``muted`` and ``unmuted``.
    """

    def __init__(
        self,
        engine: Engine,
        config: wire.SessionConfig,
        account: Account,
        emit: Callable[..., None],
        *,
        identity: Identity,
        on_sample: Callable[[CallSession, SampleRow], None],
        on_over: Callable[[CallSession], None],
        on_answered: Callable[[CallSession], None] = lambda session: None,
    ) -> None:
        self._engine = engine
        self._emit = emit
        self._on_sample = on_sample
        self._on_over = on_over
        self._on_answered = on_answered
        self.state: State = "new"
        self.phase: Phase = "new"
        self.account = account
        self.identity = identity
        self.direction = identity.direction
        self.media = MediaLink(engine, config, self._on_report)
        self.negotiation = Negotiation(self)
        self.timings: dict[str, float] = {}
        self.started_utc_s = engine.utc_ns() / 1e9
        self.cause: str | None = None
        self.tags: dict[str, Any] = {}
        self.display_name = ""
        self.watchers: list[Callable[[str], None]] = []
        self.at_end: list[Callable[[], Awaitable[None]]] = []
        self.answered: asyncio.Future[None] = engine.loop.create_future()
        self.over: asyncio.Future[CallInfo] = engine.loop.create_future()
        self.closed: asyncio.Future[None] = engine.loop.create_future()
        self.answered.add_done_callback(_retrieve_exception)
        self._offer: bytes = b""
        self._accepted = False

    # ------------------------------------------------------------ what it is

    @property
    def key(self) -> str | None:
        """The SIP Call-ID, once there is one."""
        return self.identity.key

    @property
    def _key(self) -> str:
        assert self.key is not None
        return self.key

    @property
    def uuid(self) -> str | None:
        """X-CallUUID where the server gave one; the SIP Call-ID once an event carried that; else None."""
        return self.identity.uuid

    @property
    def peer(self) -> str:
        """The other side, for log lines."""
        return self.identity.peer

    @property
    def active(self) -> bool:
        """From `dial` or `answer` to the end; an unanswered incoming call is not active."""
        if self.direction == "OUTGOING":
            return self.phase not in ("new", "over")
        return self.phase in ("answering", "answered")

    @property
    def is_ringing(self) -> bool:
        """An incoming call that can be answered, rejected or ignored."""
        return self.state == "alerting"

    def now_info(self) -> CallInfo:
        """A snapshot of the call as it is now, not tied to an event."""
        if self.over.done():
            return self.over.result()
        state: CallState = (
            "answered" if self.phase == "answered" else "ignored" if self.phase == "ignored" else "ringing"
        )
        return self.identity.snapshot(state)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` as a task that the engine owns."""
        self._engine.spawn(work, name)

    # ------------------------------------------------------------ the state machine

    def _apply(
        self, trigger: Trigger, cause: str | None = None, *, at: float | None = None, **ending: Any
    ) -> Transition | None:
        """Do what `TRANSITIONS` says.

        Args:
            trigger: what happened.
            cause: why, where the call ends by it and the table names no cause.
            at: when, `time.monotonic()` seconds; None: now.
            ending: fields of the final `CallInfo`.

        Returns:
            The row applied; None when there is none, so that nothing changed.
        """
        transition = TRANSITIONS.get((self.state, trigger))
        if transition is None:
            _logger.debug(
                "The trigger '%s' is ignored: the call with %s is %s.", trigger, self.peer, self.state
            )
            return None
        _logger.debug("The call with %s: '%s' makes it %s.", self.peer, trigger, transition.to)
        self.state = transition.to
        self.phase = _PHASES.get(transition.to, self.phase)
        self._notify_watchers(trigger)
        if transition.to == "over":
            self._finish(transition, cause, time.monotonic() if at is None else at, ending)
        return transition

    def _finish(self, transition: Transition, cause: str | None, at: float, ending: dict[str, Any]) -> None:
        assert transition.final is not None
        info = self.identity.info(transition.final, **ending)
        failed = transition.event == "onCallFailed"
        if failed:
            self.cause = transition.cause or cause or causes.WEBRTC_ERROR
        self.timings["ended"] = at
        if not self.answered.done():
            word = self.cause if failed and self.cause else causes.CANCELED
            self.answered.set_exception(CallFailed(word, info, _why_unanswered(word, info)))
        self.over.set_result(info)
        self._engine.spawn(self._close_media(), "close the media of a call")
        self._on_over(self)
        if failed:
            self._emit(transition.event, self.cause, info)
        elif transition.event is not None:
            self._emit(transition.event, info)

    def _notify_watchers(self, what: str) -> None:
        for watcher in list(self.watchers):
            try:
                watcher(what)
            except Exception:
                _logger.exception("A watcher of a call failed at '%s'; the call goes on.", what)

    async def _close_media(self) -> None:
        try:
            await self.media.close()
            for close in self.at_end:
                await close()
        finally:
            if not self.closed.done():
                self.closed.set_result(None)

    # ------------------------------------------------------------ outgoing

    async def dial(self, target: str, headers: list[tuple[str, str]]) -> None:
        """Make the media session, send the INVITE and wait for the answer.

        Raises:
            CallFailed: with cause and callInfo, when it ends unanswered.
        """
        if self._apply("dial") is None:
            return
        self.timings["dialled"] = time.monotonic()
        self._emit("onCalling")
        try:
            await self.media.open()
            offer = await self.media.create_offer()
            if self.state == "preparing":
                self._invite(target, offer, headers)
        except (MediaError, PlaneDied) as error:
            self.fail_media(error)
        except Exception as error:  # a fault of this package: the call must not occupy the phone for good
            self._fail_by_fault(error)
        await asyncio.shield(self.answered)

    def _invite(self, target: str, offer: bytes, headers: list[tuple[str, str]]) -> None:
        try:
            self.identity.key = self.account.invite(target, offer, headers)
        except ValueError as error:
            self.fail(causes.ADDRESS_INCOMPLETE, str(error))
            return
        self._apply("invite sent")

    def on_invite_sent(self, at: float) -> None:
        """The bytes of the INVITE left; it is sent again with credentials, and after the call is answered."""
        self.timings.setdefault("invite_sent", at)

    def on_progress(self, event: sip.Progress, at: float) -> None:
        """A provisional response: the far end rings, or sends early media."""
        self.identity.learn_uuid(event.x_call_uuid)
        if event.code <= 100:
            return
        transition = self._apply("progress")
        if transition is None:
            return
        self.timings.setdefault("ringing", at)
        if event.body:
            self.spawn(self.negotiation.early_media(event.body, event.to_tag), "early media")
        if transition.event is not None:
            self._emit(transition.event, self.identity.info("ringing"))

    def on_answered(self, event: sip.Answered, at: float) -> None:
        """A 2xx: the far end took the call."""
        self.identity.learn_uuid(event.x_call_uuid)
        if self._apply("answered") is None:
            return
        self.timings["answered"] = at
        answer = self.negotiation.answer_of(event.to_tag, event.body)
        self.spawn(self._apply_answer(answer), "apply the answer")

    async def _apply_answer(self, body: bytes) -> None:
        try:
            await self.media.apply("answer", body)
        except (MediaError, PlaneDied) as error:
            self.fail_media(error)
            return
        if self.media.states["dtls"] == "failed":  # of early media, with the description that the answer has
            self.fail(causes.WEBRTC_ERROR, "The DTLS handshake with the other side has failed.")
            return
        self._on_connected()

    def on_failed(self, event: sip.CallFailed, at: float) -> None:
        """Our INVITE ended without an answer."""
        self.identity.learn_uuid(event.x_call_uuid)
        facts = causes.facts_of(event)
        if self.state == "canceling":
            facts["originator"] = "local"
        cause = causes.of_sip(event.code, event.originator)
        self._apply("declined" if cause == causes.REJECTED else "failed", cause, at=at, **facts)

    # ------------------------------------------------------------ incoming

    def on_offered(self, event: sip.InviteReceived, at: float) -> None:
        """An INVITE came: send 180 Ringing."""
        self.identity.key = event.call
        self.display_name = event.display_name
        self._offer = event.body
        self.identity.learn_uuid(event.x_call_uuid)
        if self._apply("offered") is None:
            return
        self.timings["ringing"] = at
        self.started_utc_s = self._engine.utc_ns(at) / 1e9
        self.account.ring(event.call)
        self._emit(
            "onIncomingCall", event.caller, dict(self.identity.extra_headers), self.identity.info("ringing")
        )

    async def answer(self) -> None:
        """Answer: describe our media, send the 200 and wait for the ACK.

        Raises:
            CallFailed: the call ended before it was confirmed.
        """
        if self._apply("answer") is None:
            return
        try:
            await self.media.open()
            if self._offer.strip():
                await self.media.apply("offer", self._offer)
                description = await self.media.create_answer()
            else:  # the caller leaves the offer to us (RFC 3261 13.2.1); its answer comes with the ACK
                description = await self.media.create_offer()
            if self.state == "answering":
                self._accepted = True
                self.account.accept(self._key, description)
        except (MediaError, PlaneDied) as error:
            self.fail_media(error)
        except Exception as error:  # as in `dial`
            self._fail_by_fault(error)
        await asyncio.shield(self.answered)

    def on_confirmed(self, event: sip.Confirmed, at: float) -> None:
        """The ACK to our 200 came; it carries the answer where the offer was ours."""
        if self._apply("confirmed") is None:
            return
        self.timings["answered"] = at
        if self._offer.strip():
            self._on_connected()
        else:
            self.spawn(self._apply_answer(event.body), "apply the answer")

    def reject(self, code: int = 486) -> None:
        """Refuse the ringing or ignored call; with 486 the caller hears busy."""
        if self._apply("reject", originator="local", code=code) is not None:
            self.account.reject(self._key, code)

    def ignore(self) -> None:
        """Stop ringing here; it keeps ringing for the caller until CANCEL or our 60 s timer."""
        transition = self._apply("ignore")
        if transition is not None:
            self._emit(transition.event, self.identity.info("ignored"))

    def on_canceled(self, event: sip.Canceled, at: float) -> None:
        """The caller gave up before the answer."""
        self._apply("canceled", at=at, **causes.facts_of(event))

    def on_no_answer(self) -> None:
        """Nobody answered here in time; the caller got a 408."""
        self._apply("no answer", originator="local", code=408)

    def on_rejected(self, event: sip.Rejected) -> None:
        """The SIP core refused the call because we hung up before our 200."""
        self._apply("rejected", originator="local", code=event.code)

    # ------------------------------------------------------------ both

    def _on_connected(self) -> None:
        transition = self._apply("connected")
        if transition is None:
            return
        info = self.identity.info("answered")
        self._on_answered(self)
        self.answered.set_result(None)
        self._emit(transition.event, info)

    def hangup(self) -> None:
        """End the call: CANCEL before the answer, BYE after it; nothing is sent if no INVITE was sent."""
        if self._apply("hang up", originator="local") is not None and self.key is not None:
            self.account.hangup(self.key)

    def on_ended(self, event: sip.Ended, at: float) -> None:
        """The dialog has ended, by a BYE of either side or by a failure."""
        if self.state == "canceling":
            self._apply("ended", at=at, originator="local")
            return
        facts = causes.facts_of(event)
        if self.cause is not None:
            facts["reason"] = self.cause
        self._apply("ended", causes.of_sip(event.code, event.originator), at=at, **facts)

    def fail(self, cause: str, sentence: str) -> None:
        """End the call for a reason of our own, such as media that does not come.

        Args:
            cause: one of the words in `causes`.
            sentence: what happened, for the log and for `callInfo`'s reason.
        """
        accepted = self._accepted or self.direction == "OUTGOING"
        code = None if accepted or self.key is None else 488
        if self._apply("local failure", cause, originator="local", code=code, reason=sentence) is None:
            return
        _logger.warning("The call with %s ends: %s", self.peer, sentence)
        self.cause = cause
        if self.key is None:
            return
        if code is not None:
            self.account.reject(self.key, code)
        else:
            self.account.hangup(self.key)

    def fail_media(self, error: MediaError | PlaneDied) -> None:
        """End the call because its media failed."""
        cause = causes.of_media(error.code) if isinstance(error, MediaError) else causes.WEBRTC_ERROR
        self.fail(cause, str(error))

    def _fail_by_fault(self, error: Exception) -> None:
        """End the call because of an exception that nobody expects."""
        _logger.error("A fault of plivo_nb ends the call with %s.", self.peer, exc_info=error)
        self.fail(causes.WEBRTC_ERROR, f"A fault of plivo_nb: {type(error).__name__}: {error}")

    def abandon(self) -> None:
        """End the call at once: the far end did not answer our BYE or CANCEL in time."""
        if self.state in ("answered", "hanging up"):
            self.cause = causes.CONNECTION_ERROR
            self._apply("abandoned", originator="local", reason=self.cause)
        else:
            self._apply("abandoned", causes.CONNECTION_ERROR, originator="local")

    # ------------------------------------------------------------ media

    def set_muted(self, muted: bool) -> None:
        """Send silence instead of the source, or stop doing so. May be called before the answer."""
        if muted != self.media.muted:
            self._notify_watchers("muted" if muted else "unmuted")
        self.media.set_muted(muted)

    def _on_report(self, report: wire.Report) -> None:
        match report:
            case wire.Sample(row=row):
                if self.answered.done() and self.answered.exception() is None:
                    self._on_sample(self, row)  # also the last one, which comes when the media has closed
            case wire.SessionState(what=what, state=state, at=at, detail=detail):
                self._on_media_state(what, state, at, detail)
            case wire.Digit(digit=digit, duration_ms=duration):
                self._emit("onDtmfReceived", {"tone": digit, "duration": duration})
            case wire.Fault(code=code, sentence=sentence):
                self.fail(causes.of_media(code), sentence)
            case wire.PlaneDead(sentence=sentence):
                self.fail(causes.WEBRTC_ERROR, sentence)

    def _on_media_state(self, what: str, state: str, at: float, detail: str) -> None:
        _logger.debug("The call with %s: %s is %s. %s", self.peer, what, state, detail)
        before = self.media.previous_states[what]
        if (what, state) in _TIMED_STATES:
            self.timings.setdefault(f"{what}_{state}", at)
        if what == "rtp" and state.startswith("first-"):
            self.timings.setdefault("first_rtp_" + state.removeprefix("first-"), at)
        elif what == "rtp" and state == "timeout":
            self.fail(causes.RTP_TIMEOUT, detail or "No RTP was received for too long.")
        elif self.state in ("calling", "ringing"):
            if state in ("disconnected", "failed"):
                _logger.warning(
                    "The early media of %s is lost, waiting for the answer: %s", self.peer, detail or state
                )
                self.negotiation.on_early_media_lost()
        elif state == "failed" and (what == "dtls" or before in ("new", "checking")):
            self.fail(causes.WEBRTC_ERROR, detail or f"The {what.upper()} connection could not be made.")


def _why_unanswered(cause: str, info: CallInfo) -> str:
    who = info.dest if info.direction == "OUTGOING" else info.src
    code = f" (SIP {info.code}{' ' + info.reason if info.reason else ''})" if info.code else ""
    return f"The call with {who} was not answered: {cause}{code}."


def _retrieve_exception(future: asyncio.Future[None]) -> None:
    """Mark the exception as seen: nobody may be waiting for this future."""
    if not future.cancelled():
        future.exception()
