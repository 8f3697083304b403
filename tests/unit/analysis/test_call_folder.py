"""analysis.call_folder: names that never collide, and only old calls are deleted."""

from __future__ import annotations

import datetime as dt

import pytest
from stored_calls import BEGAN_S, store_call

from plivo_nb.analysis.call_file import CallData, StreamEncoder
from plivo_nb.analysis.call_folder import day_of, delete_old, files_of_calls, reserve

DAY_S = 86_400
TODAY = dt.datetime.fromtimestamp(BEGAN_S, dt.UTC).date()


def test_calls_of_the_same_second_and_id_get_names_of_their_own(tmp_path):
    first = reserve(tmp_path, BEGAN_S, "a@host/../x y")
    assert first.parent.name == f"day={TODAY}"
    assert first.name == f"{dt.datetime.fromtimestamp(BEGAN_S, dt.UTC):%H%M%S}-a_host_.._x_y.arrows"
    first.rename(first.with_suffix(".parquet"))  # it has ended
    second = reserve(tmp_path, BEGAN_S, "a@host/../x y")
    third = reserve(tmp_path, BEGAN_S, "a@host/../x y")
    assert len({first.stem, second.stem, third.stem}) == 3
    assert reserve(tmp_path, BEGAN_S, "").name.endswith("-call.arrows")


@pytest.mark.parametrize("name", ["2026-11-25", "day=2026-13-01", "day=2026-11-25x", "month=11"])
def test_other_folders_are_those_of_no_day(tmp_path, name):
    assert day_of(tmp_path / name) is None


def test_files_of_calls_are_listed_once_and_by_day(tmp_path):
    old = store_call(tmp_path, "old", began_s=BEGAN_S - 3 * DAY_S)
    new = store_call(tmp_path, "new")
    new.with_suffix(".arrows").write_bytes(b"left by a process that was killed between two steps")
    new.with_suffix(".opus").write_bytes(b"sound")
    (new.parent / ".hidden.parquet").write_bytes(b"")
    assert list(files_of_calls(tmp_path)) == [old, new]
    since = dt.datetime.fromtimestamp(BEGAN_S, dt.UTC)
    assert list(files_of_calls(tmp_path, since=since)) == [new]
    assert list(files_of_calls(tmp_path, until=since - dt.timedelta(days=1))) == [old]


def test_old_calls_are_deleted_and_nothing_else(tmp_path):
    old = store_call(tmp_path, "old", began_s=BEGAN_S - 9 * DAY_S)
    old.with_suffix(".opus").write_bytes(b"its sound")
    stream = old.with_name("010203-killed.arrows")
    stream.write_bytes(StreamEncoder().batch([], CallData(row={"time": BEGAN_S})))
    kept = [
        store_call(tmp_path, "new"),
        old.with_name("notes.parquet"),  # not the name of a call
        old.with_name("010203-mine.parquet"),  # the name, not the content
        old.with_name("010203-mine.opus"),  # a sound beside no call
        tmp_path / "day=soon" / "010203-x.parquet",
        tmp_path / "thesis.txt",
    ]
    for path in kept[1:]:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    elsewhere = store_call(tmp_path / "elsewhere", "b", began_s=BEGAN_S - 9 * DAY_S)
    (tmp_path / f"day={TODAY - dt.timedelta(days=8)}").symlink_to(elsewhere.parent)
    deleted = delete_old(tmp_path, TODAY - dt.timedelta(days=7))
    assert sorted(deleted) == sorted([old, old.with_suffix(".opus"), stream])
    assert all(path.is_file() for path in [*kept, elsewhere])


def test_the_folder_of_a_day_goes_with_its_last_call(tmp_path):
    old = store_call(tmp_path, "old", began_s=BEGAN_S - 9 * DAY_S)
    empty = old.with_name("010203-a.arrows")
    empty.touch()
    delete_old(tmp_path, TODAY)
    assert not old.parent.exists()
    assert delete_old(tmp_path, TODAY) == []
