"""The drawing process: draws four panels for one call with matplotlib and returns a PNG.

`render_worker.py` runs this file by its path. The file imports nothing from the package, so that the process
starts quickly. It reads requests from standard input and writes answers to standard output until its input
ends. Values are transferred as raw bytes; nothing is unpickled.

    request   header <II: length of the JSON, length of the values
              JSON {"columns": [names], "rows": n, "title": str, "loss_limit": percent, "window_s": seconds,
                    "pixel_ratio": 1 or 2, "format": "png" or "svg"}
              values: float64, little endian, one column after the other; NaN is a missing value
    answer    header <cI: kind, length; kind b"P": PNG or SVG bytes, b"E": an error message in UTF-8
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

REQUEST = struct.Struct("<II")
ANSWER = struct.Struct("<cI")
LARGEST_REQUEST = 16 * 2**20
INCHES = (7.5, 4.5)  # so that text can be read where a page shows the picture 500 pixels wide
DPI = 100
MANY_POINTS = 100  # with more points than this the lines are thinner

# panel: title, ((column, name of its colour), ...), smallest upper end of the scale, name of the limit
# (one of the limits given to the process, or a key of the request), label of the limit
PANELS: tuple[tuple[str, tuple[tuple[str, str], ...], float, str, str], ...] = (
    ("Jitter, ms", (("jitter_in", "received"), ("jitter_out", "sent")), 40.0, "jitter", "limit {:g} ms"),
    ("Round trip, ms", (("rtt", "text"),), 500.0, "rtt", "limit {:g} ms"),
    ("Packet loss, %", (("loss_in", "received"), ("loss_out", "sent")), 12.5, "loss_limit", "limit {:g} %"),
    ("MOS", (("mos_in", "received"), ("mos_out", "sent")), 4.6, "mos", "limit {:g}"),
)

# A value of the far end's reports is held until the next report; one of a second is level over that second.
DRAWN = {"jitter_in": "default", "loss_in": "steps-pre", "mos_in": "steps-pre"}


def axis_top(value: float, least: float) -> float:
    """Upper end of a scale: `least`, or the next of 1, 2, 3, 5 times a power of ten, to change rarely.

    Example:
        >>> axis_top(12.0, 40.0), axis_top(41.0, 40.0), axis_top(900.0, 40.0)
        (40.0, 50.0, 1000.0)
    """
    if not value > least:
        return least
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1.0, 2.0, 3.0, 5.0, 10.0) if step * power >= value))


def clock(seconds: float, _position: int = 0) -> str:
    """Seconds into a call as m:ss, for the time axis."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def tick_step(window_s: float) -> float:
    """Seconds between two ticks of the time axis, such that there are at most seven intervals."""
    return next((step for step in (5, 10, 15, 30, 60, 120, 300, 600) if window_s / step <= 7), window_s / 6)


class _Panel:
    def __init__(
        self, axes: Axes, index: int, colours: Mapping[str, str], limits: Mapping[str, float]
    ) -> None:
        title, columns, self.least_top, self.limit, self.limit_text = PANELS[index]
        self.limits = limits
        self.axes = axes
        self.floor = 1.0 if title == "MOS" else 0.0
        axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=colours["text"])
        axes.set_facecolor(colours["background"])
        axes.spines[:].set_color(colours["text"])
        axes.grid(True, color=colours["grid"], linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=10, colors=colours["text"])
        self.lines: dict[str, Line2D] = {}
        for column, colour in columns:
            dashes = (0, (4, 1.6)) if colour == "sent" else "-"
            # With markers, because a value between two missing values would otherwise be invisible.
            style = DRAWN.get(column, "steps-post")
            (line,) = axes.plot([], [], color=colours[colour], linestyle=dashes, marker=".", drawstyle=style)
            self.lines[column] = line
        self.limit_line = axes.axhline(0, color=colours["limit"], linestyle=(0, (1, 2)), linewidth=1.6)
        self.limit_label = axes.text(
            0.995, 0, "", transform=axes.get_yaxis_transform(), ha="right", va="bottom", fontsize=9.5,
            color=colours["limit"],
        )  # fmt: skip

    def show(self, data: Mapping[str, NDArray[np.float64]], request: Mapping[str, Any]) -> None:
        highest = -np.inf
        for column, line in self.lines.items():
            values = data[column]
            line.set_data(data["t"], values)
            many = len(values) > MANY_POINTS
            line.set(linewidth=1.2 if many else 1.8, markersize=1.4 if many else 4.0)
            if np.isfinite(values).any():
                highest = max(highest, float(np.nanmax(values)))
        limit = float(self.limits[self.limit] if self.limit in self.limits else request[self.limit])
        self.limit_line.set_ydata([limit, limit])
        self.limit_label.set_text(self.limit_text.format(limit))
        self.limit_label.set_y(limit)
        top = self.least_top if self.floor else axis_top(highest, max(self.least_top, limit * 1.25))
        self.axes.set_ylim(self.floor, top)


class LiveFigure:
    """A figure that is reused: only data, scales and title change from one picture to the next.

    Args:
        colours: with the keys ``background``, ``text``, ``grid``, ``limit``, ``received`` and ``sent``.
        limits: warning limits with the keys ``jitter`` (ms), ``rtt`` (ms) and ``mos``.
    """

    def __init__(self, colours: Mapping[str, str], limits: Mapping[str, float]) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._figure = Figure(figsize=INCHES, dpi=DPI, facecolor=colours["background"])
        self._canvas: Any = FigureCanvasAgg(self._figure)
        axes = self._figure.subplots(2, 2).ravel()
        self._panels = [_Panel(axes[index], index, colours, limits) for index in range(4)]
        # Fixed margins instead of a layout engine: the panels do not move when a label gets wider.
        self._figure.subplots_adjust(left=0.06, right=0.97, top=0.835, bottom=0.065, hspace=0.38, wspace=0.17)
        self._title = self._figure.text(0.06, 0.972, "", fontsize=12, va="center", color=colours["text"])
        legend_lines = [self._panels[0].lines["jitter_in"], self._panels[0].lines["jitter_out"]]
        self._figure.legend(
            legend_lines, ["received", "sent, as the far end reports"], loc="center left", ncols=2,
            bbox_to_anchor=(0.052, 0.925), frameon=False, fontsize=10.5, handlelength=2.4, columnspacing=1.4,
            labelcolor=colours["text"],
        )  # fmt: skip

    def draw(self, request: Mapping[str, Any], data: Mapping[str, NDArray[np.float64]]) -> bytes:
        """Draw the data as SVG, or as PNG with a palette (a third of the size of a full-colour one)."""
        from matplotlib.ticker import FuncFormatter, MultipleLocator
        from PIL import Image

        self._title.set_text(request["title"])
        self._figure.set_dpi(DPI * request.get("pixel_ratio", 1))
        window_s = float(request["window_s"])
        last = float(data["t"][-1]) if len(data["t"]) else 0.0
        left = max(0.0, last - window_s)
        for panel in self._panels:
            panel.show(data, request)
            panel.axes.set_xlim(left, left + window_s)
            panel.axes.xaxis.set_major_locator(MultipleLocator(tick_step(window_s)))
            panel.axes.xaxis.set_major_formatter(FuncFormatter(clock))
        out = io.BytesIO()
        if request.get("format") == "svg":
            self._figure.savefig(out, format="svg")
            return out.getvalue()
        self._canvas.draw()
        pixels = Image.fromarray(np.asarray(self._canvas.buffer_rgba())[..., :3])
        pixels.quantize(64, method=Image.Quantize.FASTOCTREE).save(out, "PNG", compress_level=6)
        return out.getvalue()


def unpack(request: Mapping[str, Any], numbers: bytes) -> dict[str, NDArray[np.float64]]:
    """The columns of a request by name.

    Raises:
        ValueError: the number of values differs from what the request says.
    """
    names, rows = request["columns"], int(request["rows"])
    flat = np.frombuffer(numbers, dtype="<f8")
    if flat.size != len(names) * rows:
        raise ValueError(f"Got {flat.size} values for {len(names)} columns of {rows} rows.")
    return {name: flat[index * rows : (index + 1) * rows] for index, name in enumerate(names)}


def serve(requests: BinaryIO, answers: BinaryIO, figure: LiveFigure) -> None:
    """Answer requests until the input ends; the answer is an error message if drawing fails."""
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        text_length, numbers_length = REQUEST.unpack(header)
        if text_length + numbers_length > LARGEST_REQUEST:
            return  # the stream is out of step; RenderWorker starts a new process
        text, numbers = requests.read(text_length), requests.read(numbers_length)
        try:
            request = json.loads(text)
            kind, answer = b"P", figure.draw(request, unpack(request, numbers))
        except Exception as error:  # any error: RenderWorker displays it, and this process continues
            kind, answer = b"E", f"{type(error).__name__}: {error}".encode()
        answers.write(ANSWER.pack(kind, len(answer)) + answer)
        answers.flush()


def main() -> None:
    """Run the process. Answers go to standard output; what a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if hasattr(os, "nice"):
        os.nice(10)
    serve(sys.stdin.buffer, answers, LiveFigure(*map(json.loads, sys.argv[1:3])))


if __name__ == "__main__":
    main()
