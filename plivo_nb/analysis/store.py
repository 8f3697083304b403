"""Frames in Parquet files, with the meaning of each column written into the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plivo_nb._version import __version__
from plivo_nb.atomic_file import replaced
from plivo_nb.quality.frames import schema_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Under this key of a file's metadata there is JSON: see `metadata`.
KEY = b"plivo_nb"
RENAMED = {"discarded": "packets_discarded"}  # columns of earlier versions
_JSON = "json"  # names of columns of mixed types, kept as JSON: Parquet columns have one type


def save(
    frame: pd.DataFrame,
    path: Path | str,
    name: str = "samples",
    *,
    more: Mapping[str, Any] | None = None,
    beside: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write a frame of the kit to a Parquet file; `load` gives back the same frame.

    Args:
        frame: what `client.samples` gave, or one like it.
        path: the file; an existing one is replaced when the new one is complete, and stays if that fails.
        name: which frame of `plivo_nb.schema()` it is.
        more: what `about` shall give too; plain values.
        beside: further metadata of the file, by key.
    """
    data = encode(frame, name, more=more, beside=beside)
    with replaced(path) as new:
        new.write_bytes(data)


def encode(
    frame: pd.DataFrame,
    name: str = "samples",
    *,
    more: Mapping[str, Any] | None = None,
    beside: Mapping[bytes, bytes] | None = None,
) -> bytes:
    """The content of the file that `save` writes."""
    mixed = [str(key) for key in frame.columns if frame[key].dtype == object]
    plain = frame.assign(
        **{key: [json.dumps(value, default=_plain) for value in frame[key]] for key in mixed}
    )
    table = pa.Table.from_pandas(plain)
    about = metadata(name, {_JSON: mixed, **(more or {})})
    both = {**(table.schema.metadata or {}), **about, **(beside or {})}
    target = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(both), target, compression="zstd")
    return bytes(target.getvalue())


def metadata(name: str, more: Mapping[str, Any] | None = None) -> dict[bytes, bytes]:
    """What a file says of its frame: name, version of this package, columns with units, and more."""
    about = {"frame": name, "version": __version__, "columns": schema_metadata(name), **(more or {})}
    return {KEY: to_json(about)}


def to_json(value: Any) -> bytes:
    """Plain values as JSON; numbers of numpy become Python's, and anything else its text."""
    return json.dumps(value, default=_plain).encode()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def load(path: Path | str) -> pd.DataFrame:
    """Read a frame that `save` wrote, by this version or an earlier one."""
    table = pq.read_table(str(path))
    frame: pd.DataFrame = table.to_pandas().rename(columns=RENAMED)
    about = about_schema(table.schema)
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
    found = about_schema(pq.read_schema(str(path)))
    if not found:
        raise ValueError(f"{path} was not written by plivo_nb.analysis.store.save.")
    return found


def about_schema(schema: pa.Schema) -> dict[str, Any]:
    """The same of the schema of a file; empty where this package did not write it."""
    return dict(json.loads((schema.metadata or {}).get(KEY, b"{}")))
