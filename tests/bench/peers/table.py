"""The table in Markdown, and its place in the README between two markers."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Any

from bench.peers.rows import COLUMNS, ROWS, cell, known_reason

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def markdown(results: dict[str, Any]) -> str:
    """The table of these results, with the machine and the date below."""
    lines = ["| | " + " | ".join(COLUMNS.values()) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for row in ROWS:
        cells = []
        for column in COLUMNS:
            found = results["cells"].get(f"{row.name} {column}")
            reason = known_reason(row.name, column)
            cells.append(reason if reason else cell(row, found))
        unit = f", {row.unit}" if row.unit else ""
        lines.append(f"| {row.text}{unit} | " + " | ".join(cells) + " |")
    load = [found["others"] for found in results["cells"].values() if "others" in found]
    others = f" Other programs took {statistics.median(load):.1f} cores meanwhile." if load else ""
    runs = [found for name, found in results["cells"].items() if name.startswith(("cpu.", "pesq."))]
    of = ""
    if runs:
        count = _range([len(found["values"]) for found in runs if "values" in found])
        seconds = _range([found.get("seconds", 10) for found in runs])
        of = f" of {count} runs of {seconds} s"
    return "\n".join(
        [*lines, "", f"{results['date']}, {results['machine']}: median (least–most){of}.{others}"]
    )


def _range(numbers: list[int]) -> str:
    """The least and the most, or the one number."""
    low, high = min(numbers, default=0), max(numbers, default=0)
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
    """What is wrong with the form of a table: rows, columns, and cells that are no number and no reason."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [[part.strip() for part in line[1:].rstrip("|").split("|")] for line in lines]
    if not lines or cells[0][1:] != list(COLUMNS.values()):
        return [f"the columns are not {', '.join(COLUMNS.values())}"]
    titles = [row.text + (f", {row.unit}" if row.unit else "") for row in ROWS]
    wrong = [f"a row is missing: {title}" for title in titles if title not in [line[0] for line in cells]]
    figure = r"-?\d+(\.\d+)?"  # a difference of two measurements can be below 0
    number = re.compile(rf"{figure}( \({figure}–{figure}\))?( saturated)?")
    for row, line in zip(ROWS, cells[2:], strict=False):
        if len(line) != 1 + len(COLUMNS):
            wrong.append(f"{row.name} has not a cell for each column")
            continue
        for column, text in zip(COLUMNS, line[1:], strict=True):
            reason = known_reason(row.name, column)
            if text != reason and not number.fullmatch(text):
                wrong.append(f"{row.name}, {column}: {text!r} is no number")
    return wrong
