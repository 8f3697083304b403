"""Groups of calls compared: a table with effect sizes and confidence intervals, and a figure.

What is resampled are whole calls, because the seconds of one call are not independent of each other. Where a
group has a single call, blocks of ten seconds take their place (block bootstrap); the interval then says
nothing about other calls. One call has no spread between calls: then there is no effect size.
"""

from __future__ import annotations

import functools
import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.analysis.figures import (
    CALL_STYLES,
    LEGEND,
    CallFigure,
    axes_or_new,
    calls_of,
    numbers,
    plain,
    seconds_since,
    stacked_panels,
    starts_at,
)
from plivo_nb.analysis.partitions import check_whole, is_dask, of_partitions
from plivo_nb.palette import PICTURE
from plivo_nb.quality.frames import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    FloatArray = npt.NDArray[np.float64]

#: The columns of samples that are compared if nothing else is asked for.
COMPARED = ("mos", "loss_in", "jitter_in_ms", "rtt_ms")
_RESAMPLES = 2000
_BLOCK_S = 10.0
_MOST_DRAWN = 100
_ONE_CALL = (
    f"Where the unit is {_BLOCK_S:g} s, a group has a single call, and one call has no spread between calls: "
    "there is no effect size, and low and high come from blocks within the calls and say nothing about other "
    "calls. Two calls or more of each group give both."
)
_FEW = 12  # up to so many calls of a group are drawn one by one
_UNITS = {column.name: column.unit for column in SCHEMA["samples"]}
_PERCENT = {"loss_in", "loss_out"}


@dataclass(frozen=True, slots=True)
class Effect:
    """How far one group is from another.

    Attributes:
        difference: mean of the group minus that of the other one.
        low, high: its 95 % confidence interval.
        size: the difference in standard deviations of the groups (Hedges' g); 0.2 is called small, 0.8 large.
        size_low, size_high: its 95 % confidence interval.
    """

    difference: float
    low: float
    high: float
    size: float
    size_low: float
    size_high: float


def effect(baseline: FloatArray, group: FloatArray, *, seed: int = 1) -> Effect:
    """The difference of two groups, with percentile bootstrap confidence intervals.

    Deviations from the mean are scaled by the root of n/(n-1) before they are resampled, so that the interval
    of a small group is not too narrow (Davison and Hinkley 1997, section 3.2).

    Args:
        baseline: a value for each call of the one group; NaN is left out.
        group: a value for each call of the other one.
        seed: of the resampling.

    Returns:
        The effect; NaN where a group has no value, and its intervals where one has a single value.

    Example:
        >>> found = effect(np.array([4.2, 4.3, 4.4, 4.3]), np.array([3.1, 3.3, 3.2, 3.4]))
        >>> round(found.difference, 2), found.high < 0
        (-1.05, True)
    """
    baseline, group = baseline[np.isfinite(baseline)], group[np.isfinite(group)]
    if not len(baseline) or not len(group):
        return Effect(*[math.nan] * 6)
    difference = float(group.mean() - baseline.mean())
    if min(len(baseline), len(group)) < 2:
        return Effect(difference, *[math.nan] * 5)
    random = np.random.default_rng(seed)
    one, other = _resampled(baseline, random), _resampled(group, random)
    differences = other.mean(axis=1) - one.mean(axis=1)
    sizes = _hedges_g(one, other)
    low, high = np.percentile(differences, [2.5, 97.5])
    sizes = sizes[np.isfinite(sizes)]
    size_low, size_high = np.percentile(sizes, [2.5, 97.5]) if len(sizes) else (math.nan, math.nan)
    size = float(_hedges_g(baseline[None, :], group[None, :])[0])
    return Effect(difference, float(low), float(high), size, float(size_low), float(size_high))


def _resampled(values: FloatArray, random: np.random.Generator) -> FloatArray:
    count = len(values)
    drawn = values[random.integers(0, count, (_RESAMPLES, count))]
    scaled: FloatArray = values.mean() + (drawn - values.mean()) * math.sqrt(count / (count - 1))
    return scaled


def _hedges_g(one: FloatArray, other: FloatArray) -> FloatArray:
    """Hedges' g of each row (Hedges 1981); NaN where neither group varies."""
    freedom = one.shape[1] + other.shape[1] - 2
    squares = ((one - one.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    squares = squares + ((other - other.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    deviation = np.sqrt(squares / freedom)
    deviation = np.where(deviation > 1e-12, deviation, np.nan)
    correction = 1.0 - 3.0 / (4.0 * freedom - 1.0)
    sizes: FloatArray = correction * (other.mean(axis=1) - one.mean(axis=1)) / deviation
    return sizes


class Comparison:
    """Groups of calls, compared with the first one; `CallSet.compare` makes it. A notebook shows its table.

    Args:
        groups: samples by the group's name, the one that the others are compared with first; in pandas or
            Dask.
        columns: columns of samples with numbers.
        by: what the groups are called, such as ``label``.
        calls: the rows of the calls, for `worst`.

    Attributes:
        by: what the groups are called.
        table: one row a column and group, index (column, group): calls, unit (what was resampled: ``call`` or
            ``10 s``), mean, median, p5 and p95 over the calls' means, and for all groups but the first
            difference, low, high, effect_size, effect_low and effect_high, see `Effect`; there is no effect
            size where the unit is not ``call``.
        notes: what the table cannot say, a sentence each; a notebook shows them below it.

    Raises:
        ValueError: there are fewer than two groups, or a column is unknown.
    """

    def __init__(
        self,
        groups: Mapping[str, pd.DataFrame],
        columns: Sequence[str] = COMPARED,
        *,
        by: str = "group",
        calls: pd.DataFrame | None = None,
    ) -> None:
        if len(groups) < 2:
            raise ValueError(
                f"There is {len(groups) or 'no'} group of calls by {by!r}; a comparison needs two. "
                "CallSet.tagged gives calls a label."
            )
        unknown = [name for name in columns if name not in _UNITS]
        if unknown:
            raise ValueError(
                f"There is no column {', '.join(unknown)}; plivo_nb.schema('samples') lists them."
            )
        self.by = by
        self._groups = {name or "(empty)": frame for name, frame in groups.items()}
        self._columns = tuple(columns)
        self._means = {
            name: _of_calls(functools.partial(_means_of, columns=self._columns), frame, self._columns)
            for name, frame in self._groups.items()
        }
        self._calls = calls
        self.table = self._table()
        self.notes = (_ONE_CALL,) if (self.table["unit"] != "call").any() else ()

    def _table(self) -> pd.DataFrame:
        rows, keys = [], []
        for column in self._columns:
            values = {name: _known(means, column) for name, means in self._means.items()}
            blocks = min(len(found) for found in values.values()) < 2
            resampled = values
            if blocks:
                resampled = {
                    name: _known(
                        _of_calls(functools.partial(_blocks_of, column=column), frame, [column]), column
                    )
                    for name, frame in self._groups.items()
                }
            baseline = next(iter(self._groups))
            for name, found in values.items():
                row: dict[str, Any] = {"calls": len(found), "unit": f"{_BLOCK_S:g} s" if blocks else "call"}
                row |= _spread(found)
                if name != baseline:
                    one = effect(resampled[baseline], resampled[name])
                    row |= {
                        "difference": one.difference, "low": one.low, "high": one.high,
                    }  # fmt: skip
                    sizes = [math.nan] * 3 if blocks else [one.size, one.size_low, one.size_high]
                    row |= dict(zip(("effect_size", "effect_low", "effect_high"), sizes, strict=True))
                keys.append((column, name))
                rows.append(row)
        index = pd.MultiIndex.from_tuples(keys, names=["column", self.by])
        return pd.DataFrame(rows, index=index)

    def worst(self, count: int = 5) -> pd.DataFrame:
        """The calls with the lowest mean MOS, the lowest first: rows of `CallSet.calls`."""
        calls = pd.DataFrame() if self._calls is None else self._calls
        return calls.sort_values("mos_mean").head(count) if len(calls) else calls

    def plot(self, *, title: str = "", ax: Axes | None = None) -> CallFigure | Figure:
        """Plot the groups over each other, from the beginnings of the calls, and beside it each call's mean.

        Args:
            title: title of the figure.
            ax: axes to draw in the place of; by default a new figure.

        Returns:
            The figure: of each group the median of its calls, and its calls as thin lines; where there are
            many, the range from the 5th to the 95th percentile. On the right a dot a call, and the mean. Of a
            group in Dask of more than 100 calls, 100 are drawn on the left, chosen at random (always the same
            ones); the legend says so. The dots and the table are of all calls.
        """
        figure, ax = axes_or_new(ax, 10.0, 1.6 + 2.0 * len(self._columns))
        title = title or f"Calls compared by {self.by}"
        ax.set_title(title, fontsize=13, fontweight="bold", color=PICTURE.text, loc="left", pad=26)
        ax.axis("off")
        over_time = stacked_panels(ax.inset_axes((0.0, 0.0, 0.68, 1.0)), [1.0] * len(self._columns))
        means = stacked_panels(ax.inset_axes((0.74, 0.0, 0.26, 1.0)), [1.0] * len(self._columns))
        drawn = [_drawn(name, frame, self._means[name]) for name, frame in self._groups.items()]
        for column, panel, dots in zip(self._columns, over_time, means, strict=True):
            for number, ((label, calls), found) in enumerate(zip(drawn, self._means.values(), strict=True)):
                _draw_group(panel, calls, column, label, number)
                _draw_means(dots, _known(found, column), column, number)
            unit = "%" if column in _PERCENT else _UNITS[column]
            panel.set_ylabel(f"{column}\n({unit})" if unit else column, fontsize=9)
            panel.yaxis.set_label_coords(-0.08, 0.5)
            for one in (panel, dots):
                plain(one)
            if column in _PERCENT:
                panel.set_ylim(0.0, max(1.0, panel.get_ylim()[1]))
            dots.tick_params(labelleft=False)
            dots.set_ylim(panel.get_ylim())
            dots.set_xlim(-0.6, len(self._groups) - 0.4)
        over_time[-1].set_xlabel("seconds into the call")
        means[-1].set_xticks(range(len(self._groups)), [name[:12] for name in self._groups])
        means[-1].set_xlabel("mean of each call")
        over_time[0].legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(4, len(self._groups)), **LEGEND
        )
        return figure

    def __repr__(self) -> str:
        return f"<Comparison of {len(self._groups)} groups by {self.by!r}: {', '.join(self._groups)}>"

    def _repr_html_(self) -> str:
        shown = self.table.drop(columns=["median", "p5", "p95"])
        caption = f"<p>Compared with {html.escape(next(iter(self._groups)))}; intervals of 95 %.</p>"
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return caption + shown.to_html(float_format="{:.3g}".format, na_rep="") + notes


def _of_calls(
    function: Callable[[pd.DataFrame], pd.DataFrame], samples: Any, columns: Sequence[str]
) -> pd.DataFrame:
    """Rows that a function gives for calls, those that began first first."""
    needed = ["call_uuid", "interval_s", *columns, *map(_expected, _PERCENT)]
    parts: list[pd.DataFrame] = of_partitions(function, samples, columns=needed)
    check_whole(part["call_uuid"] for part in parts)
    filled = [part for part in parts if len(part)]
    rows = pd.concat(filled) if filled else parts[0]
    return rows.sort_values(["began", "call_uuid"], kind="stable", ignore_index=True)


def _means_of(samples: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """A row a call: when it began, and the mean of each column; NaN where it has no value."""
    rows = [
        {"call_uuid": uuid, "began": calls.index[0]}
        | {column: next(iter(call_means([calls], column)), math.nan) for column in columns}
        for uuid, calls in calls_of(samples)
        if len(calls)
    ]
    return pd.DataFrame(rows, columns=["call_uuid", "began", *columns])


def _blocks_of(samples: pd.DataFrame, column: str) -> pd.DataFrame:
    """A row a block of ten seconds."""
    parts = [
        pd.DataFrame({"call_uuid": uuid, "began": calls.index[0], column: block_means([calls], column)})
        for uuid, calls in calls_of(samples)
        if len(calls)
    ]
    return pd.concat(parts) if parts else _means_of(samples, [column])


def _known(means: pd.DataFrame, column: str) -> FloatArray:
    values: FloatArray = means[column].to_numpy(dtype=np.float64)
    return values[np.isfinite(values)]


def _drawn(name: str, samples: Any, means: pd.DataFrame) -> tuple[str, list[pd.DataFrame]]:
    """The calls of a group that are drawn over time, and what the legend says of it."""
    ids = means["call_uuid"].to_numpy(dtype=object)
    if is_dask(samples):
        if len(ids) > _MOST_DRAWN:
            name = f"{name} ({_MOST_DRAWN} of {len(ids)} calls)"
            ids = np.random.default_rng(1).choice(ids, _MOST_DRAWN, replace=False)
        chosen = samples[samples["call_uuid"].isin(list(ids))]
        parts = of_partitions(_calls_in, chosen)
        return name, [calls for part in parts for calls in part]
    return name, _calls_in(samples)


def _calls_in(samples: pd.DataFrame) -> list[pd.DataFrame]:
    return [rows for _, rows in calls_of(samples) if len(rows)]


def _expected(column: str) -> str:
    """The column with the packets that a share is about."""
    return f"packets_expected_{column.removeprefix('loss_')}"


def call_means(calls: Sequence[pd.DataFrame], column: str) -> FloatArray:
    """The mean of a column for each call that has values; loss weighted by the packets that it is about."""
    found = []
    for rows in calls:
        values = numbers(rows, column)
        weights = np.ones(len(rows))
        if column in _PERCENT:
            weights = np.nan_to_num(numbers(rows, _expected(column)))
            weights = weights if weights.sum() > 0 else np.ones(len(rows))
        usable = np.isfinite(values)
        if usable.any() and weights[usable].sum() > 0:
            found.append(float(np.average(values[usable], weights=weights[usable])))
    return np.array(found, dtype=np.float64)


def block_means(calls: Sequence[pd.DataFrame], column: str) -> FloatArray:
    """The means of a column over blocks of ten seconds."""
    found: list[float] = []
    for rows in calls:
        if not len(rows):
            continue
        block = (seconds_since(rows.index, starts_at(rows)) - 1e-9) // _BLOCK_S
        means = pd.Series(numbers(rows, column)).groupby(block).mean()
        found += [float(value) for value in means if np.isfinite(value)]
    return np.array(found, dtype=np.float64)


def _spread(values: FloatArray) -> dict[str, float]:
    if not len(values):
        return dict.fromkeys(("mean", "median", "p5", "p95"), math.nan)
    low, middle, high = np.percentile(values, [5, 50, 95])
    return {"mean": float(values.mean()), "median": float(middle), "p5": float(low), "p95": float(high)}


def _style(number: int) -> dict[str, Any]:
    return {
        "color": PICTURE.series[number % len(PICTURE.series)],
        "linestyle": CALL_STYLES[number % len(CALL_STYLES)],
    }


def _draw_group(panel: Axes, calls: Sequence[pd.DataFrame], column: str, name: str, number: int) -> None:
    scale = 100.0 if column in _PERCENT else 1.0
    style = _style(number)
    lines = {}
    for key, rows in enumerate(calls):
        seconds = np.round(seconds_since(rows.index, starts_at(rows)))
        lines[key] = pd.Series(scale * numbers(rows, column), seconds).groupby(level=0).mean()
    together = pd.DataFrame(lines).sort_index()
    if len(lines) > _FEW:
        low, high = together.quantile(0.05, axis=1), together.quantile(0.95, axis=1)
        panel.fill_between(together.index, low, high, color=style["color"], alpha=0.18, linewidth=0)
    elif len(lines) > 1:
        panel.plot(together.index, together.to_numpy(), color=style["color"], linewidth=0.6, alpha=0.45)
    panel.plot(together.index, together.median(axis=1), linewidth=2.0, label=name, **style)


def _draw_means(dots: Axes, values: FloatArray, column: str, number: int) -> None:
    if not len(values):
        return
    values = (100.0 if column in _PERCENT else 1.0) * values
    colour = _style(number)["color"]
    places = number + np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.array([number])
    dots.plot(places, values, "o", markersize=3.5, color=colour, alpha=0.6)
    dots.plot([number - 0.3, number + 0.3], [values.mean()] * 2, color=colour, linewidth=2.2)
