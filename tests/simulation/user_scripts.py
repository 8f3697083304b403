"""mypy on the scripts that users would write."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def check_types(right: str, wrong: str, folder: Path) -> None:
    """Assert that mypy accepts one script and reports exactly the lines of the other with ``# wrong``."""
    (folder / "right.py").write_text(right)
    (folder / "wrong.py").write_text(wrong)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(folder)], capture_output=True, text=True, timeout=140
    )
    expected = {number for number, line in enumerate(wrong.splitlines(), 1) if "# wrong" in line}
    errors = re.findall(r"(\w+)\.py:(\d+): error", done.stdout)
    assert {int(line) for name, line in errors if name == "wrong"} == expected, done.stdout
    assert {name for name, _ in errors} == {"wrong"}, done.stdout
