"""The figures of a table, and the file that keeps them from one run of the command to the next."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plivo_nb.atomic_file import replaced


class Refused(Exception):
    """A file of results cannot be used; the text says why and what to do."""


@dataclass(slots=True)
class Results:
    """Cells by `ROW COLUMN`, the machine that they are of, and the file, if there is one.

    A cell has the values of its runs or a reason why there are none, the date, the seconds of a run, and
    the cores that other programs took meanwhile.
    """

    machine: str
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    file: Path | None = None

    def save(self) -> None:
        """Write the file in one step: an interruption leaves the one before."""
        if self.file is None:
            return
        with replaced(self.file) as new:
            new.write_text(json.dumps({"machine": self.machine, "cells": self.cells}, indent=1), "utf-8")


def opened(file: Path | None, machine: str) -> Results:
    """The results of this machine that a file has so far; it can be written, too.

    Raises:
        Refused: the file is of another machine or of something else, or cannot be written.
    """
    results = Results(machine, file=file)
    if file is None:
        return results
    try:
        if file.exists():
            kept = json.loads(file.read_text("utf-8"))
            results.machine, results.cells = kept["machine"], kept["cells"]
            if not all(cell["date"] for cell in results.cells.values()):
                raise ValueError("a cell has no date")
        if results.machine == machine:
            results.save()
    except OSError as error:
        raise Refused(f"{file} cannot be used ({error.strerror}): name another file") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            f"{file} holds no results of this command ({type(error).__name__}: {error}): "
            "delete it, or name another file"
        ) from error
    if results.machine != machine:
        raise Refused(
            f"{file} was measured on {results.machine}, and this is {machine}: figures of two machines make "
            "no table; name another file"
        )
    return results


def this_machine() -> str:
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
