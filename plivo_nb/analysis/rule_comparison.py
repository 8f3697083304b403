"""Sets of rules compared over recorded samples: what warned and when, false alarms against missed."""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.analysis.call_frames import conformed
from plivo_nb.analysis.figures import (
    LEGEND,
    CallFigure,
    axes_or_new,
    calls_of,
    plain,
    seconds_since,
    starts_at,
)
from plivo_nb.analysis.partitions import check_whole, of_partitions
from plivo_nb.analysis.rule_replay import replay
from plivo_nb.palette import PICTURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from plivo_nb.quality.rules import AnyRule, Rule

    BoolArray = npt.NDArray[np.bool_]

_GRACE_S = 10.0
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True, slots=True)
class Period:
    """A time of one call, in seconds since its first sample's interval began.

    Attributes:
        call_uuid: the call; ``""`` where the samples name none.
        since_s, until_s: its beginning and end.
    """

    call_uuid: str
    since_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Alarms:
    """How warnings fit the times at which calls were bad.

    Attributes:
        warned: periods with a warning.
        false_alarms: those of them in which, and in the time before them, no call was bad.
        bad: periods in which a call was bad.
        missed: those of them without a warning.
        delays_s: of each bad period that was not missed, from its beginning to the warning, in seconds;
            negative where the warning came first.
    """

    warned: int
    false_alarms: int
    bad: int
    missed: int
    delays_s: tuple[float, ...]

    @property
    def missed_share(self) -> float:
        """Share of the bad periods without a warning, 0..1; NaN without bad periods."""
        return self.missed / self.bad if self.bad else math.nan

    @property
    def false_share(self) -> float:
        """Share of the warnings that are false alarms, 0..1; NaN without warnings."""
        return self.false_alarms / self.warned if self.warned else math.nan

    @property
    def median_delay_s(self) -> float:
        """Median of `delays_s`; NaN without any."""
        return float(np.median(self.delays_s)) if self.delays_s else math.nan


@dataclass(frozen=True)
class RuleComparison:
    """What several sets of rules say of the same samples.

    Attributes:
        table: a row a set of rules and warning (type, desc): calls (how many had it), events (how often it
            was raised), first_s (median over those calls, seconds since the call's first sample began), and
            where it is known when calls were bad: false_alarms, bad, missed, delay_s (median). The row with
            the type ``any`` is about all warnings of the set together.
        periods: a row a warning from its being raised to its being cleared: rules, call_uuid, type, desc,
            since_s, until_s.
        bad: the periods in which calls were bad; empty where that is not known.
    """

    table: pd.DataFrame
    periods: pd.DataFrame
    bad: tuple[Period, ...]

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(self.table.index.get_level_values("rules")))
        return f"<RuleComparison of {names}: {len(self.periods)} warnings>"

    def _repr_html_(self) -> str:
        shown = self.table.to_html(float_format="{:.3g}".format, na_rep="")
        return f"<p>{html.escape(repr(self)[1:-1])}</p>{shown}"

    def plot(self, *, ax: Axes | None = None) -> CallFigure | Figure:
        """Draw for each call when each set of rules warned, over the times at which it was bad.

        Args:
            ax: matplotlib axes to draw into; by default a new figure.
        """
        names = list(dict.fromkeys(self.table.index.get_level_values("rules")))
        warned = self.periods["call_uuid"]
        calls = list(dict.fromkeys([*(period.call_uuid for period in self.bad), *warned]))
        lanes = max(1, len(calls)) * (len(names) + 1)
        figure, ax = axes_or_new(ax, 9.0, 1.4 + 0.16 * lanes)
        for row, call in enumerate(calls):
            top = row * (len(names) + 1)
            for number, period in enumerate(period for period in self.bad if period.call_uuid == call):
                ax.axvspan(
                    period.since_s,
                    period.until_s,
                    *_band(top, len(names), lanes),
                    color=PICTURE.grid,
                    label="bad" if not row and not number else None,
                )
            for number, name in enumerate(names):
                mine = self.periods[(warned == call) & (self.periods["rules"] == name)]
                spans = list(zip(mine["since_s"], mine["until_s"] - mine["since_s"], strict=True))
                colour = PICTURE.series[number % len(PICTURE.series)]
                ax.broken_barh(spans, (top + number + 0.1, 0.8), color=colour, label=None if row else name)
        ax.set_ylim(lanes, 0)
        ax.set_xlim(left=0)
        ax.set_yticks(
            [row * (len(names) + 1) + len(names) / 2 for row in range(len(calls))],
            [call.partition("-")[0][:12] or "call" for call in calls],
        )
        ax.set_xlabel("seconds since the call's first sample began")
        plain(ax, grid=False)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(names) + 1, **LEGEND)
        return figure


def compare_rules(
    samples: pd.DataFrame,
    rules: Mapping[str, str | Sequence[AnyRule]] | Sequence[str] = ("v2.1", "sdk-2.2"),
    *,
    bad: pd.Series[bool] | None = None,
    grace_s: float = _GRACE_S,
) -> RuleComparison:
    """Replay several sets of rules over the same samples, and say which warned, when, and how rightly.

    Args:
        samples: of one call or many, in pandas or Dask.
        rules: names of presets; or by a name of your own the name of a preset, or a list of rules.
        bad: for each sample whether the call was bad then, such as ``samples["mos_g107"] < 3``; of Dask with
            the partitions of the samples. Without it
            the columns about false alarms and misses are left out.
        grace_s: how long after a bad period a warning still belongs to it, in seconds: rules wait for
            several samples.

    Raises:
        ValueError: there is no such preset; or `bad` has another length than the samples; or a call is in two
            partitions of a Dask frame.

    Example:
        >>> import pandas as pd
        >>> index = pd.date_range("2026-11-25", periods=20, freq="s", tz="UTC")
        >>> jitter = [5.0] * 5 + [80.0] * 8 + [5.0] * 7
        >>> samples = pd.DataFrame({"call_uuid": "a", "interval_s": 1.0, "jitter_in_ms": jitter}, index)
        >>> comparison = compare_rules(samples, ["v2.1"], bad=samples["jitter_in_ms"] > 60)
        >>> comparison.table.loc[("v2.1", "high_jitter", "jitterRemoteMeasures"), "delay_s"]
        np.float64(3.0)
    """
    sets = rules if isinstance(rules, Mapping) else {name: name for name in rules}
    found = _periods_of(samples, bad, list(sets.values()))
    periods = found.bad
    parts, rows = [], []
    for name, warned in zip(sets, found.warned, strict=True):
        parts.append(warned.assign(rules=name))
        kinds = dict.fromkeys(zip(warned["type"], warned["desc"], strict=True))
        selected: list[tuple[str, str, pd.DataFrame]] = [("any", "", warned)]
        for type_, desc in kinds:
            selected.append((type_, desc, warned[(warned["type"] == type_) & (warned["desc"] == desc)]))
        for type_, desc, of_kind in selected:
            row = {"rules": name, "type": type_, "desc": desc, **_row(of_kind)}
            rows.append(row | (_scores(of_kind, periods, grace_s) if bad is not None else {}))
    columns = ["rules", "call_uuid", "type", "desc", "since_s", "until_s"]
    joined = pd.concat(parts)[columns].reset_index(drop=True) if parts else pd.DataFrame(columns=columns)
    return RuleComparison(pd.DataFrame(rows).set_index(["rules", "type", "desc"]), joined, periods)


def sweep(
    samples: pd.DataFrame,
    rule: Rule,
    limits: Sequence[float],
    *,
    bad: pd.Series[bool],
    grace_s: float = _GRACE_S,
) -> pd.DataFrame:
    """Replay one rule with many limits: how false alarms and misses trade against each other.

    Args:
        samples: of one call or many, in pandas or Dask.
        rule: its limit is replaced by each of `limits`.
        limits: in the unit of the rule's column.
        bad: for each sample whether the call was bad then.
        grace_s: how long after a bad period a warning still belongs to it, in seconds.

    Returns:
        A row a limit: warned (how many warnings), false_alarms, bad (how many bad periods), missed,
        false_share and missed_share (0..1), delay_s (median, from the beginning of a bad period to the
        warning). `sweep_figure` draws it.

    Raises:
        ValueError: `bad` has another length than the samples.
    """
    found = _periods_of(samples, bad, [[replace(rule, limit=float(limit))] for limit in limits])
    rows = []
    for limit, warned in zip(limits, found.warned, strict=True):
        alarms = _alarms(warned, found.bad, grace_s)
        rows.append({
            "limit": float(limit),
            "warned": alarms.warned,
            "false_alarms": alarms.false_alarms,
            "bad": alarms.bad,
            "missed": alarms.missed,
            "false_share": alarms.false_share,
            "missed_share": alarms.missed_share,
            "delay_s": alarms.median_delay_s,
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("limit")


def sweep_figure(
    swept: Mapping[str, pd.DataFrame] | pd.DataFrame, *, current: float | None = None, ax: Axes | None = None
) -> CallFigure | Figure:
    """Draw what `sweep` gave: share of misses against share of false alarms, a point a limit.

    Args:
        swept: a frame of `sweep`, or several by name.
        current: the limit in use, which is marked.
        ax: matplotlib axes to draw into; by default a new figure.
    """
    figure, ax = axes_or_new(ax, 6.4, 4.4)
    named = {"": swept} if isinstance(swept, pd.DataFrame) else dict(swept)
    for number, (name, frame) in enumerate(named.items()):
        colour = PICTURE.series[number % len(PICTURE.series)]
        falses = 100 * frame["false_share"].fillna(0.0)
        misses = 100 * frame["missed_share"]
        ax.plot(falses, misses, "-", color=colour, linewidth=1.0, marker=_MARKERS[number % 7], label=name)
        placed: list[tuple[float, float]] = []
        for limit, x, y in zip(frame.index, falses, misses, strict=True):
            if not any(math.hypot(x - old_x, y - old_y) < 6.0 for old_x, old_y in placed):
                placed.append((x, y))
                ax.annotate(
                    f"{limit:g}", (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8,
                    color=PICTURE.text,
                )  # fmt: skip
            if current is not None and math.isclose(limit, current):
                ax.plot(x, y, "o", markersize=13, markerfacecolor="none", markeredgecolor=PICTURE.limit)
    ax.set_xlim(-4, 104)
    ax.set_ylim(-4, 104)
    ax.set_xlabel("false alarms, % of the warnings")
    ax.set_ylabel("missed, % of the bad periods")
    plain(ax)
    if len(named) > 1:
        ax.legend(**LEGEND)
    return figure


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found in samples.

    Attributes:
        begins_ns: when the first sample of each call ended, ns since 1970, by its id.
        warned: as `warning_periods` gives it, for each set of rules.
        bad: as `bad_periods` gives it.
    """

    begins_ns: dict[str, int]
    warned: list[pd.DataFrame]
    bad: tuple[Period, ...]


def _periods_of(samples: Any, bad: Any, sets: Sequence[str | Sequence[AnyRule]]) -> _Found:
    """The periods of all calls, those that began first first."""
    aligned = [] if bad is None else [bad]
    parts: list[_Found] = of_partitions(functools.partial(_found, sets=sets), samples, *aligned)
    check_whole(part.begins_ns for part in parts)
    begins_ns = {call: at_ns for part in parts for call, at_ns in part.begins_ns.items()}
    warned = []
    for of_set in zip(*(part.warned for part in parts), strict=True):
        filled = [frame for frame in of_set if len(frame)]
        rows = pd.concat(filled, ignore_index=True) if filled else of_set[0]
        order = sorted(
            range(len(rows)), key=[(begins_ns[call], call) for call in rows["call_uuid"]].__getitem__
        )
        warned.append(rows.iloc[order].reset_index(drop=True))
    periods = sorted(
        (period for part in parts for period in part.bad),
        key=lambda period: (begins_ns[period.call_uuid], period.call_uuid),
    )
    return _Found(begins_ns, warned, tuple(periods))


def _found(
    samples: pd.DataFrame, bad: pd.Series | None = None, *, sets: Sequence[str | Sequence[AnyRule]]
) -> _Found:
    frame, flags = _with_flags(samples, bad)
    begins_ns = {call: int(pd.Timestamp(rows.index[0]).value) for call, rows in calls_of(frame) if len(rows)}
    warned = [warning_periods(frame, replay(frame, chosen)) for chosen in sets]
    return _Found(begins_ns, warned, bad_periods(frame, flags))


def bad_periods(samples: pd.DataFrame, bad: BoolArray) -> tuple[Period, ...]:
    """The runs of samples, call by call, at which `bad` is true."""
    flags = pd.Series(bad, index=range(len(samples)))
    places = samples.assign(place=range(len(samples)))
    found: list[Period] = []
    for call_uuid, call in calls_of(places) if len(samples) else ():
        times_s, begins_s = _times_s(call)
        since_s = math.nan
        marks = flags.iloc[call["place"].to_numpy()].to_numpy()
        for mark, begin_s, before_s in zip(marks, begins_s, [math.nan, *times_s[:-1]], strict=True):
            if mark and math.isnan(since_s):
                since_s = begin_s
            elif not mark and not math.isnan(since_s):
                found.append(Period(call_uuid, since_s, before_s))
                since_s = math.nan
        if not math.isnan(since_s):
            found.append(Period(call_uuid, since_s, times_s[-1]))
    return tuple(found)


def warning_periods(samples: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """From each warning's being raised to its being cleared, or to its call's last sample.

    Args:
        samples: of the calls.
        events: mediaMetrics of the same calls, such as `replay` gives.

    Returns:
        A row a period: call_uuid, type, desc, since_s, until_s (seconds since the call's first sample began).
    """
    rows: list[dict[str, Any]] = []
    by_call = dict(calls_of(events))
    for call_uuid, call in calls_of(samples):
        begin, mine = starts_at(call), by_call.get(call_uuid, events.iloc[:0])
        end_s = (call.index[-1] - begin).total_seconds() if len(call) else 0.0
        active: dict[tuple[str, str], dict[str, Any]] = {}
        for at, event in zip(mine.index, mine.to_dict("records"), strict=True):
            key, at_s = (event["type"], event["desc"]), (at - begin).total_seconds()
            if event["active"] and key not in active:
                row = {"call_uuid": call_uuid, "type": key[0], "desc": key[1], "since_s": at_s}
                active[key] = row | {"until_s": end_s}
                rows.append(active[key])
            elif not event["active"] and key in active:
                active.pop(key)["until_s"] = at_s
    return pd.DataFrame(rows, columns=["call_uuid", "type", "desc", "since_s", "until_s"])


def _with_flags(samples: pd.DataFrame, bad: Any) -> tuple[pd.DataFrame, BoolArray]:
    """The samples by the schema, and their flags in the same order."""
    if bad is None:
        return conformed("samples", samples), np.zeros(len(samples), bool)
    if len(bad) != len(samples):
        raise ValueError(f"bad has {len(bad)} values for {len(samples)} samples; it needs one for each.")
    flags = pd.Series(bad).fillna(False).to_numpy(dtype=bool)
    frame = conformed("samples", samples.assign(_bad=flags))
    return frame.drop(columns="_bad"), frame["_bad"].to_numpy(dtype=bool)


def _times_s(call: pd.DataFrame) -> tuple[list[float], list[float]]:
    """End and beginning of each sample, in seconds since the first one began."""
    ends = seconds_since(call.index, starts_at(call)).tolist()
    return ends, [0.0, *ends[:-1]]


def _row(warned: pd.DataFrame) -> dict[str, float]:
    firsts = warned.groupby("call_uuid")["since_s"].min()
    return {
        "calls": len(firsts),
        "events": len(warned),
        "first_s": float(firsts.median()) if len(firsts) else math.nan,
    }


def _scores(warned: pd.DataFrame, bad: Sequence[Period], grace_s: float) -> dict[str, float]:
    alarms = _alarms(warned, bad, grace_s)
    return {
        "false_alarms": alarms.false_alarms,
        "bad": alarms.bad,
        "missed": alarms.missed,
        "delay_s": alarms.median_delay_s,
    }


def _alarms(warned: pd.DataFrame, bad: Sequence[Period], grace_s: float) -> Alarms:
    """Fit warnings to bad periods: they fit where they overlap, with the grace after the bad period."""
    warnings: dict[str, list[Period]] = {}
    for call, since_s, until_s in zip(warned["call_uuid"], warned["since_s"], warned["until_s"], strict=True):
        warnings.setdefault(str(call), []).append(Period(str(call), float(since_s), float(until_s)))
    periods: dict[str, list[Period]] = {}
    delays_s, missed = [], 0
    for period in bad:
        periods.setdefault(period.call_uuid, []).append(period)
        of_call = warnings.get(period.call_uuid, [])
        fitting = [warning.since_s for warning in of_call if _fits(warning, period, grace_s)]
        if fitting:
            delays_s.append(min(fitting) - period.since_s)
        else:
            missed += 1
    false_alarms = sum(
        not any(_fits(warning, period, grace_s) for period in periods.get(call, []))
        for call, of_call in warnings.items()
        for warning in of_call
    )
    return Alarms(len(warned), false_alarms, len(bad), missed, tuple(delays_s))


def _fits(warning: Period, bad: Period, grace_s: float) -> bool:
    return warning.since_s <= bad.until_s + grace_s and warning.until_s >= bad.since_s


def _band(top: int, height: int, lanes: int) -> tuple[float, float]:
    """From and to, as shares of the axes, of the lanes of one call; the first lane is at the top."""
    return 1.0 - (top + height) / lanes, 1.0 - top / lanes
