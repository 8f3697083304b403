"""quality.frames: growing columns, copies handed out, one schema."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.engine.log import Log
from plivo_nb.engine.records import Records
from plivo_nb.quality.frames import CALLS, LOG, MEDIA_METRICS, SAMPLES, ColumnStore, schema, schema_metadata


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


def test_last_rows():
    assert filled(10).frame(last=3)["rtt_ms"].tolist() == [7, 8, 9]
    assert len(filled(2).frame(last=300)) == 2


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
    assert set(table["frame"]) == {"samples", "media_metrics", "calls", "log", "sip_trace"}
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
