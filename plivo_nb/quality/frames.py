"""The frames that analysts touch: their schema, and the store they are copied from (design.md, "Frames").

Long and tidy, one row per call and second, index `time` (UTC), units at the end of names, missing is NaN,
categories for strings that repeat. What is handed out is always a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["float", "bool", "category", "string", "object", "time"]
_TIME = "datetime64[us]"
_NUMPY: dict[Kind, Any] = {
    "float": np.float64,
    "bool": np.bool_,
    "category": np.int32,
    "string": object,
    "object": object,
    "time": _TIME,
}
_PANDAS: dict[Kind, str] = {
    "float": "float64",
    "bool": "bool",
    "category": "category",
    "string": "str",
    "object": "object",
    "time": "datetime64[us, UTC]",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame.

    Attributes:
        name: snake_case, the unit at the end; Plivo's keys in frames of Plivo's events.
        kind: how it is stored.
        unit: ``""`` where there is none.
        meaning: what it says, in one sentence.
        source: where the number comes from.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    source: str

    @property
    def dtype(self) -> str:
        """The pandas dtype it has in the frame."""
        return _PANDAS[self.kind]


_INDEX = Column("time", "time", "UTC", "Index: when the row was made", "monotonic clock with a UTC anchor")

SAMPLES: tuple[Column, ...] = (
    Column("call_uuid", "category", "", "The call, as callInfo names it", "X-CallUUID, else Call-ID"),
    Column("codec", "category", "", "Codec in use: OPUS or PCMU; missing before one is chosen", "SDP"),
    Column("rtt_ms", "float", "ms", "Round-trip time on the media path", "RTCP LSR/DLSR, RFC 3550 6.4.1"),
    Column("rtt_age_s", "float", "s", "Age of rtt_ms: RTCP comes every few seconds only", "monotonic clock"),
    Column("jitter_in_ms", "float", "ms", "Interarrival jitter of what we receive", "RFC 3550 A.8"),
    Column("jitter_out_ms", "float", "ms", "The same of what we send", "RTCP report of the far end"),
    Column("loss_in", "float", "0..1", "Share of the interval's packets that did not arrive", "RFC 3550 A.3"),
    Column(
        "loss_out",
        "float",
        "0..1",
        "The same of what we send, between two reports",
        "RTCP report of the far end",
    ),
    Column(
        "mos",
        "float",
        "1..4.5",
        "Score of the call: the smaller of both directions",
        "SDK formula, spec.md 6",
    ),
    Column("mos_in", "float", "1..4.5", "Score of what we receive", "SDK formula"),
    Column("mos_out", "float", "1..4.5", "Score of what we send", "SDK formula"),
    Column("r_factor", "float", "R", "Transmission rating behind mos", "SDK formula"),
    Column("mos_g107", "float", "1..4.5", "Score of what we receive by the E-model", "ITU-T G.107 and G.113"),
    Column("level_in_dbfs", "float", "dBFS", "Peak level of what we play, -100 (silence) .. 0", "play-out"),
    Column("level_out_dbfs", "float", "dBFS", "Peak level of the source, before muting", "source"),
    Column("bitrate_in_kbps", "float", "kbit/s", "RTP payload received in the interval", "RTP"),
    Column("bitrate_out_kbps", "float", "kbit/s", "RTP payload sent in the interval", "RTP"),
    Column("packets_in", "float", "packets", "RTP packets that arrived in the interval", "RTP"),
    Column("packets_out", "float", "packets", "RTP packets sent in the interval", "RTP"),
    Column(
        "packets_lost_in",
        "float",
        "packets",
        "Packets missed in the interval; negative when packets counted as lost came late",
        "RFC 3550 A.3",
    ),
    Column(
        "packets_lost_out",
        "float",
        "packets",
        "New losses the far end reported in the interval",
        "RTCP report",
    ),
    Column(
        "concealed_ms",
        "float",
        "ms",
        "Sound made up in the interval because nothing was there to play",
        "play-out",
    ),
    Column("playout_delay_ms", "float", "ms", "Time a packet waits in the jitter buffer", "jitter buffer"),
    Column("discarded", "float", "packets", "Packets that arrived too late to be played", "jitter buffer"),
    Column("source_bytes", "float", "bytes", "RTP payload sent in the interval that the source gave", "RTP"),
    Column(
        "loop_lag_ms",
        "float",
        "ms",
        "Greatest lag of the kernel's loop in the interval: a busy cell",
        "engine",
    ),
    Column("muted", "bool", "", "Whether silence is sent instead of the source", "mute()"),
)

MEDIA_METRICS: tuple[Column, ...] = (
    Column("call_uuid", "category", "", "The call, as callInfo names it", "X-CallUUID, else Call-ID"),
    Column("group", "category", "", "network or audio", "mediaMetrics"),
    Column("level", "category", "", "warning", "mediaMetrics"),
    Column("type", "category", "", "high_jitter, high_rtt, ...", "mediaMetrics"),
    Column("value", "object", "per type", "The measured value; a word for ice_connection", "mediaMetrics"),
    Column("active", "bool", "", "True when raised, False when cleared", "mediaMetrics"),
    Column("desc", "category", "", "What was measured where", "mediaMetrics"),
    Column(
        "stream", "category", "", "local (what we send), remote (what we receive) or None", "mediaMetrics"
    ),
)

CALLS: tuple[Column, ...] = (
    Column("call_uuid", "string", "", "The call, as callInfo names it", "X-CallUUID, else Call-ID"),
    Column("direction", "string", "", "OUTGOING or INCOMING", "callInfo"),
    Column("src", "string", "", "Who called", "callInfo"),
    Column("dest", "string", "", "Who was called", "callInfo"),
    Column("state", "string", "", "How it ended: ended, rejected, canceled, ignored, failed", "callInfo"),
    Column("cause", "string", "", "Why it ended unanswered, in the SDK's words", "onCallFailed"),
    Column("code", "float", "SIP", "Status code of the final response", "SIP"),
    Column("reason", "string", "", "Reason phrase, or that of a Reason header", "SIP, RFC 3326"),
    Column("originator", "string", "", "local, remote or system: who ended it", "SIP"),
    Column("post_dial_delay_ms", "float", "ms", "From call() to ringing at the far end", "signalling"),
    Column("answer_delay_ms", "float", "ms", "From ringing to the answer", "signalling"),
    Column("media_setup_ms", "float", "ms", "From the answer to the first RTP packet received", "RTP"),
    Column("duration_s", "float", "s", "From the answer to the end", "signalling"),
    Column("mos_mean", "float", "1..4.5", "Mean of the samples' mos", "SDK formula, spec.md 6"),
    Column("mos_p5", "float", "1..4.5", "5th percentile of the samples' mos", "SDK formula, spec.md 6"),
    Column("feedback_score", "float", "1..5", "Score given with sendQualityFeedback", "user"),
    Column("feedback_comment", "string", "", "Comment given with it", "user"),
)

LOG: tuple[Column, ...] = (
    Column("event", "category", "", "Plivo's event name, or a word for what happened", "engine"),
    Column("call_uuid", "category", "", "The call it is about, if any", "X-CallUUID, else Call-ID"),
    Column("text", "string", "", "What the event carried", "engine"),
)

SCHEMA: dict[str, tuple[Column, ...]] = {
    "samples": SAMPLES,
    "media_metrics": MEDIA_METRICS,
    "calls": CALLS,
    "log": LOG,
}


def schema(frame: str | None = None) -> pd.DataFrame:
    """What the columns of the kit's frames mean.

    Args:
        frame: ``'samples'``, ``'media_metrics'``, ``'calls'`` or ``'log'``; without it, all frames.

    Returns:
        One row a column: frame, name, dtype, unit, meaning, source.

    Raises:
        ValueError: there is no frame of that name.
    """
    if frame is not None and frame not in SCHEMA:
        raise ValueError(f"There is no frame {frame!r}; choose one of {', '.join(SCHEMA)}.")
    wanted = SCHEMA if frame is None else {frame: SCHEMA[frame]}
    rows = []
    for key, columns in wanted.items():
        for column in (_INDEX, *columns):
            rows.append(
                {
                    "frame": key,
                    "name": column.name,
                    "dtype": column.dtype,
                    "unit": column.unit,
                    "meaning": column.meaning,
                    "source": column.source,
                }
            )
    return pd.DataFrame(rows)


def schema_metadata(frame: str) -> dict[str, dict[str, str]]:
    """{column: {dtype, unit, meaning, source}} of a frame, as plain values for Parquet files."""
    return {
        column.name: {
            "dtype": column.dtype,
            "unit": column.unit,
            "meaning": column.meaning,
            "source": column.source,
        }
        for column in SCHEMA[frame]
    }


class ColumnStore:
    """A frame that grows: numpy columns with spare room, copied out on demand.

    Belongs to one thread. A column of strings that repeat costs 4 bytes a row.

    Args:
        columns: the columns, in the frame's order; the index `time` is not among them.
    """

    def __init__(self, columns: Iterable[Column]) -> None:
        self.columns = tuple(columns)
        self._length = 0
        self._time = np.empty(0, _TIME)
        self._data: dict[str, npt.NDArray[Any]] = {c.name: np.empty(0, _NUMPY[c.kind]) for c in self.columns}
        self._codes: dict[str, dict[str, int]] = {c.name: {} for c in self.columns if c.kind == "category"}

    def __len__(self) -> int:
        return self._length

    def append(self, time_utc_ns: int, **values: Any) -> None:
        """Add one row.

        Args:
            time_utc_ns: its time, ns since 1970 UTC.
            values: by column name; what is not given is missing (a bool: False).

        Raises:
            ValueError: a name that is no column.
        """
        unknown = values.keys() - self._data.keys()
        if unknown:
            raise ValueError(f"No such column: {', '.join(sorted(unknown))}.")
        if self._length == len(self._time):
            self._grow()
        row = self._length
        self._time[row] = np.datetime64(time_utc_ns // 1000, "us")
        for column in self.columns:
            self._data[column.name][row] = self._stored(column, values.get(column.name))
        self._length += 1

    def _stored(self, column: Column, value: Any) -> Any:
        if column.kind == "float":
            return np.nan if value is None else value
        if column.kind == "bool":
            return bool(value)
        if column.kind == "category":
            if value is None or value == "":
                return -1
            codes = self._codes[column.name]
            return codes.setdefault(str(value), len(codes))
        if column.kind == "time":
            return np.datetime64("NaT") if value is None else np.datetime64(int(value) // 1000, "us")
        return value

    def _grow(self) -> None:
        room = max(256, 2 * len(self._time))
        self._time = _widened(self._time, room)
        self._data = {name: _widened(data, room) for name, data in self._data.items()}

    def frame(self, last: int | None = None) -> pd.DataFrame:
        """A copy as a DataFrame with the index `time`.

        Args:
            last: only this many rows from the end, such as what a plot shows; by default all.
        """
        start = 0 if last is None else max(0, self._length - last)
        part = slice(start, self._length)
        index = pd.DatetimeIndex(self._time[part].copy(), name="time").tz_localize("UTC")
        data = {column.name: self._column(column, part) for column in self.columns}
        return pd.DataFrame(data, index=index)

    def _column(self, column: Column, part: slice) -> Any:
        values = self._data[column.name][part].copy()
        if column.kind == "category":
            names = list(self._codes[column.name])
            return pd.Categorical.from_codes(values, categories=pd.Index(names, dtype="str"))
        if column.kind == "string":
            return pd.Series(values, dtype="str").array
        if column.kind == "time":
            return pd.DatetimeIndex(values).tz_localize("UTC")
        return values


def _widened(data: npt.NDArray[Any], room: int) -> npt.NDArray[Any]:
    wider = np.empty(room, data.dtype)
    wider[: len(data)] = data
    return wider
