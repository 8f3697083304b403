"""analysis.call_frames: any frame gets the columns, dtypes and index of the schema."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.analysis.call_frames import CallFrames, conformed
from plivo_nb.quality.frames import MEDIA_METRICS, SAMPLES, SCHEMA, ColumnStore, build_frame

VALUES = st.one_of(st.none(), st.floats(), st.text(max_size=5), st.booleans(), st.integers(-9, 9))


def samples(call="a", rows=3, start_s=0):
    columns = ColumnStore(SAMPLES)
    for row in range(rows):
        columns.append((start_s + row) * 1_000_000_000, call_uuid=call, codec="OPUS", mos=4.0, muted=row == 1)
    return columns.frame()


@pytest.mark.parametrize("name", sorted(SCHEMA))
def test_nothing_is_completed_to_an_empty_frame_of_the_schema(name):
    empty = build_frame(name, [], {column.name: [] for column in SCHEMA[name]})
    pd.testing.assert_frame_equal(conformed(name, None), empty)
    pd.testing.assert_frame_equal(conformed(name, pd.DataFrame(index=pd.DatetimeIndex([]))), empty)


def test_a_frame_of_the_schema_stays_as_it_is():
    pd.testing.assert_frame_equal(conformed("samples", samples()), samples())


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=5))
def test_values_of_any_type_become_those_of_the_schema(rows):
    index = pd.date_range("2026-01-01", periods=len(rows), freq="s")
    frame = pd.DataFrame(rows, index=index, columns=["mos", "codec", "muted"], dtype=object)
    done = conformed("samples", frame)
    assert {name: str(dtype) for name, dtype in done.dtypes.items()} == {
        column.name: column.dtype for column in SAMPLES
    }
    assert str(done.index.dtype) == "datetime64[us, UTC]"


def test_other_columns_stay_behind_those_of_the_schema():
    done = conformed("calls", pd.DataFrame({"label": ["wifi"]}, index=[pd.Timestamp(0)]))
    assert list(done.columns) == [*(column.name for column in SCHEMA["calls"]), "label"]
    assert done["label"].tolist() == ["wifi"]


def test_rows_are_put_in_the_order_of_time():
    done = conformed("samples", samples()[::-1])
    pd.testing.assert_frame_equal(done, samples())


def test_frames_of_several_calls_are_joined_in_the_order_of_time():
    events = ColumnStore(MEDIA_METRICS)
    events.append(0, call_uuid="b", type="ice_connection", value="failed", active=True)
    one = CallFrames.of(samples=samples("a", start_s=10), warnings=["one."])
    other = CallFrames.of(samples=samples("b"), media_metrics=events.frame(), warnings=["other."])
    both = CallFrames.joined([one, other])
    assert both.samples["call_uuid"].tolist() == ["b"] * 3 + ["a"] * 3
    assert both.samples.dtypes.astype(str).tolist() == [column.dtype for column in SAMPLES]
    assert both.media_metrics["value"].tolist() == ["failed"]
    assert both.warnings == ("one.", "other.")
    assert np.isnan(both.samples["rtt_ms"]).all()


def test_joining_nothing_gives_no_rows():
    assert len(CallFrames.joined([]).calls) == 0
