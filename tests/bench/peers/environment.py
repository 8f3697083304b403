"""Where the peers live: a virtual environment and an npm folder below the user's cache folder.

`python()` is its interpreter, with stock aiortc (the version that this package pins) and pjsua2; `jssip()` is
JsSIP as one script. Both are installed when first asked for, by pip and npm as they are configured here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
REPOSITORY = TESTS.parent
PINNED = ("aiortc==1.16.*", "pjsua2-python==2.15.1.post1", "numpy", "psutil", "scipy")
#: What the bench itself imports; missing ones are installed in an environment of the bench.
NEEDED = (
    "plivo_nb",
    "aiortc",
    "IPython",
    "jupyter_client",
    "matplotlib",
    "pesq",
    "playwright",
    "psutil",
    "scipy",
)
CHROMIUM = "/usr/bin/chromium"


class Missing(Exception):
    """A peer cannot be measured here; the text says why, and stands in its cells."""


def folder() -> Path:
    """The cache folder of the bench; XDG_CACHE_HOME moves it."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "plivo-nb" / "bench"


def _made(name: str, wanted: tuple[str, ...]) -> Path:
    """The interpreter of a virtual environment that has these packages."""
    place = folder() / name
    interpreter, done = place / "bin" / "python", place / "installed.txt"
    if done.exists() and done.read_text("utf-8") == "\n".join(wanted):
        return interpreter
    print(f"bench: installing {', '.join(wanted)} in {place}", file=sys.stderr, flush=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    command = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    installed = subprocess.run(command, capture_output=True, text=True)
    if installed.returncode:
        raise Missing(f"pip could not install it: {installed.stderr.strip().splitlines()[-1]}")
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


def jssip() -> Path:
    """JsSIP as one script, from the versions that tests/browser/jssip/package-lock.json pins."""
    if not Path(CHROMIUM).exists():
        raise Missing("Chromium is not installed")
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
    installed = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)
    if installed.returncode:
        raise Missing(f"npm could not install it: {installed.stderr.strip().splitlines()[-1]}")
    bundle = [str(place / "node_modules/.bin/esbuild"), "node_modules/jssip/lib/JsSIP.js", "--bundle"]
    bundle += ["--format=iife", "--global-name=JsSIP", "--log-level=error", f"--outfile={script}"]
    subprocess.run(bundle, cwd=place, check=True, timeout=60)
    return script
