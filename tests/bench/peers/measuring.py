"""Measurements one after the other: their cells go to the results, or the reasons why there are none."""

from __future__ import annotations

import ctypes
import datetime
import os
import sys
import time
from typing import Any

import psutil

from bench.peers import environment, runs
from bench.peers.results import Results
from bench.peers.rows import known_reason

_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


def adopt_orphans() -> None:
    """Make this process the parent of what its children leave behind.

    Browsers and Jupyter kernels end before some of the processes that they started, whose CPU would otherwise
    count as that of other programs.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_orphans() -> None:
    """Give them some time to end: the CPU of a child counts once it has been waited for."""
    psutil.wait_procs(psutil.Process().children(), timeout=2)


def others_cpu_s() -> float:
    """CPU seconds so far of all processes but this one and those that it has waited for."""
    all_ = psutil.cpu_times()
    return float(all_.user + all_.nice + all_.system) - sum(os.times()[:4])


def measure(results: Results, wanted: list[str], columns: list[str], quick: bool) -> None:
    """Fill the cells of the wanted rows; the results are saved after each measurement."""
    for times, run, name in runs.plan(wanted, columns, quick):
        began, others = time.monotonic(), others_cpu_s()
        try:
            if name.endswith(" chromium"):
                environment.require_chromium()
            found = runs.gathered([run(n) for n in range(times)])
        except Exception as error:  # one peer's trouble must not lose the others' figures
            found = without_figures(name, wanted, _reason(name, error))
        wait_for_orphans()
        took = time.monotonic() - began
        disturbed = max(0.0, others_cpu_s() - others) / took
        for cell in found.values():
            cell["others"] = disturbed
            cell["seconds"] = 3 if quick else 10
            cell["date"] = str(datetime.date.today())
        results.cells |= found
        runs.memory(results.cells)
        results.save()
        print(f"{name}: {took:.0f} s", file=sys.stderr, flush=True)


def _reason(name: str, error: Exception) -> str:
    """What stands in the cells; all that is known goes to the screen."""
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    reason = first if isinstance(error, environment.Missing) else f"failed: {first}"
    print("\n".join([f"{name}: {reason}", *getattr(error, "__notes__", [])]), file=sys.stderr)
    return reason[:120].replace("|", "/")


def without_figures(name: str, wanted: list[str], reason: str) -> dict[str, dict[str, Any]]:
    """The cells that this measurement of the plan should have filled, with the reason."""
    prefix, _, column = name.partition(" ")
    column = column or "ours"
    prefixes = ("unplayed", "pesq") if prefix == "loss" else (prefix,)
    rows = [
        row
        for row in wanted
        if any(f"{row}.".startswith(f"{one}.") for one in prefixes) and known_reason(row, column) is None
    ]
    if prefix.startswith("cpu."):  # memory is worked out from it
        rows.append(prefix.replace("cpu", "used"))
    return {f"{row} {column}": {"reason": reason} for row in rows}
