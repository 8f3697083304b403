"""The picture of a clip: its waveform, and a lane for each fate of packets under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from plivo_nb.analysis.figures import CallFigure, axes_or_new, plain
from plivo_nb.audio_types import FRAME_S
from plivo_nb.palette import PICTURE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from plivo_nb.audio_types import Pcm

#: By fate, top to bottom: the colour of its marks.
LANES: dict[str, str] = {
    "missing": PICTURE.vermillion,
    "late": PICTURE.purple,
    "recovered": PICTURE.green,
    "concealed": PICTURE.orange,
}
_MADE_UP = ("missing", "concealed")  # the sound was made up: shaded in the waveform too
_COLUMNS = 1000
_FLOOR = 0.02  # the smallest vertical range, so that silence looks silent
_LANE, _GAP = 0.16, 0.08  # heights, as a share of half of the waveform


class Clip(Protocol):
    """What is needed of a `plivo_nb.analysis.clip.CallClip`."""

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""

    @property
    def samples(self) -> Pcm:
        """Mono samples."""

    @property
    def began(self) -> pd.Timestamp:
        """Time of the first sample."""

    @property
    def sent(self) -> bool:
        """Whether it was sent."""

    @property
    def fates(self) -> pd.DataFrame:
        """Packets, with columns fate and at_s."""


def envelope(samples: Pcm, columns: int = _COLUMNS) -> tuple[Any, Any]:
    """The lowest and the highest sample of each of at most so many equal parts, -1..1.

    Example:
        >>> low, high = envelope(np.array([0, 16384, -16384, 0], np.int16), columns=2)
        >>> low.tolist(), high.tolist()
        ([0.0, -0.5], [0.5, 0.0])
    """
    if not len(samples):
        return np.zeros(0), np.zeros(0)
    starts = np.unique(np.linspace(0, len(samples), min(columns, len(samples)), endpoint=False).astype(int))
    scaled = samples.astype(np.float64) / 32768.0
    return np.minimum.reduceat(scaled, starts), np.maximum.reduceat(scaled, starts)


def figure(clip: Clip, ax: Axes | None = None) -> CallFigure:
    """Plot a clip.

    Args:
        clip: the clip.
        ax: axes to draw in; by default a new figure.

    Returns:
        The figure. Under the waveform there is a lane for each fate, with the number of its packets; sound
        that was made up for missing and concealed ones is shaded.
    """
    made, ax = axes_or_new(ax, 9.0, 2.6)
    assert isinstance(made, CallFigure)
    low, high = envelope(clip.samples)
    seconds = len(clip.samples) / clip.rate if clip.rate else 0.0
    top = max(float(np.max(high, initial=0.0)), -float(np.min(low, initial=0.0)), _FLOOR)
    at = np.linspace(0.0, seconds, len(low))
    colour = PICTURE.sent if clip.sent else PICTURE.received
    ax.fill_between(at, low / top, high / top, color=colour, linewidth=0.4)
    bottom = -1.1
    if not clip.sent:
        bottom = _draw_lanes(ax, clip.fates)
    ax.set_xlim(0.0, max(seconds, FRAME_S))
    ax.set_ylim(bottom, 1.1)
    ax.set_xlabel(f"seconds from {clip.began:%H:%M:%S.%f}"[:-3] + " UTC")
    plain(ax, grid=False)
    return made


def _draw_lanes(ax: Axes, fates: pd.DataFrame) -> float:
    """Draw the marks, name the lanes at their left, and return the lower end of the last one."""
    words = fates["fate"].astype(object).to_numpy()
    times = fates["at_s"].to_numpy(dtype=np.float64)
    ticks: list[float] = []
    labels: list[str] = []
    y = -1.1
    for fate, colour in LANES.items():
        own = times[words == fate]
        y -= _LANE + _GAP
        bars = [(float(at), FRAME_S) for at in own]
        ax.broken_barh(bars, (y, _LANE), color=colour, linewidth=0.8)
        if fate in _MADE_UP:
            ax.broken_barh(bars, (-1.0, 2.0), color=colour, alpha=0.3, linewidth=0)
        ticks.append(y + _LANE / 2)
        labels.append(f"{fate} {len(own)}")
    ax.set_yticks([0.0, *ticks], ["sound", *labels])
    return y - _GAP
