"""What a client keeps of its calls: samples, mediaMetrics events, and a row for each call."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.quality.frames import CALLS, MEDIA_METRICS, SAMPLES, ColumnStore, build_frame

if TYPE_CHECKING:
    import pandas as pd

    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.quality.sampler import SampleRow


class Records:
    """The column stores of one client.

    Args:
        engine: measures the loop's lag, which is a column of every sample.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._samples = ColumnStore(SAMPLES)
        self._media_metrics = ColumnStore(MEDIA_METRICS)
        self._calls: list[dict[str, Any]] = []
        self._mos: dict[str | None, list[float]] = {}
        self.feedback: dict[str, tuple[int, str]] = {}

    def add_sample(self, session: CallSession, row: SampleRow) -> None:
        """Keep one second's numbers of a call; the last part of a second comes after `add_call`."""
        hand_over_ms = (time.monotonic() - row.time_monotonic_s) * 1000
        lag_ms = max(self._engine.take_lag_ms(), hand_over_ms)
        call_uuid = session.uuid or session.key
        self._samples.append(row.time_utc_ns, call_uuid=call_uuid, loop_lag_ms=lag_ms, **row.values())
        self._mos.setdefault(call_uuid, []).append(row.mos)

    def add_media_metric(
        self, session: CallSession | None, event: dict[str, Any], at_ns: int | None = None
    ) -> None:
        """Keep one mediaMetrics event, of a call or of none. `at_ns`: ns since 1970; by default now."""
        at_ns = time.time_ns() if at_ns is None else at_ns
        call_uuid = None if session is None else session.uuid or session.key
        self._media_metrics.append(at_ns, call_uuid=call_uuid, **event)

    def add_call(self, session: CallSession) -> None:
        """Keep the row of a call that ended."""
        info = session.over.result()
        times = session.timings
        self._calls.append(
            {
                "time": session.started_utc_s,
                "call_uuid": info.callUUID,
                "direction": info.direction,
                "src": info.src,
                "dest": info.dest,
                "state": info.state,
                "cause": session.cause,
                "code": info.code,
                "reason": info.reason,
                "originator": info.originator,
                "post_dial_delay_ms": _between_ms(times, "dialled", "ringing"),
                "answer_delay_ms": _between_ms(times, "ringing", "answered"),
                "media_setup_ms": _between_ms(times, "answered", "first_rtp_received"),
                "duration_s": _between_ms(times, "answered", "ended") / 1000,
            }
        )

    def samples(self) -> pd.DataFrame:
        """One row per call and second; `plivo_nb.schema("samples")` says what the columns mean."""
        return self._samples.frame()

    def media_metrics(self) -> pd.DataFrame:
        """Every mediaMetrics event, with Plivo's keys."""
        return self._media_metrics.frame()

    def calls(self) -> pd.DataFrame:
        """One row for each call that ended, in the order of their beginnings (index `time`)."""
        rows = [
            {
                **row,
                **_mos_of(self._mos.get(row["call_uuid"], [])),
                "feedback_score": score,
                "feedback_comment": comment,
            }
            for row in self._calls
            for score, comment in [self.feedback.get(str(row["call_uuid"]), (None, None))]
        ]
        return build_frame(
            "calls",
            [round(row["time"] * 1e9) for row in rows],
            {column.name: [row[column.name] for row in rows] for column in CALLS},
        )


def _mos_of(scores: list[float]) -> dict[str, float]:
    known = [score for score in scores if not math.isnan(score)]
    if not known:
        return {"mos_mean": math.nan, "mos_p5": math.nan}
    return {"mos_mean": float(np.mean(known)), "mos_p5": float(np.percentile(known, 5))}


def _between_ms(times: dict[str, float], start: str, end: str) -> float:
    if start not in times or end not in times:
        return float("nan")
    return (times[end] - times[start]) * 1000
