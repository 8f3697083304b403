"""README.md: its Python blocks run as they stand, its sections are short, and it lists the whole course."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stored_calls import store_call

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
TEXT = README.read_text("utf-8")
BLOCKS = [
    block.replace("asyncio.sleep(10)", "asyncio.sleep(3)")
    for block in re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
]
SCRIPTS = [block for block in BLOCKS if "asyncio.run(" in block]
LONGEST = 100  # lines of a section: two screens


async def test_the_python_blocks_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cells, with `await` at the top level. Those marked ``py`` need a Plivo account and are not run."""
    assert len(BLOCKS) == 9
    monkeypatch.chdir(tmp_path)
    store_call(tmp_path / "calls", "u-1", mos=2.5)
    namespace: dict[str, Any] = {"plivo_nb": __import__("plivo_nb")}
    for block in BLOCKS:
        if block in SCRIPTS:
            continue
        code = compile(block, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, namespace)
        if inspect.isawaitable(result):
            await result
        if "print(" in block:
            assert re.search(r"rtt_ms +jitter_in_ms +loss_in +mos", capsys.readouterr().out)
    assert namespace["run"].complete
    assert len(namespace["levels"]) > 50  # 20 ms each: a second was heard, and the tone in it
    assert max(namespace["levels"]) > 4000


def test_the_script_runs_without_jupyter(tmp_path: Path) -> None:
    [script] = SCRIPTS
    (tmp_path / "script.py").write_text(script, "utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    score = float(done.stdout.split()[-1])
    assert 4 < score < 4.5
    assert (tmp_path / "heard.wav").stat().st_size > 16_000


def test_no_section_is_longer_than_two_screens() -> None:
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    long = {part.partition("\n")[0]: len(part.splitlines()) for part in sections}
    assert {name: lines for name, lines in long.items() if lines > LONGEST} == {}


def test_the_whole_course_is_listed_and_every_link_to_a_file_leads_there() -> None:
    links = re.findall(r"\]\(((?!https?:|#)[^)]+)\)", TEXT)
    assert [link for link in links if not (REPOSITORY / link).exists()] == []
    course = sorted(path.name for path in (REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    listed = [Path(link).name for link in re.findall(r"^- \[\d\d\]\(([^)]+)\)", TEXT, flags=re.MULTILINE)]
    assert listed == course
