"""The steps of a call's set-up and how long each took, for `plots.setup_timeline`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from plivo_nb.analysis.figures import plain
from plivo_nb.palette import PICTURE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Steps of `Call.timings`: name, from which moment, to which moment.
STEPS: tuple[tuple[str, str, str], ...] = (
    ("socket", "socket_connecting", "socket_connected"),
    ("REGISTER", "register_sent", "registered"),
    ("media described", "dialled", "invite_sent"),
    ("INVITE to ringing", "invite_sent", "ringing"),
    ("ringing to answer", "ringing", "answered"),
    ("ICE", "ice_checking", "ice_connected"),
    ("DTLS", "ice_connected", "dtls_connected"),
    ("DTLS to first RTP", "dtls_connected", "first_rtp_received"),
)
_COLUMNS = (
    ("call to ringing", "post_dial_delay_ms"),
    ("ringing to answer", "answer_delay_ms"),
    ("answer to first RTP", "media_setup_ms"),
)
_COLOURS = {"socket": PICTURE.sky, "REGISTER": PICTURE.sky, "ICE": PICTURE.green, "DTLS": PICTURE.green}
_SOON_S = 0.5  # a login that is longer ago than this is drawn as if it came just before the call


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, and from when to when, in seconds from the beginning of the row."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """The steps of one call."""

    name: str
    steps: tuple[Step, ...]


def rows_of(calls: Any) -> list[Row]:
    """The steps of a call, of several, of the timings of one, or of each row of `client.calls`."""
    if isinstance(calls, pd.DataFrame):
        return [_of_frame(row) for row in calls.to_dict("records")]
    if isinstance(calls, Mapping):
        return [_of_timings("", calls)]
    if hasattr(calls, "timings"):
        return [_of_timings("", calls.timings)]
    return [_of_timings(f"{number + 1} {call.info.dest}", call.timings) for number, call in enumerate(calls)]


def _of_timings(name: str, timings: Mapping[str, float]) -> Row:
    known = [(n, timings[a], timings[b]) for n, a, b in STEPS if a in timings and b in timings]
    before = [step for step in known if step[0] in ("socket", "REGISTER")]
    dialled = timings.get("dialled")
    away = 0.0  # a login long before the call is moved to its beginning
    if before and dialled is not None:
        away = max(0.0, dialled - before[-1][2] - _SOON_S)
    moved = [(n, a + away, b + away) if n in ("socket", "REGISTER") else (n, a, b) for n, a, b in known]
    origin = min([a for _, a, _ in moved], default=0.0)
    return Row(name, tuple(Step(n, a - origin, max(a, b) - origin) for n, a, b in moved))


def _of_frame(row: Mapping[Any, Any]) -> Row:
    steps: list[Step] = []
    at = 0.0
    for name, column in _COLUMNS:
        length_ms = row.get(column)
        if length_ms is None or not math.isfinite(length_ms):
            continue
        steps.append(Step(name, at, at + length_ms / 1000))
        at += length_ms / 1000
    return Row(str(row.get("dest") or row.get("call_uuid") or ""), tuple(steps))


def draw(ax: Axes, rows: list[Row]) -> None:
    """A bar for each step, with its length; the names of several calls stand over their steps."""
    labels: list[str] = []
    ticks: list[float] = []
    y = 0.0
    end = max([step.end_s for row in rows for step in row.steps], default=1.0) or 1.0
    for row in rows:
        if len(rows) > 1:
            ax.text(0.0, y, row.name, fontsize=9, fontweight="bold", color=PICTURE.text, va="center")
            y += 1.0
        for step in row.steps:
            ax.barh(y, step.end_s - step.start_s, 0.62, left=step.start_s, color=_colour(step.name))
            length = f"{1000 * (step.end_s - step.start_s):.0f} ms"
            ax.text(step.end_s + 0.01 * end, y, length, va="center", fontsize=8.5, color=PICTURE.text)
            labels.append(step.name)
            ticks.append(y)
            y += 1.0
    ax.set_yticks(ticks, labels)
    ax.set_ylim(max(y, 1.0) - 0.4, -0.7)
    ax.set_xlim(0.0, 1.14 * end)
    ax.set_xlabel("seconds")
    plain(ax, grid=False)
    if not labels:
        ax.text(
            0.5,
            0.5,
            "no step of the set-up is known",
            transform=ax.transAxes,
            ha="center",
            color=PICTURE.text,
        )


def _colour(name: str) -> str:
    if "to answer" in name:
        return PICTURE.faint
    if name.endswith("first RTP"):
        return PICTURE.orange
    return _COLOURS.get(name, PICTURE.blue)
