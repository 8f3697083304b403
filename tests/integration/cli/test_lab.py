"""`plivo-nb lab`: what its live table shows, and what it says to wrong settings."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from waiting import until

from plivo_nb import Lab
from plivo_nb.cli.lab import picture

_MAIN = "from plivo_nb.cli import main; main()"
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def text_of(group: object) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(group)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_table_shows_users_calls_and_the_network() -> None:
    async with Lab() as lab, lab.client(enableTracking=False) as client:
        await client.login("alice", lab.password("alice"))
        await lab.network.set(loss=0.25, direction="to_caller")
        call = await client.call("tone-1000")

        async def shows_the_call() -> str | None:
            shown = text_of(picture(await lab.status(), await lab.network.counters()))
            return shown if re.search(r"alice +│ tone-1000 +│ answered", shown) else None

        shown = await until(shows_the_call)
        assert shown is not None
        assert re.search(r"alice +│ plivo-nb/", shown)
        assert re.search(r"to the callee +│ clean", shown)
        assert re.search(r"to the caller +│ loss 0.25", shown)
        assert "robots: " in shown
        await call.hangup()
        await lab.network.play("commute")
        assert "scenario commute" in text_of(picture(await lab.status(), await lab.network.counters()))


def test_a_terminal_gets_the_live_table() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _MAIN, "lab", "--accounts", "7", "--scenario", "vpn"],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = ""
    deadline = time.monotonic() + 45
    try:
        while "scenario vpn" not in shown:
            assert time.monotonic() < deadline, shown
            shown += _COLOUR.sub("", os.read(ours, 4096).decode(errors="replace"))
        assert "and 2 more, up to user7" in shown
        process.send_signal(signal.SIGINT)
        with pytest.raises(OSError):  # the terminal hangs up when the last process at it ends
            while True:
                os.read(ours, 4096)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--share", "class.json"], "A lab that other computers reach at 192.0.2.7 needs a TLS certificate"),
        ([], "Passwords of a lab that others reach are random: give --share PATH"),
    ],
)
def test_a_lab_for_other_computers_needs_a_certificate_and_a_file(
    options: list[str], sentence: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _MAIN, "lab", "--host", "192.0.2.7", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == 1
    assert sentence in " ".join((done.stdout + done.stderr).split())
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scenario_is_one_sentence() -> None:
    command = [sys.executable, "-c", _MAIN, "lab", "--scenario", "mars"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "no scenario or CSV file 'mars'" in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
