"""The messages about one call for Plivo's statistics service, and when each is queued."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from plivo_nb.engine import causes
from plivo_nb.errors import MediaError, PlaneDied
from plivo_nb.insights import Service, Subject, messages
from plivo_nb.plane import wire
from plivo_nb.quality.merging import merged

if TYPE_CHECKING:
    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.quality.sampler import SampleRow

STATS_INTERVAL_S = 5.0

# Direction and trigger of `call_session.TRANSITIONS`: the names of that moment in `signalling`.
_MOMENTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("OUTGOING", "dial"): ("call_initiation_time",),
    ("OUTGOING", "progress"): ("ring_start_time",),
    ("OUTGOING", "answered"): ("answer_time",),
    ("INCOMING", "offered"): ("call_initiation_time", "invite_time", "call_progress_time"),
    ("INCOMING", "answer"): ("answer_time",),
}
_ORDER = (
    "call_initiation_time",
    "invite_time",
    "call_progress_time",
    "ring_start_time",
    "answer_time",
    "call_confirmed_time",
    "hangup_time",
    "hangup_party",
    "hangup_reason",
    "post_dial_delay",
)


def subject_of(session: CallSession, username: str, domain: str) -> Subject:
    """The call's ids and account, as every message carries them."""
    return Subject(session.key, session.uuid or session.key, username, domain)


class CallStatistics:
    """Observes one call and queues its messages.

    Args:
        engine: owns the task that makes CALL_STATS each 5 s.
        session: the call.
        service: sends the messages.
        about: makes the messages that describe this client.
        account: user name and domain.
    """

    def __init__(
        self,
        engine: Engine,
        session: CallSession,
        service: Service,
        about: messages.About,
        account: tuple[str, str],
    ) -> None:
        self._engine = engine
        self._session = session
        self._service = service
        self._about = about
        self._account = account
        self._signalling: dict[str, Any] = {}
        self._media: dict[str, int] = {}
        self._rows: list[SampleRow] = []
        self._failed: set[str] = set()
        self._stats_task: asyncio.Task[None] | None = None
        session.watchers.append(self._watch)
        session.media.listeners.append(self._report)
        session.answered.add_done_callback(self._answered)
        session.over.add_done_callback(self._ended)

    @property
    def _subject(self) -> Subject:
        return subject_of(self._session, *self._account)

    # ------------------------------------------------------------ signalling

    def _watch(self, what: str) -> None:
        session = self._session
        ringing = what in ("progress", "offered") and "ringing" not in session.timings
        for name in _MOMENTS.get((session.direction, what), ()):
            self._signalling.setdefault(name, messages.now_ms())
        if ringing:
            self._service.put(self._about.ringing(self._subject, self._ringing_times()))
        elif what in ("muted", "unmuted") and session.phase == "answered":
            self._service.put(messages.toggle_mute(self._subject, what == "muted"))

    def _ringing_times(self) -> dict[str, Any]:
        """As in the recorded SDK, without the time of the ringing itself."""
        names = ("call_initiation_time", "invite_time")
        times = {name: self._signalling[name] for name in names if name in self._signalling}
        return times | {"post_dial_delay": self._post_dial_delay_ms()}

    def _post_dial_delay_ms(self) -> int:
        """From dialling to ringing, or to the answer if it never rang; 0 for an incoming call."""
        times = self._signalling
        end = times.get("ring_start_time", times.get("answer_time"))
        if self._session.direction == "INCOMING" or end is None:
            return 0
        return int(end - times["call_initiation_time"])

    def _answered(self, answered: asyncio.Future[None]) -> None:
        if answered.cancelled() or answered.exception() is not None or self._session.over.done():
            return
        self._signalling["call_confirmed_time"] = messages.now_ms()
        self._service.put(self._about.answered(self._subject, self._session.direction))
        self._stats_task = self._engine.spawn(self._queue_stats(), "statistics of a call")

    def _report(self, report: wire.Report) -> None:
        match report:
            case wire.Sample(row=row):
                self._rows.append(row)
            case wire.SessionState(what="ice", state="checking" | "connected" as state, at=at):
                self._media.setdefault(f"ice_connection_state_{state}", self._utc_ms(at))
            case wire.SessionState(what="ice", state="failed" as state, at=at, detail=detail):
                self._media.setdefault(f"ice_connection_state_{state}", self._utc_ms(at))
                self._failure("ICE_FAILURE", detail or "The ICE connection failed.")
            case wire.SessionState(what="dtls", state="failed", detail=detail):
                self._failure("MEDIA_FAILURE", detail or "The DTLS handshake failed.")
            case wire.SessionState(what="rtp", state="first-sent", at=at):
                self._media.setdefault("stream_success", self._utc_ms(at))
            case wire.Fault(sentence=sentence):
                self._failure("MEDIA_FAILURE", sentence)

    def _utc_ms(self, at: float) -> int:
        return self._engine.utc_ns(at) // 1_000_000

    def _failure(self, kind: messages.Failure, sentence: str) -> None:
        """Queue a failure message, once for each kind."""
        if kind not in self._failed:
            self._failed.add(kind)
            self._service.put(messages.failure(self._subject, kind, sentence))

    # ------------------------------------------------------------ CALL_STATS

    async def _queue_stats(self) -> None:
        """Queue CALL_STATS each 5 s; the times do not drift when one is late."""
        due = time.monotonic()
        while True:
            due += STATS_INTERVAL_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            rows, self._rows = self._rows, []
            if not rows:
                continue
            try:
                stats = await self._session.media.stats()
            except (MediaError, PlaneDied):
                return
            timings = self._session.timings
            missing = float("nan")
            setup_s = timings.get("first_rtp_received", missing) - timings.get("answered", missing)
            self._service.put(
                messages.call_stats(
                    self._subject,
                    stats,
                    merged(rows),
                    pdd_ms=self._post_dial_delay_ms(),
                    media_setup_ms=max(0.0, setup_s * 1000),
                )
            )

    # ------------------------------------------------------------ the end

    def _ended(self, over: asyncio.Future[Any]) -> None:
        if self._stats_task is not None:
            self._stats_task.cancel()
        if over.cancelled():
            return
        info, cause = over.result(), self._session.cause
        if cause == causes.INCOMPATIBLE_SDP:
            self._failure("SDP_FAILURE", info.reason or cause)
        elif cause in (causes.WEBRTC_ERROR, causes.USER_DENIED_MEDIA) and not self._failed:
            self._failure("MEDIA_FAILURE", info.reason or cause)
        times = self._signalling
        times.setdefault("call_initiation_time", round(self._session.started_utc_s * 1000))
        times["hangup_time"] = messages.now_ms()
        times["hangup_party"] = info.originator or "local"
        times["hangup_reason"] = "Terminated" if info.state == "ended" else cause or info.state.capitalize()
        times["post_dial_delay"] = self._post_dial_delay_ms()
        ordered = {name: times[name] for name in _ORDER if name in times}
        self._service.put(self._about.summary(self._subject, ordered, self._media))
