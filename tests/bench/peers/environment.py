"""Where the peers live: a virtual environment and an npm folder below the user's cache folder.

`python()` is its interpreter, with stock aiortc (the version that this package pins) and pjsua2; `jssip()` is
JsSIP as one script. Both are installed when first asked for, by pip and npm as they are configured here.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[2]
REPOSITORY = TESTS.parent
PINNED = ("aiortc==1.16.*", "pjsua2-python==2.15.1.post1", "numpy", "psutil", "scipy")
#: What the bench imports beside this package and its dependencies.
NEEDED = ("ipython", "jupyter-client", "pesq", "playwright", "psutil", "scipy")
CHROMIUM = "/usr/bin/chromium"


class Missing(Exception):
    """A peer cannot be measured here; the text says why, and stands in its cells."""


def output(command: list[str], timeout_s: float, **options: Any) -> str:
    """What a child process prints.

    Raises:
        RuntimeError: it failed or took too long. The text is the last line that it said, a note has the rest.
    """
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, **options
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{command[0]} had not ended after {timeout_s:.0f} s") from None
    except OSError as error:
        raise RuntimeError(f"{command[0]} did not start: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"{command[0]} ended with code {done.returncode}"]
        failed = RuntimeError(said[-1])
        if len(said) > 1:
            failed.add_note("\n".join(said[-20:]))
        raise failed
    return done.stdout


def result(command: list[str], timeout_s: float = 150) -> Any:
    """The value that a child process prints as JSON in its last line; it finds this clone and the benches."""
    path = os.pathsep.join([str(REPOSITORY), str(TESTS)])
    printed = output(command, timeout_s, env={**os.environ, "PYTHONPATH": path}).splitlines()
    if not printed:
        raise RuntimeError(f"{command[0]} ended and printed no result")
    return json.loads(printed[-1])


def missing() -> list[str]:
    """Distributions that the bench needs and this interpreter has not."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    named = [re.split(r"[^\w-]", text)[0] for text in project["dependencies"]]
    return [name for name in (*named, *NEEDED) if not _is_installed(name)]


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def folder() -> Path:
    """The cache folder of the bench; XDG_CACHE_HOME moves it."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "plivo-nb" / "bench"


def _install(command: list[str], by: str, timeout_s: float = 300, **options: Any) -> None:
    try:
        output(command, timeout_s, **options)
    except RuntimeError as error:
        raise Missing(f"{by} could not install it: {error}") from error


def _made(name: str, wanted: tuple[str, ...]) -> Path:
    """The interpreter of a virtual environment that has these packages."""
    place = folder() / name
    interpreter, done = place / "bin" / "python", place / "installed.txt"
    if done.exists() and done.read_text("utf-8") == "\n".join(wanted):
        return interpreter
    print(f"bench: installing {', '.join(wanted)} in {place}", file=sys.stderr, flush=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    _install([sys.executable, "-m", "venv", "--clear", str(place)], "venv")
    command = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    _install(command, "pip", timeout_s=1800)
    done.write_text("\n".join(wanted), "utf-8")
    return interpreter


def python() -> Path:
    """The interpreter of the peers' environment; PLIVO_NB_BENCH_PEERS names another one that has them."""
    if given := os.environ.get("PLIVO_NB_BENCH_PEERS"):
        return Path(given)
    return _made("peers", PINNED)


def own_python() -> Path:
    """An interpreter that has all that the bench itself needs, on a machine that has only Python."""
    return _made("own", (f"{REPOSITORY}[test]",))


def require_chromium() -> None:
    """Raise `Missing` where there is no Chromium."""
    if not Path(CHROMIUM).exists():
        raise Missing("Chromium is not installed")


def jssip() -> Path:
    """JsSIP as one script, from the versions that tests/browser/jssip/package-lock.json pins."""
    source, place = TESTS / "browser" / "jssip", folder() / "jssip"
    script, lock = place / "jssip.js", source / "package-lock.json"
    if script.exists() and (place / lock.name).read_bytes() == lock.read_bytes():
        return script
    if shutil.which("npm") is None:
        raise Missing("npm is not installed")
    print(f"bench: installing JsSIP in {place}", file=sys.stderr, flush=True)
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, place)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    _install(command, "npm", cwd=place)
    bundle = [str(place / "node_modules/.bin/esbuild"), "node_modules/jssip/lib/JsSIP.js", "--bundle"]
    bundle += ["--format=iife", "--global-name=JsSIP", "--log-level=error", f"--outfile={script}"]
    _install(bundle, "esbuild", cwd=place)
    return script
