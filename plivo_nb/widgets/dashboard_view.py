"""The face of the dashboard: key figures in large type, the picture, a line for notes. No engine here."""

from __future__ import annotations

import html
import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets as W
import numpy as np

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets.phone_view import clock, close_tree
from plivo_nb.widgets.theme import style

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

WINDOWS_S = (30.0, 60.0, 120.0, 300.0)  # while a call lasts the time axis grows in these steps, then slides

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
_SELDOM = frozenset({"rtt_ms", "jitter_out_ms", "loss_out", "mos", "mos_in", "mos_out"})
_READ = (
    "rtt_ms", "jitter_in_ms", "jitter_out_ms", "loss_in", "loss_out", "mos", "mos_in", "mos_out",
    "bitrate_in_kbps", "loop_lag_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """The samples of one call as plain arrays, by the frame's names; `t` is seconds, 1 at the first sample.

    Taking the few columns out once costs the loop a third of asking the frame for each number.
    """

    t: NDArray[np.float64]
    codec: str | None
    columns: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.t)

    @property
    def seconds(self) -> float:
        """How long the call has been measured."""
        return float(self.t[-1]) if len(self.t) else 0.0


def read(samples: pd.DataFrame) -> Reading:
    """What the dashboard needs of the samples of one call."""
    times = samples.index.to_numpy()
    codec = samples["codec"].iloc[-1] if len(times) else None
    return Reading(
        t=(times - times[:1]) / np.timedelta64(1, "s") + 1.0,
        codec=codec if isinstance(codec, str) else None,
        columns={name: samples[name].to_numpy(float) for name in _READ},
    )


def panel_columns(reading: Reading) -> dict[str, NDArray[np.float64]]:
    """The numbers of the four panels, loss in percent."""
    return {
        "t": reading.t,
        **{name: reading.columns[source] * factor for name, (source, factor) in _COLUMNS.items()},
    }


def no_columns() -> dict[str, NDArray[np.float64]]:
    """The numbers of a figure with nothing in it yet."""
    return {name: np.empty(0) for name in ("t", *_COLUMNS)}


def window_s(seconds: float) -> float:
    """How many seconds the time axis shows when a call has lasted `seconds`."""
    return next((step for step in WINDOWS_S if seconds <= step), WINDOWS_S[-1])


def key_figures(reading: Reading) -> dict[str, Any]:
    """The last value of each column; for what is reported seldom, the last one known within 6 s."""
    if not len(reading):
        return {}
    figures: dict[str, Any] = {"codec": reading.codec}
    for name, values in reading.columns.items():
        recent = values[-6:] if name in _SELDOM else values[-1:]
        known = recent[~np.isnan(recent)]
        figures[name] = float(known[-1]) if len(known) else math.nan
    return figures


def title(peer: str, reading: Reading, *, ended: bool) -> str:
    """What stands over the figure: who, codec, how long; after the end also the score."""
    if not len(reading):
        return peer or "No call yet"
    shown = peer if len(peer) <= 14 else peer[:13] + "…"
    parts = [shown, *([reading.codec] if reading.codec else []), clock(reading.seconds)]
    scores = reading.columns["mos"]
    scores = scores[~np.isnan(scores)]
    if ended and len(scores):
        parts.append(f"mean MOS {scores.mean():.2f}, least {scores.min():.2f}")
    return " · ".join(parts)


class DashboardView:
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
