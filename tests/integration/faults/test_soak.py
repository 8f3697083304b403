"""Two minutes of calls with faults, in a process of their own: nothing grows from round to round."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SECONDS = 100
#: What a call may leave in resident memory after the first half: far above the rows of frames and the noise
#: of the allocator, below the buffers of a call. `bench/soak.py --hours` measures it closely.
LIMIT_KB_A_CALL = 150


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(500)
def test_nothing_grows_in_calls_with_faults(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench.soak", "--seconds", str(SECONDS), "--json", str(path)]
    here = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=450)
    assert done.returncode == 0, done.stderr[-3000:]
    figures: dict[str, Any] = json.loads(path.read_text())
    for what in ("tasks", "threads", "sockets", "descriptors"):
        counts = [entry[what] for entry in figures["rounds"]]
        middle = len(counts) // 2
        assert min(counts[middle:]) <= max(counts[:middle]), (what, counts)
        assert max(counts[middle:]) <= max(counts[:middle]) + 4, (what, counts)  # 4: a connection being made
    assert figures["after_kb"] < LIMIT_KB_A_CALL, [entry["resident_kb"] for entry in figures["rounds"]]
    assert figures["failed"] < figures["rounds"][-1]["calls"] / 2, figures["failed"]
