"""Applies the rules of `rules` to recorded samples of many calls at once, as arrays. Sans-I/O.

The events are those that `rule_engine` gives when it gets the same samples one by one; a test holds the two
against each other. Rules about states are left out, because samples carry no states.

Each rule makes of every sample a signal: raise, clear, or nothing. What a signal does depends only on the
last signal of the same call before it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.quality import mos
from plivo_nb.quality.rules import AnyRule, Rule, SpanRule
from plivo_nb.quality.sampler import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]
    BoolArray = npt.NDArray[np.bool_]

_DIGITS = 3
_SLACK_S = 0.05  # samples are not exactly an interval apart
_AGES = {column.name: column.age for column in COLUMNS if column.age}
_MERGED = (
    "interval_s", "rtt_ms", "report_age_s", "jitter_in_ms", "jitter_out_ms", "loss_in", "loss_out",
    "packets_expected_in", "packets_expected_out", "mos_in", "mos_out", "mos", "r_factor",
)  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class SampleArrays:
    """Samples, call after call, those of a call in the order of time.

    Attributes:
        call: the number of each sample's call, ascending.
        at_s: end of its interval, in seconds since the end of its call's first one.
        since_s: beginning of its interval, on the same clock; NaN where it is not known.
        numbers: the columns of `columns_of_rules`, by name.
        codec: words; ``""`` where it is not known.
        muted, held: whether silence was sent instead of the source; whether nothing was to be sent.
    """

    call: IntArray
    at_s: FloatArray
    since_s: FloatArray
    numbers: Mapping[str, FloatArray]
    codec: npt.NDArray[Any]
    muted: BoolArray
    held: BoolArray

    def taken(self, rows: IntArray, numbers: Mapping[str, FloatArray]) -> SampleArrays:
        """Some of the samples, with other numbers."""
        return SampleArrays(
            self.call[rows], self.at_s[rows], self.since_s[rows], numbers, self.codec[rows],
            self.muted[rows], self.held[rows],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """An event that is due.

    Attributes:
        row: the number of the sample that raised or cleared it.
        rule: the rule.
        value: as in the event.
        active: whether it was raised.
    """

    row: int
    rule: Rule | SpanRule
    value: float
    active: bool


def columns_of_rules(rules: Sequence[AnyRule]) -> list[str]:
    """The columns of numbers that rules need."""
    names = {"interval_s"}
    for rule in rules:
        if isinstance(rule, (Rule, SpanRule)):
            names.add(rule.column)
            names.add(_AGES.get(rule.column, rule.column))
        if isinstance(rule, Rule) and rule.interval_s:
            names.update(_MERGED)
    return [column.name for column in COLUMNS if column.name in names]


def events_of(
    samples: SampleArrays, rules: Sequence[AnyRule], *, silent_source: bool = False
) -> list[RuleEvent]:
    """The events that rules give for samples.

    Args:
        samples: of calls, from each call's first one.
        rules: those about states are left out.
        silent_source: the users have chosen to send silence.

    Returns:
        The events in the order of the samples, those of one sample in the order of the rules, rules over
        spans last.
    """
    windows = [rule for rule in rules if isinstance(rule, Rule)]
    spans = [rule for rule in rules if isinstance(rule, SpanRule)]
    merged = {
        interval_s: _merged(samples, interval_s)
        for interval_s in {rule.interval_s for rule in windows if rule.interval_s}
    }
    ranked: list[tuple[int, int, RuleEvent]] = []
    for rank, rule in enumerate(windows):
        if rule.interval_s:
            fewer, rows = merged[rule.interval_s]
            found = [
                replace(event, row=int(rows[event.row]))
                for event in _window_events(rule, fewer, silent_source)
            ]
        else:
            found = _window_events(rule, samples, silent_source)
        ranked += [(event.row, rank, event) for event in found]
    for rank, span in enumerate(spans, len(windows)):
        ranked += [(event.row, rank, event) for event in _span_events(span, samples, silent_source)]
    ranked.sort(key=lambda item: item[:2])
    return [event for _, _, event in ranked]


def _exempt(rule: Rule | SpanRule, samples: SampleArrays, silent_source: bool) -> BoolArray:
    exempt = np.zeros(len(samples.call), dtype=np.bool_)
    if "muted" in rule.unless:
        exempt |= samples.muted
    if "held" in rule.unless:
        exempt |= samples.held
    if "silent source" in rule.unless and silent_source:
        exempt[:] = True
    return exempt


def _first_rows(call: IntArray) -> IntArray:
    """For each row, the first row of its call."""
    rows = np.arange(len(call))
    return np.maximum.accumulate(np.where(np.diff(call, prepend=-1) != 0, rows, 0)) if len(call) else rows


def _changes(signal: npt.NDArray[np.int8], call: IntArray, repeat: bool) -> tuple[IntArray, BoolArray]:
    """The rows at which an event is due, and whether it is raised there.

    Args:
        signal: of each row: 1 raises, -1 clears, 0 does nothing.
        call: the number of each row's call.
        repeat: what is raised already is raised again.
    """
    rows = np.flatnonzero(signal)
    now = signal[rows]
    before = np.concatenate([np.full(min(1, len(rows)), -1, np.int8), now[:-1]])
    before[np.flatnonzero(np.diff(call[rows], prepend=-1))] = -1  # each call begins with nothing raised
    due = np.where(now == 1, (before != 1) | repeat, before == 1)
    return rows[due], now[due] == 1


# ---------------------------------------------------------------- rules over a window


def _window_events(rule: Rule, samples: SampleArrays, silent_source: bool) -> list[RuleEvent]:
    value = np.where(_exempt(rule, samples, silent_source), np.nan, samples.numbers[rule.column])
    signal = np.zeros(len(value), dtype=np.int8)
    rows = np.arange(len(value))
    age = "" if rule.interval_s else _AGES.get(rule.column, "")
    if age:
        missing = np.isnan(value)
        signal[missing] = -1
        old = samples.numbers[age] >= samples.numbers["interval_s"]  # the report was in an earlier sample
        rows = rows[~missing & ~old]
    window = _Window(rule, value[rows], samples.call[rows], samples.codec[rows])
    signal[rows] = window.signal
    changed, active = _changes(signal, samples.call, rule.repeat)
    places = np.searchsorted(rows, changed, side="right") - 1
    return [
        RuleEvent(int(row), rule, window.raised(int(place)) if up else window.cleared(int(place)), bool(up))
        for row, place, up in zip(changed, places, active, strict=True)
    ]


class _Window:
    """The samples that a rule takes, and of each those before it that count."""

    def __init__(self, rule: Rule, value: FloatArray, call: IntArray, codec: npt.NDArray[Any]) -> None:
        self._rule = rule
        self._value = value
        self._over = _over(rule, value, codec)
        places = np.arange(len(value))
        first = _first_rows(call)
        self._low = np.maximum(first, places + 1 - rule.window)
        known = np.maximum.accumulate(np.where(np.isnan(value), -1, places)) if len(value) else places
        self._known = np.where(known >= first, known, -1)
        hits = self._repeats() if rule.over == "repeats" else self._overs()
        signal = np.where(hits >= rule.count, 1, np.where(hits <= rule.clear, -1, 0))
        evaluated = (places - first + 1) % rule.every == 0
        self.signal = np.where(evaluated, signal, 0).astype(np.int8)

    def _overs(self) -> IntArray:
        total = np.concatenate([[0], np.cumsum(self._over)])
        hits: IntArray = total[1:] - total[self._low]
        return hits

    def _repeats(self) -> IntArray:
        """How often the most frequent value of each window is in it."""
        places = np.arange(len(self._value))
        most = np.zeros(len(self._value), dtype=np.int64)
        for back in range(self._rule.window):
            compared = places - back
            inside = compared >= self._low
            of = self._value[np.where(inside, compared, 0)]
            equal = np.zeros(len(self._value), dtype=np.int64)
            for other in range(self._rule.window):
                place = places - other
                equal += inside & (place >= self._low) & (self._value[np.maximum(place, 0)] == of)
            most = np.maximum(most, equal)
        return most

    def _measured(self, place: int) -> float:
        """The last value that was measured."""
        known = int(self._known[place])
        return float(self._value[known]) if known >= 0 else 0.0

    def raised(self, place: int) -> float:
        if self._rule.value == "mean over":
            rows = slice(int(self._low[place]), place + 1)
            over: list[float] = self._value[rows][self._over[rows]].tolist()
            if over:
                return round(sum(over) / len(over), _DIGITS)
        return round(self._measured(place), _DIGITS)

    def cleared(self, place: int) -> float:
        value = self._rule.cleared_value
        return _rounded(self._measured(place) if value is None else value)


def _over(rule: Rule, value: FloatArray, codec: npt.NDArray[Any]) -> BoolArray:
    """Whether each value is over the limit; a missing one is not."""
    compare = _COMPARE.get(rule.over)
    if compare is None:
        return np.zeros(len(value), dtype=np.bool_)
    limit: Any = rule.limit
    if isinstance(limit, Mapping):
        otherwise = limit.get("", math.nan)
        by_row = np.full(len(value), otherwise, dtype=np.float64)
        for name, of_codec in limit.items():
            by_row[codec == name] = of_codec
        limit = by_row
    over: BoolArray = compare(value, limit)
    return over


# ---------------------------------------------------------------- rules over a span


def _span_events(rule: SpanRule, samples: SampleArrays, silent_source: bool) -> list[RuleEvent]:
    number = samples.numbers[rule.column]
    exempt = _exempt(rule, samples, silent_source)
    rows = np.flatnonzero(~exempt & ~np.isnan(number) & ~np.isnan(samples.since_s))
    signal = np.where(exempt, -1, 0).astype(np.int8)
    # A new span begins at each call, and behind samples that say nothing about the rule.
    stretch = samples.call + np.cumsum(exempt)
    first = _first_rows(stretch[rows])
    number, since, now = number[rows], samples.since_s[rows], samples.at_s[rows]
    least = rule.span_s - _SLACK_S
    oldest = _oldest(first, since, now, least)
    total = _sums(number, oldest)
    full = ~(now - since[oldest] < least)
    enough = total >= rule.limit
    signal[rows] = np.where(full, np.where(total < rule.limit, 1, -1), np.where(enough, -1, 0))
    changed, active = _changes(signal, samples.call, repeat=False)
    return [
        RuleEvent(int(row), rule, _rounded(rule.value), bool(up))
        for row, up in zip(changed, active, strict=True)
    ]


def _rounded(value: float) -> float:
    return round(value, _DIGITS) if isinstance(value, float) else value


def _oldest(first: IntArray, since: FloatArray, now: FloatArray, least_s: float) -> IntArray:
    """For each part the newest one whose beginning is so long ago; else the first one of its stretch."""
    found = np.arange(len(first))
    moving = np.flatnonzero((now - since < least_s) & (found > first))
    while len(moving):
        found[moving] -= 1
        at = found[moving]
        moving = moving[(now[moving] - since[at] < least_s) & (at > first[moving])]
    return found


def _sums(number: FloatArray, oldest: IntArray) -> FloatArray:
    """The sum from the oldest part of each to itself, in this order."""
    place = oldest.copy()
    rows = np.arange(len(number))
    total = np.zeros(len(number))
    adding = rows
    while len(adding):
        total[adding] += number[place[adding]]
        adding = adding[place[adding] < adding]
        place[adding] += 1
    return total


# ---------------------------------------------------------------- samples merged into one


def _merged(samples: SampleArrays, interval_s: float) -> tuple[SampleArrays, IntArray]:
    """The samples of each interval as one, as `merging` merges them, and the row of the last of each."""
    first, last = _intervals(samples, interval_s)
    given = samples.numbers
    width = int((last - first).max(initial=0)) + 1
    places = first[:, None] + np.arange(width)
    inside = places <= last[:, None]
    places = np.minimum(places, last[:, None])
    numbers = {name: values[last] for name, values in given.items()}
    loss_in = _loss(given["loss_in"][places], given["packets_expected_in"][places], inside)
    reported = inside & ~(given["report_age_s"][places] >= given["interval_s"][places])
    loss_out = np.where(
        reported.any(axis=1) & ~np.isnan(numbers["loss_out"]),
        _loss(given["loss_out"][places], given["packets_expected_out"][places], reported),
        numbers["loss_out"],
    )
    codec = samples.codec[last]
    rating_in = _rating(numbers["rtt_ms"], numbers["jitter_in_ms"], loss_in, codec)
    rating_out = _rating(numbers["rtt_ms"], numbers["jitter_out_ms"], loss_out, codec)
    rating = np.fmin(rating_in, rating_out)
    numbers |= {
        "loss_in": loss_in, "loss_out": loss_out, "mos_in": _score(rating_in), "mos_out": _score(rating_out),
        "mos": _score(rating), "r_factor": rating,
    }  # fmt: skip
    return samples.taken(last, numbers), last


def _intervals(samples: SampleArrays, interval_s: float) -> tuple[IntArray, IntArray]:
    """First and last row of each interval that is complete."""
    firsts: list[int] = []
    lasts: list[int] = []
    call, began_s, first = -1, math.nan, 0
    rows = zip(samples.call.tolist(), samples.at_s.tolist(), samples.since_s.tolist(), strict=True)
    for row, (of_call, now, since) in enumerate(rows):
        if of_call != call:
            call, first = of_call, row
            began_s = now if math.isnan(since) else since
        if now - began_s >= interval_s - _SLACK_S:
            firsts.append(first)
            lasts.append(row)
            began_s, first = now, row + 1
    return np.array(firsts, dtype=np.int64), np.array(lasts, dtype=np.int64)


def _loss(loss: FloatArray, expected: FloatArray, counted: BoolArray) -> FloatArray:
    """Of each row the mean of the losses, weighted by the packets; NaN when no loss is known."""
    known = counted & ~np.isnan(loss)
    weighed = known & (expected > 0)
    number = weighed.sum(axis=1)
    average = np.divide(
        _sum(np.where(weighed, expected, 0.0)), number, out=np.ones(len(number)), where=number > 0
    )
    weights = np.where(known, np.where(weighed, expected, average[:, None]), 0.0)
    above, below = _sum(np.where(known, loss * weights, 0.0)), _sum(weights)
    mean: FloatArray = np.divide(above, below, out=np.full(len(number), np.nan), where=known.any(axis=1))
    return mean


def _sum(values: FloatArray) -> FloatArray:
    """The sum of each row, from the left to the right: what Python's `sum` gives."""
    total: FloatArray = np.add.accumulate(values, axis=1)[:, -1]
    return total


def _rating(rtt_ms: FloatArray, jitter_ms: FloatArray, loss: FloatArray, codec: Any) -> FloatArray:
    rating = np.asarray(mos.r_factor(rtt_ms, jitter_ms, loss, codec), dtype=np.float64)
    return np.where(loss == 1.0, 0.0, rating)


def _score(rating: FloatArray) -> FloatArray:
    scores: FloatArray = np.asarray(mos.from_rating(rating), dtype=np.float64)
    return scores.round(_DIGITS)
