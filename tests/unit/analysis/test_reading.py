"""analysis.reading: calls from files and folders, and only what is asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import dask
import foreign_dumps
import pandas as pd
import pyarrow.parquet as pq
import pytest
from stored_calls import BEGAN_S, call_data, sample_rows, samples_of, store_call

from plivo_nb import read
from plivo_nb.analysis import call_file, reading, store
from plivo_nb.analysis.call_file import StreamEncoder
from plivo_nb.analysis.partitions import is_dask, of_partitions
from plivo_nb.errors import PlivoError

VERSION_0_1 = Path(__file__).with_name("samples-0.1.parquet")
DAY_S = 86_400


def calls_read(path, **wanted):
    return read(path, **wanted).calls["call_uuid"].tolist()


def test_a_frame_that_was_saved_is_read():
    read_back = read(VERSION_0_1)
    assert read_back.calls["call_uuid"].tolist() == ["5ff0fa1e-3d5c-4b7c-8a44-4c7ac0ffee00", "übung-2"]
    assert len(read_back.samples) == 30
    assert read_back.samples["muted"].sum() == 5
    assert len(read(VERSION_0_1, filters=[("packets_discarded", ">=", 0)]).samples) > 0, "a renamed column"


def test_frames_of_calls_and_events_and_frames_that_pandas_wrote_are_read(tmp_path):
    samples = samples_of("a", sample_rows(3))
    samples.to_parquet(tmp_path / "pandas.parquet")
    pd.testing.assert_frame_equal(read(tmp_path / "pandas.parquet").samples, samples)
    call = call_data("a")
    store.save(call.calls(), tmp_path / "calls.parquet", "calls")
    assert calls_read(tmp_path / "calls.parquet") == ["a"]
    call.events = [(BEGAN_S * 10**9, {"call_uuid": "a", "type": "t", "value": "failed", "active": True})]
    store.save(call.media_metrics(), tmp_path / "events.parquet", "media_metrics")
    assert read(tmp_path / "events.parquet").media_metrics["value"].tolist() == ["failed"]


@pytest.mark.parametrize("content", [b"shopping list", b"", b"PAR1 cut off", b"\xff\xff\xff\xff cut off"])
def test_a_file_of_another_kind_is_refused_and_named_in_a_folder(tmp_path, content):
    (tmp_path / "notes.txt").write_bytes(content)
    store_call(tmp_path, "a")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        read(tmp_path / "notes.txt")
    in_folder = read(tmp_path)
    assert len(in_folder) == 1
    assert "notes.txt" in in_folder.warnings[0]
    assert in_folder.samples.attrs["warnings"] == list(in_folder.warnings)


def test_what_is_not_there_and_an_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing.parquet")
    assert len(read(tmp_path)) == 0


def test_a_folder_of_calls_that_ended_and_that_go_on(tmp_path):
    store_call(tmp_path, "a", label="wifi")
    rows = sample_rows(4)
    encoder = StreamEncoder()
    data = encoder.batch(
        [(at_ns, {**values, "call_uuid": "b"}) for at_ns, values in rows],
        call_data("b", state="answered", began_s=BEGAN_S + 1, label="lan"),
        [(at_ns, 0.0) for at_ns, _ in rows],
    )
    (tmp_path / "010203-b.arrows").write_bytes(data)
    (tmp_path / "010203-c.arrows").touch()
    store_call(tmp_path, "d", began_s=BEGAN_S + 2)  # without a tag
    assert calls_read(tmp_path, query="label == 'lan' and mos_min > 4") == ["b"]
    both = read(tmp_path, query="label.notna()")
    assert both.calls[["call_uuid", "label", "state"]].to_numpy().tolist() == [
        ["a", "wifi", "ended"],
        ["b", "lan", "answered"],
    ]
    assert both.samples["call_uuid"].value_counts().to_dict() == {"a": 5, "b": 4}
    assert len(both.warnings) == 1
    assert "010203-c.arrows" in both.warnings[0]
    assert len(read(tmp_path / "010203-b.arrows", filters=[("rtt_ms", ">", 40.5)]).samples) == 2


def test_calls_are_chosen_by_time_and_by_a_query(tmp_path):
    for number in range(3):
        store_call(
            tmp_path, f"c{number}", began_s=BEGAN_S + number * DAY_S, mos=2.0 + number, label=f"l{number}"
        )
    second = pd.Timestamp(BEGAN_S + DAY_S, unit="s")
    assert calls_read(tmp_path, since=str(second)) == ["c1", "c2"]
    assert calls_read(tmp_path, until=second.tz_localize("UTC")) == ["c0"]
    assert calls_read(tmp_path, query="mos_mean > 2.5 and label != 'l2'") == ["c1"]
    assert set(read(tmp_path, query="label == 'l2'").samples["call_uuid"]) == {"c2"}


def test_the_samples_of_calls_that_are_not_wanted_are_not_read(tmp_path, monkeypatch):
    for number in range(3):
        store_call(tmp_path, f"c{number}", label=f"l{number}")
    read_from = []
    monkeypatch.setattr(
        pq, "ParquetFile", lambda path, real=pq.ParquetFile: read_from.append(path) or real(path)
    )
    assert calls_read(tmp_path, query="label == 'l1'") == ["c1"]
    assert len(read_from) == 1


def test_samples_and_columns_are_chosen(tmp_path):
    store_call(tmp_path, "a", count=6)
    some = read(tmp_path, columns=["mos"], filters=[("rtt_ms", ">=", 41), ("codec", "==", "OPUS")]).samples
    assert len(some) == 4
    assert some["mos"].notna().all()
    assert some["rtt_ms"].isna().all()
    late = pd.Timestamp(BEGAN_S + 4, unit="s")
    assert len(read(tmp_path, filters=[("time", ">", late)]).samples) == 2
    assert len(read(tmp_path, filters=[("codec", "in", ["OPUS", "PCMU"])]).samples) == 6
    assert len(read(tmp_path, filters=[("codec", "not in", ["OPUS"])]).samples) == 0


@pytest.mark.parametrize(
    "wanted",
    [
        {"columns": ["nonsense"]},
        {"filters": [("nonsense", "==", 1)]},
        {"filters": [("mos", "~", 1)]},
        {"query": "nonsense > 1"},
        {"query": "mos_mean >"},
    ],
)
def test_a_wrong_wish_is_refused_with_a_sentence(tmp_path, wanted):
    store_call(tmp_path, "a")
    with pytest.raises(ValueError):
        read(tmp_path / f"{next(tmp_path.rglob('*.parquet'))}", **wanted)


def test_two_files_of_one_id_stay_two_calls(tmp_path):
    """Both ends of a call may store it, each by its own measurements."""
    store_call(tmp_path, "a", mos=4.0)
    store_call(tmp_path, "a", mos=2.0, began_s=BEGAN_S + 1)
    both = read(tmp_path)
    assert both.calls["call_uuid"].tolist() == ["a", "a (2)"]
    assert both.samples.groupby("call_uuid", observed=True)["mos"].max().tolist() == [4.0, 2.0]


def older(path, *, drop, rename):
    """Write the file anew as an older version would have: without columns, others under an old name."""
    table = pq.read_table(path, partitioning=None)
    metadata = dict(table.schema.metadata)
    about = json.loads(metadata[store.KEY])
    about["version"], about["call"] = "0.2.0", {k: v for k, v in about["call"].items() if k != "mos_mean"}
    table = table.drop_columns(drop).rename_columns(
        [rename.get(name, name) for name in table.column_names if name not in drop]
    )
    del metadata[b"pandas"]
    pq.write_table(table.replace_schema_metadata({**metadata, store.KEY: json.dumps(about).encode()}), path)


def test_a_folder_with_files_of_an_older_schema_is_read(tmp_path):
    old, _ = store_call(tmp_path, "old"), store_call(tmp_path, "new", began_s=BEGAN_S + 60)
    older(old, drop=["mos_g107", "concealed_ms", "loop_lag_ms"], rename={"packets_discarded": "discarded"})
    both = read(tmp_path)
    assert not both.warnings
    assert len(both.samples) == 10
    lags = both.samples.groupby("call_uuid", observed=True)["loop_lag_ms"].count()
    assert lags.to_dict() == {"old": 0, "new": 5}
    only_new = read(tmp_path, query="call_uuid == 'new'").samples
    assert both.samples.dtypes.astype(str).equals(only_new.dtypes.astype(str))
    assert calls_read(tmp_path, filters=[("loop_lag_ms", ">", 0)]) == ["old", "new"]
    assert set(read(tmp_path, filters=[("loop_lag_ms", ">", 0)]).samples["call_uuid"]) == {"new"}


def test_a_file_of_a_newer_schema_keeps_its_new_columns(tmp_path):
    path = store_call(tmp_path, "a")
    samples = store.load(path).assign(brightness_lx=1.0)
    call_file.write_parquet(path, samples, call_data("a"))
    assert read(tmp_path).samples["brightness_lx"].tolist() == [1.0] * 5


def test_a_call_whose_samples_are_damaged_is_named(tmp_path):
    path = store_call(tmp_path, "a")
    store_call(tmp_path, "b", began_s=BEGAN_S + 1)
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    read_back = read(tmp_path)
    assert read_back.calls["call_uuid"].tolist() == ["b"]
    assert path.name in read_back.warnings[0]
    with pytest.raises(ValueError, match="is damaged"):
        read(path)


def test_a_folder_may_have_dumps_of_other_programs_beside_stored_calls(tmp_path):
    store_call(tmp_path, "ours")
    (tmp_path / "dump.txt").write_bytes(foreign_dumps.internals(8))
    (tmp_path / "twilio.json").write_bytes(foreign_dumps.twilio(8))
    calls = read(tmp_path)
    assert len(calls) == 3
    assert (calls.calls["samples"] > 0).all()
    assert calls.calls["mos_mean"].notna().all()
    assert len(read(tmp_path / "dump.txt", filters=[("rtt_ms", ">", 1e6)]).samples) == 0


def test_what_another_program_recorded_is_read_too(tmp_path):
    (tmp_path / "dump.txt").write_bytes(foreign_dumps.internals(10))
    (tmp_path / "other.json").write_bytes(foreign_dumps.plivo(10))
    calls = read(tmp_path / "dump.txt")
    assert calls.calls["codec"].tolist() == ["OPUS"]
    assert calls.samples.attrs["warnings"] == list(calls.warnings)
    assert len(read(tmp_path, query="rtt_mean_ms > 70").calls) == 2


# ---------------------------------------------------------------- samples that stay on the disk


@pytest.fixture
def month(tmp_path: Path) -> Path:
    """A folder with files of calls, of many calls, a call that goes on, and a dump of another program."""
    for number in range(4):
        store_call(tmp_path, f"call-{number}", mos=4.3 - 0.5 * number, began_s=BEGAN_S + 60 * number,
                   count=6, network="wifi" if number % 2 else "lan")  # fmt: skip
    many = [samples_of(f"many-{number}", sample_rows(5, mos=3.0 + 0.2 * number)) for number in range(4)]
    store.save(pd.concat(many[:2]).sort_index(), tmp_path / "many-1.parquet")
    pd.concat([many[2], many[0]]).sort_index().to_parquet(tmp_path / "many-2.parquet")  # many-0 once more
    (tmp_path / "dump.txt").write_bytes(foreign_dumps.internals(10))
    encoder = StreamEncoder()
    going_on = call_data("on", state="answered", network="lan")
    (tmp_path / "on.arrows").write_bytes(encoder.batch(sample_rows(3), going_on))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    return tmp_path


def by_call(frame: pd.DataFrame) -> pd.DataFrame:
    """In an order of its own: calls that begin at the same time may stand in any order."""
    plain = frame.astype(dict.fromkeys(frame.select_dtypes("category"), object))
    return plain.reset_index().sort_values(["call_uuid", "time"], ignore_index=True)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"query": "mos_mean < 4"},
        {"since": pd.Timestamp(BEGAN_S + 61, unit="s"), "query": "network == 'wifi'"},
        {"until": pd.Timestamp(BEGAN_S + 61, unit="s")},
        {"columns": ["mos", "jitter_in_ms"]},
        {"filters": [("mos", "<", 3.5)]},
        {"query": "call_uuid == 'no such call'"},
    ],
)
def test_dask_reads_what_pandas_reads(month: Path, wanted: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PARTITION_ROWS", 12)
    with dask.config.set(scheduler="synchronous"):
        one, other = read(month, **wanted), read(month, engine="dask", **wanted)
        assert is_dask(other.samples)
        pd.testing.assert_frame_equal(by_call(one.calls), by_call(other.calls), check_exact=True)
        pd.testing.assert_frame_equal(by_call(one.samples), by_call(other.compute().samples))
    assert sorted(one.warnings) == sorted(other.warnings)
    assert len(one.media_metrics) == len(other.media_metrics)


def test_small_files_share_a_partition_and_only_needed_columns_are_read(
    month: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(month, engine="dask").samples.npartitions == 2, "the files of calls, and what is in memory"
    monkeypatch.setattr(reading, "PARTITION_ROWS", 12)
    calls = read(month, engine="dask")
    assert calls.samples.npartitions == 5
    asked: list[set[str]] = []
    table = reading._Wanted.table

    def seen(self, path, schema, columns=None):
        asked.append(set(columns or ()))
        return table(self, path, schema, columns)

    monkeypatch.setattr(reading._Wanted, "table", seen)
    with dask.config.set(scheduler="synchronous"):
        of_partitions(len, calls.samples, columns=["call_uuid", "mos"])
    assert asked
    assert all(columns == {"time", "call_uuid", "mos"} for columns in asked)


def test_an_engine_that_is_not_there_is_said(month: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no engine 'spark'; choose 'pandas' or 'dask'"):
        read(month, engine="spark")
    monkeypatch.setitem(sys.modules, "dask.dataframe", None)
    with pytest.raises(PlivoError, match=r"needs Dask .* pip install 'plivo-nb\[scale\]'"):
        read(month, engine="dask")
