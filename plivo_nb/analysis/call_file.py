"""The file of one call: an Arrow IPC stream while the call goes on, Parquet after it.

Both have the samples as their rows, and the rest as JSON beside them, under the key ``plivo_nb`` of the
metadata: the call's row of `client.calls`, its tags and mediaMetrics events, the version that wrote the file,
and the unit and meaning of every column. So any program that reads Parquet reads the samples.

A stream can be cut off at any byte: it is read up to its last batch that is complete. Samples come into it
from the I/O plane, also while the kernel's loop is blocked; the loop confirms each of them when it counts it,
in the metadata of a later batch, with its own lag.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plivo_nb.analysis import call_details, store
from plivo_nb.analysis.call_frames import CallFrames, conformed
from plivo_nb.quality.frames import CALLS, INDEX, MEDIA_METRICS, SAMPLES, build_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from plivo_nb.analysis.call_details import CallDetails
    from plivo_nb.quality.columns import Kind

#: How the names of files end.
STREAM, PARQUET, SOUND = ".arrows", ".parquet", ".opus"

_TIME = INDEX.name
_ARROW: dict[Kind, pa.DataType] = {
    "float": pa.float64(),
    "bool": pa.bool_(),
    "category": pa.string(),
    "string": pa.string(),
    "object": pa.string(),
    "time": pa.timestamp("us", "UTC"),
}
_EVENT = [column.name for column in MEDIA_METRICS]


@dataclass(slots=True)
class CallData:
    """What a file says of its call beside the samples.

    Attributes:
        row: the call's row of `client.calls` by column, and `time` in seconds since 1970.
        tags: the user's words for the call, by name.
        events: mediaMetrics events: ns since 1970, and the values by column.
        ended: whether the call had ended when this was written.
        sound_began_s: when the recording beside the file begins, in seconds since 1970; None without one.
    """

    row: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    ended: bool = False
    sound_began_s: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The same as values that JSON has."""
        row = {key: None if value != value else value for key, value in self.row.items()}
        return {
            "call": row,
            "tags": self.tags,
            "media_metrics": [[at_ns, values] for at_ns, values in self.events],
            "ended": self.ended,
            "sound_began_s": self.sound_began_s,
        }

    def update(self, read: Mapping[str, Any]) -> None:
        """Take what a file says (`as_json`); events are added."""
        self.row = dict(read.get("call", {}))
        self.tags = dict(read.get("tags", {}))
        self.events += [(int(at_ns), dict(values)) for at_ns, values in read.get("media_metrics", [])]
        self.ended = bool(read.get("ended"))
        self.sound_began_s = read.get("sound_began_s")

    def calls(self, path: Path | None = None) -> pd.DataFrame:
        """The row as a frame, see `calls_frame`."""
        return calls_frame([(self, path)])

    def media_metrics(self) -> pd.DataFrame:
        """The events as a frame."""
        values = {name: [event.get(name) for _, event in self.events] for name in _EVENT}
        return build_frame("media_metrics", [at_ns for at_ns, _ in self.events], values)


def calls_frame(calls: Sequence[tuple[CallData, Path | None]]) -> pd.DataFrame:
    """The rows of these calls, and behind them their tags, their files, and the beginnings of recordings.

    Args:
        calls: what their files say, and the paths of the files.
    """
    calls = sorted(calls, key=lambda item: float(item[0].row.get(_TIME) or 0.0))
    times_ns = [round(float(call.row.get(_TIME) or 0.0) * 1e9) for call, _ in calls]
    frame = build_frame(
        "calls", times_ns, {column.name: [call.row.get(column.name) for call, _ in calls] for column in CALLS}
    )
    names = {column.name for column in CALLS}
    for name in dict.fromkeys(name for call, _ in calls for name in call.tags):
        frame[f"tag_{name}" if name in names else name] = [call.tags.get(name) for call, _ in calls]
    if any(path is not None for _, path in calls):
        frame["file"] = [None if path is None else str(path) for _, path in calls]
    began = [call.sound_began_s if path is not None else None for call, path in calls]
    if any(time_s is not None for time_s in began):
        frame["sound"] = [
            None if time_s is None or path is None else str(path.with_suffix(SOUND))
            for time_s, (_, path) in zip(began, calls, strict=True)
        ]
        seconds = pd.array(began, dtype="Float64")
        frame["sound_began"] = pd.to_datetime(seconds, unit="s", utc=True).as_unit("us")
    return frame


# ---------------------------------------------------------------- the stream


_STREAM_SCHEMA = pa.schema(
    [(_TIME, _ARROW["time"]), *((column.name, _ARROW[column.kind]) for column in SAMPLES)],
    metadata=store.metadata("samples"),
)


class StreamEncoder:
    """Makes the bytes of a stream, batch by batch; keeps none of them."""

    def __init__(self) -> None:
        self._target = io.BytesIO()
        self._writer = pa.ipc.new_stream(self._target, _STREAM_SCHEMA)

    def batch(
        self,
        samples: Sequence[tuple[int, Mapping[str, Any]]],
        data: CallData,
        confirmed: Iterable[tuple[int, float]] = (),
    ) -> bytes:
        """The bytes that follow those of the batch before; the first ones begin with the schema.

        Args:
            samples: ns since 1970, and the values by column; the time of a sample names it.
            data: what is known of the call now, with the events since the batch before.
            confirmed: the samples that the kernel's loop has counted since then: their times, and the lag
                of the loop in each, ms.
        """
        columns: dict[str, Any] = {_TIME: [at_ns // 1000 for at_ns, _ in samples]}
        for column in SAMPLES:
            columns[column.name] = [values.get(column.name) for _, values in samples]
        arrays = [pa.array(columns[item.name], item.type) for item in _STREAM_SCHEMA]
        about = {**data.as_json(), "confirmed": [[at_ns // 1000, lag] for at_ns, lag in confirmed]}
        self._writer.write_batch(
            pa.RecordBatch.from_arrays(arrays, schema=_STREAM_SCHEMA),
            custom_metadata={store.KEY: store.to_json(about)},
        )
        made = self._target.getvalue()
        self._target.seek(0)
        self._target.truncate()
        return made


def decode_stream(data: bytes, name: str = "the stream") -> tuple[pd.DataFrame, CallData, list[str]]:
    """The samples of a stream, what it says of its call, and a sentence for each thing that is wrong.

    Raises:
        ValueError: it is no stream of this package.
    """
    try:
        reader = pa.ipc.open_stream(data)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise ValueError(f"{name} is no such file: it has no Arrow IPC stream ({error}).") from None
    if store.KEY not in (reader.schema.metadata or {}):
        raise ValueError(f"{name} is no such file: plivo_nb did not write this Arrow IPC stream.")
    call, batches, warnings = CallData(), [], []
    confirmed: dict[int, float] = {}
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
            about = json.loads((metadata or {}).get(store.KEY, b"{}"))
        except StopIteration:
            break
        except (pa.ArrowException, OSError, ValueError) as error:
            warnings.append(f"{name} ends within a batch of samples, which is left out ({error}).")
            break
        batches.append(batch)
        call.update(about)
        confirmed.update({int(at_us): float(lag) for at_us, lag in about.get("confirmed", [])})
    samples = pa.Table.from_batches(batches, reader.schema).to_pandas().set_index(_TIME)
    return _counted(conformed("samples", samples), call, confirmed), call, warnings


def _counted(samples: pd.DataFrame, call: CallData, confirmed: Mapping[int, float]) -> pd.DataFrame:
    """The samples that the kernel's loop counted, with its lag in each; of a call that ended, no others.

    While it was blocked those that came last are not confirmed yet; the ones before the answer never are.
    """
    times_us = samples.index.as_unit("us").asi8  # type: ignore[attr-defined]
    lags = np.array([confirmed.get(int(at_us), np.nan) for at_us in times_us], dtype=np.float64)
    counted = np.isfinite(lags)
    if not call.ended and call.row.get("state") == "answered":
        counted |= times_us > max(confirmed, default=-1)
    return samples.assign(loop_lag_ms=lags)[counted]


# ---------------------------------------------------------------- both


def write_parquet(
    path: Path, samples: pd.DataFrame, call: CallData, details: CallDetails | None = None
) -> None:
    """Write the file of a call that has ended; an existing one is replaced as a whole."""
    beside = {} if details is None else {call_details.KEY: details.to_bytes()}
    store.save(samples, path, "samples", more=call.as_json(), beside=beside)


def encode_parquet(call: CallData, samples: pd.DataFrame | None = None) -> bytes:
    """The content of the file of a call that has ended.

    Args:
        call: what it says of the call beside the samples.
        samples: None: none, of a call that failed.
    """
    return store.encode(conformed("samples", samples), "samples", more=call.as_json())


def retagged(data: bytes, tags: Mapping[str, Any]) -> bytes:
    """The content of a call's Parquet file with more tags, or others.

    Raises:
        ValueError: it is not the file of a call.
    """
    table = pq.read_table(pa.BufferReader(data))
    call = call_data(table.schema)
    if call is None:
        raise ValueError("This is no file of a call: plivo_nb did not write it.")
    call.tags |= tags
    about = {**store.about_schema(table.schema), **call.as_json()}
    target = pa.BufferOutputStream()
    metadata = {**table.schema.metadata, store.KEY: store.to_json(about)}
    pq.write_table(table.replace_schema_metadata(metadata), target, compression="zstd")
    return bytes(target.getvalue())


def decode_about(data: bytes) -> CallData | None:
    """What the content of a Parquet file says of its call; None where it is not the file of a call."""
    return call_data(pq.read_schema(pa.BufferReader(data)))


def add_feedback(path: Path, score: int, comment: str) -> None:
    """Write the feedback on a call into its Parquet file.

    Raises:
        OSError, ValueError: it cannot be read or written.
    """
    call = call_data(pq.read_schema(str(path)))
    if call is not None:
        call.row |= {"feedback_score": score, "feedback_comment": comment}
        write_parquet(path, store.load(path), call, call_details.read_details(path))


def read_stream(path: Path) -> CallFrames:
    """The call of an Arrow IPC stream, which may be one that is being written.

    Raises:
        ValueError: it is no stream of this package.
    """
    samples, call, warnings = decode_stream(path.read_bytes(), str(path))
    return CallFrames.of(call.calls(path), samples, call.media_metrics(), warnings)


def call_data(schema: pa.Schema) -> CallData | None:
    """What a Parquet file says of its call beside the samples; None where it is not the file of a call."""
    about = store.about_schema(schema)
    if "call" not in about:
        return None
    call = CallData()
    call.update(about)
    return call
