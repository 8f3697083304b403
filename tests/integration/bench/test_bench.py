"""`python tests/bench`, as a user runs it: ratios of CPU within one run, and the form of what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

pytestmark = pytest.mark.alone  # two processes are compared: a third one beside would blur them

BENCH = Path(__file__).parents[2] / "bench"
#: What is aimed at, of stock aiortc's CPU at 10 calls; doubled for a busy machine.
LIMITS = {"cpu.opus.10": 2 * 0.28, "cpu.pcmu.10": 2 * 0.12}


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it; the stock aiortc is the one of this environment, which is the version that is pinned."""
    return subprocess.run(
        [sys.executable, str(BENCH), *map(str, arguments)],
        capture_output=True, text=True, timeout=140,
        env={**os.environ, "PLIVO_NB_BENCH_PEERS": sys.executable},
    )  # fmt: skip


def test_a_call_costs_a_fraction_of_stock_aiortc(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    done = bench("--quick", "--only", *LIMITS, "--columns", "ours", "aiortc", "--results", results)
    assert done.returncode == 0, done.stderr
    cells: dict[str, Any] = json.loads(results.read_text("utf-8"))["cells"]
    for row, limit in LIMITS.items():
        ours, stock = (cells[f"{row} {column}"]["values"][0] for column in ("ours", "aiortc"))
        assert ours < limit * stock, f"{row}: {ours:.2f} against {stock:.2f} CPU seconds an endpoint-minute"
    assert "| CPU an endpoint-minute, Opus, 10 calls, s | " in done.stdout


def test_an_unknown_row_is_refused_with_the_names_of_all() -> None:
    done = bench("--only", "cpu.opus.10", "speed")
    assert done.returncode == 2
    assert "no such row or column: speed; the rows are cpu.opus.1," in done.stderr


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
