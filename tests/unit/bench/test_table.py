"""The table of `python tests/bench`: its form in the README, and how cells are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench.peers.results import Results
from bench.peers.rows import COLUMNS, ROWS, Row, cell, known_reason
from bench.peers.table import BEGIN, END, faults, held, markdown, put, shown

README = Path(__file__).parents[3] / "README.md"
WHOLE = ([row.name for row in ROWS], list(COLUMNS))
LOGIN, RINGING = (
    f"| {text}, ms | 2 (1–3) | no SIP | 2 (1–3) | 2 (1–3) |\n" for text in ("Login", "Call to ringing")
)


def results(**changes: dict[str, Any]) -> Results:
    """Three runs in each cell; changes of cells by their names."""
    of_all = {"values": [1.0, 3.0, 2.0], "date": "2026-11-26", "seconds": 10, "others": 0.04}
    cells = {f"{row.name} {column}": dict(of_all) for row in ROWS for column in COLUMNS}
    for name, change in changes.items():
        cells[name] |= change
    return Results("2 cores of a test, Python 3.11.7", cells)


def table(**changes: dict[str, Any]) -> str:
    return markdown(results(**changes), *WHOLE)


def below(text: str) -> list[str]:
    """The lines below the table."""
    return text.rpartition("|\n")[2].strip().splitlines()


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
        (LOGIN + RINGING, RINGING + LOGIN, "the rows are in another order"),
        (LOGIN, LOGIN + LOGIN, "the rows are in another order, or twice there"),
        (LOGIN, LOGIN + LOGIN.replace("Login", "Logout"), "a row is unknown: Logout, ms"),
        ("Measured on 2026-11-26", "Measured on someday", "this is no day, machine and 3 runs of 10 s"),
        (", 2 cores of a test, Python 3.11.7", "", "this is no day, machine and 3 runs of 10 s"),
        ("3 runs of 10 s", "1 run of 3 s", "this is no day, machine and 3 runs of 10 s"),
        ("3 runs of 10 s", "1 to 3 runs of 10 s", "this is no day, machine and 3 runs of 10 s"),
        ("(median)", "", "this is not what other programs took"),
        ("Opus 1.00 (aim 0.28)", "Opus 0.28 (aim 0.28)", "the shares of CPU are not those of the cells"),
    ],
)
def test_faults_of_a_table(old: str, new: str, said: str) -> None:
    damaged = table().replace(old, new)
    assert damaged != table()
    assert any(said in fault for fault in faults(damaged)), faults(damaged)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_each_line_below_a_table_is_needed(number: int) -> None:
    damaged = table().replace(below(table())[number], "")
    assert faults(damaged) == [
        "2 lines are below the table: how it was measured, other programs, shares of CPU"
    ]


def test_below_the_table_is_how_it_was_measured() -> None:
    changes: dict[str, dict[str, Any]] = {
        "cpu.opus.10 ours": {"values": [0.5]},
        "cpu.opus.10 aiortc": {"saturated": True},
        "cpu.pcmu.10 ours": {"values": [0.34, 0.3, 0.36]},
        "echo.opus ours": {"others": 1.26, "date": "2026-11-28"},
    }
    assert below(table(**changes)) == [
        "Measured on 2026-11-26 to 2026-11-28, 2 cores of a test, Python 3.11.7: median (least–most) of "
        "1 to 3 runs of 10 s.",
        "Other programs took 0.0 cores meanwhile (median), 1.3 at most, in `echo.opus ours`.",
        "CPU of 10 calls as a share of stock aiortc's: Opus 0.25 (aim 0.28; saturated: stock aiortc), "
        "PCMU 0.17 (aim 0.12).",
    ]


@pytest.mark.parametrize("name", ["import ours", "echo.opus ours", "setup.login ours", "memory.pcmu ours"])
def test_a_quick_run_of_any_row_is_seen(name: str) -> None:
    text = table(**{name: {"seconds": 3}})
    assert "3 runs of 3 to 10 s" in text
    assert len(faults(text)) == 1


def test_set_up_may_have_any_number_of_calls() -> None:
    assert "of 3 runs of 10 s." in table(**{"setup.login ours": {"values": [1.0] * 5}})


def test_a_table_that_took_days_has_no_faults() -> None:
    assert faults(table(**{"demo ours": {"date": "2026-11-28"}})) == []


def test_one_run_is_no_plural() -> None:
    one = results()
    one.cells = {"cpu.opus.1 ours": {"values": [2.0], "date": "2026-11-26", "seconds": 3, "others": 0.0}}
    text = markdown(one, ["cpu.opus.1"], ["ours"])
    assert text.splitlines()[:3] == [
        "| | plivo_nb |", "| --- | --- |", "| CPU an endpoint-minute, Opus, 1 call, s | 2.00 |",
    ]  # fmt: skip
    assert below(text)[0].endswith(" of 1 run of 3 s.")


def test_a_part_shows_what_is_wanted_and_what_the_file_has() -> None:
    assert shown([], ["demo", "echo.opus"], ["ours"]) == (["echo.opus", "demo"], ["ours"])
    of_file = ["cpu.opus.1 pjsua2", "used.opus.1 pjsua2", "carried.opus.1 pjsua2"]
    assert shown(of_file, ["demo"], ["ours"]) == (["cpu.opus.1", "demo"], ["ours", "pjsua2"])


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
