"""What all pictures of calls share: the figure that notebooks display, axes, calls of a frame.

Figures are made for the Agg canvas without pyplot, so no global state is involved.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from plivo_nb.palette import PICTURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

    FloatArray = npt.NDArray[np.float64]

CALL_STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
LEGEND: dict[str, Any] = {
    "fontsize": 8,
    "frameon": False,
    "handlelength": 1.8,
    "borderaxespad": 0.2,
    "labelcolor": PICTURE.text,
}
_DPI = 80
_SVG_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "plivo_nb"}
_SVG_METADATA: Any = {"Date": None, "Creator": None, "Format": None, "Type": None}


class CallFigure(Figure):
    """A matplotlib figure that a notebook displays without pyplot or a backend."""

    def _repr_png_(self) -> bytes:
        target = io.BytesIO()
        self.savefig(target, format="png", dpi=_DPI)
        return target.getvalue()

    def svg(self) -> str:
        """The figure as an SVG document; its text is text, in fonts of whoever displays it.

        Example:
            >>> CallFigure().svg().startswith("<?xml")
            True
        """
        target = io.StringIO()
        with matplotlib.rc_context(_SVG_SETTINGS):
            self.savefig(target, format="svg", metadata=_SVG_METADATA)
        return target.getvalue()


def axes_or_new(ax: Axes | None, width: float, height: float) -> tuple[CallFigure | Figure, Axes]:
    """The figure of these axes, or a new figure of that size (inches) with axes of its own."""
    if ax is not None:
        figure = ax.get_figure(root=True)
        assert figure is not None
        return figure, ax
    made = CallFigure(figsize=(width, height), layout="constrained", facecolor=PICTURE.background)
    FigureCanvasAgg(made)
    return made, made.subplots(subplot_kw={"facecolor": PICTURE.background})


def stacked_panels(ax: Axes, heights: Sequence[float]) -> list[Axes]:
    """Panels over each other in the place of `ax`, with a common horizontal axis; heights are relative."""
    ax.axis("off")
    gap = 0.035
    scale = (1.0 - gap * (len(heights) - 1)) / sum(heights)
    panels: list[Axes] = []
    top = 1.0
    for height in heights:
        bottom = top - height * scale
        place = (0.0, bottom, 1.0, height * scale)
        sharex = panels[0] if panels else None
        panels.append(ax.inset_axes(place, sharex=sharex, facecolor=PICTURE.background))
        top = bottom - gap
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False)
    return panels


def plain(panel: Axes, *, grid: bool = True) -> None:
    """Two spines and, if wanted, faint horizontal lines."""
    if grid:
        panel.grid(axis="y", color=PICTURE.grid, linewidth=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    panel.spines[:].set_color(PICTURE.text)
    panel.tick_params(colors=PICTURE.text, labelsize=9)
    panel.yaxis.label.set_color(PICTURE.text)
    panel.xaxis.label.set_color(PICTURE.text)


def numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    """A column as floats; NaN where the frame has no such column."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def calls_of(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The calls of a frame by id, in the order in which they begin; one without an id is ``""``."""
    if "call_uuid" not in frame or not len(frame):
        return [("", frame)]
    ids = frame["call_uuid"].astype("object").where(frame["call_uuid"].notna(), "")
    return [(str(key), rows) for key, rows in frame.groupby(ids, sort=False)]


def call_name(uuid: str, number: int) -> str:
    """A short name for a call in a legend: the beginning of its id, or its number (from 0)."""
    return uuid.partition("-")[0][:12] or f"call {number + 1}"


def starts_at(samples: pd.DataFrame) -> pd.Timestamp:
    """When the first interval of these samples began."""
    if not len(samples):
        return pd.Timestamp(0, tz="UTC")
    first = numbers(samples, "interval_s")[:1]
    seconds = float(first[0]) if len(first) and np.isfinite(first[0]) else 1.0
    return pd.Timestamp(samples.index[0]) - pd.Timedelta(seconds=seconds)


def seconds_since(times: Any, origin: pd.Timestamp) -> FloatArray:
    """Seconds from `origin` to each of these times."""
    return np.asarray((pd.DatetimeIndex(times) - origin).total_seconds(), dtype=np.float64)


def limit_line(panel: Axes, value: float, label: str, values: FloatArray) -> None:
    """Set the vertical range to what was measured, and show a limit: as a line where the range reaches it.

    A limit of more than twice what was measured is only named, so that the measured values keep their shape.
    """
    highest = float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
    near = highest >= value / 2 or highest <= 0.0
    top = max(highest, value) if near else highest
    panel.set_ylim(0.0, 1.25 * top if top > 0.0 else 1.0)
    if near:
        panel.axhline(value, color=PICTURE.limit, linewidth=1.0, linestyle=(0, (6, 3)), zorder=1)
    panel.annotate(
        label if near else f"{label} (above the picture)",
        (1.0, value) if near else (1.0, 1.0),
        xycoords=("axes fraction", "data") if near else "axes fraction",
        xytext=(-4, 3 if near else -3),
        textcoords="offset points",
        ha="right",
        va="bottom" if near else "top",
        fontsize=8,
        color=PICTURE.limit,
        bbox={"facecolor": PICTURE.background, "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )
