"""What the scores cost: 10 million rows by each model, on one core, and how many that are in a minute.

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
#: Scores in a minute of CPU, by every model.
AIM = 50_000_000


def cpu_s(work: Callable[[], Any]) -> float:
    """The shortest of three runs, in seconds of CPU."""
    spent = []
    for _ in range(3):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)


def costs(rows: int = ROWS) -> dict[str, float]:
    """CPU seconds for that many scores, by model."""
    random = np.random.default_rng(1)
    delay_ms, loss = random.uniform(0, 600, rows), random.uniform(0, 0.3, rows)
    names = pd.Series(pd.Categorical.from_codes(random.integers(0, 2, rows), ["OPUS", "PCMU"]))
    models = {
        "sdk": lambda: mos.sdk(delay_ms, 5.0, loss, "OPUS"),
        "g107": lambda: mos.g107(delay_ms, loss, "OPUS"),
        "g107, a column of codecs": lambda: mos.g107(delay_ms, loss, names),
        "g107_fb": lambda: mos.g107_fb(delay_ms, loss, "OPUS"),
    }
    return {name: cpu_s(work) for name, work in models.items()}


def main() -> None:
    for name, seconds in costs().items():
        millions = ROWS / seconds * 60 / 1e6
        print(
            f"{name:26}{seconds:6.2f} s for {ROWS:,} rows: {millions:,.0f} million a minute, "
            f"aim {AIM / 1e6:.0f}"
        )


if __name__ == "__main__":
    main()
