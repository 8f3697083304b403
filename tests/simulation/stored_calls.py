"""Calls as the package stores them, made by hand: rows, frames, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from plivo_nb.analysis import call_file
from plivo_nb.analysis.call_file import CallData
from plivo_nb.quality.frames import SAMPLES, ColumnStore

BEGAN_S = 1_800_000_000


def sample_rows(
    count: int, *, mos: float = 4.2, began_s: float = BEGAN_S
) -> list[tuple[int, dict[str, Any]]]:
    """Samples of a call, one a second: ns since 1970 and the values by column, without call_uuid."""
    return [
        (
            round((began_s + 1 + row) * 1e9),
            {
                "codec": "OPUS", "direction": "sendrecv", "interval_s": 1.0, "rtt_ms": 40.0 + row % 3,
                "rtt_age_s": 0.5, "report_age_s": 0.5, "jitter_in_ms": 2.0, "loss_in": 0.0, "loss_out": 0.0,
                "mos": mos - 0.1 * (row % 2), "packets_in": 50.0, "packets_expected_in": 50.0,
                "packets_out": 50.0, "packets_expected_out": 50.0, "muted": row == 1,
                "loop_lag_ms": 1.0 + row,
            },
        )
        for row in range(count)
    ]  # fmt: skip


def samples_of(call_uuid: str, rows: list[tuple[int, dict[str, Any]]]) -> pd.DataFrame:
    """The frame of such rows."""
    columns = ColumnStore(SAMPLES)
    for at_ns, values in rows:
        columns.append(at_ns, **{**values, "call_uuid": call_uuid})
    return columns.frame()


def call_data(call_uuid: str, *, began_s: float = BEGAN_S, state: str = "ended", **tags: Any) -> CallData:
    """What a file says of a call."""
    row = {"time": began_s, "call_uuid": call_uuid, "direction": "OUTGOING", "dest": "echo", "state": state}
    return CallData(row=row, tags=tags, ended=state != "answered")


def store_call(
    folder: Path, call_uuid: str, *, mos: float = 4.2, count: int = 5, began_s: float = BEGAN_S, **tags: Any
) -> Path:
    """Write the file of a call that has ended, in the folder of its day."""
    day = folder / f"day={pd.Timestamp(began_s, unit='s'):%Y-%m-%d}"
    day.mkdir(parents=True, exist_ok=True)
    path = day / f"{pd.Timestamp(began_s, unit='s'):%H%M%S}-{call_uuid}.parquet"
    samples = samples_of(call_uuid, sample_rows(count, mos=mos, began_s=began_s))
    call = call_data(call_uuid, began_s=began_s, **tags)
    call.row["mos_mean"] = float(np.mean(samples["mos"]))
    call_file.write_parquet(path, samples, call)
    return path
