"""The samples of one call as arrays, and spans of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.analysis.call_frames import conformed

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    BoolArray = npt.NDArray[np.bool_]

_SENDS = ("sendrecv", "sendonly")
_RECEIVES = ("sendrecv", "recvonly")
_LONGEST_INTERVAL_S = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of a call.

    Attributes:
        rows: which ones, as booleans.
        since, until: beginning of the first one's interval and end of the last one's, UTC.
        seconds: length of their intervals together.
    """

    rows: BoolArray
    since: pd.Timestamp
    until: pd.Timestamp
    seconds: float


def readable(name: str, frame: pd.DataFrame | None) -> pd.DataFrame:
    """Any frame with the columns and dtypes of the schema; rows without a time are left out."""
    if frame is None:
        return conformed(name, None)
    times = pd.to_datetime(pd.Index(frame.index), errors="coerce", utc=True)
    plain = frame.loc[:, ~frame.columns.duplicated()].set_axis(times, axis=0)
    return conformed(name, plain[plain.index.notna()])


class CallSeries:
    """The samples of one call, in the order of time.

    Args:
        samples: of one call, with all columns of the schema.

    Attributes:
        times: ends of the intervals, UTC.
        interval_s: lengths of the intervals, s; from one time to the next where the column is missing.
        receives, sends: whether the SDP direction includes receiving and sending.
    """

    def __init__(self, samples: pd.DataFrame) -> None:
        self._frame = samples
        self.times = pd.DatetimeIndex(samples.index)
        self.interval_s = self._intervals()
        way = self.words("direction")
        known = np.array([isinstance(word, str) and bool(word) for word in way], dtype=bool)
        self.receives: BoolArray = ~known | np.isin(way.astype(str), _RECEIVES)
        self.sends: BoolArray = ~known | np.isin(way.astype(str), _SENDS)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def seconds(self) -> float:
        """Length of all intervals together."""
        return float(self.interval_s.sum())

    @property
    def nothing(self) -> BoolArray:
        """No row."""
        return np.zeros(len(self), dtype=bool)

    def number(self, name: str) -> FloatArray:
        """A column of numbers; NaN where it is missing or infinite."""
        values = self._frame[name].to_numpy(dtype=np.float64)
        return np.where(np.isfinite(values), values, np.nan)

    def flag(self, name: str) -> BoolArray:
        """A column of booleans."""
        return self._frame[name].to_numpy(dtype=bool)

    def words(self, name: str) -> npt.NDArray[Any]:
        """A column of words; what is missing is no str."""
        return self._frame[name].to_numpy(dtype=object)

    def span(self, rows: BoolArray) -> Span:
        """These rows, of which there is one at least."""
        places = np.flatnonzero(rows)
        first, last = int(places[0]), int(places[-1])
        since = self.times[first] - pd.Timedelta(seconds=float(self.interval_s[first]))
        return Span(rows, since, self.times[last], float(self.interval_s[rows].sum()))

    def runs(self, rows: BoolArray, least_s: float = 0.0) -> list[Span]:
        """The runs of rows that follow each other and last at least so long."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(np.int8)))
        made = []
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            part = self.nothing
            part[start:end] = True
            made.append(self.span(part))
        return [run for run in made if run.seconds >= least_s]

    def longest(self, rows: BoolArray) -> Span | None:
        """The longest run of rows that follow each other."""
        return max(self.runs(rows), key=lambda run: run.seconds, default=None)

    def near(self, rows: BoolArray, before_s: float, after_s: float) -> BoolArray:
        """These rows, and those that end up to so long before and after one of them."""
        found = rows.copy()
        for run in self.runs(rows):
            since, until = (
                run.since - pd.Timedelta(seconds=before_s),
                run.until + pd.Timedelta(seconds=after_s),
            )
            found |= np.asarray((self.times > since) & (self.times <= until))
        return found

    def smoothed(self, values: FloatArray, weights: FloatArray, rows: int) -> FloatArray:
        """The weighted mean of each row and those before it; NaN where nothing is known.

        Args:
            values: NaN is left out.
            weights: what each one counts.
            rows: how many.
        """
        known = np.isfinite(values) & (weights > 0.0)
        parts = np.where(known, values * weights, 0.0), np.where(known, weights, 0.0)
        window = np.ones(rows)
        above, below = (np.convolve(part, window)[: len(part)] for part in parts)
        means: FloatArray = np.divide(above, below, out=np.full(len(values), np.nan), where=below > 0.0)
        return means

    def _intervals(self) -> FloatArray:
        steps = np.diff(self.times.as_unit("us").asi8, prepend=np.nan) / 1e6 if len(self) else np.zeros(0)
        given = self.number("interval_s")
        lengths = np.where(given > 0.0, given, steps)
        usual = np.nanmedian(lengths) if np.isfinite(lengths).any() else 1.0
        lengths = np.where(np.isfinite(lengths), lengths, usual)
        return np.clip(lengths, 0.0, _LONGEST_INTERVAL_S)


def mean(values: FloatArray, rows: BoolArray, otherwise: float = np.nan) -> float:
    """The mean of the known values in these rows."""
    part = values[rows]
    part = part[np.isfinite(part)]
    return float(part.mean()) if part.size else otherwise
