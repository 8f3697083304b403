"""Plots of calls: one call or many over time, how a call was set up, distributions, and calls compared.

Each function takes a frame of the schema (`plivo_nb.schema()`), of a live client or read from a file, also
with columns missing, and draws into `ax` if that is given. Colours can be told apart with any colour vision,
and lines differ in style or marker too.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from plivo_nb.analysis import call_panels, set_up
from plivo_nb.analysis.call_panels import Span
from plivo_nb.analysis.figures import (
    CALL_STYLES,
    LEGEND,
    CallFigure,
    axes_or_new,
    call_name,
    calls_of,
    numbers,
    plain,
    seconds_since,
    stacked_panels,
    starts_at,
)
from plivo_nb.palette import PICTURE
from plivo_nb.quality import mos
from plivo_nb.quality.frames import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Call(Protocol):
    """What is needed of a `plivo_nb.call.Call`."""

    @property
    def timings(self) -> dict[str, float]:
        """When it reached each stage, `time.monotonic()` seconds."""

    @property
    def samples(self) -> pd.DataFrame:
        """Its samples."""

    @property
    def info(self) -> Any:
        """Its `CallInfo`."""


__all__ = ["CallFigure", "Span", "call_figure", "compare", "distribution", "mos_breakdown", "setup_timeline"]

_COMPARED = ("mos", "loss_in", "jitter_in_ms", "rtt_ms")
_SCALES: dict[mos.Scale, str] = {"g107": "ITU-T G.107", "g107_fb": "ITU-T G.107.2, fullband"}
#: The causes of `mos.explain`, bottom to top.
_CAUSE_COLOURS = {
    "codec": PICTURE.sky,
    "delay": PICTURE.green,
    "loss": PICTURE.vermillion,
    "discards": PICTURE.purple,
}
_PERCENT = {"loss_in", "loss_out"}
#: Columns that keep the value of the last far-end report until the next one.
_HELD = {"loss_out", "jitter_out_ms", "rtt_ms", "mos_out"}
#: Columns with a smoothed value at the sample's time; the other ones are of the sample's interval.
_SMOOTHED = {"jitter_in_ms", "playout_delay_ms"}
_UNITS = {column.name: column.unit for column in SCHEMA["samples"]}


def call_figure(
    samples: pd.DataFrame,
    impairments: Sequence[Span] = (),
    *,
    media_metrics: pd.DataFrame | None = None,
    sip_trace: pd.DataFrame | None = None,
    names: Mapping[str, str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> CallFigure | Figure:
    """Plot one or many calls over time: MOS, packets, jitter, delay, events, the lag of the kernel's loop.

    What comes from the far end's reports is drawn as it is held: in steps, with a marker at each report.
    Several calls stand one after the other, without the time between them.

    Args:
        samples: rows of `client.samples`; an empty frame gives empty panels.
        impairments: periods to shade and label.
        media_metrics: rows of `client.media_metrics`, drawn as bars while they were active.
        sip_trace: rows of `client.sip_trace`, drawn as ticks; requests are named.
        names: names of calls by call_uuid, for several calls.
        title: title of the figure.
        ax: axes to draw in the place of; by default a new figure.

    Returns:
        The figure. Save it with `savefig`, or make it the last expression of a cell.

    Example:
        >>> from plivo_nb.quality.frames import SAMPLES, ColumnStore
        >>> samples = ColumnStore(SAMPLES).frame()   # or client.samples, or call.samples
        >>> figure = call_figure(samples)
        >>> isinstance(figure, CallFigure)
        True
    """
    figure, ax = axes_or_new(ax, 10.0, 10.5)
    several = len(calls_of(samples)) > 1
    title = title or ("Calls, second by second" if several else "One call, second by second")
    ax.set_title(title, fontsize=13, fontweight="bold", color=PICTURE.text, loc="left", pad=22)
    panels = stacked_panels(ax, call_panels.HEIGHTS)
    segments = call_panels.segments_of(samples, impairments)
    scores, packets, jitter, delay, events, lag = panels
    call_panels.draw_mos(scores, segments)
    call_panels.draw_packets(packets, segments)
    call_panels.draw_jitter(jitter, segments)
    call_panels.draw_delay(delay, segments)
    requests = call_panels.draw_events(events, segments, media_metrics, sip_trace)
    call_panels.draw_lag(lag, segments)
    for panel in panels:
        for at in requests:
            panel.axvline(at, color=PICTURE.grid, linewidth=0.6, zorder=0)
        panel.yaxis.set_label_coords(-0.055, 0.5)
    call_panels.shade(panels, segments, impairments)
    call_panels.mark_calls(panels, segments, dict(names or {}))
    ends = [float(segments[-1].place([span.end])[0]) for span in impairments[-1:]]
    last = max([segments[-1].end_s, 1.0, *ends])
    lag.set_xlim(min([0.0, *requests]) - 0.01 * last, last * 1.02)
    lag.xaxis.set_major_locator(MaxNLocator(integer=True))
    lag.set_xlabel("seconds, one call after the other" if several else "seconds into the call")
    return figure


def mos_breakdown(
    samples: pd.DataFrame,
    scale: mos.Scale = "g107",
    *,
    title: str = "",
    ax: Axes | None = None,
) -> CallFigure | Figure:
    """Plot what delay, codec, loss and late packets take from the rating of what is received, over time.

    Args:
        samples: rows of `client.samples`, of one or several calls.
        scale: `g107` (ITU-T G.107) or `g107_fb` (G.107.2, fullband); see `plivo_nb.quality.mos.explain`.
        title: title of the plot.
        ax: axes to draw in; by default a new figure.

    Returns:
        The figure: what is left of the rating R, and stacked on it what each cause costs. Where columns are
        missing that are needed for it, the figure says so.
    """
    figure, ax = axes_or_new(ax, 9.0, 4.6)
    title = title or f"Where the points of the rating go ({_SCALES[scale]})"
    ax.set_title(title, fontsize=12, fontweight="bold", color=PICTURE.text, loc="left", pad=18)
    segments = call_panels.segments_of(samples, ())
    try:
        costs = [(segment, mos.explain(segment.samples, scale)) for segment in segments]
    except ValueError as error:
        ax.axis("off")
        note = textwrap.fill(str(error), 70)
        ax.text(0.5, 0.5, note, transform=ax.transAxes, ha="center", va="center", color=PICTURE.text)
        return figure
    for number, (segment, parts) in enumerate(costs):
        at = np.r_[segment.at_s, segment.place(segment.samples.index)]
        columns = [numbers(parts, name) for name in ("rating", *_CAUSE_COLOURS)]
        layers = [np.r_[column[:1] if len(column) else np.nan, column] for column in columns]
        names = ["what is left", *_CAUSE_COLOURS]
        names = [f"_{name}" for name in names] if number else names  # one legend for all calls
        colours = [PICTURE.grid, *_CAUSE_COLOURS.values()]
        ax.stackplot(at, np.nan_to_num(np.clip(layers, 0.0, None)), labels=names, colors=colours, step="pre")
    best = [float(numbers(parts, "undisturbed")[0]) for _, parts in costs if len(parts)]
    undisturbed = max(best, default=100.0)
    ax.set_ylim(0.0, 1.25 * undisturbed)
    ax.set_xlim(0.0, max(1.0, segments[-1].end_s) * 1.01)
    ax.set_ylabel("rating R")
    ax.set_xlabel("seconds, one call after the other" if len(segments) > 1 else "seconds into the call")
    plain(ax)
    call_panels.mark_calls([ax], segments, {})
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left", ncols=5, **LEGEND)
    return figure


def setup_timeline(
    calls: Call | Mapping[str, float] | pd.DataFrame | Iterable[Call],
    *,
    title: str = "From the socket to the first sound",
    ax: Axes | None = None,
) -> CallFigure | Figure:
    """Plot how long each step of a call's set-up took: socket, REGISTER, INVITE, ICE, DTLS, first RTP.

    Args:
        calls: a call, several calls, the `timings` of one, or rows of `client.calls`.
        title: title of the plot.
        ax: axes to draw in; by default a new figure.

    Returns:
        The figure. Steps that did not happen, or are not known, have no bar.

    Example:
        >>> timings = {"dialled": 10.0, "invite_sent": 10.02, "ringing": 10.3, "answered": 12.0}
        >>> figure = setup_timeline(timings)
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['media described', 'INVITE to ringing', 'ringing to answer']
    """
    rows = set_up.rows_of(calls)
    figure, ax = axes_or_new(ax, 8.5, 1.4 + 0.36 * max(3, sum(len(row.steps) + 1 for row in rows)))
    ax.set_title(title, fontsize=12, fontweight="bold", color=PICTURE.text, loc="left")
    set_up.draw(ax, rows)
    return figure


def distribution(
    samples: pd.DataFrame | Mapping[str, pd.DataFrame],
    column: str = "jitter_in_ms",
    *,
    title: str = "",
    ax: Axes | None = None,
) -> CallFigure | Figure:
    """Plot the share of samples up to each value (the empirical distribution function) of one column.

    Args:
        samples: rows of `client.samples`, one line for each call; or frames by name, one line for each.
        column: a column of the frame with numbers.
        title: title of the plot.
        ax: axes to draw in; by default a new figure.

    Returns:
        The figure, with the median and the 95th percentile of each line in the legend.

    Raises:
        ValueError: there is no such column of numbers.
    """
    groups = _groups(samples)
    if column not in _UNITS and not any(column in frame for _, frame in groups):
        raise ValueError(f"There is no column {column!r}; plivo_nb.schema('samples') lists the columns.")
    figure, ax = axes_or_new(ax, 7.0, 4.2)
    scale = 100.0 if column in _PERCENT else 1.0
    unit = "%" if column in _PERCENT else _UNITS.get(column, "")
    for number, (name, frame) in enumerate(groups):
        values = np.sort(scale * numbers(frame, column)[np.isfinite(numbers(frame, column))])
        if not len(values):
            continue
        share = np.arange(1, len(values) + 1) / len(values)
        median, high = np.percentile(values, [50, 95])
        label = f"{name}: median {median:.3g}, 95 % below {high:.3g} {unit}"
        ax.step(np.r_[values[0], values], np.r_[0.0, share], where="post", label=label, **_style(number))
    ax.set_xlabel(f"{column} ({unit})" if unit else column)
    ax.set_ylabel("share of samples up to this value")
    ax.set_ylim(0.0, 1.02)
    ax.axhline(0.95, color=PICTURE.limit, linewidth=0.8, linestyle=(0, (6, 3)))
    ax.set_title(
        title or f"Distribution of {column}", fontsize=12, fontweight="bold", color=PICTURE.text, loc="left"
    )
    plain(ax)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower right", **LEGEND)
    return figure


def compare(
    calls: pd.DataFrame | Mapping[str, pd.DataFrame] | Sequence[Call],
    columns: Sequence[str] = _COMPARED,
    *,
    title: str = "Calls compared",
    ax: Axes | None = None,
) -> CallFigure | Figure:
    """Plot calls over each other from their beginnings, and beside it the middle and the spread of each.

    Args:
        calls: rows of `client.samples` of several calls, frames by name, or calls.
        columns: columns of numbers, a panel each.
        title: title of the figure.
        ax: axes to draw in the place of; by default a new figure.

    Returns:
        The figure. The boxes on the right are the quartiles, their whiskers the 5th and 95th percentile.
    """
    groups = _groups(calls)
    figure, ax = axes_or_new(ax, 10.0, 1.6 + 2.0 * len(columns))
    ax.set_title(title, fontsize=13, fontweight="bold", color=PICTURE.text, loc="left", pad=26)
    ax.axis("off")
    over_time = stacked_panels(ax.inset_axes((0.0, 0.0, 0.68, 1.0)), [1.0] * len(columns))
    spreads = stacked_panels(ax.inset_axes((0.74, 0.0, 0.26, 1.0)), [1.0] * len(columns))
    for name, panel, box in zip(columns, over_time, spreads, strict=True):
        scale = 100.0 if name in _PERCENT else 1.0
        unit = "%" if name in _PERCENT else _UNITS.get(name, "")
        values = [scale * numbers(frame, name) for _, frame in groups]
        for number, ((label, frame), line) in enumerate(zip(groups, values, strict=True)):
            seconds = seconds_since(frame.index, starts_at(frame))
            drawn = "steps-post" if name in _HELD else "default" if name in _SMOOTHED else "steps-pre"
            if drawn == "steps-pre":  # the first interval has its beginning too
                seconds, line = np.r_[np.zeros(len(line[:1])), seconds], np.r_[line[:1], line]
            panel.plot(seconds, line, linewidth=1.5, drawstyle=drawn, label=label, **_style(number))
        panel.set_ylabel(f"{name}\n({unit})" if unit else name, fontsize=9)
        panel.yaxis.set_label_coords(-0.08, 0.5)
        _boxes(box, values)
        for one in (panel, box):
            plain(one)
            _limits(one, values)
    over_time[-1].set_xlabel("seconds into the call")
    spreads[-1].set_xticks(range(1, len(groups) + 1), [str(n + 1) for n in range(len(groups))])
    spreads[-1].set_xlabel("call")
    over_time[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(4, len(groups)), **LEGEND)
    return figure


def _style(number: int) -> dict[str, Any]:
    return {
        "color": PICTURE.series[number % len(PICTURE.series)],
        "linestyle": CALL_STYLES[number % len(CALL_STYLES)],
    }


def _boxes(panel: Axes, values: Sequence[Any]) -> None:
    for number, line in enumerate(values):
        finite = line[np.isfinite(line)]
        if not len(finite):
            continue
        low, first, middle, third, high = np.percentile(finite, [5, 25, 50, 75, 95])
        colour = PICTURE.series[number % len(PICTURE.series)]
        panel.plot([number + 1] * 2, [low, high], color=colour, linewidth=1.2)
        panel.bar(number + 1, third - first, 0.5, bottom=first, color=colour, alpha=0.45, edgecolor=colour)
        panel.plot([number + 0.75, number + 1.25], [middle, middle], color=colour, linewidth=2.2)
    panel.set_xlim(0.4, len(values) + 0.6)
    panel.tick_params(labelleft=False)


def _limits(panel: Axes, values: Sequence[Any]) -> None:
    """The same vertical range for the lines and the boxes beside them."""
    finite = np.concatenate([line[np.isfinite(line)] for line in values]) if values else np.zeros(0)
    if not len(finite):
        panel.set_ylim(0.0, 1.0)
        return
    low, high = float(finite.min()), float(finite.max())
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    panel.set_ylim(low - room, high + room)


def _groups(given: Any) -> list[tuple[str, pd.DataFrame]]:
    """Frames of single calls by name."""
    if isinstance(given, pd.DataFrame):
        return [(call_name(uuid, number), rows) for number, (uuid, rows) in enumerate(calls_of(given))]
    if isinstance(given, Mapping):
        return [(str(name), frame) for name, frame in given.items()]
    return [(f"{number + 1} {call.info.dest}", call.samples) for number, call in enumerate(given)]
