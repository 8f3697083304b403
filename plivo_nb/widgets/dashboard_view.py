"""The widgets of the dashboard: tiles and banner, the picture, and a line for messages.

This module has no access to the client: it displays the values that it is given.
"""

from __future__ import annotations

import html
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets as W
import numpy as np

from plivo_nb.widgets.phone_view import clock, close_tree
from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

WINDOWS_S = (30.0, 60.0, 120.0, 300.0)  # lengths of the time axis as a call gets longer; then it scrolls

# column of a panel: (column of `samples`, factor)
_COLUMNS = {
    "jitter_in": ("jitter_in_ms", 1.0),
    "jitter_out": ("jitter_out_ms", 1.0),
    "rtt": ("rtt_ms", 1.0),
    "loss_in": ("loss_in", 100.0),
    "loss_out": ("loss_out", 100.0),
    "mos_in": ("mos_in", 1.0),
    "mos_out": ("mos_out", 1.0),
}
_USED_COLUMNS = ("rtt_ms", "jitter_in_ms", "jitter_out_ms", "loss_in", "loss_out", "mos", "mos_in", "mos_out")


@dataclass(frozen=True, slots=True)
class SampleArrays:
    """The samples of one call as NumPy arrays, because access is faster than through the frame.

    Attributes:
        t: seconds into the call; 1 at the first sample.
        codec: codec of the last sample, or None.
        columns: the columns of `samples` that the dashboard uses, by name.
    """

    t: NDArray[np.float64]
    codec: str | None
    columns: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.t)

    @property
    def seconds(self) -> float:
        """Time of the last sample in seconds into the call; 0 without samples."""
        return float(self.t[-1]) if len(self.t) else 0.0


def to_arrays(samples: pd.DataFrame) -> SampleArrays:
    """Copy the columns that the dashboard uses from the samples of one call."""
    times = samples.index.to_numpy()
    codec = samples["codec"].iloc[-1] if len(times) else None
    return SampleArrays(
        t=(times - times[:1]) / np.timedelta64(1, "s") + 1.0,
        codec=codec if isinstance(codec, str) else None,
        columns={name: samples[name].to_numpy(float) for name in _USED_COLUMNS},
    )


def panel_columns(arrays: SampleArrays) -> dict[str, NDArray[np.float64]]:
    """The values of the four panels, loss in percent."""
    return {
        "t": arrays.t,
        **{name: arrays.columns[source] * factor for name, (source, factor) in _COLUMNS.items()},
    }


def no_columns() -> dict[str, NDArray[np.float64]]:
    """The values of an empty figure."""
    return {name: np.empty(0) for name in ("t", *_COLUMNS)}


def window_s(seconds: float, *, whole: bool = False) -> float:
    """Length of the time axis in seconds.

    Args:
        seconds: duration of the call so far.
        whole: show the whole call instead of its last part.

    Example:
        >>> window_s(45.0), window_s(4000.0), window_s(4000.0, whole=True)
        (60.0, 300.0, 4000.0)
    """
    if whole:
        return max(WINDOWS_S[0], seconds)
    return next((step for step in WINDOWS_S if seconds <= step), WINDOWS_S[-1])


def title(peer: str, arrays: SampleArrays, *, ended: bool) -> str:
    """The title of the figure: other party, codec and duration; for a call that has ended, also the MOS."""
    if not len(arrays):
        return peer or "No call yet"
    shown = peer if len(peer) <= 14 else peer[:13] + "…"
    parts = [shown, *([arrays.codec] if arrays.codec else []), clock(arrays.seconds)]
    scores = arrays.columns["mos"]
    scores = scores[~np.isnan(scores)]
    if ended and len(scores):
        parts.append(f"mean MOS {scores.mean():.2f}, least {scores.min():.2f}")
    return " · ".join(parts)


class DashboardView:
    """The widgets of a dashboard, with one method for each value displayed. All sizes are fixed."""

    def __init__(self) -> None:
        self._picture = W.Image(value=_blank_png(), format="png", layout=W.Layout(margin="0"))
        self._note = W.HTML()
        self.show_note("")
        rows = [W.HTML(style(), layout=W.Layout(display="none")), self._picture, self._note]
        self.box = W.VBox(rows, layout=W.Layout(grid_gap="6px", flex="1 1 480px"))
        self.box.add_class("plivo")
        self.box.add_class("plivo-dashboard")

    def show_quality(self, widget: Any) -> None:
        """Display tiles and banner above the picture; `close` closes them."""
        style_sheet, *rest = self.box.children
        self.box.children = [style_sheet, widget, *rest]

    @property
    def picture(self) -> bytes:
        """The PNG that is displayed."""
        return bytes(self._picture.value)

    def show_picture(self, png: bytes) -> None:
        """Display a picture (PNG bytes)."""
        self._picture.value = png

    def show_note(self, sentence: str) -> None:
        """Display a message below the picture; an empty one clears it. The height does not change."""
        self.note_text = sentence
        text = html.escape(sentence)
        self._note.value = (
            f'<div class="plivo-note plivo-dim plivo-cut" role="status" title="{text}">{text}</div>'
        )

    def close(self) -> None:
        """Close every widget in the page and in the kernel."""
        close_tree(self.box)


def _blank_png() -> bytes:
    """One white pixel as PNG, displayed before the first picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
