"""The table of `python tests/bench`: its form in the README, and how cells are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.peers.rows import COLUMNS, ROWS, Row, cell, known_reason
from bench.peers.table import BEGIN, END, faults, held, markdown, put

README = Path(__file__).parents[3] / "README.md"


def table() -> str:
    cells = {f"{row.name} {column}": {"values": [1.0, 3.0, 2.0]} for row in ROWS for column in COLUMNS}
    return markdown({"date": "2026-11-26", "machine": "2 cores of a test", "cells": cells})


def test_the_readme_holds_a_table_of_the_same_form() -> None:
    text = held(README.read_text("utf-8"))
    assert faults(text) == []
    assert "python tests/bench" in README.read_text("utf-8")


def test_a_made_table_has_no_faults() -> None:
    assert faults(table()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("stock aiortc", "aiortc", "the columns are not"),
        ("| Login, ms |", "| Log in, ms |", "a row is missing: Login, ms"),
        (
            "| Import, s | 2.00 (1.00–3.00) |",
            "| Import, s | not run |",
            "import, ours: 'not run' is no number",
        ),
        ("| no demo |", "| later |", "demo, aiortc: 'later' is no number"),
        ("| 2.00 (1.00–3.00) |\n", "|\n", "has not a cell"),
    ],
)
def test_faults_of_a_table(old: str, new: str, said: str) -> None:
    damaged = table().replace(old, new)
    assert damaged != table()
    assert any(said in fault for fault in faults(damaged))


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"values": [2.0]}, "2.0"),
        ({"values": [1.0, 3.04, 2.0]}, "2.0 (1.0–3.0)"),
        ({"values": [2.0], "saturated": True}, "2.0 saturated"),
        ({"reason": "npm is not installed"}, "npm is not installed"),
        (None, "not run"),
    ],
)
def test_a_cell(found: dict[str, object] | None, text: str) -> None:
    assert cell(Row("x", "X", "s", 1), found) == text


def test_ours_can_always_be_measured() -> None:
    assert all(known_reason(row.name, "ours") is None for row in ROWS)
    assert known_reason("pesq.opus.5", "pjsua2") == "no Opus in the wheel"
    assert known_reason("cpu.pcmu.40", "aiortc") == "not run above 10"


def test_the_table_is_put_between_the_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    put(readme, "| new |")
    assert readme.read_text("utf-8") == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    assert held(readme.read_text("utf-8")) == "| new |"
