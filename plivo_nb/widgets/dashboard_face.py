"""The face of the dashboard: key figures in large type, the picture, a line for notes. No engine here."""

from __future__ import annotations

import html
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import ipywidgets as W
import numpy as np

from plivo_nb.widgets.phone_face import clock, close_tree
from plivo_nb.widgets.theme import style, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

LOSS_LIMIT_PERCENT = {"OPUS": 10.0, "PCMU": 20.0}  # mediaMetrics, spec.md section 6
WINDOWS_S = (60.0, 120.0, 300.0)  # while a call lasts the time axis grows in these steps, then slides

# panel's column: the frame's column, factor
_COLUMNS = {
    "jitter_in": ("jitter_in_ms", 1.0),
    "jitter_out": ("jitter_out_ms", 1.0),
    "rtt": ("rtt_ms", 1.0),
    "loss_in": ("loss_in", 100.0),
    "loss_out": ("loss_out", 100.0),
    "mos_in": ("mos_in", 1.0),
    "mos_out": ("mos_out", 1.0),
}


def panel_columns(samples: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """The numbers of the four panels from the samples of one call; `t` is seconds, 1 at the first sample."""
    columns = {name: samples[source].to_numpy(float) * factor for name, (source, factor) in _COLUMNS.items()}
    seconds = (samples.index - samples.index[0]).total_seconds() + 1.0 if len(samples) else []
    return {"t": np.asarray(seconds, dtype=float), **columns}


def no_columns() -> dict[str, NDArray[np.float64]]:
    """The numbers of a figure with nothing in it yet."""
    return {name: np.empty(0) for name in ("t", *_COLUMNS)}


def window_s(seconds: float) -> float:
    """How many seconds the time axis shows when a call has lasted `seconds`."""
    return next((step for step in WINDOWS_S if seconds <= step), WINDOWS_S[-1])


def key_figures(samples: pd.DataFrame) -> dict[str, Any]:
    """The last row's values, by column name; for what is reported seldom, the last known within 6 s."""
    if samples.empty:
        return {}
    recent = samples.tail(6)
    figures: dict[str, Any] = dict(recent.iloc[-1])
    for name in ("rtt_ms", "jitter_out_ms", "loss_out", "mos", "mos_in", "mos_out"):
        known = recent[name].dropna()
        figures[name] = float(known.iloc[-1]) if len(known) else math.nan
    return figures


def title(peer: str, samples: pd.DataFrame, *, ended: bool) -> str:
    """What stands over the figure: who, codec, how long; after the end also the score."""
    if samples.empty:
        return peer or "No call yet"
    codec = samples["codec"].iloc[-1]
    seconds = (samples.index[-1] - samples.index[0]).total_seconds() + 1.0
    shown = peer if len(peer) <= 14 else peer[:13] + "…"
    parts = [shown, *([codec] if isinstance(codec, str) else []), clock(seconds)]
    scores = samples["mos"].dropna()
    if ended and len(scores):
        parts.append(f"mean MOS {scores.mean():.2f}, least {scores.min():.2f}")
    return " · ".join(parts)


class DashboardFace:
    """The widgets of a dashboard, and one method for each thing they show. All sizes are fixed."""

    def __init__(self) -> None:
        self._figures = W.HTML(figures_html({}))
        self._picture = W.Image(value=_blank_png(), format="png", layout=W.Layout(margin="0"))
        self._note = W.HTML()
        self.note("")
        rows = [W.HTML(style(), layout=W.Layout(display="none")), self._figures, self._picture, self._note]
        self.box = W.VBox(rows, layout=W.Layout(grid_gap="6px", flex="1 1 480px"))
        self.box.add_class("plivo")
        self.box.add_class("plivo-dashboard")

    @property
    def picture(self) -> bytes:
        """The PNG that is shown."""
        return bytes(self._picture.value)

    def show_figures(self, figures: Mapping[str, Any]) -> None:
        """Show key figures as `key_figures` gives them; {} shows dashes."""
        self._figures.value = figures_html(figures)

    def show_picture(self, png: bytes) -> None:
        """Show a picture."""
        self._picture.value = png

    def note(self, sentence: str) -> None:
        """Show a sentence below the picture; the room for it is kept."""
        self.noted = sentence
        text = html.escape(sentence)
        self._note.value = (
            f'<div class="plivo-note plivo-dim plivo-cut" role="status" title="{text}">{text}</div>'
        )

    def close(self) -> None:
        """Close every widget, in the page and in the kernel."""
        close_tree(self.box)


def figures_html(figures: Mapping[str, Any]) -> str:
    """The tiles of the key figures."""

    def number(name: str, digits: int = 0, factor: float = 1.0) -> str:
        value = figures.get(name)
        return "–" if value is None or value != value else f"{value * factor:.{digits}f}"

    def worse(one: str, other: str) -> str:
        values = [figures.get(name, math.nan) for name in (one, other)]
        return one if values[1] != values[1] or values[0] >= values[1] else other

    judged = verdict(figures.get("mos", math.nan))
    loss, jitter = worse("loss_in", "loss_out"), worse("jitter_in_ms", "jitter_out_ms")
    codec = figures.get("codec")
    tiles = [
        f'<div class="plivo-tile plivo-mos" style="background:{judged.colour}"><span>MOS</span>'
        f'<b>{number("mos", 2)}</b><span class="plivo-word">{judged.word}</span></div>',
        _tile("round trip", number("rtt_ms"), "ms", ""),
        _tile("packet loss", number(loss, 1, 100), "%",
              f"in {number('loss_in', 1, 100)} · out {number('loss_out', 1, 100)}"),
        _tile("jitter", number(jitter), "ms", f"in {number('jitter_in_ms')} · out {number('jitter_out_ms')}"),
        _tile("codec", html.escape(codec) if isinstance(codec, str) else "–", "",
              f"{number('bitrate_in_kbps')} kbit/s" if figures else ""),
        _tile("loop lag", number("loop_lag_ms"), "ms", "of this kernel"),
    ]  # fmt: skip
    return f'<div class="plivo-figures">{"".join(tiles)}</div>'


def _tile(name: str, value: str, unit: str, detail: str) -> str:
    shown_unit = f"<small>{unit}</small>" if unit else ""
    return f'<div class="plivo-tile"><span>{name}</span><b>{value}{shown_unit}</b><span>{detail}</span></div>'


def _blank_png() -> bytes:
    """One white pixel, for the time before the first picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
