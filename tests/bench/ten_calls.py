"""The recorded calls of notebook 10, taken from the labelled calls: `notebooks/data/ten_calls`.

    cd tests && python -m bench.ten_calls

Takes one call of each of ten causes, mixes them by a seed, numbers them, and leaves out what would give the
answer away. The notebook has the answers.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pandas as pd
from simulation.labelled_recipes import each, load

from plivo_nb.analysis.call_file import CallData, write_parquet
from plivo_nb.quality.frames import CALLS, MEDIA_METRICS

FOLDER = Path(__file__).parents[2] / "notebooks" / "data" / "ten_calls"
NUMBERS = (12, 20, 23, 25, 27, 30, 34, 42, 46, 51)  # of the set develop
SEED = 5


def _plain(value: Any) -> Any:
    """The value as JSON has it; None where it is missing."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    numbers = list(NUMBERS)
    random.Random(SEED).shuffle(numbers)
    for row, frames in each(load("develop")):
        if row["number"] not in numbers:
            continue
        place = numbers.index(row["number"]) + 1
        name = f"call-{place:02d}"
        print(f"{name}: {row['label']} ({row['what']})")
        about = {column.name: _plain(row[column.name]) for column in CALLS}
        about |= {"time": frames.calls.index[0].timestamp(), "call_uuid": name}
        about |= {"src": "near end", "dest": "far end"}
        about |= dict.fromkeys(("loss_in", "loss_out"))  # `read` fills them in from the samples
        events = [
            (
                at.value,
                {column.name: _plain(event[column.name]) for column in MEDIA_METRICS} | {"call_uuid": name},
            )
            for at, event in frames.media_metrics.iterrows()
        ]
        samples = frames.samples.assign(call_uuid=pd.Categorical([name] * len(frames.samples)))
        write_parquet(FOLDER / f"{name}.parquet", samples, CallData(about, events=events, ended=True))


if __name__ == "__main__":
    main()
