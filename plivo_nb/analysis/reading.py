"""`plivo_nb.read`: calls from files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plivo_nb.analysis import call_file, store
from plivo_nb.analysis.call_folder import files_of_calls
from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.call_set import CallSet, calls_of, queried
from plivo_nb.analysis.call_summary import summarized
from plivo_nb.analysis.importers import read_foreign
from plivo_nb.quality.frames import INDEX, SAMPLES

if TYPE_CHECKING:
    import datetime as dt
    import os

    from plivo_nb.analysis.call_file import CallData

#: As those of `pandas.read_parquet`: (column, operator, value), all of which must hold.
Filters = Sequence[tuple[str, str, Any]]

_PARQUET, _STREAM = b"PAR1", b"\xff\xff\xff\xff"  # how the files begin
_ID = "call_uuid"
_SAMPLES = {column.name: column for column in SAMPLES}


def read(
    path: str | os.PathLike[str],
    *,
    since: str | dt.datetime | None = None,
    until: str | dt.datetime | None = None,
    query: str | None = None,
    columns: Sequence[str] | None = None,
    filters: Filters = (),
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

    Returns:
        The calls. What could not be read is named in `CallSet.warnings`.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the file is none of the kinds known; or an expression, a column or an operator is unknown.

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
    source = Path(path)
    wanted = _Wanted(_time(since), _time(until), query, columns, tuple(filters))
    if not source.is_dir():
        return CallSet(_Reader(wanted).read([source], in_folder=False))
    return CallSet(_Reader(wanted).read(files_of_calls(source, wanted.since, wanted.until), in_folder=True))


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
        if self.since is not None:
            calls = calls[calls.index >= self.since]
        if self.until is not None:
            calls = calls[calls.index < self.until]
        return calls if self.query is None else queried(calls, self.query)


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
                tables.append(_with_id(self._table(path, schema), name))
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
            self._add(CallFrames.of(samples=_indexed(self._table(path, schema).to_pandas())))
        else:
            raise ValueError(f"{str(path)!r} is no such file: it has no samples of calls.")

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

    def _table(self, path: Path, schema: pa.Schema) -> pa.Table:
        """The rows and columns that are wanted, under their present names, words instead of categories."""
        now = {name: store.RENAMED.get(name, name) for name in schema.names}
        old = {present: name for name, present in now.items()}
        names = [n for n in schema.names if self._wanted.columns is None or now[n] in self._wanted.columns]
        filters = [(old[name], *rest) for name, *rest in self._wanted.filters if name in old]
        if len(filters) < len(self._wanted.filters):  # on a column that this file does not have
            table = schema.empty_table().select(names)
        elif filters:
            table = pq.read_table(str(path), columns=names, filters=filters, partitioning=None)
        else:  # half the time for a small file
            table = pq.ParquetFile(str(path)).read(columns=names)
        table = table.rename_columns([now[name] for name in table.column_names])
        return table.cast(pa.schema([_plain(item) for item in table.schema]))

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


def _of_calls(frame: pd.DataFrame, ids: set[str]) -> pd.DataFrame:
    return frame[frame[_ID].isin(ids) | frame[_ID].isna()]


def _joined(tables: list[pa.Table]) -> pd.DataFrame:
    return _indexed(pa.concat_tables(tables, promote_options="permissive").to_pandas())


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
