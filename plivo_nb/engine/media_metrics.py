"""Call-quality tracking: mediaMetrics events, and messages for Plivo's statistics service.

Only with the option enableTracking. Tracking observes calls and never changes one: its own errors are logged.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from plivo_nb.engine.insights_reporter import CallStatistics, subject_of
from plivo_nb.errors import InvalidOption
from plivo_nb.insights import Service, is_wanted, messages
from plivo_nb.media.audio.sources import Silence
from plivo_nb.plane import wire
from plivo_nb.quality import limits, rules
from plivo_nb.quality.rule_engine import Event, RuleEngine

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.engine.records import Records
    from plivo_nb.options import Options

_logger = logging.getLogger("plivo_nb.media_metrics")
ICE_TIMEOUT_S = limits.ICE_GATHERING_LIMIT_MS / 1000


class MediaMetrics:
    """The quality tracking of one client.

    Args:
        engine: its loop and tasks are used.
        options: enableTracking, rules, statsUrl, insightsUrl, preDetectOwa and others are read.
        emit: fires an event of the client.
        records: keeps the mediaMetrics events.

    Attributes:
        service: the statistics service; None when it is not used.

    Raises:
        InvalidOption: with ``strict``, when the option `rules` is wrong.
    """

    def __init__(self, engine: Engine, options: Options, emit: Callable[..., None], records: Records) -> None:
        self._engine = engine
        self._options = options
        self._emit = emit
        self._records = records
        self._rules = _rules(options)
        self._device_rules = RuleEngine(self._rules)
        self._calls: list[CallSession] = []
        self._username = ""
        self._domain = ""
        self.service: Service | None = None
        self.use(options)

    def use(self, options: Options) -> None:
        """Take changed options, while nobody is logged in. The rules stay."""
        self._options = options
        self._about = messages.About(options)
        if is_wanted(options) and self.service is None:
            self.service = Service(options.stats_url, options.insights_url, ca_file=options.ca_file)
        elif not is_wanted(options) and self.service is not None:
            self._engine.spawn(self.service.logout(), "log out of the statistics service")
            self.service = None

    def follow(self, session: CallSession) -> None:
        """Track this call from its beginning to its end."""
        if not self._options.enable_tracking:
            return
        self._calls.append(session)
        session.over.add_done_callback(lambda _: self._calls.remove(session))
        CallMetrics(session, RuleEngine(self._rules), self._options, self._emit, self._records)
        if self.service is not None:
            CallStatistics(self._engine, session, self.service, self._about, (self._username, self._domain))

    def microphone(self, state: str) -> None:
        """The microphone is ``lost`` or ``present``; fires mediaMetrics with the option preDetectOwa."""
        if not (self._options.enable_tracking and self._options.pre_detect_owa):
            return
        for event in self._device_rules.state("microphone", state):
            self._records.add_media_metric(self._calls[-1] if self._calls else None, event)
            self._emit("mediaMetrics", dict(event))

    def logged_in(self, username: str, password: str, domain: str) -> None:
        """Log in at the statistics service. Returns at once."""
        self._username, self._domain = username, domain
        if self.service is not None:
            self.service.login(username, password, domain)

    async def logged_out(self) -> None:
        """Close the connection with the statistics service."""
        if self.service is not None:
            await self.service.logout()

    def feedback(self, session: CallSession, score: int, comment: str) -> None:
        """Queue the user's feedback on a call, also after it."""
        if self.service is not None:
            subject = subject_of(session, self._username, self._domain)
            self.service.put(messages.feedback(subject, score, comment))


def _rules(options: Options) -> tuple[rules.AnyRule, ...]:
    try:
        return rules.resolve(options.rules)
    except ValueError as error:
        if options.strict:
            raise InvalidOption(str(error)) from None
        _logger.warning("%s The documented rules are used.", error)
        return rules.V2_1


class CallMetrics:
    """Applies the rules to one call's samples and states, and fires mediaMetrics.

    Args:
        session: the call.
        rule_engine: applies the rules.
        options: sound and iceGatheringTimeout are read.
        emit: fires an event of the client.
        records: keeps the events.
    """

    def __init__(
        self,
        session: CallSession,
        rule_engine: RuleEngine,
        options: Options,
        emit: Callable[..., None],
        records: Records,
    ) -> None:
        self._session = session
        self._rule_engine = rule_engine
        self._options = options
        self._emit = emit
        self._records = records
        self._early: list[tuple[int, Event]] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._gathering_since_s = time.monotonic()
        session.watchers.append(self._watch)
        session.media.listeners.append(self._report)
        session.over.add_done_callback(self._ended)

    def _watch(self, what: str) -> None:
        match what:
            case "answered" | "confirmed":
                self._rule_engine.begin(time.monotonic())

    def _gathering_state(self, state: str, at: float) -> None:
        """Report a gathering that takes over 2 s, or over iceGatheringTimeout where that is shorter."""
        self._stop_gathering_timer()
        if state == "gathering":
            self._gathering_since_s = at
            if self._options.ice_gathering_timeout > ICE_TIMEOUT_S:
                due_in_s = at + ICE_TIMEOUT_S - time.monotonic()
                loop = self._session.over.get_loop()
                self._gathering = loop.call_later(max(0.0, due_in_s), self._gathering_is_slow)
        self._fire(self._rule_engine.state("gathering", state, self._gathering_ms(at)))

    def _gathering_is_slow(self) -> None:
        self._gathering = None
        self._fire(self._rule_engine.state("gathering", "timeout", self._gathering_ms(time.monotonic())))

    def _gathering_ms(self, now: float) -> int:
        """Time since the gathering began, to 10 ms: timers are not more exact."""
        return round((now - self._gathering_since_s) * 100) * 10

    def _stop_gathering_timer(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    def _report(self, report: wire.Report) -> None:
        match report:
            case wire.Sample(row=row):
                if self._session.phase == "answered":
                    self._fire(self._rule_engine.sample(row, silent_source=self._silence_is_chosen()))
            case wire.SessionState(what="ice", state=state):
                self._fire(self._rule_engine.state("ice", state))
            case wire.SessionState(what="gathering", state=state, at=at):
                self._gathering_state(state, at)

    def _silence_is_chosen(self) -> bool:
        source = self._session.media.source
        return isinstance(source, Silence) or (source is None and self._options.sound == "none")

    def _fire(self, events: list[Event]) -> None:
        for event in events:
            self._early.append((self._records.utc_ns(), event))
        if self._session.uuid is not None:
            self._record_early()
        for event in events:
            self._emit("mediaMetrics", dict(event))

    def _record_early(self) -> None:
        """Record the events that came before the call had an id."""
        early, self._early = self._early, []
        for at_ns, event in early:
            self._records.add_media_metric(self._session, event, at_ns)

    def _ended(self, _: Any) -> None:
        self._record_early()
        self._stop_gathering_timer()
