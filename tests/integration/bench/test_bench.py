"""`python tests/bench`, as a user runs it: ratios of CPU within one run, and the form of what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.peers.rows import ROWS
from bench.peers.table import AIMS
from matplotlib.image import imread

pytestmark = pytest.mark.alone  # two processes are compared: a third one beside would blur them

BENCH = Path(__file__).parents[2] / "bench"
#: Shares of stock aiortc's CPU: the aims, doubled for a busy machine.
LIMITS = {row: 2 * aim for row, aim in AIMS.items()}


def bench(*arguments: object, options: tuple[str, ...] = (), **env: str) -> subprocess.CompletedProcess[str]:
    """Run it; the stock aiortc is the one of this environment, which is the version that is pinned."""
    return subprocess.run(
        [sys.executable, *options, str(BENCH), *map(str, arguments)],
        capture_output=True, text=True, timeout=140,
        env={**os.environ, "PLIVO_NB_BENCH_PEERS": sys.executable, **env},
    )  # fmt: skip


def test_a_call_costs_a_fraction_of_stock_aiortc(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = bench("--quick", "--only", *LIMITS, "--columns", "ours", "aiortc", "--results", results)
    assert done.returncode == 0, done.stderr
    cells: dict[str, Any] = json.loads(results.read_text("utf-8"))["cells"]
    for row, limit in LIMITS.items():
        ours, stock = (cells[f"{row} {column}"]["values"][0] for column in ("ours", "aiortc"))
        assert ours < limit * stock, f"{row}: {ours:.2f} against {stock:.2f} CPU seconds an endpoint-minute"
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(LIMITS), "a table of a part has the rows of that part"
    assert table[2].startswith("| CPU an endpoint-minute, Opus, 10 calls, s | ")
    assert "CPU of 10 calls as a share of stock aiortc's: Opus 0." in done.stdout
    assert " of 1 run of 3 s." in done.stdout


def test_a_peer_that_fails_loses_no_other_figure(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    arguments = ("--quick", "--only", "cpu.pcmu.1", "import", "--columns", "aiortc", "ours")
    done = bench(*arguments, "--results", results, PLIVO_NB_BENCH_PEERS="/usr/bin/false")
    assert done.returncode == 0, done.stderr
    why = "failed: /usr/bin/false ended with code 1"
    cells = json.loads(results.read_text("utf-8"))["cells"]
    for row in ("cpu.pcmu.1", "import"):
        assert cells[f"{row} aiortc"]["reason"] == why
        assert cells[f"{row} ours"]["values"][0] > 0
    assert f" | {why} |" in done.stdout


def test_a_table_with_gaps_does_not_go_into_the_readme(tmp_path: Path) -> None:
    readme = BENCH.parents[1] / "README.md"
    before = readme.read_bytes()
    part = ("--only", "import", "--columns", "ours", "--results", tmp_path / "results.json")
    done = bench("--readme", *part)
    assert done.returncode == 1
    assert readme.read_bytes() == before
    assert "README.md is as it was:" in done.stderr
    assert "demo, ours: 'not run' is no number" in done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(ROWS), "for the README, the table is whole"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "cpu.opus.10", "speed"), "no such row: speed; the rows are cpu.opus.1,"),
        (
            ("--columns", "nonsense"),
            "no such column: nonsense; the columns are ours, aiortc, chromium, pjsua2",
        ),
        (("curves", "--only", "cpu"), "--only: arguments of the table, which the curves cannot follow"),
        (("--out", "somewhere"), "--out is for curves"),
        (("--readme", "--quick"), "--readme needs runs of full length: leave out --quick"),
        (("--readme", "--only", "pesq"), "--readme needs the whole table: give --results FILE"),
        (("--results", "/nope/x"), "/nope/x cannot be used (No such file or directory): name another file"),
        (("--results", __file__), "test_bench.py holds no results of this command (JSONDecodeError:"),
        (("curves", "--out", __file__), "test_bench.py cannot be a folder (File exists): name another one"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_measured(
    arguments: tuple[str, ...], said: str
) -> None:
    done = bench(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_environment_that_cannot_be_made_is_told_of_after_the_arguments_are_checked(
    tmp_path: Path,
) -> None:
    bare: dict[str, str] = {"XDG_CACHE_HOME": str(tmp_path), "PIP_NO_INDEX": "1"}
    wrong = bench("--only", "speed", options=("-S",), **bare)
    assert "no such row: speed" in wrong.stderr
    assert not list(tmp_path.iterdir()), "it installs before it has read its arguments"
    done = bench("--only", "import", options=("-S",), **bare)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not installed, and pip could not install it: " in done.stderr
    assert "[test]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_curves_are_drawn_from_what_was_measured(tmp_path: Path) -> None:
    done = bench("curves", "--quick", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    figures: dict[str, dict[str, list[list[float]]]] = json.loads(
        (tmp_path / "curves.json").read_text("utf-8")
    )
    assert list(figures) == ["cpu", "registrations", "setups", "lag_rows", "lag_widgets"]
    lines = [line for points in figures.values() for line in points.values()]
    assert all(len(line) == 2 and all(value > 0 for _, value in line) for line in lines)
    for name, (one, more) in figures["cpu"].items():
        calls = more[0] / one[0]
        assert one[1] < more[1] < 2 * calls * one[1], (
            f"{name}: {calls:.0f} calls cost {more[1] / one[1]:.1f} times"
        )
    assert imread(tmp_path / "curves.png").std() > 0.05, "the picture is empty"
