"""The table in Markdown, and its place in the README between two markers."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.peers.results import Results
from bench.peers.rows import COLUMNS, ROWS, Row, cell, known_reason

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
#: What is aimed at: the share of stock aiortc's CPU that calls take here.
AIMS = {"cpu.opus.10": 0.28, "cpu.pcmu.10": 0.12}
_FIGURE = r"-?\d+(?:\.\d+)?"  # a difference of two measurements can be below 0
_NUMBER = re.compile(rf"({_FIGURE})(?: \({_FIGURE}–{_FIGURE}\))?( saturated)?")
_DATE = r"\d{4}-\d\d-\d\d"
_MEASURED = re.compile(
    rf"Measured on {_DATE}(?: to {_DATE})?, \d+ cores of .+, Python \d+\.\d+\.\d+: "
    r"median \(least–most\) of 3 runs of 10 s\."
)
_OTHERS = re.compile(r"Other programs took \d+\.\d cores meanwhile \(median\), \d+\.\d at most, in `.+`\.")


def markdown(results: Results, rows: list[str], columns: list[str]) -> str:
    """The table of these rows and columns; below it, how it was measured and the shares that have an aim."""
    titles = [COLUMNS[column] for column in columns]
    lines = ["| | " + " | ".join(titles) + " |", "| --- |" + " --- |" * len(columns)]
    texts: dict[str, dict[str, str]] = {}
    for row in ROWS:
        if row.name in rows:
            texts[row.name] = {
                column: known_reason(row.name, column) or cell(row, results.cells.get(f"{row.name} {column}"))
                for column in columns
            }
            lines.append(f"| {_title(row)} | " + " | ".join(texts[row.name].values()) + " |")
    below = [_measured(results), _others(results.cells), _shares(texts)]
    return "\n".join([*lines, "", *filter(None, below)])


def shown(cells: Iterable[str], wanted: list[str], columns: list[str]) -> tuple[list[str], list[str]]:
    """The rows and columns of a table of the cells that there are and of what is wanted, in their order."""
    have = [name.split(" ") for name in cells]
    rows = [row.name for row in ROWS if row.name in wanted or row.name in [name for name, _ in have]]
    return rows, [name for name in COLUMNS if name in columns or name in [column for _, column in have]]


def _title(row: Row) -> str:
    return row.text + (f", {row.unit}" if row.unit else "")


def _measured(results: Results) -> str:
    """When, where, and how often; the cells of set-up have a value for each call, and one run."""
    dates = sorted({found["date"] for found in results.cells.values()})
    days = " to ".join([dates[0], dates[-1]][: len(dates)]) if dates else "no day"
    have = {name: found for name, found in results.cells.items() if "values" in found}
    counts = [len(found["values"]) for name, found in have.items() if not name.startswith("setup.")]
    of = ""
    if counts:
        plural = "" if max(counts) == 1 else "s"
        seconds = _range([found["seconds"] for found in have.values()])
        of = f" of {_range(counts)} run{plural} of {seconds} s"
    return f"Measured on {days}, {results.machine}: median (least–most){of}."


def _others(cells: dict[str, dict[str, Any]]) -> str:
    """What other programs took while cells were measured, and in which cell they took the most."""
    load = {name: cells[name]["others"] for row in ROWS for name in _of(row, cells)}
    if not load:
        return ""
    most = max(load, key=lambda name: load[name])
    median = statistics.median(load.values())
    return (
        f"Other programs took {median:.1f} cores meanwhile (median), {load[most]:.1f} at most, in `{most}`."
    )


def _of(row: Row, cells: dict[str, dict[str, Any]]) -> list[str]:
    """The names of the cells that a row has."""
    return [name for column in COLUMNS if (name := f"{row.name} {column}") in cells]


def _shares(texts: dict[str, dict[str, str]]) -> str:
    """The share of stock aiortc's CPU in the rows with an aim, from the medians in the table."""
    parts = []
    for row in ROWS:
        cells = [texts.get(row.name, {}).get(column, "") for column in ("ours", "aiortc")]
        ours, stock = (_NUMBER.fullmatch(text) for text in cells)
        if row.name in AIMS and ours and stock:
            saturated = [COLUMNS[c] for c, found in (("ours", ours), ("aiortc", stock)) if found[2]]
            but = f"; saturated: {' and '.join(saturated)}" if saturated else ""
            codec = row.text.split(", ")[1]
            parts.append(f"{codec} {float(ours[1]) / float(stock[1]):.2f} (aim {AIMS[row.name]:.2f}{but})")
    return f"CPU of 10 calls as a share of stock aiortc's: {', '.join(parts)}." if parts else ""


def _range(numbers: list[int]) -> str:
    """The least and the most, or the one number."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def held(text: str) -> str:
    """What stands between the markers of a README."""
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def put(readme: Path, table: str) -> None:
    """Replace what stands between the markers."""
    text = readme.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", "utf-8")


def faults(table: str) -> list[str]:
    """What is wrong with the form of the whole table: rows, columns, cells, and the lines below."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [[part.strip() for part in line[1:].rstrip("|").split("|")] for line in lines]
    if not lines or cells[0][1:] != list(COLUMNS.values()):
        return [f"the columns are not {', '.join(COLUMNS.values())}"]
    found, titles = [line[0] for line in cells[2:]], [_title(row) for row in ROWS]
    if found != titles:
        wrong = [f"a row is missing: {title}" for title in titles if title not in found]
        wrong += [f"a row is unknown: {title}" for title in found if title not in titles]
        return wrong or ["the rows are in another order, or twice there"]
    wrong = []
    texts: dict[str, dict[str, str]] = {}
    for row, line in zip(ROWS, cells[2:], strict=True):
        if len(line) != 1 + len(COLUMNS):
            wrong.append(f"{row.name} has not a cell for each column")
            continue
        texts[row.name] = dict(zip(COLUMNS, line[1:], strict=True))
        for column, text in texts[row.name].items():
            if text != known_reason(row.name, column) and not _NUMBER.fullmatch(text):
                wrong.append(f"{row.name}, {column}: {text!r} is no number")
    below = [line for line in table.splitlines() if line and not line.startswith("|")]
    return wrong + _faults_below(below, _shares(texts))


def _faults_below(lines: list[str], shares: str) -> list[str]:
    """What is wrong with the three lines below a table whose cells make these shares."""
    if len(lines) != 3:
        return [f"{len(lines)} lines are below the table: how it was measured, other programs, shares of CPU"]
    wrong = []
    if not _MEASURED.fullmatch(lines[0]):
        wrong.append(f"this is no day, machine and 3 runs of 10 s: {lines[0]}")
    if not _OTHERS.fullmatch(lines[1]):
        wrong.append(f"this is not what other programs took: {lines[1]}")
    if lines[2] != shares:
        wrong.append(f"the shares of CPU are not those of the cells, {shares!r}: {lines[2]}")
    return wrong
