"""Call-quality tracking: mediaMetrics events, and the statistics service (spec.md sections 6 and 7).

Only with the option enableTracking. It watches calls and never touches one: what goes wrong here is logged.
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
from plivo_nb.quality import rules
from plivo_nb.quality.rule_engine import Event, RuleEngine

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.engine.records import Records
    from plivo_nb.options import Options

_logger = logging.getLogger("plivo_nb.tracking")
ICE_TIMEOUT_S = 2.0


class MediaMetrics:
    """What is watched of one client's calls.

    Args:
        engine: whose loop and tasks are used.
        options: enableTracking, rules, statsUrl, insightsUrl and so on.
        emit: hands an event to the client's listeners.
        records: where mediaMetrics events are kept.

    Raises:
        InvalidOption: with ``strict``, when the option `rules` is wrong.
    """

    def __init__(self, engine: Engine, options: Options, emit: Callable[..., None], records: Records) -> None:
        self._engine = engine
        self._options = options
        self._emit = emit
        self._records = records
        self._rules = _rules(options)
        self._about = messages.About(options)
        self._device = RuleEngine(self._rules)
        self._calls: list[CallSession] = []
        self._username = ""
        self._domain = ""
        self.service: Service | None = None
        if is_wanted(options):
            self.service = Service(options.stats_url, options.insights_url)

    def follow(self, session: CallSession) -> None:
        """Watch this call from its beginning to its end."""
        if not self._options.enable_tracking:
            return
        self._calls.append(session)
        session.over.add_done_callback(lambda _: self._calls.remove(session))
        CallMetrics(session, RuleEngine(self._rules), self._options, self._emit, self._records)
        if self.service is not None:
            CallStatistics(self._engine, session, self.service, self._about, (self._username, self._domain))

    def microphone(self, state: str) -> None:
        """The microphone is ``lost``, or ``present`` again; told with preDetectOwa, before and in a call."""
        if not (self._options.enable_tracking and self._options.pre_detect_owa):
            return
        for event in self._device.state("microphone", state):
            self._records.add_media_metric(self._calls[-1] if self._calls else None, event)
            self._emit("mediaMetrics", dict(event))

    def logged_in(self, username: str, password: str, domain: str) -> None:
        """Tell the statistics service who is there. Returns at once."""
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
    """Feeds one call's samples and states to the rules, and hands out what they say.

    Args:
        session: the call.
        judge: applies the rules.
        options: sound and iceGatheringTimeout matter here.
        emit: hands an event to the client's listeners.
        records: where the events are kept.
    """

    def __init__(
        self,
        session: CallSession,
        judge: RuleEngine,
        options: Options,
        emit: Callable[..., None],
        records: Records,
    ) -> None:
        self._session = session
        self._judge = judge
        self._options = options
        self._emit = emit
        self._records = records
        self._early: list[tuple[int, Event]] = []
        self._gathering: asyncio.TimerHandle | None = None
        session.watchers.append(self._watch)
        session.media.listeners.append(self._report)
        session.over.add_done_callback(self._ended)

    def _watch(self, what: str) -> None:
        match what:
            case "dial" | "answer":
                self._gathering_begins()
            case "answered" | "confirmed":
                self._judge.begin(time.monotonic())

    def _gathering_begins(self) -> None:
        """Where gathering may take longer than the rule's 2 s, no report comes at 2 s: look at the clock."""
        if self._options.ice_gathering_timeout > ICE_TIMEOUT_S:
            loop = self._session.over.get_loop()
            self._gathering = loop.call_later(ICE_TIMEOUT_S, self._gathering_is_slow)

    def _gathering_is_slow(self) -> None:
        self._gathering = None
        if self._session.media.states["gathering"] == "new":
            self._tell(self._judge.state("gathering", "timeout"))

    def _report(self, report: wire.Report) -> None:
        match report:
            case wire.Sample(row=row):
                if self._session.phase == "answered":
                    self._tell(self._judge.sample(row, silent_source=self._silent_by_choice()))
            case wire.SessionState(what="ice" | "gathering" as what, state=state):
                self._tell(self._judge.state(what, state))

    def _silent_by_choice(self) -> bool:
        source = self._session.media.source
        return isinstance(source, Silence) or (source is None and self._options.sound == "none")

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._early.append((time.time_ns(), event))
        if self._session.uuid is not None:
            self._keep_early()
        for event in events:
            self._emit("mediaMetrics", dict(event))

    def _keep_early(self) -> None:
        """What came before the call had an id is kept once it has one."""
        early, self._early = self._early, []
        for at_ns, event in early:
            self._records.add_media_metric(self._session, event, at_ns)

    def _ended(self, _: Any) -> None:
        self._keep_early()
        if self._gathering is not None:
            self._gathering.cancel()
