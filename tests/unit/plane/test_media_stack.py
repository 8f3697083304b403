"""The media stack: what is missing is found without loading anything."""

import subprocess
import sys

import pytest

from plivo_nb.plane import media_session, media_stack


def test_it_loads_here() -> None:
    assert media_stack.missing() is None
    assert media_stack.load().result(20) is media_session


@pytest.mark.parametrize("package", media_stack.PACKAGES)
def test_a_package_that_is_missing_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert media_stack.missing() == f"No module named {package!r}"
    assert package in media_stack.broken(media_stack.missing())


def test_looking_loads_nothing() -> None:
    code = """
import sys
from plivo_nb.plane import media_stack
assert media_stack.missing() is None
print(*[name for name in media_stack.PACKAGES if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
