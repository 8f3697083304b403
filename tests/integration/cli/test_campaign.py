"""plivo-nb campaign: from a CSV file to a table, and again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from plivo_nb import read

pytestmark = pytest.mark.xdist_group("campaign")


def campaign(*words: str) -> subprocess.CompletedProcess[str]:
    code = "from plivo_nb.cli import main; import sys; sys.argv[0] = 'plivo-nb'; main()"
    command = [sys.executable, "-c", code, "campaign", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.csv"
    path.write_text(
        "at_s,account,destination,duration_s,loss,label\n0,ann,echo,2.2,0,clean\n0,bob,busy,2,0.1,lossy\n"
    )
    return path


def test_a_plan_is_made_and_shown_by_label_and_made_once_only(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = campaign(str(plan), "--out", str(out), "--workers", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "clean" in done.stdout
    assert "lossy" in done.stdout
    assert read(out).calls.set_index("row")["status"].to_dict() == {0: "done", 1: "failed"}
    stored = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    assert campaign(str(plan), "--out", str(out)).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == stored


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ((), "Row 1, column loss: loss must be a number from 0 to 1"),
        (("--server", "wss://example.invalid"), "Row 1, column loss"),
        (("--scheduler", "tcp://127.0.0.1:9"), "Row 1, column loss"),
    ],
)
def test_a_wrong_plan_is_one_sentence(
    plan: Path, tmp_path: Path, more: tuple[str, ...], sentence: str
) -> None:
    plan.write_text(plan.read_text().replace("0.1", "7"))
    done = campaign(str(plan), "--out", str(tmp_path / "run"), *more)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_calls_at_a_server_need_to_be_wanted(tmp_path: Path) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text("at_s,account,destination,duration_s\n0,ann,echo,2\n")
    done = campaign(str(plan), "--out", str(tmp_path / "run"), "--server", "wss://example.invalid")
    assert done.returncode == 1
    assert "1 call at wss://example.invalid" in done.stderr
