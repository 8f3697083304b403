"""Measurements that fail: their cells have the reason, and the others their figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import kamailio_rig
import pytest
from bench.peers import environment, measuring, runs
from bench.peers.results import Results
from bench.peers.rows import ROWS

ALL = [row.name for row in ROWS]


def fail(error: Exception) -> Any:
    def run(_: int) -> runs.Figures:
        raise error

    return run


def measured(monkeypatch: pytest.MonkeyPatch, results: Results, *plan: runs.Planned) -> dict[str, Any]:
    monkeypatch.setattr(runs, "plan", lambda *_: list(plan))
    monkeypatch.setattr(measuring, "wait_for_orphans", lambda: None)  # the children here are pytest's
    measuring.measure(results, ALL, ["ours"], quick=True)
    return results.cells


def test_a_failure_is_a_reason_and_what_was_measured_before_it_is_in_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results("a test", file=tmp_path / "results.json")
    error = RuntimeError("no | here\nand more")
    error.add_note("all that it said")
    seen: list[Any] = []

    def last(_: int) -> runs.Figures:
        seen.append(json.loads((tmp_path / "results.json").read_text("utf-8"))["cells"])
        return {"demo ours": 1.0}

    cells = measured(monkeypatch, results, (1, fail(error), "import aiortc"), (2, last, "demo"))
    assert cells["import aiortc"]["reason"] == "failed: no / here"
    assert cells["demo ours"]["values"] == [1.0, 1.0]
    assert list(seen[0]) == ["import aiortc"]
    assert "all that it said" in capsys.readouterr().err


def test_what_is_not_installed_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = environment.Missing("npm is not installed")
    cells = measured(monkeypatch, Results("a test"), (1, fail(missing), "setup chromium"))
    assert {cell["reason"] for cell in cells.values()} == {"npm is not installed"}
    assert list(cells) == ["setup.login chromium", "setup.ringing chromium", "setup.rtp chromium"]


def test_an_error_without_a_text_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = measured(monkeypatch, Results("a test"), (1, fail(TimeoutError()), "demo"))
    assert cells["demo ours"]["reason"] == "failed: TimeoutError"


@pytest.mark.parametrize("what", ["cpu.opus.1", "loss", "echo", "setup"])
def test_without_chromium_nothing_of_it_is_tried(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(environment, "CHROMIUM", "/nope/chromium")
    cells = measured(monkeypatch, Results("a test"), (1, fail(AssertionError("tried")), f"{what} chromium"))
    assert {cell["reason"] for cell in cells.values()} == {"Chromium is not installed"}


def test_without_kamailio_there_is_no_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kamailio_rig, "_binary", lambda: None)
    with pytest.raises(environment.Missing, match=r"^Kamailio is not installed$"):
        runs.setup("pjsua2", 1)


def test_memory_without_figures_has_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"cpu.opus.1 ours": 1.0, "used.opus.1 ours": 20.0, "carried.opus.1 ours": 1.0}
    plan = (
        (1, lambda _: one, "cpu.opus.1 ours"),
        (1, fail(RuntimeError("too many")), "cpu.opus.10 ours"),
    )
    cells = measured(monkeypatch, Results("a test"), *plan)
    assert cells["memory.opus ours"]["reason"] == "failed: too many"
    assert cells["cpu.opus.1 ours"]["values"] == [1.0], "one call is no prefix of ten"


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("loss pjsua2", [f"{row} pjsua2" for row in ALL if row.startswith(("unplayed.pcmu", "pesq.pcmu"))]),
        ("echo pjsua2", ["echo.pcmu pjsua2"]),
        ("cpu.pcmu.1 pjsua2", ["cpu.pcmu.1 pjsua2", "used.pcmu.1 pjsua2"]),
        ("widgets", ["widgets.bytes ours", "widgets.cpu ours", "widgets.lag ours"]),
    ],
)
def test_cells_of_a_measurement(name: str, rows: list[str]) -> None:
    assert list(measuring.without_figures(name, ALL, "why")) == rows


def test_the_plan_has_names_that_lead_to_its_cells() -> None:
    for _, _, name in runs.plan(ALL, ["ours", "aiortc", "chromium", "pjsua2"], quick=True):
        assert measuring.without_figures(name, ALL, "why"), name


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/usr/bin/false"], "/usr/bin/false ended with code 1"),
        (["/usr/bin/true"], "/usr/bin/true ended and printed no result"),
        (["/nope/python"], "/nope/python did not start: No such file or directory"),
        ([sys.executable, "-c", "print(1); raise ValueError('so')"], "ValueError: so"),
    ],
)
def test_a_child_that_fails_says_why(command: list[str], said: str) -> None:
    with pytest.raises(RuntimeError) as failed:
        environment.result(command)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_child_that_hangs_is_ended() -> None:
    with pytest.raises(RuntimeError, match="had not ended after 1 s"):
        environment.result([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=1)


def test_the_result_of_a_child_is_its_last_line() -> None:
    assert environment.result([sys.executable, "-c", "print('hello'); print([1, 2])"]) == [1, 2]


def test_what_children_leave_behind_is_no_other_program() -> None:
    busy = "import time; end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    leave = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {busy!r}])"
    program = f"""
import json, os, subprocess, sys
from bench.peers import measuring
measuring.adopt_orphans()
subprocess.run([sys.executable, "-c", {leave!r}], check=True)
measuring.wait_for_orphans()
print(json.dumps(sum(os.times()[2:4])))
"""
    assert environment.result([sys.executable, "-W", "ignore", "-c", program]) > 0.4


def test_what_the_bench_needs_is_installed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.missing() == []
    monkeypatch.setattr(
        environment, "_is_installed", lambda name: name not in ("pandas", "websockets", "pesq")
    )
    assert environment.missing() == ["pandas", "websockets", "pesq"]
