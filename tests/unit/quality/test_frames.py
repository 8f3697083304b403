"""quality.frames: growing columns, copies handed out, one schema."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.analysis import store
from plivo_nb.engine.fate_record import FateRecord
from plivo_nb.engine.log import Log
from plivo_nb.engine.records import Records
from plivo_nb.engine.sip_trace import SipTrace
from plivo_nb.media.playout.packet_fates import PacketFate
from plivo_nb.quality.frames import (
    CALLS,
    LOG,
    MEDIA_METRICS,
    SAMPLES,
    SCHEMA,
    ColumnStore,
    build_frame,
    schema,
    schema_metadata,
)
from plivo_nb.sip.trace import MessageRecord


def filled(rows: int) -> ColumnStore:
    store = ColumnStore(SAMPLES)
    for row in range(rows):
        store.append(row * 1_000_000_000, call_uuid=f"call-{row // 100}", codec="OPUS", rtt_ms=float(row))
    return store


def test_grows_past_its_first_room():
    frame = filled(1_000).frame()
    assert len(frame) == 1_000
    assert frame["rtt_ms"].tolist() == list(range(1_000))
    assert frame["call_uuid"].iloc[[0, 999]].tolist() == ["call-0", "call-9"]
    assert frame.index[999] == pd.Timestamp("1970-01-01 00:16:39", tz="UTC")


def test_index_and_types():
    frame = filled(3).frame()
    assert frame.index.name == "time"
    assert str(frame.index.tz) == "UTC"
    assert isinstance(frame["codec"].dtype, pd.CategoricalDtype)
    assert frame["muted"].dtype == np.bool_
    assert list(frame.columns) == [column.name for column in SAMPLES]


def test_types_do_not_depend_on_the_rows():
    empty, some = ColumnStore(SAMPLES).frame(), filled(2).frame()
    for name in empty.columns:
        kinds = {
            isinstance(frame[name].dtype, pd.CategoricalDtype) or str(frame[name].dtype)
            for frame in (empty, some)
        }
        assert len(kinds) == 1, name
    assert empty.index.dtype == some.index.dtype


def test_missing_is_nan_and_never_zero():
    store = ColumnStore(SAMPLES)
    store.append(0)
    store.append(1, codec="", call_uuid=None)
    frame = store.frame()
    assert frame["codec"].isna().all()
    assert frame["call_uuid"].isna().all()
    assert frame["loss_in"].isna().all()


def test_what_is_handed_out_is_a_copy():
    store = filled(2)
    frame = store.frame()
    frame["rtt_ms"] = -1.0
    frame.loc[frame.index[0], "jitter_in_ms"] = 5.0
    store.append(5_000_000_000, rtt_ms=7.0)
    assert len(frame) == 2
    assert store.frame()["rtt_ms"].tolist() == [0, 1, 7]
    assert store.frame()["jitter_in_ms"].isna().all()


def test_the_rows_of_a_word_are_found_without_the_others():
    store = ColumnStore(MEDIA_METRICS, by="call_uuid")
    for row, call in enumerate(["a", "b", None, "a", "", "c", "b"]):
        store.append(row, call_uuid=call, value=row)
    assert store.rows_of(["a"]).tolist() == [0, 3]
    assert store.rows_of(["b", "a", "b", None, "unknown"]).tolist() == [0, 1, 3, 6]
    assert store.rows_of(["a", "b"], since=3).tolist() == [3, 6]
    assert store.rows_of(["unknown"]).tolist() == []
    frame = store.frame(store.rows_of(["b"]))
    assert frame["value"].tolist() == [1, 6]
    expected = store.frame()[store.frame()["call_uuid"] == "b"]
    pd.testing.assert_frame_equal(frame, expected, check_categorical=False)
    assert frame["call_uuid"].cat.categories.tolist() == ["b"], "no words of other rows"
    assert store.arrays(store.rows_of(["a"]), ["value", "call_uuid"])["call_uuid"].tolist() == ["a", "a"]


@given(st.lists(st.sampled_from(["a", "b", "c", "d", None, ""])), st.data())
def test_a_part_of_a_store_has_the_words_of_its_rows_alone(
    words: list[str | None], data: st.DataObject
) -> None:
    store = ColumnStore(MEDIA_METRICS, by="call_uuid")
    for row, word in enumerate(words):
        store.append(row * 1000, call_uuid=word)
    rows = sorted(data.draw(st.sets(st.integers(0, len(words) - 1)))) if words else []
    expected = [words[row] or None for row in rows]
    part = np.array(rows, dtype=np.int64)
    column = store.frame(part)["call_uuid"]
    assert [None if pd.isna(word) else word for word in column] == expected
    assert sorted(column.cat.categories) == sorted({word for word in expected if word})
    assert store.arrays(part, ["call_uuid"])["call_uuid"].tolist() == expected


def test_the_rows_since_a_time_are_those_of_it_and_later_also_where_times_are_not_in_order():
    store = ColumnStore(SAMPLES)
    seconds = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
    for second in seconds:
        store.append(second * 10**9, rtt_ms=float(second))
    for since in range(11):
        rows = store.rows_since(since * 10**9)
        assert rows.tolist() == [row for row, second in enumerate(seconds) if second >= since]
    assert store.frame(store.rows_since(5 * 10**9))["rtt_ms"].tolist() == [5, 5, 6, 9]
    assert ColumnStore(SAMPLES).rows_since(0).tolist() == []


def test_unknown_column_is_refused():
    with pytest.raises(ValueError, match="No such column: rtt"):
        ColumnStore(SAMPLES).append(0, rtt=5)


def test_values_of_any_kind_in_media_metrics():
    store = ColumnStore(MEDIA_METRICS)
    store.append(0, type="high_rtt", value=450.0, active=True)
    store.append(1, type="ice_connection", value="failed", active=False)
    assert store.frame()["value"].tolist() == [450.0, "failed"]
    assert store.frame()["active"].tolist() == [True, False]


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=40))
def test_categories_come_back_as_they_went_in(names):
    store = ColumnStore(SAMPLES)
    for row, name in enumerate(names):
        store.append(row, codec=name)
    values = store.frame()["codec"]
    assert [None if pd.isna(value) else value for value in values] == names


def test_schema_says_what_every_column_means():
    table = schema()
    assert list(table.columns) == ["frame", "name", "dtype", "unit", "meaning", "source"]
    assert set(table["frame"]) == {"samples", "media_metrics", "calls", "log", "sip_trace", "packet_fates"}
    assert (table["meaning"].str.len() > 3).all()
    assert (table["source"].str.len() > 2).all()
    named = schema("samples").set_index("name")
    assert named.loc["rtt_ms", "unit"] == "ms"
    assert set(named.index) == {"time", *(column.name for column in SAMPLES)}
    assert schema_metadata("samples")["loss_in"]["unit"] == "0..1"


def test_schema_of_calls_and_log_is_that_of_the_frames():
    calls = Records(engine=None).calls()
    assert list(calls.columns) == [column.name for column in CALLS]
    log = Log()
    log.add("onLogin", "", "uuid")
    frame = log.frame()
    assert list(frame.columns) == [column.name for column in LOG]
    assert isinstance(frame["event"].dtype, pd.CategoricalDtype)
    assert frame["text"].dtype == "str"


def test_schema_of_no_frame():
    with pytest.raises(ValueError, match="There is no frame 'sample'"):
        schema("sample")


# ---------------------------------------------------------------- every frame, against the schema

ODD = {
    "float": [math.nan, None, 0, -0.0, 1e308, -1e-308, 2**62, True],
    "bool": [None, True, 0],
    "category": [None, "", "übung 😀", "a" * 10_000, "None", math.nan, 7],
    "string": [None, "", math.nan, "übung 😀\r\n\t\x00", "b" * 100_000, 5],
    "object": [None, 0, -1.5, "failed", "😀", 2**60],
}


def odd_rows(name: str, count: int = 24) -> pd.DataFrame:
    """Rows whose values are every odd one of their kind, and whose times go back and forth."""
    values = {c.name: [ODD[c.kind][row % len(ODD[c.kind])] for row in range(count)] for c in SCHEMA[name]}
    return build_frame(name, [(row * 7 % count) * 1_000_000_000 for row in range(count)], values)


def sip_trace(messages: list[MessageRecord]) -> pd.DataFrame:
    trace = SipTrace()
    for message in messages:
        trace.add(message, 1.0)
    return trace.frame()


def log(texts: list[str]) -> pd.DataFrame:
    entries = Log()
    for text in texts:
        entries.add("onLogin", text, None)
    return entries.frame()


def media_metrics(rows: int) -> pd.DataFrame:
    store = ColumnStore(MEDIA_METRICS)
    for row in range(rows):
        store.append(row, call_uuid=None, type="ice_connection", value="failed", active=True)
    return store.frame()


def packet_fates(rows: list[tuple[float, PacketFate]]) -> pd.DataFrame:
    record = FateRecord(lambda at_s: round(at_s * 1e9))
    record.add(rows)
    return record.frame("a call")


MADE = {
    "samples": (filled(0).frame, filled(1).frame),
    "media_metrics": (lambda: media_metrics(0), lambda: media_metrics(1)),
    "calls": (lambda: Records(engine=None).calls(), lambda: odd_rows("calls", 1)),
    "log": (lambda: log([]), lambda: log(["übung 😀"])),
    "sip_trace": (
        lambda: sip_trace([]),
        lambda: sip_trace(
            [MessageRecord(1.0, "out", "INVITE", "1@a", "1 INVITE", "INVITE sip:b SIP/2.0\r\n\r\n")]
        ),
    ),
    "packet_fates": (lambda: packet_fates([]), lambda: packet_fates([(1.0, "missing")])),
}
FRAMES = [
    pytest.param(name, make, id=f"{name} {rows}")
    for name in SCHEMA
    for rows, make in (
        ("empty", MADE[name][0]),
        ("one row", MADE[name][1]),
        ("odd rows", functools.partial(odd_rows, name)),
    )
]


@pytest.mark.parametrize(("name", "make"), FRAMES)
def test_a_frame_is_what_the_schema_says(name: str, make: Callable[[], pd.DataFrame]) -> None:
    frame = make()
    said = schema(name).set_index("name")["dtype"]
    assert {"time": str(frame.index.dtype), **{key: str(frame[key].dtype) for key in frame}} == said.to_dict()
    assert list(frame.columns) == [column.name for column in SCHEMA[name]]
    assert frame.index.name == "time"
    assert frame.index.is_monotonic_increasing
    for key in frame:
        if isinstance(frame[key].dtype, pd.CategoricalDtype):
            assert frame[key].cat.categories.dtype == "str"
    assert len(frame.loc["1970-01-01 00:00:03.5":"1970-01-01 00:00:05.5"]) in (0, 2)


@pytest.mark.parametrize(("name", "make"), FRAMES)
def test_a_frame_comes_back_from_parquet_equal(
    name: str, make: Callable[[], pd.DataFrame], tmp_path: Path
) -> None:
    frame = make()
    store.save(frame, tmp_path / "frame.parquet", name)
    back = store.load(tmp_path / "frame.parquet")
    pd.testing.assert_frame_equal(back, frame)
    assert back.index.dtype == frame.index.dtype
    about = store.about(tmp_path / "frame.parquet")
    assert about["columns"] == schema_metadata(name)


def test_what_is_missing_in_odd_rows_is_missing_in_the_frame() -> None:
    frame = odd_rows("log", 7)
    assert frame["event"].isna().sum() == 3
    assert frame["text"].isna().sum() == 3
    assert frame["event"].dropna().tolist() == ["übung 😀", "a" * 10_000, "None", "7"]


def test_calls_are_in_the_order_of_their_beginnings() -> None:
    """A call that began first and ended last is added last."""
    values = {c.name: [None, None, None] for c in CALLS} | {"call_uuid": ["b", "c", "a"]}
    frame = build_frame("calls", [2_000_000_000, 3_000_000_000, 1_000_000_000], values)
    assert frame["call_uuid"].tolist() == ["a", "b", "c"]
    assert frame.loc["1970-01-01 00:00:02":, "call_uuid"].tolist() == ["b", "c"]
