"""The command line in real processes, with a real lab and real calls."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import uuid
import wave
from pathlib import Path

import pytest
from waiting import wait_until

import plivo_nb
from plivo_nb.analysis import store

COMMAND = [sys.executable, "-c", "from plivo_nb.cli import main; main()"]


class Command:
    """A `plivo-nb` command in a process of its own, marked so that whatever it starts can be found again."""

    def __init__(self, *arguments: object, cwd: Path, **environment: str) -> None:
        self.mark = uuid.uuid4().hex
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PLIVO_NB_TEST_MARK": self.mark, "COLUMNS": "140", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(self.process.stderr, self._errors)),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream, lines):
        with stream:
            for line in stream:
                lines.append(line)

    def wait(self, timeout_s: float = 60.0) -> int:
        code = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join(5)
        return code

    def wait_for(self, text: str, timeout_s: float = 45.0) -> str:
        found = wait_until(
            lambda: [line for line in list(self.lines) if text in line],
            timeout_s,
            describe=lambda: (text, self.lines, self._errors),
        )
        return found[0]

    @property
    def out(self) -> str:
        return "".join(self.lines)

    @property
    def err(self) -> str:
        return "".join(self._errors)

    def processes(self) -> set[int]:
        """Every living process that carries the mark."""
        found = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                marked = self.mark.encode() in (entry / "environ").read_bytes()
                dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            except OSError:
                continue
            if marked and not dead:
                found.add(int(entry.name))
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


@pytest.fixture
def run(tmp_path):
    commands = []

    def start(*arguments, **environment):
        commands.append(Command(*arguments, cwd=tmp_path, **environment))
        return commands[-1]

    yield start
    for command in commands:
        command.end()


def test_demo_from_the_lab_to_the_picture(run, tmp_path):
    began = time.monotonic()
    command = run("demo", "--seconds", 9, "--out", "made/here")
    command.wait_for("answered")
    assert len(command.processes()) == 2, "the demo and the lab"
    assert command.wait() == 0, command.out + command.err
    assert time.monotonic() - began < 60
    assert command.processes() == set()
    assert command.err == ""
    for part in (
        "Post-dial delay",
        "Answer to first RTP",
        "by the relay",
        "MOS, lowest",
        "The speech came back",
    ):
        assert part in command.out
    out = tmp_path / "made" / "here"
    samples = store.load(out / "samples.parquet")
    assert 7 <= len(samples) <= 10
    assert samples["packets_in"].sum() > 250
    assert (out / "call.png").read_bytes().startswith(b"\x89PNG")
    with wave.open(str(out / "heard.wav")) as heard:
        assert 8 <= heard.getnframes() / heard.getframerate() <= 11
    assert "nan" not in command.out


def test_demo_without_a_single_packet_is_a_failure(run):
    # On a terminal that has ASCII only, which must not matter.
    command = run("demo", "--seconds", 6, "--loss", 1.0, PYTHONIOENCODING="ascii")
    assert command.wait() == 1
    assert "The speech did not come back" in command.out
    assert "Traceback" not in command.out + command.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--password", "wrong"), "The login was refused: wrong user name or password."),
        (
            ("--number", "nobody"),
            "The call to nobody was not answered: Not Found (there is no user of that name).",
        ),
        (("--lab", "ws://127.0.0.1:9"), "No server answers at that address: is the lab running?"),
    ],
)
def test_what_can_go_wrong_is_one_sentence(run, arguments, sentence):
    command = run("demo", *arguments)
    assert command.wait() == 1
    assert command.err.startswith(sentence)
    assert len(command.err.strip().splitlines()) == 1
    assert "Traceback" not in command.out
    assert command.processes() == set()


@pytest.mark.parametrize("moment", ["The lab runs", "answered", "The network is bad"])
def test_ctrl_c_leaves_nothing_behind(run, moment):
    command = run("demo", "--seconds", 9)
    command.wait_for(moment)
    command.process.send_signal(signal.SIGINT)
    interrupted = time.monotonic()
    assert command.wait(30) == 130, command.err
    assert time.monotonic() - interrupted < 15
    assert "Traceback" not in command.err
    assert command.err.strip() == "Interrupted; calls and processes are closed."
    wait_until(lambda: not command.processes(), timeout_s=15, describe=command.processes)


async def test_sender_and_receiver_are_different_processes(run):
    async with plivo_nb.Lab() as lab:
        command = run("demo", "--lab", lab.url, "--seconds", 6)
        command.wait_for("echo answered")
        assert command.processes() == {command.process.pid}, (
            "with somebody else's lab the demo is one process"
        )
        assert lab.pid not in (None, command.process.pid, os.getpid())
        code = command.wait()
        relayed = await lab.network.counters()
    assert code == 0, command.out + command.err
    assert "The speech came back" in command.out
    assert relayed["to_callee"]["rtp_forwarded"] > 250
    assert relayed["to_caller"]["rtp_forwarded"] > 250


def test_lab_says_how_to_reach_it_and_ends_with_ctrl_c(run):
    command = run("lab")
    line = command.wait_for("The lab runs at")
    assert re.search(r"ws://127\.0\.0\.1:\d+", line)
    command.wait_for("Ctrl-C")
    assert "user alice, password alice-secret" in command.out
    command.process.send_signal(signal.SIGINT)
    assert command.wait(30) == 130
    assert command.processes() == set()


def test_check_finds_that_calls_work(run):
    command = run("check", "--seconds", "2", "--stun", "stun:127.0.0.1:9")
    assert command.wait() == 0, command.out + command.err
    assert "echo answered and was heard" in command.out
    assert "No STUN server answered" in command.out
    assert command.processes() == set()


def test_demo_works_with_loopback_as_the_only_interface(tmp_path):
    become = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = f"ip link set lo up && exec {' '.join(map(shlex.quote, COMMAND))} demo --seconds 6 --out out"
    done = subprocess.run(
        ["unshare", "--net", *become, "sh", "-c", script],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "heard.wav").exists()
