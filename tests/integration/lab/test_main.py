"""``python -m plivo_nb.lab``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys


def test_the_command_line_serves_and_stops_at_an_interrupt() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "plivo_nb.lab", "--accounts", "5"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["url"].startswith("ws://127.0.0.1:")
    try:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_wrong_settings_are_one_sentence() -> None:
    command = [sys.executable, "-m", "plivo_nb.lab", "--scenario", "mars"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "no scenario or CSV file 'mars'" in done.stderr
    assert "Traceback" not in done.stderr
