"""The Python blocks of README.md run as they stand, in cells where `await` may be at the top level."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from stored_calls import store_call

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


async def test_the_python_blocks_run_one_after_the_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those marked ``py`` need a Plivo account and are not run."""
    assert len(BLOCKS) == 7
    monkeypatch.chdir(tmp_path)
    store_call(tmp_path / "calls", "u-1", mos=2.5)
    namespace: dict[str, Any] = {"plivo_nb": __import__("plivo_nb")}
    for block in BLOCKS:
        quick = block.replace("asyncio.sleep(10)", "asyncio.sleep(3)")
        code = compile(quick, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, namespace)
        if inspect.isawaitable(result):
            await result
        if "print(" in block:
            assert re.search(r"rtt_ms +jitter_in_ms +loss_in +mos", capsys.readouterr().out)
