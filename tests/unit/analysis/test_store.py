"""analysis.store: a frame on disk comes back as it was, and says what its columns mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_disk import small_disk

from plivo_nb.analysis import store
from plivo_nb.quality.frames import MEDIA_METRICS, SAMPLES, ColumnStore

VERSION_0_1 = Path(__file__).with_name("samples-0.1.parquet")


def samples(rows):
    columns = ColumnStore(SAMPLES)
    for row in range(rows):
        columns.append(row * 1_000_000_000, call_uuid="a", codec="OPUS", rtt_ms=1.5 * row, muted=row == 1)
    return columns.frame()


@pytest.mark.parametrize("rows", [0, 3])
def test_round_trip(tmp_path, rows):
    frame = samples(rows)
    store.save(frame, tmp_path / "samples.parquet")
    back = store.load(tmp_path / "samples.parquet")
    pd.testing.assert_frame_equal(back, frame, check_categorical=rows > 0)
    assert back.index.equals(frame.index)


def test_values_of_mixed_types_come_back_as_they_were(tmp_path):
    columns = ColumnStore(MEDIA_METRICS)
    for value in (450.5, 0, "failed", None, "überlastet 😀", 2**60):
        columns.append(0, type="t", value=value, active=True)
    frame = columns.frame()
    store.save(frame, tmp_path / "events.parquet", "media_metrics")
    back = store.load(tmp_path / "events.parquet")
    pd.testing.assert_frame_equal(back, frame)
    assert [type(value) for value in back["value"]] == [type(value) for value in frame["value"]]


def test_a_file_of_version_0_1_is_read():
    """`samples-0.1.parquet` was written by version 0.1.0, which did not have all columns of today."""
    frame = store.load(VERSION_0_1)
    assert store.about(VERSION_0_1)["version"] == "0.1.0"
    assert len(frame) == 30
    assert frame["call_uuid"].unique().tolist() == ["5ff0fa1e-3d5c-4b7c-8a44-4c7ac0ffee00", "übung-2"]
    assert frame["mos"].sum() == pytest.approx(121.122)
    assert frame["rtt_ms"].isna().tolist() == [True] * 2 + [False] * 28
    assert frame["muted"].sum() == 5
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    now = ColumnStore(SAMPLES).frame()
    assert set(frame.columns) < set(now.columns), "a column that was renamed has its present name"
    assert "packets_discarded" in frame.columns
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        name: str(now[name].dtype) for name in frame.columns
    }


def test_the_file_says_what_its_columns_mean(tmp_path):
    store.save(samples(1), tmp_path / "samples.parquet")
    said = store.about(tmp_path / "samples.parquet")
    assert said["frame"] == "samples"
    assert said["columns"]["jitter_in_ms"]["unit"] == "ms"


def test_a_file_of_somebody_else(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="was not written by"):
        store.about(tmp_path / "other.parquet")


def test_a_file_that_cannot_be_replaced_stays(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        path = disk / "samples.parquet"
        store.save(samples(3), path)
        noise = pd.DataFrame({"x": np.random.default_rng(1).normal(size=20_000)})
        with pytest.raises(OSError, match="No space left"):
            store.save(noise, path)
        pd.testing.assert_frame_equal(store.load(path), samples(3), check_categorical=False)
        assert [item.name for item in disk.iterdir()] == ["samples.parquet"]
