"""analysis.reading: calls from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from plivo_nb import read

VERSION_0_1 = Path(__file__).with_name("samples-0.1.parquet")


def test_a_frame_that_was_saved_is_read():
    read_back = read(VERSION_0_1)
    assert read_back.calls["call_uuid"].tolist() == ["5ff0fa1e-3d5c-4b7c-8a44-4c7ac0ffee00", "übung-2"]
    assert len(read_back.samples) == 30
    assert read_back.samples["muted"].sum() == 5


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("shopping list")
    with pytest.raises(ValueError, match="is no such file"):
        read(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing.parquet")
