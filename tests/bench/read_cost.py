"""How long the reads of frames take that must not grow with the calls before: at 100,000 rows of other calls.

    cd tests && python -m bench.read_cost [--rows 100000]

CPU milliseconds, the median of nine: `call.samples`, `client.recent_samples(60)` and, beside them, a copy of
all rows (`client.samples`). The store is filled with calls of 100 samples, or of one; the last one is read.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from plivo_nb.engine.records import Records
from plivo_nb.quality.sampler import SampleRow

ROWS, ROWS_A_CALL = 100_000, 100
AIM_MS = 10.0
_BEGAN_NS = 1_800_000_000 * 10**9


def filled(rows: int, rows_a_call: int = ROWS_A_CALL) -> tuple[Records, Any]:
    """A client's records after many calls, one sample a second, and the session of the last call."""
    engine: Any = SimpleNamespace(
        loop_lag=SimpleNamespace(between_ms=lambda since_s, until_s: []),
        utc_ns=lambda: _BEGAN_NS + rows * 10**9,
    )
    records, session = Records(engine), _session(0)
    for second in range(rows):
        if second % rows_a_call == 0:
            session = _session(second // rows_a_call)
        at_ns = _BEGAN_NS + second * 10**9
        row = SampleRow(
            time_utc_ns=at_ns, time_monotonic_s=float(second), interval_s=1.0, mos=4.0, codec="OPUS"
        )
        records.add_sample(session, row)
    return records, session


def _session(number: int) -> Any:
    class Session(SimpleNamespace):
        __hash__ = object.__hash__

    return Session(
        uuid=f"call-{number}", key=f"key-{number}", timings={}, account=SimpleNamespace(connected=True)
    )


def cpu_ms(read: Callable[[], object], runs: int = 9) -> float:
    """CPU milliseconds of one read, the median."""
    spent = []
    for _ in range(runs + 1):
        began = time.process_time()
        read()
        spent.append((time.process_time() - began) * 1000)
    return statistics.median(spent[1:])


def reads(records: Records, session: Any) -> dict[str, float]:
    """CPU milliseconds of each read."""
    return {
        "call.samples": cpu_ms(lambda: records.call_samples(session)),
        "client.recent_samples(60)": cpu_ms(lambda: records.recent_samples(60)),
        "client.samples": cpu_ms(records.samples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    for rows_a_call in (ROWS_A_CALL, 1):
        for count in (ROWS_A_CALL, rows):
            for name, ms in reads(*filled(count, rows_a_call)).items():
                print(f"{name:28}{ms:8.2f} ms at {count:,} rows in calls of {rows_a_call}")


if __name__ == "__main__":
    main()
