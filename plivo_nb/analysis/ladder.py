"""The ladder of a call: its SIP messages between us and the server, over time, and where its media began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from plivo_nb.analysis.figures import CallFigure, axes_or_new
from plivo_nb.palette import PICTURE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {
    "request": PICTURE.blue,
    "provisional": PICTURE.muted,
    "success": PICTURE.green,
    "failure": PICTURE.vermillion,
}
_ROW, _PAUSE, _LONG_S = 1.0, 1.9, 1.0
_MARKS = {
    "first_rtp_sent": "first RTP sent",
    "first_rtp_received": "first RTP heard: media begins",
}


class Message(Protocol):
    """The attributes of a SIP message that a ladder needs."""

    @property
    def time_monotonic_s(self) -> float:
        """Time at which it was sent or received, in seconds."""

    @property
    def direction(self) -> str:
        """``out`` or ``in``."""

    @property
    def start(self) -> str:
        """Method, or status and reason."""

    @property
    def cseq(self) -> str:
        """The CSeq header field."""

    @property
    def call(self) -> str:
        """The Call-ID."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One row of a ladder. `at_s` counts from the first row; `direction` is out, in, mark or heading."""

    at_s: float
    direction: str
    label: str
    kind: str


class Ladder:
    """A SIP ladder diagram. A notebook displays it as a picture; ``str(ladder)`` is for terminals.

    Messages of several calls and registrations (Call-IDs) are separated, each with its own heading.

    Args:
        messages: oldest first.
        timings: of the call, by name, in seconds of the messages' clock; the beginnings of media are marked.
        us: name of the left side.
        them: name of the right side.
        title: stands above.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        timings: Mapping[str, float] | None = None,
        *,
        us: str = "this phone",
        them: str = "server",
        title: str = "SIP",
    ) -> None:
        self.us, self.them, self.title = us, them, title
        origin = messages[0].time_monotonic_s if messages else 0.0
        marks = [
            Rung(timings[name] - origin, "mark", label, "media")
            for name, label in _MARKS.items()
            if timings and name in timings
        ]
        calls = list(dict.fromkeys(message.call for message in messages))
        self.rungs: list[Rung] = []
        for number, call in enumerate(calls):
            own = [message for message in messages if message.call == call]
            rungs = [_rung(message, origin) for message in own] + (marks if len(calls) == 1 else [])
            if len(calls) > 1:
                self.rungs.append(
                    Rung(own[0].time_monotonic_s - origin, "heading", _heading(number, own), "")
                )
            self.rungs += sorted(rungs, key=lambda rung: rung.at_s)

    def __str__(self) -> str:
        width = max([24, *(len(rung.label) + 6 for rung in self.rungs)])
        lines = [self.title, f"{'':>10} {self.us:<{width // 2}}{self.them:>{width - width // 2 + 2}}"]
        for rung in self.rungs:
            label = f" {rung.label} "
            match rung.direction:
                case "out":
                    arrow = f"|{label:-^{width - 1}}>|"
                case "in":
                    arrow = f"|<{label:-^{width - 1}}|"
                case "heading":
                    lines.append(f"{'':>10} {rung.label}")
                    continue
                case _:
                    arrow = f"|{label:=^{width}}|"
            lines.append(f"{rung.at_s:9.3f}s {arrow}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Ladder of {len(self.rungs)} lines: {self.title}>"

    def figure(self, ax: Axes | None = None) -> CallFigure | Figure:
        """Draw the ladder.

        Args:
            ax: axes to draw in; by default a new figure.

        Returns:
            The figure. Save it with `savefig`, or make it the last expression of a cell.
        """
        heights = _heights(self.rungs)
        bottom = heights[-1] if heights else 0.0
        figure, axes = axes_or_new(ax, 8.5, 1.5 + 0.36 * (bottom + 1))
        axes.set_xlim(-0.22, 1.12)
        axes.set_ylim(bottom + 0.7, -1.6)
        axes.axis("off")
        for x, name in ((0.0, self.us), (1.0, self.them)):
            axes.plot([x, x], [-0.7, bottom + 0.5], color=PICTURE.text, linewidth=1.2)
            axes.text(
                x, -0.95, name, ha="center", va="bottom", fontsize=11, fontweight="bold", color=PICTURE.text
            )
        previous = 0.0
        for rung, y in zip(self.rungs, heights, strict=True):
            _draw(axes, rung, y)
            if rung.at_s - previous > _LONG_S and rung.direction != "heading":
                text = f"{rung.at_s - previous:.1f} s"
                axes.text(0.5, y - 1.25, text, ha="center", fontsize=8, color=PICTURE.faint, style="italic")
            previous = rung.at_s
        axes.set_title(self.title, fontsize=13, fontweight="bold", color=PICTURE.text, loc="left")
        return figure

    def svg(self) -> str:
        """The ladder as an SVG document, with its text as text."""
        return self._own_figure().svg()

    def _repr_png_(self) -> bytes:
        return self._own_figure()._repr_png_()

    def _own_figure(self) -> CallFigure:
        figure = self.figure()
        assert isinstance(figure, CallFigure)
        return figure


def _rung(message: Message, origin: float) -> Rung:
    at_s = message.time_monotonic_s - origin
    if not message.start[:1].isdigit():
        return Rung(at_s, message.direction, message.start, "request")
    method = message.cseq.rpartition(" ")[2]
    kind = {"1": "provisional", "2": "success"}.get(message.start[0], "failure")
    return Rung(at_s, message.direction, f"{message.start} ({method})", kind)


def _heading(number: int, messages: Sequence[Message]) -> str:
    """What the messages of one Call-ID are about: the first request's method, and the Call-ID."""
    method = messages[0].cseq.rpartition(" ")[2] or messages[0].start
    return f"{number + 1}. {method}, Call-ID {messages[0].call}"


def _heights(rungs: Sequence[Rung]) -> list[float]:
    """Rows in order, with a wider gap where nothing happened for long: milliseconds stay readable."""
    heights: list[float] = []
    for index, rung in enumerate(rungs):
        wide = rung.direction == "heading" or (index and rung.at_s - rungs[index - 1].at_s > _LONG_S)
        gap = 0.0 if index == 0 else _PAUSE if wide else _ROW
        heights.append((heights[-1] if heights else 0.0) + gap)
    return heights


def _draw(axes: Axes, rung: Rung, y: float) -> None:
    if rung.direction == "heading":
        axes.plot([-0.2, 1.1], [y - 0.45, y - 0.45], color=PICTURE.faint, linewidth=0.8)
        ground = {
            "facecolor": PICTURE.background,
            "edgecolor": "none",
            "pad": 1.5,
        }  # not across the line of our end
        style: dict[str, Any] = {"fontsize": 9, "fontweight": "bold", "color": PICTURE.text, "bbox": ground}
        axes.text(-0.2, y, rung.label, ha="left", va="center", **style)
        return
    axes.text(-0.04, y, f"{rung.at_s:.3f} s", ha="right", va="center", fontsize=8.5, color=PICTURE.text)
    if rung.direction == "mark":
        axes.plot([0, 1], [y, y], color=PICTURE.purple, linewidth=2.5, linestyle=(0, (2, 1.5)))
        label = f" {rung.label} "
        axes.text(
            0.5,
            y,
            label,
            ha="center",
            va="center",
            fontsize=9,
            color=PICTURE.purple,
            backgroundcolor=PICTURE.background,
        )
        return
    start, end = (0.0, 1.0) if rung.direction == "out" else (1.0, 0.0)
    colour = _COLOURS[rung.kind]
    arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=(end, y), xytext=(start, y), arrowprops=arrow)
    axes.text(0.5, y - 0.08, rung.label, ha="center", va="bottom", fontsize=9.5, color=colour)
