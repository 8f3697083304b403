"""The reference can be made from the docstrings, without a warning: `python tests/reference.py`."""

import pathlib
import subprocess
import sys

TESTS = pathlib.Path(__file__).parents[1]


def test_pdoc_makes_the_reference_without_a_warning(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(TESTS / "reference.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    page = (tmp_path / "plivo_nb" / "client.html").read_text(encoding="utf-8")
    for name in ("send_quality_feedback", "sendQualityFeedback", "wait_for", "ladder"):
        assert name in page
