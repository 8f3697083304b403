"""The figures of one whole call, from its samples: the columns of `calls` that come from measurements."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S
from plivo_nb.quality.limits import LOOP_STALL_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from plivo_nb.quality.sampler import SampleRow


class CallTotals:
    """The figures of one whole call, from its samples.

    Values that come from reports of the far end are held in the samples until the next report; here each
    report counts once. While nothing arrives of what is due no sequence number tells how many packets that
    are; where none tells it later either, those that were due by time count as missing.

    Attributes:
        last: the last row of `client.samples`, by column; None before the first.
    """

    def __init__(self) -> None:
        self.last: dict[str, Any] | None = None
        self.last_at_s = -math.inf
        self.warnings = 0
        self.stalls = 0
        self._codec = ""
        self._values = {name: array("d") for name in ("jitter_in_ms", "jitter_out_ms", "rtt_ms", "mos")}
        self._sums = dict.fromkeys(_SUMMED, 0.0)
        self._missing = {"in": 0.0, "out": 0.0}
        self._due = {"in": 0.0, "out": 0.0}  # since the last packet or report that counted them
        self._has_rows = False

    def add(self, row: SampleRow, lags_ms: Sequence[float]) -> None:
        """Add a sample, and the lags of the loop that ended in its interval."""
        self._has_rows = True
        self.last_at_s = row.time_monotonic_s
        self.stalls += sum(lag > LOOP_STALL_MS for lag in lags_ms)
        self._codec = row.codec or self._codec
        new_report = not row.report_age_s >= row.interval_s
        for name, new in {
            "jitter_in_ms": True,
            "jitter_out_ms": new_report,
            "rtt_ms": not row.rtt_age_s >= row.interval_s,
            "mos": True,
        }.items():
            value = getattr(row, name)
            if new and not math.isnan(value):
                self._values[name].append(value)
        for name in _SUMMED:
            self._sums[name] += _known(getattr(row, name))
        self._missing["in"] += _known(row.loss_in * row.packets_expected_in)
        if new_report:
            self._missing["out"] += _known(row.loss_out * row.packets_expected_out)
        self._add_due("in", row.loss_in, row.packets_expected_in, row.interval_s * FRAMES_PER_S)
        self._add_due("out", row.loss_out, row.packets_expected_out, row.packets_out)

    def _add_due(self, way: Literal["in", "out"], loss: float, counted: float, due: float) -> None:
        if counted > 0.0:
            self._due[way] = 0.0
        elif loss == 1.0:
            self._due[way] += _known(due)

    def values(self) -> dict[str, Any]:
        """The columns of `client.calls` that come from samples; missing where there was none."""
        jitter_in, jitter_out, rtt, mos = (np.asarray(values) for values in self._values.values())
        return {
            "codec": self._codec or None,
            "packets_in": self._sums["packets_in"] if self._has_rows else math.nan,
            "packets_out": self._sums["packets_out"] if self._has_rows else math.nan,
            "loss_in": self._loss("in"),
            "loss_out": self._loss("out"),
            "jitter_in_mean_ms": _mean(jitter_in),
            "jitter_in_p95_ms": _percentile(jitter_in, 95),
            "jitter_out_mean_ms": _mean(jitter_out),
            "jitter_out_p95_ms": _percentile(jitter_out, 95),
            "rtt_mean_ms": _mean(rtt),
            "rtt_p95_ms": _percentile(rtt, 95),
            "mos_mean": _mean(mos),
            "mos_min": _percentile(mos, 0),
            "mos_p5": _percentile(mos, 5),
            "warnings": self.warnings,
            "stalls": self.stalls if self._has_rows else math.nan,
        }

    def _loss(self, way: Literal["in", "out"]) -> float:
        due = self._due[way]
        return _share(self._missing[way] + due, self._sums[f"packets_expected_{way}"] + due)


_SUMMED = ("packets_in", "packets_out", "packets_expected_in", "packets_expected_out")


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _share(part: float, whole: float) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole > 0.0 else math.nan


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else math.nan


def _percentile(values: npt.NDArray[np.float64], percent: float) -> float:
    return float(np.percentile(values, percent)) if values.size else math.nan
