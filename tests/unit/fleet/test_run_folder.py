"""fleet.run_folder: what a run has done is found again, on a disk and at a URL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from plivo_nb import read
from plivo_nb.fleet import RunError, at_rate, read_plan
from plivo_nb.fleet.call_host import file_of_no_call
from plivo_nb.fleet.run_folder import RunFolder

PLAN = read_plan(at_rate(3, 1.0, ["ann", "bob"], networks=[{"loss": 0.1}, {}]))


@pytest.fixture(params=["path", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {
        "path": str(tmp_path / "run"),
        "file": f"file://{tmp_path}/run",
        "memory": f"memory://{uuid.uuid4().hex}/run",
    }[request.param]


def test_a_run_is_found_again_with_its_plan_attempts_and_results(url: str) -> None:
    folder = RunFolder(url)
    assert folder.open(PLAN, "lab") is False
    folder.write_attempt(0, 1, "one")
    folder.write_attempt(2, 1, "one")
    folder.write_attempt(2, 2, "two")
    folder.write_call(0, file_of_no_call(PLAN.calls[0], {"status": "failed"}, 1e9), b"sound")
    folder.write_problem("The worker one is gone.", "one")
    folder.write_problem("It is back.")
    folder.unlock()

    again = RunFolder(url)
    assert again.open(PLAN, "lab") is True
    assert again.attempts() == {0: 1, 2: 2}
    assert again.finished() == {0}
    assert read_plan(again.plan()) == PLAN
    assert again.problems()["problem"].tolist() == ["The worker one is gone.", "It is back."]
    with again.as_local() as path:
        calls = read(path)
    assert calls.calls["status"].tolist() == ["failed"]
    assert not calls.warnings
    again.unlock()


def test_a_result_that_is_written_twice_is_one_row(url: str) -> None:
    folder = RunFolder(url)
    folder.open(PLAN, "lab")
    for status in ("failed", "lost"):
        folder.write_call(1, file_of_no_call(PLAN.calls[1], {"status": status}, 1e9))
    with folder.as_local() as path:
        assert read(path).calls["status"].tolist() == ["lost"]


def test_another_plan_or_server_does_not_go_into_the_same_folder(url: str) -> None:
    RunFolder(url).open(PLAN, "lab")
    with pytest.raises(RunError, match=r"a run of another plan \(3 rows\)"):
        RunFolder(url).open(read_plan(at_rate(3, 2.0, ["ann"])), "lab")
    with pytest.raises(RunError, match="a run against lab, not wss://x"):
        RunFolder(url).open(PLAN, "wss://x")


def test_a_run_that_goes_on_in_another_process_is_left_to_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.open(PLAN, "lab")
    running = tmp_path / ".campaign" / "running.json"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        running.write_text(json.dumps({**json.loads(running.read_text()), "pid": other.pid}))
        with pytest.raises(RunError, match=f"is being run by the process {other.pid}"):
            RunFolder(tmp_path).open(PLAN, "lab")
        other.communicate(b"\n")
    RunFolder(tmp_path).open(PLAN, "lab")  # it has ended
    assert json.loads(running.read_text())["pid"] == os.getpid()


def test_a_folder_without_a_run_and_a_url_of_no_kind(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no run"):
        RunFolder(tmp_path).plan()
    assert RunFolder(tmp_path).problems().empty
    with pytest.raises(RunError, match="nothing://x cannot be used"):
        RunFolder("nothing://x")


def test_a_folder_that_cannot_be_written_raises_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        RunFolder(tmp_path / "file" / "run").open(PLAN, "lab")
