"""The frames that analysts use: their schema, how they are built from it, and the store that samples grow in.

Frames are long and tidy: one row for each call and second, event or message; index `time` (UTC), ascending;
units at the end of names; missing is NaN; categories for strings that repeat. What is handed out is a copy.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from plivo_nb.quality.columns import Column, Kind
from plivo_nb.quality.limits import LOOP_STALL_MS
from plivo_nb.quality.sampler import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableSequence, Sequence

    import pandas as pd

_TIME = "datetime64[us]"
_NUMPY: dict[Kind, Any] = {
    "float": np.float64,
    "bool": np.bool_,
    "category": np.int32,
    "string": object,
    "object": object,
    "time": _TIME,
}

_CLOCK = "monotonic clock with a UTC anchor"
#: The index of every frame, in ascending order.
INDEX = Column("time", "time", "UTC", "Index: when the row was made", _CLOCK)
_INDEXES: dict[str, Column] = {
    "samples": Column("time", "time", "UTC", "Index: end of the interval", _CLOCK),
    "calls": Column(
        "time", "time", "UTC", "Index: when the call began: call(), or the INVITE came; ascending", _CLOCK
    ),
    "sip_trace": Column(
        "time", "time", "UTC", "Index: when the message's bytes came or left, in the I/O plane", _CLOCK
    ),
    "packet_fates": Column(
        "time", "time", "UTC", "Index: when it should have been played; if late, when it came", _CLOCK
    ),
}

_UUID_SOURCE = "X-CallUUID, else Call-ID"
_CALL_UUID = Column("call_uuid", "category", "", "The call, as callInfo names it", _UUID_SOURCE)

SAMPLES: tuple[Column, ...] = (
    _CALL_UUID,
    *COLUMNS,
    Column(
        "loop_lag_ms",
        "float",
        "ms",
        "Greatest lag of the kernel's loop that ended in the interval: each is in one row of a call",
        "engine",
    ),
    Column("server_away", "bool", "", "Whether there was no signalling connection at its end", "engine"),
)

MEDIA_METRICS: tuple[Column, ...] = (
    _CALL_UUID,
    Column("group", "category", "", "network or audio", "mediaMetrics"),
    Column("level", "category", "", "warning", "mediaMetrics"),
    Column("type", "category", "", "high_jitter, high_rtt, ...", "mediaMetrics"),
    Column("value", "object", "per type", "The measured value; a word for ice_connection", "mediaMetrics"),
    Column("active", "bool", "", "True when raised, False when cleared", "mediaMetrics"),
    Column("desc", "category", "", "What was measured where", "mediaMetrics"),
    Column("stream", "category", "", "local (sent), remote (received) or None", "mediaMetrics"),
)

CALLS: tuple[Column, ...] = (
    Column("call_uuid", "string", "", "The call, as callInfo names it", _UUID_SOURCE),
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
    Column("socket_ms", "float", "ms", "Opening of the signalling WebSocket, before the call", "signalling"),
    Column("register_ms", "float", "ms", "From REGISTER to its 200 OK, before the call", "RFC 3261 10"),
    Column("ice_ms", "float", "ms", "From the first connectivity check to a working path", "RFC 8445"),
    Column("dtls_ms", "float", "ms", "Handshake for the keys of SRTP", "RFC 5764"),
    Column("media_setup_ms", "float", "ms", "From the answer to the first RTP packet received", "RTP"),
    Column("duration_s", "float", "s", "From the answer to the end", "signalling"),
    Column("codec", "string", "", "Codec that was sent last", "SDP"),
    Column("codec_preferred", "string", "", "First codec of the option codecs", "option codecs"),
    Column("packets_in", "float", "packets", "RTP packets that arrived", "RTP"),
    Column("packets_out", "float", "packets", "RTP packets sent", "RTP"),
    Column("loss_in", "float", "0..1", "Share of the packets expected that did not arrive", "RFC 3550 A.3"),
    Column(
        "loss_out", "float", "0..1", "Share of the packets sent that did not arrive", "RTCP of the far end"
    ),
    Column("jitter_in_mean_ms", "float", "ms", "Mean of the samples' jitter_in_ms", "RFC 3550 A.8"),
    Column("jitter_in_p95_ms", "float", "ms", "95th percentile of the samples' jitter_in_ms", "RFC 3550 A.8"),
    Column("jitter_out_mean_ms", "float", "ms", "Mean of jitter_out_ms over the reports", "RTCP"),
    Column("jitter_out_p95_ms", "float", "ms", "95th percentile of jitter_out_ms over the reports", "RTCP"),
    Column("rtt_mean_ms", "float", "ms", "Mean of rtt_ms over its measurements", "RTCP"),
    Column("rtt_p95_ms", "float", "ms", "95th percentile of rtt_ms over its measurements", "RTCP"),
    Column("mos_mean", "float", "1..4.5", "Mean of the samples' mos", "SDK formula"),
    Column("mos_min", "float", "1..4.5", "Smallest of the samples' mos", "SDK formula"),
    Column("mos_p5", "float", "1..4.5", "5th percentile of the samples' mos", "SDK formula"),
    Column("warnings", "float", "", "mediaMetrics events with active True", "mediaMetrics"),
    Column(
        "stalls",
        "float",
        "",
        f"How often the kernel's loop ran more than {LOOP_STALL_MS:g} ms late",
        "engine",
    ),
    Column("feedback_score", "float", "1..5", "Score given with sendQualityFeedback", "user"),
    Column("feedback_comment", "string", "", "Comment given with it", "user"),
)

LOG: tuple[Column, ...] = (
    Column("event", "category", "", "Plivo's event name, or a word for what happened", "engine"),
    Column("call_uuid", "category", "", "The call it is about, if any", _UUID_SOURCE),
    Column("text", "string", "", "What the event carried", "engine"),
)

SIP_TRACE: tuple[Column, ...] = (
    Column("direction", "category", "", "in (received) or out (sent)", "SIP"),
    Column(
        "start",
        "string",
        "",
        "Method of a request; status code and reason of a response",
        "RFC 3261 7.1, 7.2",
    ),
    Column("call", "category", "", "Call-ID", "RFC 3261 20.8"),
    Column("cseq", "string", "", "CSeq: number and method", "RFC 3261 20.16"),
    Column("text", "string", "", "The whole message, credentials masked", "SIP"),
)

PACKET_FATES: tuple[Column, ...] = (
    _CALL_UUID,
    Column(
        "fate",
        "category",
        "",
        "missing (the next one was there, sound made up), recovered (from in-band FEC), concealed (no packet "
        "was there, sound made up) or late (came after its time: missing, recovered or concealed before)",
        "play-out",
    ),
)

SCHEMA: dict[str, tuple[Column, ...]] = {
    "samples": SAMPLES,
    "media_metrics": MEDIA_METRICS,
    "calls": CALLS,
    "log": LOG,
    "sip_trace": SIP_TRACE,
    "packet_fates": PACKET_FATES,
}


def schema(frame: str | None = None) -> pd.DataFrame:
    """What the columns of the frames mean.

    Args:
        frame: ``'samples'``, ``'media_metrics'``, ``'calls'``, ``'log'``, ``'sip_trace'`` or
            ``'packet_fates'``; without it, all.

    Returns:
        One row a column: frame, name, dtype, unit, meaning, source.

    Raises:
        ValueError: there is no frame of that name.

    Example:
        >>> schema("samples").set_index("name").loc["rtt_ms", "unit"]
        'ms'
    """
    if frame is not None and frame not in SCHEMA:
        raise ValueError(f"There is no frame {frame!r}; choose one of {', '.join(SCHEMA)}.")
    import pandas as pd

    wanted = SCHEMA if frame is None else {frame: SCHEMA[frame]}
    rows = [
        {"frame": key, "name": column.name, **_described(column)}
        for key, columns in wanted.items()
        for column in (_INDEXES.get(key, INDEX), *columns)
    ]
    return pd.DataFrame(rows)


def schema_metadata(frame: str) -> dict[str, dict[str, str]]:
    """{column: {dtype, unit, meaning, source}} of a frame, as plain values for Parquet files."""
    return {column.name: _described(column) for column in SCHEMA[frame]}


def _described(column: Column) -> dict[str, str]:
    about = asdict(column)
    return {"dtype": column.dtype, **{name: about[name] for name in ("unit", "meaning", "source")}}


# ---------------------------------------------------------------- frames from rows


def build_frame(name: str, times_utc_ns: Sequence[int], values: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """A frame of the schema.

    Args:
        name: which frame of `SCHEMA`.
        times_utc_ns: the rows' times, ns since 1970 UTC; rows with the same time keep their order.
        values: the rows' values by column; None, and NaN in place of a word, is missing.
    """
    times = (np.asarray(times_utc_ns, dtype=np.int64) // 1000).view(_TIME)
    data: dict[str, npt.NDArray[Any]] = {}
    names: dict[str, list[str]] = {}
    for column in SCHEMA[name]:
        words = _Words()
        stored = [_stored(column, value, words) for value in values[column.name]]
        data[column.name] = np.empty(len(stored), _NUMPY[column.kind])
        data[column.name][:] = stored
        names[column.name] = words.all
    return _assembled(SCHEMA[name], times, data, names)


class _Words:
    """The words of a category, in the order of their first use. The place of a word is its code; -1: none."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._codes: dict[str, int] = {}

    def code_of(self, word: str) -> int:
        """The code of a word, a new one if need be."""
        code = self._codes.setdefault(word, len(self.all))
        if code == len(self.all):
            self.all.append(word)
        return code

    def used(self, codes: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], list[str]]:
        """The codes renumbered for the words that occur among them, and those words."""
        present, places = np.unique(codes, return_inverse=True)
        missing = int(np.searchsorted(present, 0))  # 1 if there is a code of -1
        return places - missing, [self.all[code] for code in present[missing:]]


def _stored(column: Column, value: Any, words: _Words) -> Any:
    """A value as it is kept: numbers as they are, a category as its code, words as str or None."""
    kind = column.kind
    if kind == "float":
        return np.nan if value is None else value
    if kind == "bool":
        return bool(value)
    if kind == "object":
        return value
    missing = value is None or value != value
    if kind == "time":
        return np.datetime64("NaT") if missing else np.datetime64(int(value) // 1000, "us")
    if kind == "string":
        return None if missing else str(value)
    return -1 if missing or value == "" else words.code_of(str(value))


def _assembled(
    columns: Iterable[Column],
    times: npt.NDArray[Any],
    data: Mapping[str, npt.NDArray[Any]],
    names: Mapping[str, list[str]],
) -> pd.DataFrame:
    """The frame of stored values, in the order of time. `names`: a category's words by code."""
    import pandas as pd

    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        times, data = times[order], {name: values[order] for name, values in data.items()}
    index = pd.DatetimeIndex(times.copy(), name=INDEX.name).tz_localize("UTC")
    arrays = {c.name: _array(c, data[c.name], names.get(c.name, []), index) for c in columns}
    return pd.DataFrame(arrays, index=index)


def _array(column: Column, values: npt.NDArray[Any], names: list[str], index: pd.DatetimeIndex) -> Any:
    import pandas as pd

    if column.kind == "category":
        return pd.Categorical.from_codes(values, categories=pd.Index(names, dtype="str"))
    if column.kind == "string":
        return pd.array(values, dtype="str")
    if column.kind == "time":
        return pd.DatetimeIndex(values.copy()).tz_localize("UTC")
    if column.kind == "object":
        return pd.Series(
            values.copy(), index, dtype=object
        )  # pandas would make `str` of an array of words only
    return values.copy()


_NO_WORDS = _Words()


class ColumnStore:
    """A frame that grows: numpy columns with spare capacity, copied out on demand.

    Belongs to one thread. A column of strings that repeat costs 4 bytes a row.

    Args:
        columns: the columns, in the frame's order; the index `time` is not among them.
        by: the category of which `rows_of` finds rows without reading the others, for 8 bytes a row; by
            default none.

    Example:
        >>> store = ColumnStore(SAMPLES, by="call_uuid")
        >>> for second in range(4):
        ...     store.append(second * 10**9, call_uuid="first" if second % 2 else "second", mos=4.0)
        >>> store.rows_of(["first"])
        array([1, 3])
        >>> len(store.frame(store.rows_since(2 * 10**9)))
        2
    """

    def __init__(self, columns: Iterable[Column], by: str | None = None) -> None:
        self.columns = tuple(columns)
        self._by = by
        self._rows: dict[str, MutableSequence[int]] = {}  # by word of the column `by`, ascending
        self._length = 0
        self._time = np.empty(0, _TIME)
        self._latest = np.empty(0, _TIME)  # of the rows so far; ascending, which times need not be
        self._data: dict[str, npt.NDArray[Any]] = {c.name: np.empty(0, _NUMPY[c.kind]) for c in self.columns}
        self._words = {c.name: _Words() for c in self.columns if c.kind == "category"}

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
        self._time[row] = time = np.datetime64(time_utc_ns // 1000, "us")
        self._latest[row] = max(time, self._latest[row - 1]) if row else time
        for column in self.columns:
            words = self._words.get(column.name, _NO_WORDS)
            self._data[column.name][row] = _stored(column, values.get(column.name), words)
        if self._by is not None and (word := values.get(self._by)):
            self._rows.setdefault(str(word), array("q")).append(row)
        self._length += 1

    def _grow(self) -> None:
        capacity = max(256, 2 * len(self._time))
        self._time = _widened(self._time, capacity)
        self._latest = _widened(self._latest, capacity)
        self._data = {name: _widened(data, capacity) for name, data in self._data.items()}

    def frame(self, rows: npt.NDArray[np.int64] | None = None) -> pd.DataFrame:
        """A copy as a DataFrame with the index `time`. Categories are the words of its rows.

        Args:
            rows: the numbers of the rows in it, such as those of `rows_of` or `rows_since`; None: all.
        """
        part = slice(self._length) if rows is None else rows
        data = {name: values[part] for name, values in self._data.items()}
        names = {}
        for name, words in self._words.items():
            data[name], names[name] = (data[name], words.all) if rows is None else words.used(data[name])
        return _assembled(self.columns, self._time[part], data, names)

    def rows_of(self, words: Iterable[str | None], since: int = 0) -> npt.NDArray[np.int64]:
        """The numbers of the rows that have one of these words in the column `by`, from row `since` on.

        It takes as long as there are such rows, however many others there are.
        """
        found = [self._rows[word] for word in set(words) if word and word in self._rows]
        parts = [np.array(rows[bisect_left(rows, since) :], dtype=np.int64) for rows in found]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    def rows_since(self, time_utc_ns: int) -> npt.NDArray[np.int64]:
        """The numbers of the rows that are of this time (ns since 1970 UTC) or later."""
        time = np.datetime64(time_utc_ns // 1000, "us")
        first = int(np.searchsorted(self._latest[: self._length], time))
        return first + np.flatnonzero(self._time[first : self._length] >= time)

    def since(self, row: int, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        """Copies of some columns, from this row on: what is new to who has read up to it.

        Args:
            row: number of the first row, from 0.
            names: the columns; ``'time'`` is the index.

        Returns:
            Arrays by name: of UTC times (datetime64[us]), numbers, or objects (a word or None).
        """
        return {name: self._copied(name, slice(row, self._length)) for name in names}

    def arrays(self, rows: npt.NDArray[np.int64], names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        """Copies of some columns of these rows, as `since` gives them."""
        return {name: self._copied(name, rows) for name in names}

    def _copied(self, name: str, rows: slice | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        if name == INDEX.name:
            return self._time[rows].copy()
        if name not in self._words:
            return self._data[name][rows].copy()
        codes, used = self._words[name].used(self._data[name][rows])
        words = np.array([*used, None], dtype=object)
        found: npt.NDArray[Any] = words[codes]  # code -1, missing, is the last one: None
        return found


def _widened(data: npt.NDArray[Any], capacity: int) -> npt.NDArray[Any]:
    wider = np.empty(capacity, data.dtype)
    wider[: len(data)] = data
    return wider
