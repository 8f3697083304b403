"""`plivo_nb.read`: calls from files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from plivo_nb.analysis import call_file, store
from plivo_nb.analysis.call_folder import files_of_calls
from plivo_nb.analysis.call_frames import CallFrames, conformed, stacked
from plivo_nb.analysis.call_set import CallSet, calls_of, queried
from plivo_nb.analysis.call_summary import summarized
from plivo_nb.analysis.importers import read_foreign
from plivo_nb.analysis.partitions import computed, dask_dataframe, unknown_categories
from plivo_nb.quality.frames import INDEX, SAMPLES

if TYPE_CHECKING:
    import datetime as dt
    import os
    from collections.abc import Collection

    from plivo_nb.analysis.call_file import CallData

#: As those of `pandas.read_parquet`: (column, operator, value), all of which must hold.
Filters = Sequence[tuple[str, str, Any]]

_PARQUET, _STREAM = b"PAR1", b"\xff\xff\xff\xff"  # how the files begin
_ID = "call_uuid"
#: Samples in a partition of Dask at most, unless a single file has more; 500,000 take about 200 MB.
PARTITION_ROWS = 500_000
_SAMPLES = {column.name: column for column in SAMPLES}


def read(
    path: str | os.PathLike[str],
    *,
    since: str | dt.datetime | None = None,
    until: str | dt.datetime | None = None,
    query: str | None = None,
    columns: Sequence[str] | None = None,
    filters: Filters = (),
    engine: Literal["pandas", "dask"] = "pandas",
) -> CallSet:
    """Read calls from a file or a folder; what is not asked for is not read from the disk.

    Args:
        path: a folder that `Client.record_to` writes, also meanwhile; one of its files; a Parquet file of
            samples that the dashboard's export, `plivo_nb.analysis.store.save` or pandas wrote; or what
            another program recorded: Plivo statistics messages, a chrome://webrtc-internals or rtcstats dump,
            getStats() reports, Twilio Voice samples, a pcap or pcapng capture; or a folder of all these.
        since: only calls that began at this time or later: a datetime, or text such as ``"2026-11-25"``; UTC
            where it has no zone.
        until: only calls that began before this time.
        query: only the calls for which this expression holds, by pandas' rules, over the columns of
            ``plivo_nb.schema("calls")`` and the tags: ``"mos_min < 3 and label == 'wifi'"``. The samples of
            the others are not read.
        columns: the columns of samples that are wanted; the other ones are then missing. None: all.
        filters: only the samples for which all of these hold: ``[("loss_in", ">", 0.02)]``. The operators are
            ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in`` and ``not in``.
        engine: ``dask`` leaves the samples on the disk, for more of them than fit into memory, and reads them
            in partitions, in the workers of the current `distributed.Client` or in threads. Everything that
            is worked out gives the same numbers. A partition has some files; a file is never divided.

    Returns:
        The calls. What could not be read is named in `CallSet.warnings`.

    Raises:
        FileNotFoundError: there is no such file or folder.
        PlivoError: Dask is wanted, and is not installed.
        ValueError: there is no such engine; the file is none of the kinds known; or an expression, a column
            or an operator is unknown.

    Example:
        >>> import tempfile
        >>> from plivo_nb.analysis import store
        >>> from plivo_nb.quality.frames import SAMPLES, ColumnStore
        >>> rows = ColumnStore(SAMPLES)
        >>> for second in range(3):
        ...     rows.append(second * 10**9, call_uuid="a", mos=4.0 - second)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store.save(rows.frame(), f"{folder}/samples.parquet")
        ...     read(folder, filters=[("mos", "<", 3.5)])
        <CallSet of 1 call, 2 samples>
    """
    if engine not in ("pandas", "dask"):
        raise ValueError(f"There is no engine {engine!r}; choose 'pandas' or 'dask'.")
    source = Path(path)
    wanted = _Wanted(_time(since), _time(until), query, columns, tuple(filters))
    in_folder = source.is_dir()
    paths = files_of_calls(source, wanted.since, wanted.until) if in_folder else [source]
    if engine == "pandas":
        return CallSet(_Reader(wanted).read(paths, in_folder=in_folder))
    dask_dataframe()  # raises where it is missing
    return _DaskReader(wanted).read_set(paths, in_folder=in_folder)


class _Wanted:
    """What is to be read."""

    def __init__(
        self,
        since: dt.datetime | None,
        until: dt.datetime | None,
        query: str | None,
        columns: Sequence[str] | None,
        filters: Filters,
    ) -> None:
        self.since, self.until, self.query = since, until, query
        self.filters = [(name, operator, _comparable(name, value)) for name, operator, value in filters]
        asked = [*(columns or ()), *(name for name, _, _ in filters)]
        unknown = sorted(set(asked) - {*_SAMPLES, INDEX.name})
        if unknown:
            raise ValueError(
                f"There is no column {', '.join(unknown)}; plivo_nb.schema('samples') lists them."
            )
        self.columns = None if columns is None else {_ID, INDEX.name, *columns}

    def chosen(self, calls: pd.DataFrame) -> pd.DataFrame:
        """The rows of the calls that are wanted.

        Raises:
            ValueError: the query is wrong.
        """
        calls = self.dated(calls)
        return calls if self.query is None else queried(calls, self.query)

    def dated(self, calls: pd.DataFrame) -> pd.DataFrame:
        """The rows of the calls that began in the time that is wanted."""
        if self.since is not None:
            calls = calls[calls.index >= self.since]
        return calls if self.until is None else calls[calls.index < self.until]

    def table(self, path: Path, schema: pa.Schema, columns: Collection[str] | None = None) -> pa.Table:
        """The rows and columns of a file that are wanted, under their present names, words for categories.

        Args:
            path: the Parquet file.
            schema: its schema.
            columns: of those that are wanted, these only; None: all.
        """
        now = {name: store.RENAMED.get(name, name) for name in schema.names}
        old = {present: name for name, present in now.items()}
        names = [
            name
            for name in schema.names
            if all(some is None or now[name] in some for some in (self.columns, columns))
        ]
        filters = [(old[name], *rest) for name, *rest in self.filters if name in old]
        if len(filters) < len(self.filters):  # on a column that this file does not have
            table = schema.empty_table().select(names)
        elif filters:
            table = pq.read_table(str(path), columns=names, filters=filters, partitioning=None)
        else:  # half the time for a small file
            table = pq.ParquetFile(str(path)).read(columns=names)
        table = table.rename_columns([now[name] for name in table.column_names])
        return table.cast(pa.schema([_plain(item) for item in table.schema]))


class _Reader:
    """Reads first what the files say of their calls, then the samples of those that are wanted."""

    def __init__(self, wanted: _Wanted) -> None:
        self._wanted = wanted
        self._warnings: list[str] = []
        self._ids: set[str] = set()
        self._files: list[tuple[CallData, Path, pa.Schema]] = []  # Parquet files of calls
        self._parts: list[CallFrames] = []  # of the other files
        self._damaged: list[str] = []  # calls whose samples cannot be read

    def read(self, paths: Iterable[Path], *, in_folder: bool) -> CallFrames:
        """The calls of these files.

        Args:
            paths: the files.
            in_folder: a file that cannot be read becomes a warning.
        """
        self._scan(paths, in_folder)
        others = CallFrames.joined(self._parts)
        calls = call_file.calls_frame([(call, path) for call, path, _ in self._files])
        if len(others.calls):
            calls = self._with_others(calls, others)
        calls = self._wanted.chosen(calls)
        ids = set(calls[_ID])
        tables, events = self._stored_samples(ids, in_folder)
        stored = CallFrames.of(
            samples=_joined(tables) if tables else None, media_metrics=pd.concat(events) if events else None
        )
        parts = CallFrames.joined([
            stored,
            CallFrames.of(None, _of_calls(others.samples, ids), _of_calls(others.media_metrics, ids)),
        ])  # fmt: skip
        calls = calls[~calls[_ID].isin(self._damaged)]
        warnings = [*others.warnings, *self._warnings]
        return CallFrames.of(calls, parts.samples, parts.media_metrics, warnings)

    def _scan(self, paths: Iterable[Path], in_folder: bool) -> None:
        """Read what the files say of their calls."""
        for path in paths:
            parquet = path.with_suffix(call_file.PARQUET)
            if path.suffix == call_file.STREAM and parquet.exists():  # its call has ended meanwhile
                path = parquet
            try:
                self._read_file(path)
            except (ValueError, OSError, pa.ArrowException) as error:
                if not in_folder:
                    raise
                self._warnings.append(f"{path.name} is left out: {error}")

    def _with_others(self, calls: pd.DataFrame, others: CallFrames) -> pd.DataFrame:
        """The calls of all files; a query may need figures of those that go on or are imported."""
        found = others.calls
        if self._wanted.query is not None:
            found = summarized(found, others.samples, others.media_metrics)
        both = [frame for frame in (calls, found) if len(frame)]
        return pd.concat(both).sort_index(kind="stable")

    def _stored_samples(self, ids: set[str], in_folder: bool) -> tuple[list[pa.Table], list[pd.DataFrame]]:
        """The samples and events of the calls that are wanted, from Parquet files of calls."""
        tables, events = [], []
        for call, path, schema in self._files:
            name = call.row[_ID]
            if name not in ids:
                continue
            try:
                tables.append(_with_id(self._wanted.table(path, schema), name))
            except (OSError, pa.ArrowException) as error:
                if not in_folder:
                    raise ValueError(f"{str(path)!r} is damaged: {error}") from None
                self._warnings.append(f"{path.name} is left out: {error}")
                self._damaged.append(name)
                continue
            if call.events:
                events.append(call.media_metrics().assign(**{_ID: name}))
        return tables, events

    def _read_file(self, path: Path) -> None:
        with path.open("rb") as file:
            head = file.read(4)
        if head == _PARQUET:
            self._read_parquet(path)
        elif head == _STREAM:
            self._add(call_file.read_stream(path))
        elif path.suffix == call_file.STREAM and not head:
            self._warnings.append(f"{path.name} is empty: its process was killed before the first batch.")
        else:
            self._add(read_foreign(path))

    def _read_parquet(self, path: Path) -> None:
        try:
            schema = pq.read_schema(str(path))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{str(path)!r} is no such file: it is cut off or damaged ({error}).") from None
        call = call_file.call_data(schema)
        if call is not None:
            self._add_call(path, call, schema)
            return
        about = store.about_schema(schema)
        if about.get("frame") in ("calls", "media_metrics"):
            frame = store.load(path)
            self._add(
                CallFrames.of(calls=frame)
                if about["frame"] == "calls"
                else CallFrames.of(calls=calls_of(frame), media_metrics=frame)
            )
        elif _ID in schema.names and not set(_SAMPLES).isdisjoint(set(schema.names) - {_ID}):
            self._add_samples(path, schema)
        else:
            raise ValueError(f"{str(path)!r} is no such file: it has no samples of calls.")

    def _add_samples(self, path: Path, schema: pa.Schema) -> None:
        self._add(CallFrames.of(samples=_indexed(self._wanted.table(path, schema).to_pandas())))

    def _add_call(self, path: Path, call: CallData, schema: pa.Schema) -> None:
        call.row[_ID] = self._unique(str(call.row.get(_ID) or path.stem))
        self._files.append((call, path, schema))

    def _unique(self, name: str) -> str:
        """The id of a call; of the second file with the same id, such as of both ends, another one."""
        number, found = 1, name
        while found in self._ids:
            number += 1
            found = f"{name} ({number})"
        self._ids.add(found)
        return found

    def _add(self, frames: CallFrames) -> None:
        samples = frames.samples
        for name, operator, value in self._wanted.filters:
            column = samples.index.to_series() if name == INDEX.name else samples[name]
            samples = samples[_holds(column, operator, value)]
        if self._wanted.columns is not None:
            samples = samples[[name for name in samples if name in self._wanted.columns]]
        calls = frames.calls if len(frames.calls) else calls_of(frames.samples)
        names = {old: self._unique(str(old)) for old in calls[_ID].dropna()}
        calls, samples, events = (
            frame.assign(**{_ID: frame[_ID].astype(object).map(names)}) if _ID in frame else frame
            for frame in (calls, samples, frames.media_metrics)
        )
        self._parts.append(CallFrames.of(calls, samples, events, frames.warnings))


# ---------------------------------------------------------------- samples that stay on the disk


@dataclass(frozen=True, slots=True)
class _Stored:
    """The samples of a Parquet file, to be read when they are needed.

    Attributes:
        path: the file.
        names: the id of a call by its id in the file; calls that are not named are left out. Of the file of
            one call: its id.
        rows: how many samples it has at most.
    """

    path: Path
    names: dict[str, str] | str
    rows: int


@dataclass(frozen=True, slots=True)
class _PartitionReader:
    """Reads partitions; Dask asks for the columns that are needed."""

    wanted: _Wanted

    def __call__(self, stored: tuple[_Stored, ...], columns: list[str] | None = None) -> pd.DataFrame:
        tables = [self._table(item, columns) for item in stored]
        made = conformed("samples", _joined(tables, categories=True) if tables else None, columns)
        return made if columns is None else made[columns]

    def _table(self, item: _Stored, columns: list[str] | None) -> pa.Table:
        schema = pq.read_schema(str(item.path))
        needed = None if columns is None else {_ID, INDEX.name, *columns}
        table = self.wanted.table(item.path, schema, needed)
        if isinstance(item.names, str):
            return _with_id(table, item.names)
        names = item.names
        place = table.column_names.index(_ID)
        ids = table.column(_ID).combine_chunks().dictionary_encode()
        new = pa.array([names.get(name) for name in ids.dictionary.to_pylist()], pa.string())
        return table.set_column(place, _ID, new.take(ids.indices)).filter(pc.is_valid(new.take(ids.indices)))


class _DaskReader(_Reader):
    """Reads what the files say of their calls, and leaves the samples of Parquet files on the disk."""

    def __init__(self, wanted: _Wanted) -> None:
        super().__init__(wanted)
        self._many: list[tuple[Path, int]] = []  # files with samples of calls, and how many

    def _add_samples(self, path: Path, schema: pa.Schema) -> None:
        self._many.append((path, pq.read_metadata(str(path)).num_rows))

    def read_set(self, paths: Iterable[Path], *, in_folder: bool) -> CallSet:
        """The calls of these files."""
        self._scan(paths, in_folder)
        others = CallFrames.joined(self._parts)
        found, of_files = self._calls_of_many()
        stored_calls = call_file.calls_frame([(call, path) for call, path, _ in self._files])
        calls = self._wanted.chosen(stored_calls)
        frames = CallFrames.of(pd.concat([found, others.calls]) if len(found) else others.calls)
        rest = self._wanted.dated(frames.calls)
        if self._wanted.query is not None and len(rest):
            small = CallFrames(rest, self._samples(of_files, others.samples), others.media_metrics)
            rest = queried(CallSet(small).calls, self._wanted.query)[rest.columns]
        ids = {*calls[_ID], *rest[_ID]}
        events = [
            call.media_metrics().assign(**{_ID: call.row[_ID]})
            for call, _, _ in self._files
            if call.events and call.row[_ID] in ids
        ]
        of_calls = [
            _Stored(path, call.row[_ID], pq.read_metadata(str(path)).num_rows)
            for call, path, _ in self._files
            if call.row[_ID] in ids
        ]
        of_files = [
            replace(item, names={old: new for old, new in item.names.items() if new in ids})
            for item in of_files
            if isinstance(item.names, dict)
        ]
        both = CallFrames.joined([
            CallFrames.of(calls, None, pd.concat(events) if events else None),
            CallFrames.of(rest, None, _of_calls(others.media_metrics, ids)),
        ])  # fmt: skip
        samples = self._samples([*of_calls, *of_files], _of_calls(others.samples, ids))
        return CallSet(
            CallFrames(both.calls, samples, both.media_metrics, (*others.warnings, *self._warnings))
        )

    def _calls_of_many(self) -> tuple[pd.DataFrame, list[_Stored]]:
        """The ids and beginnings of the calls in files of many, and what is to be read of those."""
        parts, stored = [], []
        for (path, rows), calls in zip(self._many, self._beginnings(), strict=True):
            names = {old: self._unique(old) for old in calls[_ID]}
            parts.append(calls.assign(**{_ID: list(names.values())}))
            stored.append(_Stored(path, names, rows))
        found = pd.concat(parts) if parts else calls_of(conformed("samples", None))
        return found, stored

    def _beginnings(self) -> list[pd.DataFrame]:
        return computed(_beginnings_of, [(path, self._wanted) for path, _ in self._many])

    def _samples(self, stored: list[_Stored], more: pd.DataFrame) -> Any:
        """The frame of Dask; a partition has files that follow each other."""
        dd = dask_dataframe()
        empty = conformed("samples", None)
        made = dd.from_map(
            _PartitionReader(self._wanted),
            _partitions(stored) or [()],
            meta=unknown_categories(empty),
            enforce_metadata=False,
        )
        return stacked([made, more]) if len(more) else made


def _partitions(stored: list[_Stored]) -> list[tuple[_Stored, ...]]:
    """Files that follow each other, as many as have the rows of a partition, and one at least."""
    parts: list[tuple[_Stored, ...]] = []
    part: list[_Stored] = []
    for item in stored:
        if part and sum(one.rows for one in part) + item.rows > PARTITION_ROWS:
            parts.append(tuple(part))
            part = []
        part.append(item)
    return [*parts, tuple(part)] if part else parts


def _beginnings_of(path: Path, wanted: _Wanted) -> pd.DataFrame:
    """The calls of a file of samples."""
    table = wanted.table(path, pq.read_schema(str(path)), {_ID, INDEX.name})
    return calls_of(conformed("samples", _indexed(table.to_pandas()), columns=[_ID]))


# ---------------------------------------------------------------- rows and columns


def _of_calls(frame: pd.DataFrame, ids: set[str]) -> pd.DataFrame:
    return frame[frame[_ID].isin(ids) | frame[_ID].isna()]


def _joined(tables: list[pa.Table], *, categories: bool = False) -> pd.DataFrame:
    """The rows of all. `categories`: words come as categories, which is faster where they repeat."""
    table = pa.concat_tables(tables, promote_options="permissive")
    words = [item.name for item in table.schema if categories and pa.types.is_string(item.type)]
    return _indexed(table.to_pandas(categories=words))


def _with_id(table: pa.Table, name: str) -> pa.Table:
    if _ID not in table.column_names:
        return table
    return table.set_column(table.column_names.index(_ID), _ID, pa.array([name] * len(table), pa.string()))


def _indexed(frame: pd.DataFrame) -> pd.DataFrame:
    if INDEX.name in frame:
        frame = frame.set_index(INDEX.name)
    return frame


def _plain(item: pa.Field) -> pa.Field:
    return item.with_type(item.type.value_type) if pa.types.is_dictionary(item.type) else item


def _time(value: str | dt.datetime | None) -> dt.datetime | None:
    if value is None:
        return None
    time = pd.Timestamp(value)
    made: dt.datetime = time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")
    return made


def _comparable(name: str, value: Any) -> Any:
    """Times as they are compared with those of a file."""
    if name != INDEX.name:
        return value
    return [_time(item) for item in value] if isinstance(value, list | tuple | set) else _time(value)


_OPERATORS = {
    "==": "eq", "=": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
}  # fmt: skip


def _holds(column: pd.Series, operator: str, value: Any) -> pd.Series:
    if operator in ("in", "not in"):
        found = column.isin(list(value))
        return found if operator == "in" else ~found & column.notna()
    if operator not in _OPERATORS:
        raise ValueError(
            f"There is no operator {operator!r} for filters; choose one of ==, !=, <, <=, >, >=, in, not in."
        )
    plain = column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column
    held: pd.Series = getattr(plain, _OPERATORS[operator])(value)
    return held & column.notna()
