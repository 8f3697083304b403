"""One call: joins its SIP dialog and its media session.

What may follow what is the table `TRANSITIONS`; every other trigger in a phase is ignored and logged. A call
ends exactly once, in one terminal state, with the one event that goes with it (spec.md section 4).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from plivo_nb.engine import causes, ending
from plivo_nb.engine.identity import Identity, why_unanswered
from plivo_nb.engine.media_link import MediaLink
from plivo_nb.engine.negotiation import Negotiation
from plivo_nb.engine.phases import TRANSITIONS, Phase
from plivo_nb.errors import CallFailed, MediaError, PlaneDied
from plivo_nb.plane import wire
from plivo_nb.sip.user_agent import UserAgent

if TYPE_CHECKING:
    from plivo_nb.engine.engine import Engine
    from plivo_nb.events import CallInfo, CallState
    from plivo_nb.quality.sampler import SampleRow
    from plivo_nb.sip import events as sip

_logger = logging.getLogger("plivo_nb.session")

SipAction = Callable[[Callable[[UserAgent, float], Any]], Any]
Emit = Callable[..., None]


class CallSession:
    """One call of one account, from the first click to its last number.

    Args:
        engine: whose plane carries the media.
        config: how to set the media session up.
        sip_action: runs a function of (user agent, now) on the account and sends what comes of it.
        emit: hands an event to the client's listeners.
        identity: direction and parties, as `callInfo` tells them.
        on_sample: called with each second's numbers.
        on_over: called once, when the call has ended.
        on_answered: called once, just before `onCallAnswered`.

    Attributes:
        over: resolved with the final `CallInfo`.
        timings: what happened when, `time.monotonic()` seconds by name: dialled, ringing, answered,
            first_rtp_sent, first_rtp_received, ended.
        media: the media session.
        again: offers and answers in mid-call.
        closed: resolved when media and recordings are closed too.
        at_end: what is to be closed after the media.
        watchers: get every trigger of `TRANSITIONS` that had an effect, and ``muted`` and ``unmuted``.
    """

    def __init__(
        self,
        engine: Engine,
        config: wire.SessionConfig,
        sip_action: SipAction,
        emit: Emit,
        *,
        identity: Identity,
        on_sample: Callable[[CallSession, SampleRow], None],
        on_over: Callable[[CallSession], None],
        on_answered: Callable[[CallSession], None] = lambda session: None,
    ) -> None:
        self._engine = engine
        self._sip = sip_action
        self._emit = emit
        self._on_sample = on_sample
        self._on_over = on_over
        self._on_answered = on_answered
        self.phase: Phase = "new"
        self.identity = identity
        self.direction = identity.direction
        self.media = MediaLink(engine, config, self._report)
        self.again = Negotiation(self)
        self.hung_up = False
        self.timings: dict[str, float] = {}
        self.started_utc_s = time.time()
        self.cause: str | None = None
        self.watchers: list[Callable[[str], None]] = []
        self.at_end: list[Callable[[], Awaitable[None]]] = []
        self.answered: asyncio.Future[None] = engine.loop.create_future()
        self.over: asyncio.Future[CallInfo] = engine.loop.create_future()
        self.closed: asyncio.Future[None] = engine.loop.create_future()
        self.answered.add_done_callback(_quiet)
        self._offer: bytes = b""
        self._accepted = False

    # ------------------------------------------------------------ what it is

    @property
    def key(self) -> str | None:
        """The SIP Call-ID, once there is one."""
        return self.identity.key

    @property
    def uuid(self) -> str | None:
        """X-CallUUID where the server gave one; its SIP Call-ID once an event told that; else None."""
        return self.identity.uuid

    @property
    def peer(self) -> str:
        """The other side, for people."""
        return self.identity.peer

    @property
    def active(self) -> bool:
        """From `call` or `answer` to the end; an unanswered incoming call is not active."""
        if self.direction == "OUTGOING":
            return self.phase not in ("new", "over")
        return self.phase in ("answering", "answered")

    @property
    def is_ringing(self) -> bool:
        """An incoming call that can be answered, rejected or ignored."""
        return self.direction == "INCOMING" and self.phase == "ringing"

    def now_info(self) -> CallInfo:
        """A snapshot of the call as it is now, not tied to an event."""
        if self.over.done():
            return self.over.result()
        state: CallState = (
            "answered" if self.phase == "answered" else "ignored" if self.phase == "ignored" else "ringing"
        )
        return self.identity.glance(state)

    def act(self, action: Callable[[UserAgent, float], Any]) -> Any:
        """Run `action(user_agent, now)` on the account and send what comes of it."""
        return self._sip(action)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` as a task that the engine owns."""
        self._engine.spawn(work, name)

    def _advance(self, trigger: str) -> bool:
        following = TRANSITIONS.get((self.phase, trigger))
        if following is None:
            _logger.debug("'%s' changes nothing for a call that is %s.", trigger, self.phase)
            return False
        self.phase = following
        self._tell_watchers(trigger)
        return True

    def _tell_watchers(self, what: str) -> None:
        for watcher in list(self.watchers):
            try:
                watcher(what)
            except Exception:
                _logger.exception("What watches a call failed at '%s'; the call goes on.", what)

    # ------------------------------------------------------------ outgoing

    async def dial(self, target: str, headers: list[tuple[str, str]]) -> None:
        """Set the media up, send the INVITE and wait for the answer.

        Raises:
            CallFailed: with cause and callInfo, when it ends unanswered.
        """
        self._advance("dial")
        self.timings["dialled"] = time.monotonic()
        self._emit("onCalling")
        try:
            await self.media.open()
            offer = await self.media.create_offer()
        except (MediaError, PlaneDied) as error:
            self.fail_media(error)
        else:
            if self.phase == "preparing":
                self._invite(target, offer, headers)
        await asyncio.shield(self.answered)

    def _invite(self, target: str, offer: bytes, headers: list[tuple[str, str]]) -> None:
        def invite(ua: UserAgent, now: float) -> None:
            # Known before the core's events are handed out: with no connection the first says that it failed.
            self.identity.key = ua.invite(target, offer, headers, now)

        try:
            self._sip(invite)
        except ValueError as error:
            self.fail(causes.ADDRESS_INCOMPLETE, str(error))
            return
        self.timings["invite_sent"] = time.monotonic()
        self._advance("invite sent")

    def on_progress(self, event: sip.Progress) -> None:
        """A provisional response: the far end rings, or sends early media."""
        self.identity.learn_uuid(event.x_call_uuid)
        first = "ringing" not in self.timings
        if event.code <= 100 or not self._advance("progress"):
            return
        self.timings.setdefault("ringing", time.monotonic())
        if event.body:
            self._engine.spawn(self.again.early_media(event.body), "early media")
        if first:
            self._emit("onCallRemoteRinging", self.identity.info("ringing"))

    def on_answered(self, event: sip.Answered) -> None:
        """A 2xx: the far end took the call."""
        self.identity.learn_uuid(event.x_call_uuid)
        if not self._advance("answered"):
            return
        self.timings["answered"] = time.monotonic()
        self._engine.spawn(self._complete_answer(event.body), "complete the answer")

    async def _complete_answer(self, body: bytes) -> None:
        try:
            await self.media.apply("answer", body)
        except (MediaError, PlaneDied) as error:
            self.fail_media(error)
            return
        self._tell_answered()

    # ------------------------------------------------------------ incoming

    def offered(self, event: sip.IncomingCall) -> None:
        """An INVITE came: let it ring."""
        self.identity.key = event.call
        self._offer = event.body
        self.identity.learn_uuid(event.x_call_uuid)
        self._advance("offered")
        self.timings["ringing"] = time.monotonic()
        self._sip(lambda ua, now: ua.ring(event.call, now))

    async def answer(self) -> None:
        """Answer: describe our media, send the 200 and wait for the ACK.

        Raises:
            CallFailed: the call ended before it was confirmed.
        """
        if not self._advance("answer"):
            return
        try:
            await self.media.open()
            if self._offer.strip():
                await self.media.apply("offer", self._offer)
                description = await self.media.create_answer()
            else:  # the caller leaves the offer to us (RFC 3261 13.2.1); its answer comes with the ACK
                description = await self.media.create_offer()
        except (MediaError, PlaneDied) as error:
            self.fail_media(error)
        else:
            if self.phase == "answering":
                self._accepted = True
                self._sip(lambda ua, now: ua.accept(self._key, description, now))
        await asyncio.shield(self.answered)

    def on_confirmed(self, event: sip.Confirmed) -> None:
        """The ACK to our 200 came; it carries the answer where the offer was ours."""
        if not self._advance("confirmed"):
            return
        self.timings["answered"] = time.monotonic()
        if event.body.strip() and not self._offer.strip():
            self._engine.spawn(self._complete_answer(event.body), "complete the answer")
        else:
            self._tell_answered()

    def _tell_answered(self) -> None:
        if self.phase == "answered" and not self.answered.done():
            info = self.identity.info("answered")
            self._on_answered(self)
            self.answered.set_result(None)
            self._emit("onCallAnswered", info)

    def reject(self, code: int = 486) -> None:
        """Refuse the ringing or ignored call; the caller hears busy (486)."""
        self._sip(lambda ua, now: ua.reject(self._key, now, code))
        self._end_unanswered("rejected", causes.REJECTED, originator="local", code=code)

    def ignore(self) -> None:
        """Stop ringing here; it keeps ringing for the caller."""
        if self._advance("ignore"):
            self._sip(lambda ua, now: ua.ignore(self._key, now))
            self._emit("onIncomingCallIgnored", self.identity.info("ignored"))

    # ------------------------------------------------------------ the end

    def hangup(self) -> None:
        """End it: CANCEL before the answer, BYE after; nothing on the wire where nothing was sent."""
        if self.phase == "over" or self.hung_up:
            return
        self.hung_up = True
        if self.key is None:
            self._end_unanswered("canceled", causes.CANCELED, originator="local")
        else:
            self._sip(lambda ua, now: ua.hangup(self._key, now))

    def on_failed(self, event: sip.CallFailed) -> None:
        """Our INVITE ended without an answer."""
        self.identity.learn_uuid(event.x_call_uuid)
        state, cause, facts = ending.of_failure(event, hung_up=self.hung_up)
        self._end_unanswered(state, cause, **facts)

    def on_canceled(self, event: sip.Canceled) -> None:
        """The caller gave up while it rang here."""
        facts = ending.of_cancel(event)
        if self.phase == "ignored":
            self._finish(self.identity.info("ignored", **facts))
            return
        info = self.identity.info("canceled", **facts)
        self._finish(info, "onIncomingCallCanceled", info)

    def on_no_answer(self, event: sip.NoAnswer) -> None:
        """Nobody answered here within the time; the caller was told 408."""
        if self.phase == "ignored":
            self._finish(self.identity.info("ignored", originator="local", code=408))
        else:
            self._end_unanswered("failed", causes.NO_ANSWER, originator="local", code=408)

    def on_ended(self, event: sip.Ended) -> None:
        """The dialog is over: BYE either way, or it broke."""
        facts = ending.of_end(event, self.cause)
        if self._was_answered:
            info = self.identity.info("ended", **facts)
            self._finish(info, "onCallTerminated", info)
        elif self.hung_up:
            self._end_unanswered("canceled", causes.CANCELED, originator="local")
        else:
            cause = self.cause or causes.of_sip(event.code, event.originator)
            self._end_unanswered("failed", cause, **facts)

    @property
    def _was_answered(self) -> bool:
        future = self.answered
        return future.done() and not future.cancelled() and future.exception() is None

    def fail(self, cause: str, sentence: str) -> None:
        """End the call for a reason of our own, such as media that does not come."""
        if self.phase == "over" or self.hung_up:
            return
        _logger.warning("The call with %s ends: %s", self.peer, sentence)
        self.cause = cause
        if self.key and (self._accepted or self.direction == "OUTGOING"):
            if not self._was_answered:  # first: what the hang-up brings would be a cause of its own
                self._end_unanswered("failed", cause, originator="local", reason=sentence)
            self._sip(lambda ua, now: ua.hangup(self._key, now))
        elif self.key:
            self._sip(lambda ua, now: ua.reject(self._key, now, 488))
            self._end_unanswered("failed", cause, originator="local", code=488, reason=sentence)
        else:
            self._end_unanswered("failed", cause, originator="local", reason=sentence)

    def fail_media(self, error: MediaError | PlaneDied) -> None:
        """End the call because its media failed."""
        cause = causes.of_media(error.code) if isinstance(error, MediaError) else causes.WEBRTC_ERROR
        self.fail(cause, str(error))

    def _end_unanswered(self, state: CallState, cause: str, **ending: Any) -> None:
        if self.over.done():
            return
        if self.phase == "ignored":  # its last word was onIncomingCallIgnored
            self._finish(self.identity.info("ignored", **ending))
            return
        self.cause = cause
        info = self.identity.info(state, **ending)
        if not self.answered.done():
            self.answered.set_exception(CallFailed(cause, info, why_unanswered(cause, info)))
        self._finish(info, "onCallFailed", cause, info)

    def _finish(self, info: CallInfo, event: str | None = None, *arguments: Any) -> None:
        if self.phase == "over":
            return
        self.phase = "over"
        self.timings["ended"] = time.monotonic()
        if not self.answered.done():
            self.answered.set_exception(
                CallFailed(causes.CANCELED, info, why_unanswered(causes.CANCELED, info))
            )
        self.over.set_result(info)
        self._engine.spawn(self._close_media(), "close the media of a call")
        self._on_over(self)
        if event is not None:
            self._emit(event, *arguments)

    # ------------------------------------------------------------ media

    @property
    def _key(self) -> str:
        assert self.key is not None
        return self.key

    async def _close_media(self) -> None:
        try:
            await self.media.close()
            for close in self.at_end:
                await close()
        finally:
            if not self.closed.done():
                self.closed.set_result(None)

    def set_muted(self, muted: bool) -> None:
        """Silence to the peer, or not; holds from before the answer on."""
        if muted != self.media.muted:
            self._tell_watchers("muted" if muted else "unmuted")
        self.media.set_muted(muted)

    def abandon(self) -> None:
        """End it here and now: the far end did not answer our goodbye in time."""
        if self.phase != "over":
            self.cause = causes.CONNECTION_ERROR
            if self._was_answered:
                info = self.identity.info("ended", originator="local", reason=self.cause)
                self._finish(info, "onCallTerminated", info)
            else:
                self._end_unanswered("failed", self.cause, originator="local")

    def _report(self, report: wire.Report) -> None:
        match report:
            case wire.Sample(row=row):
                if self.phase == "answered":
                    self._on_sample(self, row)
            case wire.SessionState(what=what, state=state, at=at, detail=detail):
                self._media_state(what, state, at, detail)
            case wire.Digit(digit=digit, duration_ms=duration):
                self._emit("onDtmfReceived", {"tone": digit, "duration": duration})
            case wire.Fault(code=code, sentence=sentence):
                self.fail(causes.of_media(code), sentence)
            case wire.PlaneDead(sentence=sentence):
                self.fail(causes.WEBRTC_ERROR, sentence)

    def _media_state(self, what: str, state: str, at: float, detail: str) -> None:
        was = self.media.was[what]
        if what == "rtp" and state.startswith("first-"):
            self.timings.setdefault("first_rtp_" + state.removeprefix("first-"), at)
        elif what == "rtp" and state == "timeout":
            self.fail(causes.RTP_TIMEOUT, detail or "No RTP came for too long.")
        elif state == "failed" and (what == "dtls" or was in ("new", "checking")):
            self.fail(causes.WEBRTC_ERROR, detail or f"The {what.upper()} connection could not be made.")


def _quiet(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
