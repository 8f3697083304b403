"""The recorded calls of notebooks 10 and 11, taken from the labelled calls: `notebooks/data`.

    cd tests && python -m bench.course_calls

For notebook 10 one call of each of ten causes, mixed by a seed, numbered, and without what would give the
answer away: the notebook has the answers. For notebook 11 the samples of calls in which the network is good,
and of calls in which it is not, with a column that says what was done to it.
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
NETWORK = ("", "choppy", "robotic", "lag", "outage")


def _plain(value: Any) -> Any:
    """The value as JSON has it; None where it is missing."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def thresholds() -> None:
    """The samples for notebook 11."""
    parts = []
    for row, frames in each(load("develop")):
        if row["label"] in NETWORK and row["number"] not in NUMBERS:
            place = f"call-{len(parts) + 1:02d}"
            samples = frames.samples.assign(call_uuid=pd.Categorical([place] * len(frames.samples)))
            parts.append(samples.assign(network=row["label"] or "good"))
    joined = pd.concat([part.assign(call_uuid=part["call_uuid"].astype(str)) for part in parts])
    joined.reset_index().to_parquet(FOLDER.parent / "thresholds.parquet", index=False)


def main() -> None:
    thresholds()
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
