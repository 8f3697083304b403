"""Samples of a call that is in order, with columns that a test changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from plivo_nb.analysis.call_frames import conformed

BEGAN = pd.Timestamp("2026-11-25 10:00:00", tz="UTC")
GOOD: dict[str, Any] = {
    "call_uuid": "u", "codec": "OPUS", "direction": "sendrecv", "interval_s": 1.0, "rtt_ms": 40.0,
    "jitter_in_ms": 4.0, "jitter_out_ms": 4.0, "loss_in": 0.0, "loss_out": 0.0, "packets_in": 50.0,
    "packets_out": 50.0, "packets_expected_in": 50.0, "packets_lost_in": 0.0, "packets_discarded": 0.0,
    "level_in_dbfs": -20.0, "level_out_dbfs": -20.0, "source_bytes": 4000.0, "playout_delay_ms": 60.0,
    "loop_lag_ms": 2.0,
}  # fmt: skip


def samples(rows: int = 30, **columns: Any) -> pd.DataFrame:
    """Samples of a call, one each second; a column is a value, or one value a row."""
    index = pd.DatetimeIndex([BEGAN + pd.Timedelta(seconds=row + 1) for row in range(rows)], name="time")
    return conformed("samples", pd.DataFrame({**GOOD, **columns}, index=index))


def during(rows: int, start: int, end: int, bad: Any, good: Any) -> Any:
    """One value from row `start` to before row `end`, another one in the others."""
    places = np.arange(rows)
    return np.where((places >= start) & (places < end), bad, good)


def event(type_: str, at_s: float, **keys: Any) -> pd.DataFrame:
    """A mediaMetrics event of the call, as a frame."""
    row = {"call_uuid": "u", "type": type_, "active": True, "desc": "", **keys}
    index = pd.DatetimeIndex([BEGAN + pd.Timedelta(seconds=at_s)], name="time")
    return conformed("media_metrics", pd.DataFrame([row], index=index))


def call(**columns: Any) -> pd.DataFrame:
    """The call's row of `calls`."""
    index = pd.DatetimeIndex([BEGAN], name="time")
    return conformed("calls", pd.DataFrame([{"call_uuid": "u", **columns}], index=index))
