"""The file of `python tests/bench --results`: what it keeps, and which files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.peers.results import Refused, opened

CELLS = {"demo ours": {"values": [2.0], "date": "2026-11-26", "seconds": 10, "others": 0.0}}


def test_a_file_keeps_its_cells_and_their_days(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    first = opened(file, "this machine")
    first.cells |= CELLS
    first.save()
    assert opened(file, "this machine").cells == CELLS
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_without_a_file_nothing_is_kept() -> None:
    results = opened(None, "this machine")
    results.save()
    assert results.cells == {}


def test_a_file_of_another_machine_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    text = json.dumps({"machine": "another", "cells": CELLS})
    file.write_text(text, "utf-8")
    with pytest.raises(Refused, match=r"was measured on another, and this is this machine: .* name another"):
        opened(file, "this machine")
    assert file.read_text("utf-8") == text


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"machine": "this machine", "cells": []}',
        '{"machine": "this machine", "cells": {"demo ours": {"values": [2.0]}}}',
        '{"machine": "this machine", "cells": {"demo ours": 2.0}}',
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(text, "utf-8")
    with pytest.raises(
        Refused, match=r"holds no results of this command .*: delete it, or name another file"
    ):
        opened(file, "this machine")
    assert file.read_text("utf-8") == text


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"cannot be used \(No such file or directory\): name another file"):
        opened(tmp_path / "nowhere" / "results.json", "this machine")
    with pytest.raises(Refused, match=r"cannot be used \(Is a directory\): name another file"):
        opened(tmp_path, "this machine")
