"""analysis.store: a frame on disk comes back as it was, and says what its columns mean."""

from __future__ import annotations

import pandas as pd
import pytest

from plivo_nb.analysis import store
from plivo_nb.quality.frames import SAMPLES, ColumnStore


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


def test_the_file_says_what_its_columns_mean(tmp_path):
    store.save(samples(1), tmp_path / "samples.parquet")
    said = store.about(tmp_path / "samples.parquet")
    assert said["frame"] == "samples"
    assert said["columns"]["jitter_in_ms"]["unit"] == "ms"


def test_a_file_of_somebody_else(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="was not written by"):
        store.about(tmp_path / "other.parquet")
