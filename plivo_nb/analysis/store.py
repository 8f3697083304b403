"""Frames in Parquet files, with the meaning of each column written into the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plivo_nb._version import __version__
from plivo_nb.atomic_file import replaced
from plivo_nb.quality.frames import schema_metadata

if TYPE_CHECKING:
    from pathlib import Path

_KEY = b"plivo_nb"
_RENAMED = {"discarded": "packets_discarded"}  # columns of earlier versions
_JSON = "json"  # names of columns of mixed types, kept as JSON: Parquet columns have one type


def save(frame: pd.DataFrame, path: Path | str, name: str = "samples") -> None:
    """Write a frame of the kit to a Parquet file; `load` gives back the same frame.

    Args:
        frame: what `client.samples` gave, or one like it.
        path: the file; an existing one is replaced when the new one is complete, and stays if that fails.
        name: which frame of `plivo_nb.schema()` it is.
    """
    mixed = [str(key) for key in frame.columns if frame[key].dtype == object]
    plain = frame.assign(**{key: [json.dumps(value) for value in frame[key]] for key in mixed})
    table = pa.Table.from_pandas(plain)
    about = {"frame": name, "version": __version__, "columns": schema_metadata(name), _JSON: mixed}
    metadata = {**(table.schema.metadata or {}), _KEY: json.dumps(about).encode()}
    with replaced(path) as new:
        pq.write_table(table.replace_schema_metadata(metadata), str(new), compression="zstd")


def load(path: Path | str) -> pd.DataFrame:
    """Read a frame that `save` wrote, by this version or an earlier one."""
    table = pq.read_table(str(path))
    frame: pd.DataFrame = table.to_pandas().rename(columns=_RENAMED)
    about = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    for key in frame.select_dtypes("category"):
        if not len(frame[key].cat.categories):  # Parquet does not keep the type of no categories
            frame[key] = frame[key].astype(pd.CategoricalDtype(pd.Index([], dtype="str")))
    for key in about.get(_JSON, []):
        frame[key] = pd.Series([json.loads(text) for text in frame[key]], index=frame.index, dtype=object)
    return frame


def about(path: Path | str) -> dict[str, object]:
    """The frame's name, the version that wrote the file, and the units and meanings of its columns.

    Raises:
        ValueError: the file was not written by `save`.
    """
    metadata = pq.read_schema(str(path)).metadata or {}
    if _KEY not in metadata:
        raise ValueError(f"{path} was not written by plivo_nb.analysis.store.save.")
    return dict(json.loads(metadata[_KEY]))
