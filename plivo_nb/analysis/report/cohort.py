"""The part of a report that is about many calls: distributions, groups, and the warnings that were raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.analysis.cohorts import UNKNOWN
from plivo_nb.analysis.figures import LEGEND, CallFigure, axes_or_new, plain
from plivo_nb.palette import PICTURE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from plivo_nb.analysis.call_set import CallSet

#: Columns that groups are made of where no others are asked for, if calls differ in them.
USUAL = ("label", "network", "region", "codec")
RULES = "v2.1"  # replayed where no events are stored
_MOST_GROUPS = 12
_MOST_COLOURS = 6
_BINS = 24
_OUTLIERS = 0.99
_PANELS = (
    ("mos_mean", 1.0, "MOS, mean of a call"),
    ("loss_in", 100.0, "lost of what is received, %"),
    ("jitter_in_mean_ms", 1.0, "jitter of what is received, mean, ms"),
    ("rtt_mean_ms", 1.0, "round trip, mean, ms"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """What a report says of many calls together.

    Attributes:
        facts: the set as a whole: what it is, and its value in words.
        groups: for each column of groups its name, and the rows of its table by column.
        warnings: the rows of the table of warnings, by column.
        replayed: the rules that gave the warnings; ``""`` where they are those of the calls themselves.
        figure: the distributions.
        figure_about: what it shows, in a sentence.
    """

    facts: list[tuple[str, str]]
    groups: list[tuple[str, list[dict[str, str]]]]
    warnings: list[dict[str, str]]
    replayed: str
    figure: Figure
    figure_about: str


def cohort_of(calls: CallSet, by: Sequence[str] | None = None) -> Cohort:
    """What there is to say of the calls of a set.

    Args:
        calls: some calls.
        by: columns of `CallSet.calls` whose values make groups; None: those of `USUAL` that differ.

    Raises:
        ValueError: there is no such column.
    """
    replayed = ""
    if not len(calls.media_metrics) and calls.calls["samples"].sum() > 0:
        calls, replayed = calls.replay(RULES), RULES
    columns = list(by) if by is not None else _usual(calls.calls)
    groups = [(name, _table(calls.cohorts(name))) for name in columns]
    coloured = columns[0] if columns else None
    figure = distributions(calls.calls, coloured)
    about = "Distributions of MOS, loss, jitter and round-trip time over the calls"
    return Cohort(
        _facts(calls),
        groups,
        _warnings(calls),
        replayed,
        figure,
        about + (f", coloured by {coloured}." if coloured else "."),
    )


def _usual(calls: pd.DataFrame) -> list[str]:
    return [
        name for name in USUAL if name in calls and 2 <= calls[name].nunique(dropna=False) <= _MOST_GROUPS
    ]


def _facts(calls: CallSet) -> list[tuple[str, str]]:
    row = calls.cohorts().iloc[0]
    times = calls.calls.index
    return [
        ("Calls", f"{row['calls']:,.0f}"),
        ("Began", f"{times.min():%Y-%m-%d %H:%M} to {times.max():%Y-%m-%d %H:%M} UTC"),
        ("Not answered", f"{row['failed']:,.0f} ({100 * row['failed_share']:.1f} %)"),
        ("Duration, in all", f"{row['duration_s'] / 3600:,.1f} h"),
        ("MOS, mean of a call", _between(row, "mos", "{:.2f}")),
        ("Lost, received", _spread("on average", row["loss_in_mean"], row["loss_in_p95"], _percent)),
        ("Jitter, received", _spread("median", row["jitter_in_p50_ms"], row["jitter_in_p95_ms"], _ms)),
        ("Round trip", _spread("median", row["rtt_p50_ms"], row["rtt_p95_ms"], _ms)),
        ("Calls with a warning", f"{row['warned']:,.0f} ({100 * row['warned'] / row['calls']:.1f} %)"),
    ]  # fmt: skip


def _between(row: pd.Series, name: str, words: str) -> str:
    low, middle, high = (row[f"{name}_{part}"] for part in ("p5", "p50", "p95"))
    if middle != middle:
        return "not known"
    return f"{words} median, 5 % below {words}, 95 % below {words}".format(middle, low, high)


def _spread(word: str, middle: float, high: float, words: Callable[[float], str]) -> str:
    return f"{words(middle)} {word}, 95 % below {words(high)}" if middle == middle else "not known"


def _table(cohorts: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            str(cohorts.index.name): str(name),
            "Calls": f"{row['calls']:,.0f}",
            "Not answered": f"{row['failed']:,.0f}",
            "MOS, 5 %": _number(row["mos_p5"]),
            "MOS, median": _number(row["mos_p50"]),
            "Lost, received": _percent(row["loss_in_mean"]),
            "Jitter, median": _ms(row["jitter_in_p50_ms"]),
            "Round trip, median": _ms(row["rtt_p50_ms"]),
            "With a warning": f"{100 * row['warned'] / row['calls']:.0f} %",
        }
        for name, row in cohorts.iterrows()
    ]


def _warnings(calls: CallSet) -> list[dict[str, str]]:
    counts = calls.warning_counts().sort_values(["calls", "events"], ascending=False)
    rows = []
    for _, row in counts.reset_index().iterrows():
        rows.append(
            {
                "Warning": str(row["type"]),
                "Measured": str(row["desc"]),
                "Calls": f"{row['calls']:,.0f}",
                "Share of the calls": f"{100 * row['share']:.1f} %",
                "Raised": f"{row['events']:,.0f} times",
            }
        )
    return rows


def distributions(calls: pd.DataFrame, by: str | None = None) -> CallFigure | Figure:
    """Histograms of the calls' figures: MOS, loss, jitter, round trip.

    Args:
        calls: as `CallSet.calls`.
        by: the column whose values are coloured; the rarest of more than six are drawn as one.

    Returns:
        The figure. What is above the 99th percentile is in the last bar.
    """
    figure, ax = axes_or_new(None, 9.6, 6.0)
    ax.axis("off")
    named = _colours(calls, by)
    for place, (column, scale, label) in enumerate(_PANELS):
        row, right = divmod(place, 2)
        panel = ax.inset_axes((0.53 * right, 0.57 * (1 - row), 0.47, 0.4), facecolor=PICTURE.background)
        _draw(panel, [(name, scale * _values(calls[rows], column)) for name, rows in named], label)
        if place == 0 and len(named) > 1:
            panel.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(6, len(named)), **LEGEND)
    return figure


def _colours(calls: pd.DataFrame, by: str | None) -> list[tuple[str, Any]]:
    """The groups that are drawn, by name: which rows."""
    if by is None:
        return [("", np.ones(len(calls), dtype=np.bool_))]
    words = calls[by].astype(object).where(calls[by].notna(), UNKNOWN).astype(str)
    names = list(words.value_counts().index)
    shown = sorted(names if len(names) <= _MOST_COLOURS else names[: _MOST_COLOURS - 1])
    groups = [(name, (words == name).to_numpy()) for name in shown]
    if len(shown) < len(names):
        groups.append((f"{len(names) - len(shown)} others", (~words.isin(shown)).to_numpy()))
    return groups


def _values(calls: pd.DataFrame, column: str) -> Any:
    values = calls[column].to_numpy(dtype=np.float64)
    return values[np.isfinite(values)]


def _draw(panel: Axes, groups: list[tuple[str, Any]], label: str) -> None:
    known = np.concatenate([values for _, values in groups])
    panel.set_xlabel(label, fontsize=9)
    panel.set_ylabel("calls", fontsize=9)
    plain(panel)
    if not len(known):
        panel.set_yticks([])
        panel.annotate("not known", (0.5, 0.5), xycoords="axes fraction", ha="center", color=PICTURE.text)
        return
    low, high = float(known.min()), float(np.quantile(known, _OUTLIERS))
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    below = np.zeros(_BINS)
    for number, (name, values) in enumerate(groups):
        counts, _ = np.histogram(np.minimum(values, edges[-1]), edges)
        colour = PICTURE.series[number % len(PICTURE.series)]
        panel.bar(edges[:-1], counts, np.diff(edges), below, align="edge", color=colour, label=name)
        below += counts


def _number(value: float) -> str:
    return f"{value:.2f}" if value == value else "not known"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if value == value else "not known"


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value == value else "not known"
