"""Applies the rules of `rules` to one call. Sans-I/O.

Samples and states go in, mediaMetrics events come out as dicts with Plivo's keys: group, level, type, value,
active, desc, stream.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plivo_nb.quality.merging import merged
from plivo_nb.quality.rules import V2_1, AnyRule, EventRule, Exemption, Rule, SpanRule
from plivo_nb.quality.sampler import COLUMNS

if TYPE_CHECKING:
    from plivo_nb.quality.sampler import SampleRow

Event = dict[str, Any]
Values = Mapping[str, Any]

NAN = math.nan
_DIGITS = 3
_SLACK_S = 0.05  # samples are not exactly an interval apart
_AGES = {column.name: column.age for column in COLUMNS if column.age}


class RuleEngine:
    """Applies rules to one call.

    Args:
        rules: by default the documented ones.
        started_at_s: monotonic time of the answer; the first sample covers the time from there.
    """

    def __init__(self, rules: Sequence[AnyRule] = V2_1, *, started_at_s: float = NAN) -> None:
        self._windows = [_Window(rule) for rule in rules if isinstance(rule, Rule)]
        self._spans = [_Span(rule) for rule in rules if isinstance(rule, SpanRule)]
        self._states = [_State(rule) for rule in rules if isinstance(rule, EventRule)]
        self._merging = {window.rule.interval_s: _Merger(window.rule.interval_s) for window in self._windows}
        self._last_at_s = started_at_s

    def sample(self, row: SampleRow, *, silent_source: bool = False) -> list[Event]:
        """Apply the rules to one sample.

        Args:
            row: the sample.
            silent_source: the user has chosen to send silence.

        Returns:
            The events that are due, in the order of the rules.
        """
        values = {**row.values(), "time_monotonic_s": row.time_monotonic_s}
        exempt: set[Exemption] = set()
        if row.muted:
            exempt.add("muted")
        if row.direction in ("recvonly", "inactive"):
            exempt.add("held")
        if silent_source:
            exempt.add("silent source")
        events: list[Event] = []
        since_s = self._last_at_s
        due = {interval_s: merger.add(row, since_s) for interval_s, merger in self._merging.items()}
        for window in self._windows:
            taken = due[window.rule.interval_s]
            if taken is not None:
                events += window.add(taken, exempt)
        for span in self._spans:
            events += span.add(values, since_s, exempt)
        self._last_at_s = row.time_monotonic_s
        return events

    def begin(self, at_s: float) -> None:
        """The call was answered at this monotonic time: the first sample covers the time from there."""
        self._last_at_s = at_s

    def state(self, what: str, state: str, number: float | None = None) -> list[Event]:
        """Apply the rules to a change of state.

        Args:
            what: ``gathering``, ``ice`` or ``microphone``.
            state: the new one, such as ``timeout``, ``disconnected`` or ``lost``.
            number: what was measured with it: of a gathering that timed out, the ms waited.
        """
        return [event for rule in self._states if rule.rule.what == what for event in rule.add(state, number)]

    @property
    def active(self) -> list[tuple[str, str]]:
        """(type, desc) of what is raised and not cleared."""
        items: list[_Window | _Span | _State] = [*self._windows, *self._spans, *self._states]
        return [(item.rule.type, item.rule.desc) for item in items if item.active]


def _event(rule: AnyRule, value: float | str, active: bool) -> Event:
    if isinstance(value, float):
        value = round(value, _DIGITS)
    return {
        "group": rule.group,
        "level": "warning",
        "type": rule.type,
        "value": value,
        "active": active,
        "desc": rule.desc,
        "stream": rule.stream,
    }


class _Window:
    """A `Rule` and the last samples of it, or for a column of the far end's reports the last reports."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.active = False
        self._age = "" if rule.interval_s else _AGES.get(rule.column, "")
        self._values: deque[tuple[float, bool]] = deque(maxlen=rule.window)
        self._measured = 0.0
        self._taken = 0

    def add(self, values: Values, exempt: set[Exemption]) -> list[Event]:
        rule = self.rule
        value = NAN if exempt.intersection(rule.unless) else float(values[rule.column])
        if self._age and math.isnan(value):
            return self._cleared()
        if self._age and values[self._age] >= values["interval_s"]:
            return []  # the report was in an earlier sample
        if not math.isnan(value):
            self._measured = value
        self._values.append((value, rule.is_over(value, str(values["codec"]))))
        self._taken += 1
        if self._taken % rule.every:
            return []
        hits = self._hits()
        if hits >= rule.count:
            was_active, self.active = self.active, True
            return [] if was_active and not rule.repeat else [_event(rule, self._raised_value(), True)]
        return self._cleared() if hits <= rule.clear else []

    def _cleared(self) -> list[Event]:
        if not self.active:
            return []
        self.active = False
        value = self.rule.cleared_value
        return [_event(self.rule, self._measured if value is None else value, False)]

    def _hits(self) -> int:
        if self.rule.over != "repeats":
            return sum(over for _, over in self._values)
        counts = Counter(value for value, _ in self._values if not math.isnan(value))
        return max(counts.values(), default=0)

    def _raised_value(self) -> float:
        over = [value for value, is_over in self._values if is_over]
        if self.rule.value == "mean over" and over:
            return sum(over) / len(over)
        return self._measured


class _Span:
    """A `SpanRule` and the samples of its span."""

    def __init__(self, rule: SpanRule) -> None:
        self.rule = rule
        self.active = False
        self._parts: deque[tuple[float, float, float]] = deque()  # from, to (monotonic seconds), number

    def add(self, values: Values, since_s: float, exempt: set[Exemption]) -> list[Event]:
        rule = self.rule
        if exempt.intersection(rule.unless):
            self._parts.clear()
            return self._become(False)
        number, now = float(values[rule.column]), values["time_monotonic_s"]
        if math.isnan(number) or math.isnan(since_s):
            return []
        parts = self._parts
        parts.append((since_s, now, number))
        while len(parts) > 1 and now - parts[1][0] >= rule.span_s - _SLACK_S:
            parts.popleft()
        if now - parts[0][0] < rule.span_s - _SLACK_S:
            return self._become(False) if self._sum() >= rule.limit else []
        return self._become(self._sum() < rule.limit)

    def _sum(self) -> float:
        return sum(number for _, _, number in self._parts)

    def _become(self, active: bool) -> list[Event]:
        changed, self.active = active != self.active, active
        return [_event(self.rule, self.rule.value, active)] if changed else []


class _State:
    """An `EventRule` and the state it is in."""

    def __init__(self, rule: EventRule) -> None:
        self.rule = rule
        self.active = False
        self._last = ""

    def add(self, state: str, number: float | None) -> list[Event]:
        rule, was, self._last = self.rule, self._last, state
        value = next(value for value in (rule.value, number, state) if value is not None)
        if state in rule.raised_by and state != was:
            self.active = True
            return [_event(rule, value, True)]
        if state in rule.cleared_by and self.active:
            self.active = False
            return [_event(rule, value, False)]
        if state in rule.over_by:
            self.active = False
        return []


class _Merger:
    """Merges the samples of an interval into one.

    Args:
        interval_s: seconds; 0 returns every sample as it is.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._rows: list[SampleRow] = []
        self._began_s = NAN

    def add(self, row: SampleRow, since_s: float) -> Values | None:
        """The merged sample, when one is due. `since_s`: where the sample's own interval began."""
        if not self._interval_s:
            return row.values()
        now = row.time_monotonic_s
        if math.isnan(self._began_s):
            self._began_s = now if math.isnan(since_s) else since_s
        self._rows.append(row)
        if now - self._began_s < self._interval_s - _SLACK_S:
            return None
        rows, self._rows, self._began_s = self._rows, [], now
        return merged(rows)
