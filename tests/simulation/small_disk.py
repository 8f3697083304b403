"""A real file system that is full after a few bytes, and processes that are killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a tmpfs of this size at `path`; skip the test where only root may."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted: {done.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def killed(code: str, *arguments: str, after_line: str = "now", limit_bytes: int | None = None) -> float:
    """Run Python code in a process, kill it when it prints `after_line NUMBER`, and return that number."""
    if limit_bytes is not None:
        limit = (
            f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"
        )
        code = limit + code
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.startswith(after_line):
                process.kill()
                process.wait()
                return float(line.split()[1])
    raise AssertionError(f"the process ended ({process.wait()}) and did not say {after_line!r}")
