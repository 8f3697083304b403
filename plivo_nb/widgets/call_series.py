"""CallSeries: the values of one call that the dashboard draws, read row by row and kept in bounded memory.

The newest rows are kept as they are. Of older ones, only the least and the greatest value of each bucket of
rows are kept; when there are too many buckets, two neighbours become one. Reading, sending and drawing
therefore cost the same in the twentieth hour of a call as in its first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

#: name of a drawn value: (column of `samples`, factor). The seconds into the call come before them as "t".
_DRAWN: dict[str, tuple[str, float]] = {
    "jitter_in": ("jitter_in_ms", 1.0),
    "jitter_out": ("jitter_out_ms", 1.0),
    "rtt": ("rtt_ms", 1.0),
    "loss_in": ("loss_in", 100.0),
    "loss_out": ("loss_out", 100.0),
    "mos_in": ("mos_in", 1.0),
    "mos_out": ("mos_out", 1.0),
    "rtt_age": ("rtt_age_s", 1.0),
    "report_age": ("report_age_s", 1.0),
}
#: The loss that a lab's network caused, in percent; told by `show_truth` of the dashboard, not in `samples`.
TRUE_LOSS = ("true_loss_in", "true_loss_out")
COLUMNS = ("t", *_DRAWN, *TRUE_LOSS)
UNKNOWN_LOSS = (math.nan, math.nan)
_FIGURES = ("mos", "bitrate_in_kbps", "loop_lag_ms")
_STATES = ("codec", "direction", "muted")
#: The columns of `samples` that are read.
SAMPLE_COLUMNS = ("time", *_STATES, *_FIGURES, *(column for column, _ in _DRAWN.values()))

RECENT_ROWS = 1024  # more than 15 minutes of one row a second
MOST_BUCKETS = 1024
_FIRST_BUCKET_ROWS = 4


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at `t` seconds into the call."""

    t: float
    text: str


class CallSeries:
    """The values of one call.

    Attributes:
        rows: number of rows read.
        latest: the last row: codec, and numbers by column of `samples`; empty before the first row.
        marks: changes of codec, mute and hold, in order.
        mos_mean, mos_min: of all rows; NaN before the first score.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.latest: dict[str, Any] = {}
        self.marks: list[Mark] = []
        self.mos_min = math.nan
        self._mos_sum = 0.0
        self._mos_rows = 0
        self._start: np.datetime64 | None = None
        self._recent = np.empty((0, len(COLUMNS)), np.float32)
        self._buckets = np.empty((0, 2, len(COLUMNS)), np.float32)
        self._bucket_rows = _FIRST_BUCKET_ROWS

    @classmethod
    def of_frame(cls, samples: pd.DataFrame) -> CallSeries:
        """The series of a call's rows of `client.samples`. Columns that are missing have no values."""
        series = cls()
        missing = np.full(len(samples), np.nan)
        arrays = {name: samples[name].to_numpy() if name in samples else missing for name in SAMPLE_COLUMNS}
        times: Any = samples.index
        arrays["time"] = times.tz_convert(None).to_numpy()
        series.extend(arrays)
        return series

    @property
    def seconds(self) -> float:
        """Time of the last row in seconds into the call; 0 without rows."""
        return float(self._recent[-1, 0]) if len(self._recent) else 0.0

    @property
    def mos_mean(self) -> float:
        """Mean score of the call."""
        return self._mos_sum / self._mos_rows if self._mos_rows else math.nan

    @property
    def codec(self) -> str | None:
        """Codec of the last row."""
        codec = self.latest.get("codec")
        return codec if isinstance(codec, str) else None

    def seconds_at(self, time_utc_s: float) -> float | None:
        """Seconds into the call of a time in seconds since 1970; None before the first row."""
        if self._start is None:
            return None
        return time_utc_s - float(self._start.astype("datetime64[us]").astype(np.int64)) / 1e6

    def extend(
        self, arrays: Mapping[str, NDArray[Any]], true_loss: tuple[float, float] = UNKNOWN_LOSS
    ) -> None:
        """Add rows: `SAMPLE_COLUMNS` by name, all of the same length.

        Args:
            arrays: the rows.
            true_loss: the loss that a lab's network caused in their time, received and sent (0..1).
        """
        times = arrays["time"]
        if not len(times):
            return
        if self._start is None:
            self._start = times[0] - np.timedelta64(1, "s")  # the first row is at the end of a second
        t = (times - self._start) / np.timedelta64(1, "s")
        self._add_marks(arrays, t)
        new = np.empty((len(times), len(COLUMNS)), np.float32)
        new[:, 0] = t
        for place, (column, factor) in enumerate(_DRAWN.values(), 1):
            new[:, place] = arrays[column]
            if factor != 1.0:
                new[:, place] *= factor
        new[:, -len(TRUE_LOSS) :] = np.multiply(true_loss, 100.0)
        for start in range(0, len(new), RECENT_ROWS):
            self._recent = np.concatenate([self._recent, new[start : start + RECENT_ROWS]])
            if len(self._recent) >= 2 * RECENT_ROWS:
                self._compact(self._recent[:RECENT_ROWS])
                self._recent = self._recent[RECENT_ROWS:]
        self.rows += len(new)
        self._add_scores(arrays["mos"].astype(float))
        self.latest = {
            name: values[-1] if name in _STATES else float(values[-1])
            for name, values in arrays.items()
            if name != "time"
        }

    def since(self, row: int) -> NDArray[np.float32] | None:
        """The rows from number `row` on, with the columns `COLUMNS`; None if they are no longer kept."""
        first = self.rows - len(self._recent)
        return self._recent[row - first :] if row >= first else None

    def history(self) -> NDArray[np.float32]:
        """All that is kept, oldest first: two rows a bucket, with its least and its greatest values."""
        return np.concatenate([self._buckets.reshape(-1, len(COLUMNS)), self._recent])

    def columns(self) -> dict[str, NDArray[np.float32]]:
        """`history` by column."""
        return dict(zip(COLUMNS, self.history().T, strict=True))

    def _compact(self, rows: NDArray[np.float32]) -> None:
        grouped = rows.reshape(-1, self._bucket_rows, len(COLUMNS))
        pairs = np.stack([np.fmin.reduce(grouped, axis=1), np.fmax.reduce(grouped, axis=1)], axis=1)
        self._buckets = np.concatenate([self._buckets, pairs])
        while len(self._buckets) > MOST_BUCKETS and self._bucket_rows < RECENT_ROWS:
            self._bucket_rows *= 2
            left, right = self._buckets[0::2], self._buckets[1::2]
            self._buckets = np.stack(
                [np.fmin(left[:, 0], right[:, 0]), np.fmax(left[:, 1], right[:, 1])], axis=1
            )

    def _add_scores(self, scores: NDArray[np.float64]) -> None:
        known = scores[~np.isnan(scores)]
        if len(known):
            self._mos_sum += float(known.sum())
            self._mos_rows += len(known)
            self.mos_min = float(np.fmin(self.mos_min, known.min()))

    def _add_marks(self, arrays: Mapping[str, NDArray[Any]], t: NDArray[np.float64]) -> None:
        """Compare each state with that of the row before; it changed at the end of that row's interval."""
        ends = np.concatenate([[self.seconds], t[:-1]])
        for name in _STATES:
            values = arrays[name]
            before = np.concatenate([np.array([self.latest.get(name)], dtype=object), values[:-1]])
            for place in np.flatnonzero(values != before):
                text = _change(name, before[place], values[place])
                if text:
                    self.marks.append(Mark(float(ends[place]), text))
        self.marks.sort(key=lambda mark: mark.t)


def _change(state: str, before: Any, now: Any) -> str:
    """What to write at a change; empty for the first value, or a missing one."""
    if before is None or now is None or before != before or now != now:
        return ""
    if state == "muted":
        return "muted" if now else "unmuted"
    if state == "codec":
        return f"codec {now}"
    return "resumed" if now == "sendrecv" else "on hold"
