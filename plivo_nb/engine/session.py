"""One call: joins its SIP dialog and its media session.

What may follow what is the table `TRANSITIONS`; every other trigger in a phase is ignored and logged. A call
ends exactly once, in one terminal state, with the one event that goes with it (spec.md section 4).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from plivo_nb.engine import causes
from plivo_nb.errors import CallFailed, MediaError, PlaneDied
from plivo_nb.events import CallInfo, CallState, Direction
from plivo_nb.plane import wire
from plivo_nb.sip.user_agent import UserAgent

if TYPE_CHECKING:
    from plivo_nb.engine.engine import Engine
    from plivo_nb.media.sinks import Sink
    from plivo_nb.media.sources import Source
    from plivo_nb.quality.sampler import SampleRow
    from plivo_nb.sip import events as sip

_logger = logging.getLogger("plivo_nb.session")

Phase = Literal["new", "preparing", "calling", "ringing", "answering", "answered", "ignored", "over"]

# (phase, trigger): next phase. Outgoing calls go through preparing and calling, incoming through answering.
TRANSITIONS: dict[tuple[Phase, str], Phase] = {
    ("new", "dial"): "preparing",
    ("preparing", "invite sent"): "calling",
    ("calling", "progress"): "ringing",
    ("ringing", "progress"): "ringing",
    ("calling", "answered"): "answered",
    ("ringing", "answered"): "answered",
    ("new", "offered"): "ringing",
    ("ringing", "answer"): "answering",
    ("answering", "confirmed"): "answered",
    ("ringing", "ignore"): "ignored",
}

DTMF_TYPE = "application/dtmf-relay"
DTMF_MS = 100
DTMF_GAP_MS = 70

SipAction = Callable[[Callable[[UserAgent, float], Any]], Any]
Emit = Callable[..., None]


class Session:
    """One call of one account, from the first click to its last number.

    Args:
        engine: whose plane carries the media.
        config: how to set the media session up.
        sip_action: runs a function of (user agent, now) on the account and sends what comes of it.
        emit: hands an event to the client's listeners.
        direction, src, dest, extra_headers: as `callInfo` tells them.
        on_sample: called with each second's numbers.
        on_over: called once, when the call has ended.

    Attributes:
        over: resolved with the final `CallInfo`.
        timings: what happened when, `time.monotonic()` seconds by name: dialled, ringing, answered,
            first_rtp_sent, first_rtp_received, ended.
        listeners: get every report of the media session.
        watchers: get every trigger of `TRANSITIONS` that had an effect, and ``muted`` and ``unmuted``.
    """

    def __init__(
        self,
        engine: Engine,
        config: wire.SessionConfig,
        sip_action: SipAction,
        emit: Emit,
        *,
        direction: Direction,
        src: str,
        dest: str,
        extra_headers: Mapping[str, str],
        on_sample: Callable[[Session, SampleRow], None],
        on_over: Callable[[Session], None],
    ) -> None:
        self._engine = engine
        self._config = config
        self._sip = sip_action
        self._emit = emit
        self._on_sample = on_sample
        self._on_over = on_over
        self.direction: Direction = direction
        self.src = src
        self.dest = dest
        self.extra_headers = dict(extra_headers)
        self.phase: Phase = "new"
        self.key: str | None = None
        self.media: int | None = None
        self.muted = False
        self.hung_up = False
        self.media_states: dict[str, str] = {"gathering": "new", "ice": "new", "dtls": "new", "rtp": "new"}
        self.timings: dict[str, float] = {}
        self.started_utc_s = time.time()
        self.levels: tuple[float, float] = (-100.0, -100.0)
        self.final_stats: dict[str, Any] | None = None
        self.cause: str | None = None
        self.listeners: list[Callable[[wire.Report], None]] = []
        self.watchers: list[Callable[[str], None]] = []
        self.answered: asyncio.Future[None] = engine.loop.create_future()
        self.over: asyncio.Future[CallInfo] = engine.loop.create_future()
        self.closed: asyncio.Future[None] = engine.loop.create_future()
        self.answered.add_done_callback(_quiet)
        self.source: Source | None = None
        self.sink: Sink | None = None
        self._uuid: str | None = None
        self._uuid_reported = False
        self._remote_set = False
        self._offer: bytes = b""

    # ------------------------------------------------------------ what it is

    @property
    def uuid(self) -> str | None:
        """X-CallUUID where the server gave one; its SIP Call-ID once an event told that; else None."""
        return self._uuid

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

    def info(self, state: CallState, **ending: Any) -> CallInfo:
        """A snapshot for an event; from the first one on, the call's UUID stays."""
        if self._uuid is None:
            self._uuid = self.key
        self._uuid_reported = self._uuid is not None
        return CallInfo(
            callUUID=self._uuid,
            direction=self.direction,
            src=self.src,
            dest=self.dest,
            state=state,
            extraHeaders=dict(self.extra_headers),
            **ending,
        )

    def now_info(self) -> CallInfo:
        """A snapshot of the call as it is now, not tied to an event."""
        if self.over.done():
            return self.over.result()
        state: CallState = (
            "answered" if self.phase == "answered" else "ignored" if self.phase == "ignored" else "ringing"
        )
        return CallInfo(
            self._uuid, self.direction, self.src, self.dest, state, extraHeaders=dict(self.extra_headers)
        )

    def _learn_uuid(self, x_call_uuid: str | None) -> None:
        if x_call_uuid and not self._uuid_reported:
            self._uuid = x_call_uuid

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
            await self._open_media()
            offer = await self._engine.ask(wire.CreateOffer, session=self.media)
        except (MediaError, PlaneDied) as error:
            self._fail_media(error)
        else:
            if self.phase == "preparing":
                self.key = self._sip(lambda ua, now: ua.invite(target, offer.encode(), headers, now))
                self.timings["invite_sent"] = time.monotonic()
                self._advance("invite sent")
        await asyncio.shield(self.answered)

    def on_progress(self, event: sip.Progress) -> None:
        """A provisional response: the far end rings, or sends early media."""
        self._learn_uuid(event.x_call_uuid)
        first = "ringing" not in self.timings
        if event.code <= 100 or not self._advance("progress"):
            return
        self.timings.setdefault("ringing", time.monotonic())
        if event.body:
            self._engine.spawn(self._apply_remote("pranswer", event.body), "early media")
        if first:
            self._emit("onCallRemoteRinging", self.info("ringing"))

    def on_answered(self, event: sip.Answered) -> None:
        """A 2xx: the far end took the call."""
        self._learn_uuid(event.x_call_uuid)
        if not self._advance("answered"):
            return
        self.timings["answered"] = time.monotonic()
        self._engine.spawn(self._complete_answer(event.body), "complete the answer")

    async def _complete_answer(self, body: bytes) -> None:
        try:
            await self._apply_remote("answer", body)
        except (MediaError, PlaneDied) as error:
            self._fail_media(error)
            return
        if self.phase == "answered" and not self.answered.done():
            self._emit("onCallAnswered", self.info("answered"))
            self.answered.set_result(None)

    # ------------------------------------------------------------ incoming

    def offered(self, event: sip.IncomingCall) -> None:
        """An INVITE came: let it ring."""
        self.key = event.call
        self._offer = event.body
        self._learn_uuid(event.x_call_uuid)
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
            await self._open_media()
            await self._apply_remote("offer", self._offer)
            answer = await self._engine.ask(wire.CreateAnswer, session=self.media)
        except (MediaError, PlaneDied) as error:
            self._fail_media(error)
        else:
            if self.phase == "answering":
                self._sip(lambda ua, now: ua.accept(self._key, answer.encode(), now))
        await asyncio.shield(self.answered)

    def on_confirmed(self, event: sip.Confirmed) -> None:
        """The ACK to our 200 came."""
        if self._advance("confirmed"):
            self.timings["answered"] = time.monotonic()
            self._emit("onCallAnswered", self.info("answered"))
            self.answered.set_result(None)

    def reject(self, code: int = 486) -> None:
        """Refuse the ringing call; the caller hears busy (486)."""
        self._sip(lambda ua, now: ua.reject(self._key, now, code))
        self._end_unanswered("rejected", causes.REJECTED, originator="local", code=code)

    def ignore(self) -> None:
        """Stop ringing here; it keeps ringing for the caller."""
        if self._advance("ignore"):
            self._sip(lambda ua, now: ua.ignore(self._key, now))
            self._emit("onIncomingCallIgnored", self.info("ignored"))

    async def on_reinvite(self, key: str, body: bytes) -> None:
        """The other side changes the session (hold, new address): answer with ours, or refuse and go on."""
        try:
            if body.strip():
                await self._apply_remote("offer", body)
                answer = await self._engine.ask(wire.CreateAnswer, session=self.media)
            else:
                answer = await self._engine.ask(wire.CreateOffer, session=self.media)
        except (MediaError, PlaneDied) as error:
            _logger.warning("A re-INVITE of %s is refused and the call goes on: %s", self.peer, error)
            if self.phase == "answered":
                self._sip(lambda ua, now: ua.reject_reinvite(key, 488, now))
            return
        if self.phase == "answered":
            self._sip(lambda ua, now: ua.accept_reinvite(key, answer.encode(), now))

    def on_signalling_restored(self) -> None:
        """The socket is back: offer again, with an ICE restart (RFC 8839 4.4) if the media is gone too.

        Only a re-INVITE tells the other side, and proxies between, the new way here: else its BYE gets lost.
        """
        if self.phase == "answered":
            gone = self.media_states["ice"] in ("disconnected", "failed")
            self._engine.spawn(self._offer_again(ice_restart=gone), "re-INVITE")

    async def _offer_again(self, *, ice_restart: bool) -> None:
        try:
            offer = await self._engine.ask(wire.CreateOffer, session=self.media, ice_restart=ice_restart)
        except (MediaError, PlaneDied) as error:
            _logger.warning("The media of the call with %s cannot be restarted: %s", self.peer, error)
            return
        if self.phase == "answered":
            self._sip(lambda ua, now: ua.reinvite(self._key, offer.encode(), now))

    async def on_reinvite_answered(self, body: bytes) -> None:
        """Our re-INVITE was accepted: apply the other side's description."""
        try:
            await self._apply_remote("answer", body)
        except (MediaError, PlaneDied) as error:
            self._fail_media(error)

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
        self._learn_uuid(event.x_call_uuid)
        cause = causes.CANCELED if self.hung_up else causes.of_sip(event.code, event.originator)
        state: CallState = (
            "canceled" if self.hung_up else "rejected" if cause == causes.REJECTED else "failed"
        )
        reason = event.protocol_reason
        self._end_unanswered(
            state,
            cause,
            originator="local" if self.hung_up else event.originator,
            code=event.code,
            reason=(reason.text if reason else None) or event.reason,
            protocol=reason.protocol if reason else None,
        )

    def on_canceled(self, event: sip.Canceled) -> None:
        """The caller gave up while it rang here."""
        if self.phase == "ignored":
            self._finish(self.info("ignored", originator="remote"))
        else:
            info = self.info("canceled", originator="remote")
            self._finish(info, "onIncomingCallCanceled", info)

    def on_no_answer(self, event: sip.NoAnswer) -> None:
        """Nobody answered here within the time; the caller was told 408."""
        if self.phase == "ignored":
            self._finish(self.info("ignored", originator="local", code=408))
        else:
            self._end_unanswered("failed", causes.NO_ANSWER, originator="local", code=408)

    def on_ended(self, event: sip.Ended) -> None:
        """The dialog is over: BYE either way, or it broke."""
        reason = event.protocol_reason
        ending = {
            "originator": event.originator,
            "reason": self.cause or (reason.text if reason else None) or event.reason or None,
            "protocol": reason.protocol if reason else None,
        }
        if self.answered.done() and not self.answered.cancelled() and self.answered.exception() is None:
            info = self.info("ended", code=event.code, **ending)
            self._finish(info, "onCallTerminated", info)
        elif self.hung_up:
            self._end_unanswered("canceled", causes.CANCELED, originator="local")
        else:
            cause = self.cause or causes.of_sip(event.code, event.originator)
            self._end_unanswered("failed", cause, code=event.code, **ending)

    def fail(self, cause: str, sentence: str) -> None:
        """End the call for a reason of our own, such as media that does not come."""
        if self.phase == "over" or self.hung_up:
            return
        _logger.warning("The call with %s ends: %s", self.peer, sentence)
        self.cause = cause
        if self.phase in ("answered", "answering") or (self.key and self.direction == "OUTGOING"):
            answered = self.answered.done()
            self._sip(lambda ua, now: ua.hangup(self._key, now))
            if not answered and not self.over.done():
                self._end_unanswered("failed", cause, originator="local", reason=sentence)
        elif self.key:
            self._sip(lambda ua, now: ua.reject(self._key, now, 488))
            self._end_unanswered("failed", cause, originator="local", code=488, reason=sentence)
        else:
            self._end_unanswered("failed", cause, originator="local", reason=sentence)

    def _fail_media(self, error: MediaError | PlaneDied) -> None:
        cause = causes.of_media(error.code) if isinstance(error, MediaError) else causes.WEBRTC_ERROR
        self.fail(cause, str(error))

    def _end_unanswered(self, state: CallState, cause: str, **ending: Any) -> None:
        if self.over.done():
            return
        self.cause = cause
        info = self.info(state, **ending)
        if not self.answered.done():
            self.answered.set_exception(CallFailed(cause, info, _sentence(cause, info)))
        self._finish(info, "onCallFailed", cause, info)

    def _finish(self, info: CallInfo, event: str | None = None, *arguments: Any) -> None:
        if self.phase == "over":
            return
        self.phase = "over"
        self.timings["ended"] = time.monotonic()
        if not self.answered.done():
            self.answered.set_exception(CallFailed(causes.CANCELED, info, _sentence(causes.CANCELED, info)))
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

    @property
    def peer(self) -> str:
        """The other side, for people."""
        return self.dest if self.direction == "OUTGOING" else self.src

    async def _open_media(self) -> None:
        self.media = self._engine.new_id()
        self._engine.route_session(self.media, self._report)
        opened = self._engine.post(wire.OpenSession, session=self.media, config=self._config)
        if self.muted:
            self._engine.post(wire.SetMuted, session=self.media, muted=True)
        if self.source is not None:
            self._engine.post(wire.SetSource, session=self.media, source=self.source)
        if self.sink is not None:
            self._engine.post(wire.SetSink, session=self.media, sink=self.sink)
        await opened

    async def _apply_remote(self, kind: Literal["offer", "answer", "pranswer"], body: bytes) -> None:
        text = body.decode("utf-8", "replace")
        if not text.strip() and kind == "answer" and self._remote_set:
            return  # the SDP came with the 18x already (RFC 3261 section 13.2.1)
        try:
            await self._engine.ask(wire.SetRemote, session=self.media, type=kind, sdp=text)
        except (MediaError, PlaneDied):
            if kind == "pranswer":
                _logger.warning("The early media of %s cannot be used; waiting for the answer.", self.peer)
                return
            raise
        self._remote_set = True

    async def _close_media(self) -> None:
        if self.media is not None:
            try:
                self.final_stats = await self._engine.ask(wire.CloseSession, session=self.media)
            except (MediaError, PlaneDied) as error:
                _logger.debug("The media session was gone already: %s", error)
            self._engine.route_session(self.media, None)
        if not self.closed.done():
            self.closed.set_result(None)

    def set_muted(self, muted: bool) -> None:
        """Silence to the peer, or not; holds from before the answer on."""
        if muted != self.muted:
            self._tell_watchers("muted" if muted else "unmuted")
        self.muted = muted
        self._tell(wire.SetMuted, muted=muted)

    def set_source(self, source: Source) -> None:
        """What the peer hears from now on."""
        self.source = source
        self._tell(wire.SetSource, source=source)

    def set_sink(self, sink: Sink) -> None:
        """Where what we hear goes from now on."""
        self.sink = sink
        self._tell(wire.SetSink, sink=sink)

    def _tell(self, command: Callable[..., wire.Command], **values: Any) -> None:
        if self.media is not None and self.phase != "over":
            self._engine.post(command, session=self.media, **values)

    async def send_dtmf(self, digits: str) -> None:
        """Send digits as RFC 4733 where that was negotiated, else by SIP INFO, spaced so that none is lost.

        Raises:
            MediaError: the media session is gone.
        """
        try:
            await self._engine.ask(wire.SendDtmf, session=self.media, digits=digits)
        except MediaError as error:
            if error.code != "NotNegotiated":
                raise
        else:
            return
        for digit in digits:
            if self.phase != "answered":
                return
            body = f"Signal={digit}\r\nDuration={DTMF_MS}\r\n".encode()
            self._sip(partial(_send_info, self._key, body))
            await asyncio.sleep((DTMF_MS + DTMF_GAP_MS) / 1000)

    def abandon(self) -> None:
        """End it here and now: the far end did not answer our goodbye in time."""
        if self.phase != "over":
            self.cause = causes.CONNECTION_ERROR
            if self.answered.done() and not self.answered.exception():
                info = self.info("ended", originator="local", reason=self.cause)
                self._finish(info, "onCallTerminated", info)
            else:
                self._end_unanswered("failed", self.cause, originator="local")

    async def stats(self) -> dict[str, dict[str, Any]]:
        """W3C webrtc-stats by id; after the call, the last ones."""
        if self.media is None or self.phase == "over":
            return self.final_stats or {}
        report: dict[str, dict[str, Any]] = await self._engine.ask(wire.GetStats, session=self.media)
        return report

    def _report(self, report: wire.Report) -> None:
        match report:
            case wire.Sample(row=row):
                if self.phase == "answered":
                    self._on_sample(self, row)
            case wire.SessionState(what=what, state=state, at=at, detail=detail):
                self._media_state(what, state, at, detail)
            case wire.Level(in_dbfs=heard, out_dbfs=sent):
                self.levels = (heard, sent)
            case wire.Digit(digit=digit, duration_ms=duration):
                self._emit("onDtmfReceived", {"tone": digit, "duration": duration})
            case wire.Fault(code=code, sentence=sentence):
                self.fail(causes.of_media(code), sentence)
            case wire.PlaneDead(sentence=sentence):
                self.fail(causes.WEBRTC_ERROR, sentence)
        for listener in list(self.listeners):
            listener(report)

    def _media_state(self, what: str, state: str, at: float, detail: str) -> None:
        was = self.media_states.get(what)
        self.media_states[what] = state
        if what == "rtp" and state.startswith("first-"):
            self.timings.setdefault("first_rtp_" + state.removeprefix("first-"), at)
        elif what == "rtp" and state == "timeout":
            self.fail(causes.RTP_TIMEOUT, detail or "No RTP came for too long.")
        elif state == "failed" and (what == "dtls" or was in ("new", "checking")):
            self.fail(causes.WEBRTC_ERROR, detail or f"The {what.upper()} connection could not be made.")


def _send_info(key: str, body: bytes, ua: UserAgent, now: float) -> None:
    ua.info(key, DTMF_TYPE, body, now)


def _quiet(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()


def _sentence(cause: str, info: CallInfo) -> str:
    who = info.dest if info.direction == "OUTGOING" else info.src
    code = f" (SIP {info.code}{' ' + info.reason if info.reason else ''})" if info.code else ""
    return f"The call with {who} was not answered: {cause}{code}."
