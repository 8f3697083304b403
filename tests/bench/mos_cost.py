"""What the scores cost: 10 million rows by each model, on one core.

cd tests && python -m bench.mos_cost
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from plivo_nb.quality import mos

ROWS = 10_000_000


def cpu_s(work: Callable[[], Any]) -> float:
    """The shortest of three runs, in seconds of CPU."""
    spent = []
    for _ in range(3):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)


def main() -> None:
    random = np.random.default_rng(1)
    delay_ms, loss = random.uniform(0, 600, ROWS), random.uniform(0, 0.3, ROWS)
    names = pd.Series(pd.Categorical.from_codes(random.integers(0, 2, ROWS), ["OPUS", "PCMU"]))
    for name, work in {
        "sdk": lambda: mos.sdk(delay_ms, 5.0, loss, "OPUS"),
        "g107": lambda: mos.g107(delay_ms, loss, "OPUS"),
        "g107, a column of codecs": lambda: mos.g107(delay_ms, loss, names),
        "g107_fb": lambda: mos.g107_fb(delay_ms, loss, "OPUS"),
    }.items():
        print(f"{name:26}{cpu_s(work):6.2f} s for {ROWS:,} rows")


if __name__ == "__main__":
    main()
