"""Plots of calls. Figures are made for the Agg canvas without pyplot, so no global state is involved."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from plivo_nb.quality.limits import (
    JITTER_LIMIT_MS,
    MOS_LIMIT,
    RECEIVED_COLOUR,
    RTT_LIMIT_MS,
    SENT_COLOUR,
    loss_limit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from matplotlib.axes import Axes

# Palette of Okabe and Ito, which colour-blind people can distinguish; the markers differ as well.
_IN = {"color": RECEIVED_COLOUR, "marker": "o", "label": "received"}
_OUT = {"color": SENT_COLOUR, "marker": "^", "label": "sent, as the far end reports it"}
_BOTH = {"color": "#009E73", "marker": "s", "label": "there and back"}
_MODEL = {"color": "#444444", "marker": "", "linestyle": ":", "label": "received, by ITU-T G.107"}
_TEXT_COLOUR, _GRID_COLOUR, _LIMIT_COLOUR = "#222222", "#D9D9D9", "#8A1C4A"
_LEGEND: dict[str, Any] = {"ncols": 3, "fontsize": 8, "frameon": False, "handlelength": 1.8}
_SHADE_COLOURS = ("#F0E442", "#CC79A7", "#56B4E9")


class CallFigure(Figure):
    """A matplotlib figure that a notebook displays without pyplot or a backend."""

    def _repr_png_(self) -> bytes:
        target = io.BytesIO()
        self.savefig(target, format="png", dpi=80)
        return target.getvalue()


@dataclass(frozen=True, slots=True)
class Span:
    """A period in which the network was impaired.

    Attributes:
        start, end: UTC.
        label: short description, written above the plot.
    """

    start: datetime
    end: datetime
    label: str


def call_figure(
    samples: pd.DataFrame, impairments: Sequence[Span] = (), *, title: str = "One call, second by second"
) -> CallFigure:
    """Plot jitter, round-trip time, packet loss and MOS of a call over time, for both directions.

    Args:
        samples: rows of `client.samples` of one call; an empty frame gives empty panels.
        impairments: periods to shade and label.
        title: title of the figure.

    Returns:
        A new figure. Save it with `savefig`, or make it the last expression of a cell.

    Example:
        >>> from plivo_nb.quality.frames import SAMPLES, ColumnStore
        >>> samples = ColumnStore(SAMPLES).frame()   # or client.samples, or call.samples
        >>> figure = call_figure(samples)
        >>> [panel.get_ylabel() for panel in figure.axes]
        ['Jitter (ms)', 'Round trip (ms)', 'Packets lost (%)', 'MOS (1 bad, 4.5 best)']
    """
    figure = CallFigure(figsize=(9.5, 9.0), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=14, fontweight="bold", color=_TEXT_COLOUR, x=0.02, ha="left")
    axes: list[Axes] = list(figure.subplots(4, 1, sharex=True))
    origin = _origin(samples, impairments)
    seconds = _seconds(samples.index, origin)
    _jitter(axes[0], samples, seconds)
    _round_trip(axes[1], samples, seconds)
    _loss(axes[2], samples, seconds)
    _mos(axes[3], samples, seconds)
    for panel in axes:
        _format(panel)
    figure.align_ylabels(axes)
    axes[3].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[-1].set_xlabel("seconds into the call", color=_TEXT_COLOUR)
    _shade(axes, impairments, origin)
    last = max([1.0, *seconds[-1:], *(_seconds([span.end], origin)[0] for span in impairments)])
    axes[0].set_xlim(0.0, last * 1.01)
    return figure


def _origin(samples: pd.DataFrame, impairments: Sequence[Span]) -> pd.Timestamp:
    if len(samples):
        # The first row is at the end of the call's first second.
        return pd.Timestamp(samples.index[0]) - pd.Timedelta(seconds=1)
    return pd.Timestamp(impairments[0].start) if impairments else pd.Timestamp(0, tz="UTC")


def _seconds(times: Any, origin: pd.Timestamp) -> Any:
    return (pd.DatetimeIndex(times) - origin).total_seconds().to_numpy()


def _jitter(panel: Axes, samples: pd.DataFrame, seconds: Any) -> None:
    _line(panel, seconds, samples["jitter_in_ms"], _IN)
    _line(panel, seconds, samples["jitter_out_ms"], _OUT)
    panel.set_ylabel("Jitter (ms)")
    _limit(panel, JITTER_LIMIT_MS, f"limit {JITTER_LIMIT_MS:g} ms")


def _round_trip(panel: Axes, samples: pd.DataFrame, seconds: Any) -> None:
    _line(panel, seconds, samples["rtt_ms"], _BOTH)
    panel.set_ylabel("Round trip (ms)")
    _limit(panel, RTT_LIMIT_MS, f"limit {RTT_LIMIT_MS:g} ms")


def _loss(panel: Axes, samples: pd.DataFrame, seconds: Any) -> None:
    _line(panel, seconds, 100 * samples["loss_in"], _IN)
    _line(panel, seconds, 100 * samples["loss_out"], _OUT)
    panel.set_ylabel("Packets lost (%)")
    codecs = samples["codec"].dropna()
    codec = str(codecs.iloc[-1]) if len(codecs) else "OPUS"
    limit = 100 * loss_limit(codec)
    _limit(panel, limit, f"limit {limit:.0f} % ({codec})")


def _mos(panel: Axes, samples: pd.DataFrame, seconds: Any) -> None:
    _line(panel, seconds, samples["mos_in"], _IN)
    _line(panel, seconds, samples["mos_out"], _OUT)
    _line(panel, seconds, samples["mos_g107"], _MODEL)
    panel.set_ylabel("MOS (1 bad, 4.5 best)")
    _limit(panel, MOS_LIMIT, f"limit {MOS_LIMIT:g}")
    panel.set_yticks([1, 2, 3, 4])
    panel.set_ylim(0.9, 5.2)  # leaves space for the legend above the best MOS


def _line(panel: Axes, seconds: Any, values: pd.Series, style: dict[str, Any]) -> None:
    # Unclipped, an empty line has no extent, and constrained layout fails.
    panel.plot(seconds, values.to_numpy(), linewidth=1.6, markersize=3.5, clip_on=not len(values), **style)


def _limit(panel: Axes, value: Any, label: str) -> None:
    panel.axhline(value, color=_LIMIT_COLOUR, linewidth=1.0, linestyle=(0, (6, 3)), zorder=1)
    panel.annotate(
        label,
        (1.0, value),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color=_LIMIT_COLOUR,
    )
    highest = max([value, *(np.nanmax(y) for y in _finite_lines(panel))])
    panel.set_ylim(0.0, 1.22 * highest)


def _finite_lines(panel: Axes) -> list[Any]:
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in panel.get_lines()]
    return [line for line in lines if np.isfinite(line).any()]


def _format(panel: Axes) -> None:
    panel.grid(axis="y", color=_GRID_COLOUR, linewidth=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    panel.tick_params(colors=_TEXT_COLOUR, labelsize=9)
    panel.yaxis.label.set_color(_TEXT_COLOUR)
    panel.legend(loc="upper left", **_LEGEND)


def _shade(axes: Sequence[Axes], impairments: Sequence[Span], origin: pd.Timestamp) -> None:
    for number, span in enumerate(impairments):
        start, end = _seconds([span.start, span.end], origin)
        for panel in axes:
            panel.axvspan(
                start,
                end,
                color=_SHADE_COLOURS[number % len(_SHADE_COLOURS)],
                alpha=0.25,
                linewidth=0,
                zorder=0,
            )
        axes[0].annotate(
            span.label,
            ((start + end) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=9,
            color=_TEXT_COLOUR,
        )
