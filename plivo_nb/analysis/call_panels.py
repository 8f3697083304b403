"""The panels of `plots.call_figure`: MOS, packets, jitter, delay, events, the lag of the kernel's loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from plivo_nb.analysis.figures import (
    LEGEND,
    call_name,
    calls_of,
    limit_line,
    numbers,
    plain,
    seconds_since,
    starts_at,
)
from plivo_nb.palette import PICTURE
from plivo_nb.quality.limits import JITTER_LIMIT_MS, MOS_LIMIT, RTT_LIMIT_MS, loss_limit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from plivo_nb.analysis.figures import FloatArray

#: Relative heights of the panels, top to bottom.
HEIGHTS = (2.4, 2.0, 1.6, 1.6, 1.5, 0.9)
_GAP_S = 3.0  # between two calls

_IN: dict[str, Any] = {"color": PICTURE.received, "marker": "o", "markersize": 2.6, "label": "received"}
_OUT: dict[str, Any] = {
    "color": PICTURE.sent,
    "marker": "^",
    "markersize": 4.0,
    "label": "sent (far end's reports)",
}
_BOTH: dict[str, Any] = {"color": PICTURE.green, "marker": "s", "markersize": 3.4, "label": "round trip"}
_CALL: dict[str, Any] = {"color": PICTURE.text, "linewidth": 2.2, "label": "call (SDK formula)"}
_NARROWBAND: dict[str, Any] = {"color": PICTURE.sky, "linestyle": "-.", "label": "received, G.107"}
_FULLBAND: dict[str, Any] = {
    "color": PICTURE.purple,
    "linestyle": ":",
    "label": "received, G.107.2 (fullband)",
}
_BESIDE: dict[str, Any] = {
    "textcoords": "offset points",
    "va": "center",
    "fontsize": 7.5,
    "color": PICTURE.text,
}
_UNNAMED = ("ACK", "OPTIONS", "REGISTER")  # drawn, but not named, to leave the room to the others
_SHADE_COLOURS = (PICTURE.yellow, PICTURE.purple, PICTURE.sky)
_Side = Literal["left", "center", "right"]
_METRIC_COLOURS = PICTURE.series


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


@dataclass(frozen=True, slots=True)
class Segment:
    """One call on the common horizontal axis: its place there (`at_s`), and when it began (`origin`)."""

    uuid: str
    samples: pd.DataFrame
    origin: pd.Timestamp
    at_s: float
    length_s: float

    def place(self, times: Any) -> FloatArray:
        """The places of these times on the axis."""
        return self.at_s + seconds_since(times, self.origin)

    @property
    def end_s(self) -> float:
        """The place of its end."""
        return self.at_s + self.length_s


def segments_of(samples: pd.DataFrame, impairments: Sequence[Span]) -> list[Segment]:
    """The calls of a frame one after the other, without the time between them."""
    found: list[Segment] = []
    at_s = 0.0
    for uuid, rows in calls_of(samples):
        origin = starts_at(rows) if len(rows) or not impairments else pd.Timestamp(impairments[0].start)
        length_s = float(seconds_since(rows.index[-1:], origin)[0]) if len(rows) else 1.0
        found.append(Segment(uuid, rows, origin, at_s, length_s))
        at_s += length_s + _GAP_S
    return found


# ---------------------------------------------------------------- measured values


def _joined(segments: Sequence[Segment], name: str) -> tuple[FloatArray, FloatArray]:
    """A column of all calls and its places, with a NaN between two calls, so that lines end there."""
    places: list[Any] = []
    values: list[Any] = []
    for segment in segments:
        places += [segment.place(segment.samples.index), [segment.end_s]]
        values += [numbers(segment.samples, name), [np.nan]]
    return np.concatenate(places), np.concatenate(values)


def _intervals(segments: Sequence[Segment], name: str) -> tuple[FloatArray, FloatArray]:
    """A column whose values are each of one interval, for steps ``pre``: the first has its beginning too."""
    places: list[Any] = []
    values: list[Any] = []
    for segment in segments:
        column = numbers(segment.samples, name)
        places += [[segment.at_s], segment.place(segment.samples.index), [segment.end_s]]
        values += [column[:1] if len(column) else [np.nan], column, [np.nan]]
    return np.concatenate(places), np.concatenate(values)


def _line(
    panel: Axes, segments: Sequence[Segment], name: str, style: dict[str, Any], scale: float = 1.0
) -> FloatArray:
    """A value that changes gradually: a line from sample to sample."""
    at, values = _joined(segments, name)
    values = scale * values
    if np.isfinite(values).any():
        panel.plot(at, values, **{"linewidth": 1.5, **style})
    return values


def _bars(
    panel: Axes, segments: Sequence[Segment], name: str, style: dict[str, Any], scale: float = 1.0
) -> FloatArray:
    """A value that is of one interval: a level line over the interval, which ends at the sample's time."""
    at, values = _intervals(segments, name)
    values = scale * values
    if np.isfinite(values).any():
        begins = np.concatenate([np.r_[True, np.zeros(len(s.samples) + 1, bool)] for s in segments])
        style = {**style, **_marker(style, ~begins & np.isfinite(values))} if "marker" in style else style
        panel.plot(at, values, **{"linewidth": 1.5, **style, "drawstyle": "steps-pre"})
    return values


def _steps(
    panel: Axes,
    segments: Sequence[Segment],
    name: str,
    age: str,
    style: dict[str, Any],
    scale: float = 1.0,
) -> FloatArray:
    """A value that is held between two reports: a step, with a marker where a report brought a new one."""
    at, values = _joined(segments, name)
    values = scale * values
    if not np.isfinite(values).any():
        return values
    _, ages = _joined(segments, age)
    _, intervals = _joined(segments, "interval_s")
    fresh = ~(ages >= np.where(np.isfinite(intervals), intervals, 1.0))
    line = {key: value for key, value in style.items() if key not in ("marker", "markersize")}
    panel.plot(
        at,
        values,
        **{"linewidth": 1.5, **line, "drawstyle": "steps-post"},
        **_marker(style, fresh & np.isfinite(values)),
    )
    return values


def _marker(style: dict[str, Any], fresh: Any) -> dict[str, Any]:
    return {
        "marker": style["marker"],
        "markersize": style["markersize"],
        "markevery": [int(index) for index in np.flatnonzero(fresh)],
    }


def draw_mos(panel: Axes, segments: Sequence[Segment]) -> None:
    """The scores of the call and of both directions, and of both E-models."""
    _bars(panel, segments, "mos", _CALL)
    _bars(panel, segments, "mos_in", {**_IN, "linewidth": 1.0})
    _steps(panel, segments, "mos_out", "report_age_s", {**_OUT, "linewidth": 1.0})
    _bars(panel, segments, "mos_g107", _NARROWBAND)
    _bars(panel, segments, "mos_fb", _FULLBAND)
    panel.set_ylabel("MOS")
    panel.set_ylim(0.9, 5.4)
    panel.set_yticks([1, 2, 3, 4, 5])
    limit_line(panel, MOS_LIMIT, f"limit {MOS_LIMIT:g}", np.array([MOS_LIMIT]))
    panel.set_ylim(0.9, 5.6)  # leaves space for the legend above the best MOS
    plain(panel)
    _legend(panel, 3)


def draw_packets(panel: Axes, segments: Sequence[Segment]) -> None:
    """Loss both ways, and what it came to: packets that came too late, sound that was made up."""
    at, concealed = _intervals(segments, "concealed_ms")
    _, intervals = _intervals(segments, "interval_s")
    concealed = concealed / np.where(np.isfinite(intervals), 1000 * intervals, 1000.0) * 100
    if np.nanmax(np.nan_to_num(concealed), initial=0.0) > 0:
        panel.fill_between(
            at,
            concealed,
            step="pre",
            color=PICTURE.orange,
            alpha=0.45,
            linewidth=0,
            label="made up (concealed)",
        )
    _, discarded = _intervals(segments, "packets_discarded")
    _, expected = _intervals(segments, "packets_expected_in")
    if not np.isfinite(expected).any():
        _, expected = _intervals(segments, "packets_in")
    with np.errstate(divide="ignore", invalid="ignore"):
        late = 100 * discarded / np.maximum(expected, discarded)
    if np.nanmax(np.nan_to_num(late), initial=0.0) > 0:
        panel.fill_between(
            at,
            late,
            step="pre",
            facecolor="none",
            edgecolor=PICTURE.purple,
            hatch="////",
            linewidth=1.3,
            label="too late (discarded)",
        )
    received = _bars(panel, segments, "loss_in", {**_IN, "label": "lost, received"}, 100)
    sent = _steps(panel, segments, "loss_out", "report_age_s", {**_OUT, "label": "lost, sent"}, 100)
    panel.set_ylabel("Packets (%)")
    codecs = [c for s in segments if "codec" in s.samples for c in s.samples["codec"].dropna()[-1:]]
    codec = str(codecs[-1]) if codecs else "OPUS"
    limit = 100 * loss_limit(codec)
    limit_line(
        panel, limit, f"limit {limit:.0f} % ({codec})", np.concatenate([received, sent, concealed, late])
    )
    panel.set_ylim(0.0, min(panel.get_ylim()[1], 118.0))
    plain(panel)
    _legend(panel, 4)


def draw_jitter(panel: Axes, segments: Sequence[Segment]) -> None:
    """Interarrival jitter of both directions."""
    received = _line(panel, segments, "jitter_in_ms", _IN)
    sent = _steps(panel, segments, "jitter_out_ms", "report_age_s", _OUT)
    panel.set_ylabel("Jitter (ms)")
    limit_line(panel, JITTER_LIMIT_MS, f"limit {JITTER_LIMIT_MS:g} ms", np.concatenate([received, sent]))
    plain(panel)
    _legend(panel, 2)


def draw_delay(panel: Axes, segments: Sequence[Segment]) -> None:
    """The round-trip time, and how long packets wait in the jitter buffer."""
    trip = _steps(panel, segments, "rtt_ms", "rtt_age_s", _BOTH)
    style: dict[str, Any] = {"color": PICTURE.muted, "linestyle": "--", "label": "jitter buffer"}
    wait = _line(panel, segments, "playout_delay_ms", style)
    panel.set_ylabel("Delay (ms)")
    limit_line(panel, RTT_LIMIT_MS, f"limit {RTT_LIMIT_MS:g} ms", np.concatenate([trip, wait]))
    plain(panel)
    _legend(panel, 2)


def draw_lag(panel: Axes, segments: Sequence[Segment]) -> None:
    """How late the kernel's loop ran: a busy cell, not the network."""
    at, lag = _intervals(segments, "loop_lag_ms")
    if np.isfinite(lag).any():
        panel.fill_between(at, lag, step="pre", color=PICTURE.faint, linewidth=0)
        panel.set_ylim(0.0, max(20.0, 1.25 * float(np.nanmax(lag))))
    panel.set_ylabel("Kernel\nlag (ms)")
    plain(panel)


def _legend(panel: Axes, columns: int) -> None:
    if panel.get_legend_handles_labels()[0]:
        panel.legend(loc="upper left", ncols=columns, **LEGEND)


# ---------------------------------------------------------------- events


def draw_events(
    panel: Axes, segments: Sequence[Segment], media_metrics: pd.DataFrame | None, sip: pd.DataFrame | None
) -> list[float]:
    """The mediaMetrics that were active, a row a type, and the SIP messages as ticks.

    Returns:
        The places of SIP requests, for faint lines in the other panels.
    """
    panel.set_ylabel("Events")
    plain(panel, grid=False)
    rows = _metric_rows(segments, media_metrics)
    for number, (name, spans) in enumerate(rows):
        colour = _METRIC_COLOURS[number % len(_METRIC_COLOURS)]
        bars = [(start, max(end - start, 0.3)) for start, end in spans]
        panel.broken_barh(bars, (number + 0.6, 0.8), color=colour)
        panel.annotate(name, (max(sum(bar) for bar in bars), number + 1.0), xytext=(4, 0), **_BESIDE)
    requests = _sip_ticks(panel, segments, sip)
    panel.set_yticks([])
    panel.set_ylim(max(2.0, len(rows) + 0.6), -0.6)
    if not rows and not requests:
        note = "no mediaMetrics, no SIP messages"
        panel.text(0.01, 0.5, note, transform=panel.transAxes, va="center", fontsize=8, color=PICTURE.muted)
    return requests


def _metric_rows(
    segments: Sequence[Segment], media_metrics: pd.DataFrame | None
) -> list[tuple[str, list[tuple[float, float]]]]:
    """By type and stream: from when to when each mediaMetric was active."""
    rows: dict[str, list[tuple[float, float]]] = {}
    if media_metrics is None or not len(media_metrics):
        return []
    for segment in segments:
        own = media_metrics
        if segment.uuid and "call_uuid" in media_metrics:
            own = media_metrics[media_metrics["call_uuid"].astype("object") == segment.uuid]
        since: dict[str, float] = {}
        for at, row in zip(segment.place(own.index), own.to_dict("records"), strict=True):
            stream = row.get("stream")
            name = f"{row.get('type')}" + (f" ({stream})" if stream in ("local", "remote") else "")
            if row.get("active", True):
                since.setdefault(name, float(at))
            else:
                rows.setdefault(name, []).append((since.pop(name, float(at)), float(at)))
        for name, at in since.items():
            rows.setdefault(name, []).append((at, max(at, segment.end_s)))
    return list(rows.items())


def _sip_ticks(panel: Axes, segments: Sequence[Segment], sip: pd.DataFrame | None) -> list[float]:
    requests: list[float] = []
    if sip is None or not len(sip):
        return requests
    last_label = -np.inf
    nearest = _nearest(segments, sip.index)
    for number, segment in enumerate(segments):
        inside = segment.place(sip.index)
        for at, start, own in zip(inside, sip["start"], nearest == number, strict=True):
            if not own or not segment.at_s - 1.5 <= at <= segment.end_s + 2.0:
                continue
            request = not str(start)[:1].isdigit()
            panel.plot(
                [at, at], [-0.5, 0.35], color=PICTURE.text if request else PICTURE.faint, linewidth=1.0
            )
            if not request:
                continue
            requests.append(float(at))
            if str(start) not in _UNNAMED and at - last_label > 0.055 * (segments[-1].end_s + 1):
                panel.annotate(str(start), (at, 0.0), xytext=(2, 0), **_BESIDE)
                last_label = at
    return requests


def _nearest(segments: Sequence[Segment], times: Any) -> npt.NDArray[np.intp]:
    """For each time the number of the call that it is in or, between two calls, next to."""
    places = [(segment, segment.place(times)) for segment in segments]
    away = [np.maximum(np.maximum(s.at_s - at, at - s.end_s), 0.0) for s, at in places]
    nearest: npt.NDArray[np.intp] = np.argmin(away, axis=0)
    return nearest


# ---------------------------------------------------------------- what lies over the panels


def mark_calls(panels: Sequence[Axes], segments: Sequence[Segment], names: dict[str, str]) -> None:
    """A line between two calls, and the name of each above its part."""
    if len(segments) < 2:
        return
    for number, segment in enumerate(segments):
        if number:
            for panel in panels:
                panel.axvline(segment.at_s - _GAP_S / 2, color=PICTURE.muted, linewidth=1.0)
        began = segment.origin.strftime("%H:%M:%S")
        name = names.get(segment.uuid) or call_name(segment.uuid, number)
        at_the_end = number and segment.at_s > 0.8 * segments[-1].end_s  # there is no room on the right
        side: _Side
        place, side = (segment.end_s, "right") if at_the_end else (segment.at_s, "left")
        _above(panels[0], place, f"{name}, {began} UTC", ha=side)


def shade(panels: Sequence[Axes], segments: Sequence[Segment], impairments: Sequence[Span]) -> None:
    """Shade the periods in which the network was impaired, and name them above."""
    for number, span in enumerate(impairments):
        segment = next((s for s in reversed(segments) if s.origin <= pd.Timestamp(span.start)), segments[0])
        start, end = segment.place([span.start, span.end])
        colour = _SHADE_COLOURS[number % len(_SHADE_COLOURS)]
        for panel in panels:
            panel.axvspan(start, end, color=colour, alpha=0.25, linewidth=0, zorder=0)
        _above(panels[0], (start + end) / 2, span.label, ha="center")


def _above(panel: Axes, at: float, text: str, ha: _Side) -> None:
    """Write over the panel, at a place of its horizontal axis."""
    panel.annotate(
        text,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha=ha,
        va="bottom",
        fontsize=8.5,
        color=PICTURE.text,
    )
