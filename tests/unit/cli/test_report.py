"""`plivo-nb report`: a file of calls in, an HTML file out, errors as one sentence."""

import sys
from pathlib import Path

import pytest
from simulation.reported_call import samples_of
from typer.testing import CliRunner

import plivo_nb
import plivo_nb.cli as cli
from plivo_nb.analysis import store
from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.call_set import CallSet
from plivo_nb.cli import report


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "call.parquet"
    store.save(CallFrames.of(samples=samples_of(seconds=5)).samples, path)
    return path


def test_a_file_of_calls_becomes_a_report(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "call.html"
    result = CliRunner().invoke(cli.app, ["report", str(stored), "--out", str(out)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.output.strip() == f"Report written to {out}"
    assert "Quality over time" in out.read_text("utf-8")


@pytest.mark.parametrize("name", ["missing.parquet", "text.parquet"])
def test_what_cannot_be_read_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no calls at all")
    result = CliRunner().invoke(cli.app, ["report", str(tmp_path / name), "--out", str(tmp_path / "x.html")])
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output
    assert not (tmp_path / "x.html").exists()


def test_what_could_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = CallFrames.of(
        *(samples_of(seconds=5)[["call_uuid"]][:1], samples_of(seconds=5)), warnings=["a hole"]
    )
    monkeypatch.setattr(plivo_nb, "read", lambda path: CallSet(frames))
    assert report.run(tmp_path, tmp_path / "x.html") == ("a hole",)


def test_a_folder_of_calls_becomes_one_report(tmp_path: Path) -> None:
    for name in ("one", "two"):
        samples = samples_of(uuid=name, seconds=5)
        store.save(CallFrames.of(samples=samples).samples, tmp_path / f"{name}.parquet")
    out = tmp_path / "calls.html"
    result = CliRunner().invoke(cli.app, ["report", str(tmp_path), "--out", str(out)])
    assert (result.exit_code, result.stderr) == (0, "")
    text = out.read_text("utf-8")
    assert "<h1>2 calls</h1>" in text
    assert text.count("Quality over time") == 2


def test_sound_that_is_not_there_is_refused_in_a_sentence(stored: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        cli.app, ["report", str(stored), "--out", str(tmp_path / "x.html"), "--sound"]
    )
    assert result.exit_code == 1
    assert "no sound is stored of this call" in result.stderr


def test_workers_need_dask_and_groups_need_a_column(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "x.html")
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = CliRunner().invoke(cli.app, ["report", str(stored), "--out", out, "--workers", "2"])
    assert result.exit_code == 1
    assert "pip install 'plivo-nb[scale]'" in result.stderr
    store.save(CallFrames.of(samples=samples_of(uuid="b", seconds=5)).samples, stored.with_name("b.parquet"))
    result = CliRunner().invoke(cli.app, ["report", str(stored.parent), "--out", out, "--by", "region"])
    assert result.exit_code == 1
    assert "no column 'region'" in result.stderr
