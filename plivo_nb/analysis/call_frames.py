"""The frames of one or more calls, with the dtypes of the schema: read, imported, or of a client."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.analysis.partitions import dask_dataframe, is_dask, unknown_categories
from plivo_nb.quality.frames import INDEX, SCHEMA, build_frame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import numpy.typing as npt
    import pandas as pd

    from plivo_nb.quality.columns import Column


@dataclass(frozen=True, slots=True)
class CallFrames:
    """Calls, their samples and their mediaMetrics events.

    Make it with `CallFrames.of`, which completes frames that lack columns.

    Attributes:
        calls: one row a call, as `plivo_nb.schema("calls")` describes, and columns of tags behind those.
        samples: one row a call and interval, as `plivo_nb.schema("samples")` describes.
        media_metrics: one row an event, as `plivo_nb.schema("media_metrics")` describes.
        warnings: what could not be read, a sentence each.

    Example:
        >>> frames = CallFrames.of()
        >>> len(frames.samples), str(frames.samples["mos"].dtype)
        (0, 'float64')
    """

    calls: pd.DataFrame
    samples: pd.DataFrame
    media_metrics: pd.DataFrame
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        calls: pd.DataFrame | None = None,
        samples: pd.DataFrame | None = None,
        media_metrics: pd.DataFrame | None = None,
        warnings: Iterable[str] = (),
    ) -> CallFrames:
        """Complete frames to the schema, as `conformed` does; None: no rows."""
        return cls(
            conformed("calls", calls),
            conformed("samples", samples),
            conformed("media_metrics", media_metrics),
            tuple(warnings),
        )

    @classmethod
    def joined(cls, parts: Iterable[CallFrames]) -> CallFrames:
        """All calls of these, in one; rows in the order of time."""
        parts = list(parts)
        return cls.of(
            _concatenated("calls", [part.calls for part in parts]),
            _concatenated("samples", [part.samples for part in parts]),
            _concatenated("media_metrics", [part.media_metrics for part in parts]),
            [sentence for part in parts for sentence in part.warnings],
        )


def conformed(name: str, frame: pd.DataFrame | None, columns: Collection[str] | None = None) -> pd.DataFrame:
    """A frame with the columns, dtypes and index of the schema.

    Args:
        name: which frame of `plivo_nb.schema()` it is.
        frame: its columns, or some of them; the index has the rows' times, UTC where it has no zone. None: an
            empty one. A frame of Dask is conformed partition by partition, when it is computed.
        columns: these columns only; None: all columns of the schema, and behind them the frame's other ones.

    Returns:
        A copy: all columns of the schema in their order, missing ones NaN (bool: False), then the frame's
        other columns as they are. Rows are in the order of time, those of the same time in their order.
    """
    wanted = [column for column in SCHEMA[name] if columns is None or column.name in columns]
    if frame is None:
        made = build_frame(name, [], {column.name: [] for column in SCHEMA[name]})
        return made if columns is None else made[[column.name for column in wanted]]
    if is_dask(frame):
        lazily: pd.DataFrame = _lazily(name, frame)
        return lazily
    import pandas as pd

    index = pd.DatetimeIndex(frame.index)
    index = (index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")).as_unit("us")
    known = {column.name: _converted(column, frame, index) for column in wanted}
    rest = [key for key in frame.columns if key not in known] if columns is None else []
    others = {str(key): frame[key].set_axis(index) for key in rest}
    made = pd.DataFrame({**known, **others}, index=index.rename(INDEX.name))
    return made if made.index.is_monotonic_increasing else made.sort_index(kind="stable")


def _lazily(name: str, frame: Any) -> Any:
    """The same of a frame of Dask."""
    work = functools.partial(_conformed_part, name)
    meta = unknown_categories(conformed(name, frame._meta))
    return frame.map_partitions(work, meta=meta, enforce_metadata=False)


def _conformed_part(name: str, part: pd.DataFrame) -> pd.DataFrame:
    return conformed(name, part)


def _converted(column: Column, frame: pd.DataFrame, index: pd.DatetimeIndex) -> pd.Series:
    import pandas as pd

    values: Any = frame.get(column.name)
    match column.kind:
        case "float":
            numbers = np.nan if values is None else np.asarray(pd.to_numeric(values, errors="coerce"))
            return pd.Series(numbers, index, dtype=np.float64)
        case "bool":
            return pd.Series(_flags(values), index, dtype=np.bool_)
        case "object":
            return pd.Series(None if values is None else list(values), index, dtype=object)
        case "time":
            times = pd.NaT if values is None else pd.DatetimeIndex(values)
            return pd.Series(times, index, dtype=column.dtype)
    codes, words = _coded(values, len(index))
    if column.kind == "string":
        return pd.Series(pd.array(np.array([*words, None], dtype=object)[codes], dtype="str"), index)
    if "" in words:  # nothing is said
        empty = words.index("")
        codes = np.where(codes == empty, -1, codes - (codes > empty))
        words = [word for word in words if word]
    categories = pd.Index(words, dtype="str")
    return pd.Series(pd.Categorical.from_codes(codes, categories=categories), index)


def _flags(values: Any) -> Any:
    if values is None:
        return False
    if getattr(values, "dtype", None) == np.bool_:
        return values.to_numpy()
    return np.array([value is True or value == 1 for value in values])


def _coded(values: Any, length: int) -> tuple[npt.NDArray[np.intp], list[str]]:
    """The words of a column in the order in which they come first, and for each row which; -1: missing."""
    import pandas as pd

    if values is None:
        return np.full(length, -1, dtype=np.intp), []
    if isinstance(values.dtype, (pd.CategoricalDtype, pd.StringDtype)):
        codes, unique = pd.factorize(values)
        words = [_word(value) for value in unique]
    else:
        codes, unique = pd.factorize(np.array([_word(value) for value in values], dtype=object))
        words = list(unique)
    named = [word or "" for word in words]
    if len(set(named)) < len(named):  # such as of the categories 1 and "1"
        codes, unique = pd.factorize(np.array([*named, None], dtype=object)[codes])
        named = list(unique)
    return codes, named


def _word(value: Any) -> str | None:
    missing = value is None or value != value  # NaN and NaT differ from themselves
    return None if missing else str(value)


def _concatenated(name: str, frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows of all; categories become words, of which `conformed` makes categories again."""
    if not frames:
        return conformed(name, None)
    if any(map(is_dask, frames)):
        joined: pd.DataFrame = stacked(frames)
        return joined
    import pandas as pd

    mixed = {column.name for column in SCHEMA[name] if column.kind == "category"}
    plain = [frame.astype(dict.fromkeys(mixed, object)) for frame in frames if len(frame)]
    return pd.concat(plain) if plain else frames[0]


def stacked(frames: list[Any]) -> Any:
    """The partitions of all these frames of Dask and pandas; a frame of pandas is one."""
    dd = dask_dataframe()
    parts = [
        frame if is_dask(frame) else dd.from_pandas(frame, npartitions=1, sort=False) for frame in frames
    ]
    return dd.concat(parts, interleave_partitions=False) if len(parts) > 1 else parts[0]
