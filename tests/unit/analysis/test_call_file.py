"""analysis.call_file: the file of one call, as a stream that can be cut off anywhere, and as Parquet."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored_calls import BEGAN_S, call_data, sample_rows, samples_of

from plivo_nb.analysis import call_file, store
from plivo_nb.analysis.call_file import StreamEncoder, decode_stream

VALUES = [450.5, 0, "failed", None, "überlastet", 2**60, True]
EVENTS = [
    (BEGAN_S * 10**9 + number, {"call_uuid": "a", "type": "t", "value": value, "active": True})
    for number, value in enumerate(VALUES)
]


def stream(rows, *, state="answered", confirmed=None, pieces=1):
    """The bytes of a stream in so many batches."""
    encoder, data = StreamEncoder(), b""
    for number in range(pieces):
        part = rows[number::pieces] if pieces > 1 else rows
        call = call_data("a", state=state, label="wifi")
        call.events = EVENTS if number == 0 else []
        lags = [(at_ns, values["loop_lag_ms"]) for at_ns, values in part]
        data += encoder.batch(
            [(at_ns, {**values, "call_uuid": "a"}) for at_ns, values in part],
            call,
            lags if confirmed is None else lags[: max(0, confirmed - number * len(part))],
        )
    return data


def test_a_stream_gives_back_what_was_written():
    rows = sample_rows(6)
    samples, call, warnings = decode_stream(stream(rows, pieces=2))
    pd.testing.assert_frame_equal(samples, samples_of("a", rows))
    assert (call.row["dest"], call.tags, call.ended, warnings) == ("echo", {"label": "wifi"}, False, [])
    assert call.media_metrics()["value"].tolist() == VALUES


def test_a_stream_that_is_cut_off_anywhere_is_read_up_to_its_last_whole_batch():
    rows = sample_rows(6)
    whole = stream(rows, pieces=3)
    counts = set()
    for length in range(0, len(whole), 211):
        try:
            samples, _, _ = decode_stream(whole[:length])
        except ValueError:
            assert length < len(whole) // 2, "the head alone cannot be missing that late"
            continue
        counts.add(len(samples))
    assert counts == {0, 2, 4}


@pytest.mark.parametrize(
    ("state", "confirmed", "kept"),
    [("answered", 3, 6), ("ended", 3, 3), ("ringing", 0, 0), ("answered", 0, 6)],
)
def test_samples_that_the_loop_has_not_counted_belong_to_a_call_that_goes_on(state, confirmed, kept):
    """While a cell blocks the kernel the newest are not counted; those before the answer never are."""
    samples, _, _ = decode_stream(stream(sample_rows(6), state=state, confirmed=confirmed))
    assert len(samples) == kept
    assert np.isfinite(samples["loop_lag_ms"]).sum() == min(kept, confirmed)


def test_bytes_of_somebody_else_are_no_stream():
    with pytest.raises(ValueError, match="no Arrow IPC stream"):
        decode_stream(b"\xff\xff\xff\xff rubbish")
    target = pa.BufferOutputStream()
    table = pa.table({"a": [1]})
    with pa.ipc.new_stream(target, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ValueError, match="plivo_nb did not write"):
        decode_stream(target.getvalue().to_pybytes())


def test_parquet_keeps_the_call_beside_its_samples_with_units_and_version(tmp_path):
    call = call_data("a", label="wifi", mos="a tag with the name of no column of calls")
    call.events, call.sound_began_s = list(EVENTS), BEGAN_S + 0.25
    samples = samples_of("a", sample_rows(3))
    call_file.write_parquet(tmp_path / "a.parquet", samples, call)
    back = call_file.call_data(pq.read_schema(tmp_path / "a.parquet"))
    assert back is not None
    pd.testing.assert_frame_equal(store.load(tmp_path / "a.parquet"), samples)
    pd.testing.assert_frame_equal(back.media_metrics(), call.media_metrics())
    row = back.calls(tmp_path / "a.parquet").iloc[0]
    assert (row["label"], row["sound"]) == ("wifi", str(tmp_path / "a.opus"))
    assert row["sound_began"] == pd.Timestamp(BEGAN_S + 0.25, unit="s", tz="UTC")
    about = store.about(tmp_path / "a.parquet")
    assert about["columns"]["rtt_ms"]["unit"] == "ms"
    assert about["version"]


def test_a_tag_with_the_name_of_a_column_does_not_replace_it():
    row = call_data("a", state="ended", dest="x").calls().iloc[0]
    assert (row["dest"], row["tag_dest"]) == ("echo", "x")


def test_a_file_of_a_frame_is_not_that_of_a_call(tmp_path):
    store.save(samples_of("a", sample_rows(1)), tmp_path / "a.parquet")
    assert call_file.call_data(pq.read_schema(tmp_path / "a.parquet")) is None
