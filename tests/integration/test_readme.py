"""Each Python block of README.md runs as it stands, in a cell where `await` may be at the top level."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_there_are_python_blocks() -> None:
    assert len(BLOCKS) == 2


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:30])
async def test_a_python_block_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {"plivo_nb": __import__("plivo_nb")}
    quick = block.replace("asyncio.sleep(10)", "asyncio.sleep(3)")
    result = eval(compile(quick, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), namespace)
    if inspect.isawaitable(result):
        await result
    if "print(" in block:
        assert re.search(r"rtt_ms +jitter_in_ms +loss_in +mos", capsys.readouterr().out)
