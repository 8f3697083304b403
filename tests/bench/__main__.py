"""This package beside its peers, as one table in Markdown.

    python tests/bench [--only ROW ...] [--columns COLUMN ...] [--quick] [--results FILE] [--readme]
    python tests/bench curves [--out FOLDER] [--quick]

Peers are stock aiortc (the version that is pinned here), headless Chromium with JsSIP, and pjsua2; they are
installed in the user's cache folder. It needs the Debian packages of tests/apt.txt; what the bench itself
needs is installed there too, if this interpreter does not have it. Each figure is the median of 3 runs of
10 s, with the least and the most (set-up: of 5 calls). The whole takes 20 minutes and should be alone on the
machine: what other programs took meanwhile stands below the table. `curves` draws how the cost grows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
for place in (str(TESTS), str(TESTS.parent)):  # the package of this clone, and the benches
    if place not in sys.path:
        sys.path.insert(0, place)
sys.path[:] = [place for place in sys.path if Path(place).resolve() != TESTS / "bench"]

from bench.peers import environment  # noqa: E402
from bench.peers.rows import COLUMNS, ROWS  # noqa: E402

README = TESTS.parent / "README.md"
FIRST_PARTS = list(dict.fromkeys(row.name.partition(".")[0] for row in ROWS))


def parser() -> argparse.ArgumentParser:
    """The arguments, each with what it does."""
    made = argparse.ArgumentParser(
        prog="python tests/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "what", nargs="?", choices=["table", "curves"], default="table",
        help="the table, which is the default, or pictures of how the cost grows",
    )  # fmt: skip
    made.add_argument(
        "--only", nargs="+", metavar="ROW",
        help=f"rows by their names or first parts: {', '.join(FIRST_PARTS)}; cpu.opus, cpu.opus.10",
    )  # fmt: skip
    made.add_argument(
        "--columns", nargs="+", metavar="COLUMN",
        help=f"what is measured: {', '.join(f'{name} ({title})' for name, title in COLUMNS.items())}",
    )  # fmt: skip
    made.add_argument("--quick", action="store_true", help="one run of 3 s, to see that all works")
    made.add_argument(
        "--results", type=Path, metavar="FILE",
        help="keep the figures in this file, as JSON, so that a table can be made in parts",
    )  # fmt: skip
    made.add_argument("--readme", action="store_true", help="put the table into README.md, if it is whole")
    made.add_argument("--out", type=Path, metavar="FOLDER", help="where curves are put (default: bench-out)")
    return made


def checked(made: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, or the end of the program where they make no sense together."""
    options = made.parse_args()
    of_tables = {f"--{name}": getattr(options, name) for name in ("only", "columns", "results", "readme")}
    given = [name for name, value in of_tables.items() if value]
    if options.what == "curves" and given:
        made.error(f"{', '.join(given)}: arguments of the table, which the curves cannot follow")
    if options.what == "table" and options.out:
        made.error("--out is for curves: python tests/bench curves --out FOLDER")
    if options.readme and options.quick:
        made.error("--readme needs runs of full length: leave out --quick")
    if options.readme and (options.only or options.columns) and not options.results:
        made.error(
            "--readme needs the whole table: give --results FILE with the rest, or leave out the choice"
        )
    options.only = [name for given in options.only or FIRST_PARTS for name in _rows(made, given)]
    options.columns = options.columns or list(COLUMNS)
    if unknown := [name for name in options.columns if name not in COLUMNS]:
        made.error(f"no such column: {', '.join(unknown)}; the columns are {', '.join(COLUMNS)}")
    return options


def _rows(made: argparse.ArgumentParser, given: str) -> list[str]:
    """The rows of a name or of its first parts."""
    found = [row.name for row in ROWS if f"{row.name}.".startswith(f"{given}.")]
    if not found:
        made.error(f"no such row: {given}; the rows are {', '.join(row.name for row in ROWS)}")
    return found


def in_own_environment(missing: list[str]) -> int:
    """Run the same command by an interpreter that has what this one has not."""
    if os.environ.get("PLIVO_NB_BENCH_OWN"):
        lacks = f"the environment of the bench has no {', '.join(missing)}"
        print(f"bench: {lacks}: delete {environment.folder()} and start again", file=sys.stderr)
        return 1
    try:
        own = [str(environment.own_python()), str(Path(__file__).parent), *sys.argv[1:]]
    except environment.Missing as error:
        instead = f"run it by an interpreter that has `pip install -e '{TESTS.parent}[test]'`"
        print(f"bench: {', '.join(missing)} not installed, and {error}; {instead}", file=sys.stderr)
        return 1
    return subprocess.run(own, env={**os.environ, "PLIVO_NB_BENCH_OWN": "1"}).returncode


def curves(made: argparse.ArgumentParser, folder: Path, quick: bool) -> int:
    """Draw how the cost grows."""
    from bench.peers import curves as drawing

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        made.error(f"--out {folder} cannot be a folder ({error.strerror}): name another one")
    try:
        return drawing.main(folder, quick)
    except (environment.Missing, RuntimeError) as error:
        print("\n".join([f"bench: no curves: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        return 1


def table(made: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Measure, and print the table; 1 where it should go into the README and has faults."""
    from bench.peers import measuring, results
    from bench.peers import table as form

    try:
        kept = results.opened(options.results, results.this_machine())
    except results.Refused as error:
        made.error(str(error))
    measuring.adopt_orphans()
    measuring.measure(kept, options.only, options.columns, options.quick)
    whole = ([row.name for row in ROWS], list(COLUMNS))
    of_file = kept.cells if options.results else ()
    text = form.markdown(
        kept, *(whole if options.readme else form.shown(of_file, options.only, options.columns))
    )
    print(text)
    if not options.readme:
        return 0
    if wrong := form.faults(text):
        print("\n".join([f"bench: {README.name} is as it was:", *wrong]), file=sys.stderr)
        return 1
    form.put(README, text)
    return 0


def main() -> int:
    made = parser()
    options = checked(made)
    if missing := environment.missing():
        return in_own_environment(missing)
    os.environ["PYTHONPATH"] = str(TESTS.parent)  # kernels and other processes use this clone, too
    if options.what == "curves":
        return curves(made, options.out or Path("bench-out"), options.quick)
    return table(made, options)


if __name__ == "__main__":
    raise SystemExit(main())
