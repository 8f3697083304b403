"""This package beside its peers, as one table in Markdown.

    python tests/bench [--only ROW ...] [--columns COLUMN ...] [--quick] [--results FILE] [--readme]
    python tests/bench curves --out FOLDER

Peers are stock aiortc (the version that is pinned here), headless Chromium with JsSIP, and pjsua2; they are
installed in the user's cache folder. It needs the Debian packages of tests/apt.txt; what the bench itself
needs is installed there too, if this interpreter does not have it. Each figure is the median of 3 runs of
10 s, with the least and the most (set-up: of 5 calls). The whole takes 20 minutes and should be alone on the
machine: what other programs took meanwhile stands below the table.

--only takes names of rows or their first parts: cpu.opus.10, cpu, memory, setup, pesq, echo, import, demo,
widgets. --results FILE keeps the figures in a file, so that a table can be made in parts. --readme puts the
table into README.md. --quick: one run of 3 s, to see that all works. `curves` draws how the cost grows.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
for place in (str(TESTS), str(TESTS.parent)):  # the package of this clone, and the benches
    if place not in sys.path:
        sys.path.insert(0, place)
sys.path[:] = [place for place in sys.path if Path(place).resolve() != TESTS / "bench"]

from bench.peers import environment  # noqa: E402
from bench.peers.rows import COLUMNS, ROWS, known_reason  # noqa: E402


def machine() -> str:
    """The processor and its cores, and what runs here."""
    import psutil

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if "model name" in line
        ]
        model = names[0] if names else model
    return f"{psutil.cpu_count()} cores of {model}, Python {platform.python_version()}"


def others_cpu_s() -> float:
    """CPU seconds so far of all processes but this one and those that it has started and waited for."""
    import psutil

    all_ = psutil.cpu_times()
    return float(all_.user + all_.nice + all_.system) - sum(os.times()[:4])


def measured(wanted: list[str], columns: list[str], quick: bool) -> dict[str, dict[str, object]]:
    """Cells of the wanted rows; what cannot be measured has a reason."""
    from bench.peers import runs

    cells: dict[str, dict[str, object]] = {}
    for times, run, name in runs.plan(wanted, columns, quick):
        began, others = time.monotonic(), others_cpu_s()
        try:
            found = runs.gathered([run(n) for n in range(times)])
        except Exception as error:  # one peer's trouble must not lose the others' figures
            reason = str(error) if isinstance(error, environment.Missing) else f"failed: {error}"[:120]
            prefix, _, column = name.partition(" ")
            prefixes = ("unplayed", "pesq") if prefix == "loss" else (prefix,)
            found = {
                f"{row} {column or 'ours'}": {"reason": reason.replace("|", "/").replace("\n", " ")}
                for row in wanted
                if row.startswith(prefixes) and known_reason(row, column or "ours") is None
            }
            print(f"{name}: {reason}", file=sys.stderr)
        took = time.monotonic() - began
        for cell in found.values():
            cell["others"] = max(0.0, others_cpu_s() - others) / took
            cell["seconds"] = 3 if quick else 10
        cells |= found
        print(f"{name}: {took:.0f} s", file=sys.stderr, flush=True)
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tests/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["table", "curves"], default="table")
    parser.add_argument("--only", nargs="+", metavar="ROW", default=[row.name for row in ROWS])
    parser.add_argument(
        "--columns", nargs="+", metavar="COLUMN", default=["ours", "aiortc", "chromium", "pjsua2"]
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    missing = [name for name in environment.NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        if os.environ.get("PLIVO_NB_BENCH_OWN"):
            parser.error(
                f"the environment of the bench has no {', '.join(missing)}: delete {environment.folder()}"
            )
        own = [str(environment.own_python()), str(Path(__file__).parent), *sys.argv[1:]]
        return subprocess.run(own, env={**os.environ, "PLIVO_NB_BENCH_OWN": "1"}).returncode
    os.environ["PYTHONPATH"] = str(TESTS.parent)  # kernels and other processes use this clone, too
    if options.what == "curves":
        from bench.peers import curves

        return curves.main(options.out, options.quick)

    from bench.peers import runs, table

    rows = {
        name: [row.name for row in ROWS if f"{row.name}.".startswith(f"{name}.")] for name in options.only
    }
    wanted = [name for found in rows.values() for name in found]
    unknown = [name for name, found in rows.items() if not found]
    unknown += [name for name in options.columns if name not in COLUMNS]
    if unknown:
        parser.error(
            f"no such row or column: {', '.join(unknown)}; the rows are {', '.join(r.name for r in ROWS)}"
        )
    results = {"date": str(datetime.date.today()), "machine": machine(), "cells": {}}
    if options.results and options.results.exists():
        results["cells"] = json.loads(options.results.read_text("utf-8"))["cells"]
    results["cells"] |= measured(wanted, options.columns, options.quick)  # type: ignore[operator]
    runs.memory(results["cells"])  # type: ignore[arg-type]
    if options.results:
        options.results.write_text(json.dumps(results, indent=1), "utf-8")
    text = table.markdown(results)
    print(text)
    if options.readme:
        table.put(TESTS.parent / "README.md", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
