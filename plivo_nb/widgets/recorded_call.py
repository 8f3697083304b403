"""RecordedCall: a call to go through again, from a frame, a file or a `Call`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from plivo_nb.analysis import store
from plivo_nb.widgets import key_figures, plain_warnings
from plivo_nb.widgets.phone_view import peer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from plivo_nb.engine.audio.kept_audio import Clip
    from plivo_nb.events import CallInfo
    from plivo_nb.widgets.key_figures import KeyFigures
    from plivo_nb.widgets.plain_warnings import WarningSpan, WarningSpans

#: The file with the mediaMetrics events of ``call.parquet`` is ``call.media_metrics.parquet``.
METRICS_SUFFIX = ".media_metrics.parquet"
_BEFORE_S, _AFTER_S = 1.0, 4.0  # how much is heard around a moment


class EndedCall(Protocol):
    """The interface that a `RecordedCall` needs of a `plivo_nb.call.Call`."""

    @property
    def info(self) -> CallInfo:
        """Its `CallInfo`."""

    @property
    def samples(self) -> pd.DataFrame:
        """Its samples."""

    @property
    def media_metrics(self) -> pd.DataFrame:
        """Its mediaMetrics events."""

    def audio(self, t0: float | None = None, t1: float | None = None, *, sent: bool = False) -> Clip:
        """The audio that is kept of it."""


Source = pd.DataFrame | str | os.PathLike[str] | EndedCall


@dataclass(frozen=True, slots=True, eq=False)
class RecordedCall:
    """One call. Times are seconds into the call: its first sample is at second 1.

    Attributes:
        samples: its rows of `client.samples`.
        media_metrics: its rows of `client.media_metrics`; empty where they are not known.
        name: who the other party was, or another name of the call.
        audio: as `Call.audio`; None where no sound can be had.
        began: second 0, in UTC.
        seconds: time of the last sample.
        warnings: its mediaMetrics warnings.
    """

    samples: pd.DataFrame
    media_metrics: pd.DataFrame
    name: str
    audio: Callable[..., Clip] | None
    began: pd.Timestamp
    seconds: float
    warnings: WarningSpans
    _times: NDArray[np.float64]
    _columns: dict[str, NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        samples: pd.DataFrame,
        media_metrics: pd.DataFrame | None = None,
        *,
        name: str = "",
        audio: Callable[..., Clip] | None = None,
    ) -> RecordedCall:
        """A call from its rows.

        Args:
            samples: rows of `client.samples` of one call, at least one.
            media_metrics: rows of `client.media_metrics` of the same call.
            name: who the other party was.
            audio: as `Call.audio`.
        """
        index = pd.DatetimeIndex(samples.index)
        began = pd.Timestamp(index[0]) - pd.Timedelta(seconds=1)
        times = np.asarray((index - began).total_seconds(), dtype=np.float64)
        metrics = pd.DataFrame(index=samples.index[:0]) if media_metrics is None else media_metrics
        warnings = plain_warnings.spans_of(metrics, began)
        warnings.end(float(times[-1]))
        columns = key_figures.columns_of(samples)
        return cls(samples, metrics, name, audio, began, float(times[-1]), warnings, times, columns)

    def figures(self, seconds: float) -> KeyFigures:
        """The key figures at a moment; at the end of the call those of the whole call."""
        if seconds >= self.seconds:
            codec = key_figures.last_word(self.samples, "codec")
            return key_figures.of_call(self._columns, codec, self.seconds)
        until = self._rows_until(seconds)
        rows = self.samples.iloc[max(0, until - 1) : until]
        codec, direction = (key_figures.last_word(rows, name) for name in ("codec", "direction"))
        return key_figures.current(self.recent(seconds), codec, direction)

    def recent(self, seconds: float) -> dict[str, NDArray[np.float64]]:
        """The columns of the last samples before a moment, as `key_figures.columns_of` gives them."""
        until = self._rows_until(seconds)
        part = slice(max(0, until - key_figures.RECENT_ROWS), until)
        return {name: values[part] for name, values in self._columns.items()}

    def warnings_at(self, seconds: float) -> list[WarningSpan]:
        """The warnings that were active at a moment, the worst first."""
        return self.warnings.at(seconds)

    def summary(self) -> str:
        """The warnings of the whole call in a sentence."""
        return plain_warnings.summary(self.warnings, self.seconds)

    def time(self, seconds: float) -> pd.Timestamp:
        """A moment in UTC."""
        return self.began + pd.Timedelta(milliseconds=round(1000 * seconds))

    def clip(self, seconds: float, *, sent: bool = False) -> Clip | None:
        """Five seconds of sound around a moment; None where it is not kept.

        The sound that is kept ends with the call, so it is found from the end.

        Args:
            seconds: the moment.
            sent: what was sent instead of what was received.
        """
        if self.audio is None:
            return None
        start, end = seconds - _BEFORE_S - self.seconds, seconds + _AFTER_S - self.seconds
        clip = self.audio(min(start, -0.02), end if end < 0 else None, sent=sent)
        return clip if len(clip.samples) else None

    def _rows_until(self, seconds: float) -> int:
        # a sample is at the end of its interval: what is shown at second 1.5 is the sample of second 1
        return int(np.searchsorted(self._times, seconds + 0.05, side="right"))


def recorded_calls(source: Source, media_metrics: pd.DataFrame | None = None) -> list[RecordedCall]:
    """The calls of a source, in the order of their beginnings.

    Args:
        source: a `Call`; rows of `client.samples`; or the path of a Parquet file of `client.samples`, as
            `plivo_nb.analysis.store.save` and the button Parquet write it, or of a CSV file.
        media_metrics: rows of `client.media_metrics`, for the warnings; by default those of the call, or of
            the file that the button Parquet wrote beside the samples.

    Raises:
        TypeError: the source is none of these.
        ValueError: it has no samples, or the file is of another kind.
        OSError: the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        return _of_frame(*_read(Path(source), media_metrics), Path(source).stem)
    if isinstance(source, pd.DataFrame):
        return _of_frame(source, media_metrics, "")
    if not all(hasattr(source, name) for name in ("samples", "media_metrics", "info", "audio")):
        raise TypeError(
            f"A {type(source).__name__} is no recorded call; give a frame of samples, the path of a Parquet "
            "or CSV file of one, or a Call."
        )
    samples = source.samples
    _check(samples, "The call")
    metrics = source.media_metrics if media_metrics is None else media_metrics
    return [RecordedCall.of(samples, metrics, name=peer_of(source.info), audio=source.audio)]


def _read(path: Path, media_metrics: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    if path.suffix == ".csv":
        frame = pd.read_csv(path)
        if "time" not in frame:
            raise ValueError(f"{path} has no column 'time'; write it with client.samples.to_csv(path).")
        return frame.set_index(pd.to_datetime(frame.pop("time"), utc=True, format="ISO8601")), media_metrics
    if path.suffix != ".parquet":
        raise ValueError(f"{path} cannot be shown; give a .parquet or .csv file of client.samples.")
    frame = store.load(path)
    beside = path.with_name(path.stem + METRICS_SUFFIX)
    if media_metrics is None and beside.is_file():
        media_metrics = store.load(beside)
    return frame, media_metrics


def _check(samples: pd.DataFrame, what: str) -> None:
    if not len(samples):
        raise ValueError(f"{what} has no samples; a call has one for each second from its answer.")
    if not isinstance(samples.index, pd.DatetimeIndex) or samples.index.tz is None:
        raise ValueError(f"{what} has no index 'time' in UTC; give rows of client.samples.")
    if "mos" not in samples:
        raise ValueError(f"{what} has no column 'mos'; give rows of client.samples.")


def _of_frame(samples: pd.DataFrame, media_metrics: pd.DataFrame | None, name: str) -> list[RecordedCall]:
    _check(samples, f"The file {name}" if name else "The frame")
    if "call_uuid" not in samples:
        return [RecordedCall.of(samples, media_metrics, name=name or "call")]
    calls = []
    ids = samples["call_uuid"].astype("object").where(samples["call_uuid"].notna(), "")
    for number, uuid in enumerate(dict.fromkeys(ids), 1):
        metrics = _rows_of(media_metrics, uuid)
        rows = samples[ids == uuid]
        label = name if name and len(ids.unique()) == 1 else f"call {number}"
        calls.append(RecordedCall.of(rows, metrics, name=label))
    return calls


def _rows_of(frame: pd.DataFrame | None, uuid: Any) -> pd.DataFrame | None:
    if frame is None or "call_uuid" not in frame:
        return frame
    rows: pd.DataFrame = frame[frame["call_uuid"].astype("object") == uuid]
    return rows
