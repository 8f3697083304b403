"""A file is replaced as a whole, or stays as it was."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from plivo_nb.atomic_file import replaced


def test_the_new_file_takes_the_place_of_the_old_one_with_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_text("old")
    path.chmod(0o640)
    with replaced(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [item.name for item in tmp_path.iterdir()] == ["x.parquet"]


def test_after_an_exception_the_old_file_is_there_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replaced(path) as new:
        new.write_text("ne")
        raise KeyboardInterrupt
    with pytest.raises(ZeroDivisionError), replaced(path):
        _ = 1 / 0
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["x.parquet"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "x.parquet", tmp_path / "link"
    link.symlink_to(target)
    with replaced(link) as new:
        new.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_is_written_as_it_is() -> None:
    with replaced(os.devnull) as new:
        assert str(new) == os.path.realpath(os.devnull)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such"), replaced(tmp_path / "no-such" / "x") as new:
        new.write_text("new")
