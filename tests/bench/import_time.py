"""What an import costs in a new process: CPU seconds, the median of five.

    cd tests && python -m bench.import_time

Each statement runs in a process of its own, from bytecode, as after an installation. The figure is the whole
process less one that does nothing.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile

RUNS = 5
#: CPU seconds, for `CLIENT`.
AIM_S = 0.45
CLIENT = "from plivo_nb import Client"
STATEMENTS = ("import plivo_nb", CLIENT, f"{CLIENT}; import pandas", f"{CLIENT}; import aiortc")


def cpu_s(statements: tuple[str, ...], runs: int = RUNS) -> dict[str, float]:
    """CPU seconds of each statement in a new process, beyond those of an empty one: the median."""
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        spent: dict[str, list[float]] = {statement: [] for statement in ("pass", *statements)}
        for statement in spent:
            _process_s(statement, environment)  # writes the bytecode, and reads the files
        for _ in range(runs):
            for statement, seconds in spent.items():
                seconds.append(_process_s(statement, environment))
    empty = statistics.median(spent.pop("pass"))
    return {statement: statistics.median(seconds) - empty for statement, seconds in spent.items()}


def _process_s(statement: str, environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    for statement, seconds in cpu_s(STATEMENTS).items():
        aim = f", aim {AIM_S:.2f} s" if statement == CLIENT else ""
        print(f"{statement:46}{seconds:6.2f} s of CPU{aim}")


if __name__ == "__main__":
    main()
