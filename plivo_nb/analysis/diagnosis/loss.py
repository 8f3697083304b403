"""How packets were lost: the histogram of loss runs, and a Gilbert-Elliott model fitted to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.quality.counters import LOSS_RUN_LENGTHS

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

_RUNS = tuple(LOSS_RUN_LENGTHS)


@dataclass(frozen=True, slots=True)
class LossModel:
    """The loss of what was received, as a two-state Markov model: Gilbert-Elliott with a bad state of loss 1.

    In the good state packets arrive, in the bad one they are lost; `to_bad` and `to_good` are the
    probabilities of a change from one packet to the next. Loss is random when `to_bad` + `to_good` is 1:
    the mean run is then 1 / (1 - loss).

    Attributes:
        loss: share of the packets that was lost, 0..1.
        mean_run: mean length of a loss run, packets; NaN where it is not known.
        to_bad: probability of a loss after a packet that arrived, 0..1; NaN where it is not known.
        to_good: probability of an arrival after a loss, 0..1; NaN where it is not known.
        runs: how many loss runs there were by length, in packets: ``1``, ``2``, ``3-4``, ``5-9``, ``10+``;
            empty where the samples do not have them (imported ones).
    """

    loss: float
    mean_run: float
    to_bad: float
    to_good: float
    runs: dict[str, int]

    @property
    def burst_ratio(self) -> float:
        """BurstR of ITU-T G.107: the mean run over that of random loss; 1 is random, above it bursts."""
        return self.mean_run * (1.0 - self.loss)


def loss_model(samples: pd.DataFrame) -> LossModel:
    """Fit the loss model to samples of one call.

    With the columns of loss runs the probabilities are their maximum-likelihood estimates: runs over packets
    that arrived, and runs over packets that were lost. Without them the mean run is estimated from the
    spread of `packets_lost_in` from sample to sample.

    Args:
        samples: rows of `samples`; missing columns count as NaN.

    Example:
        >>> frame = pd.DataFrame({"packets_lost_in": [12.0], "packets_in": [88.0], "loss_runs_3_4": [4.0]})
        >>> model = loss_model(frame)
        >>> round(model.loss, 2), model.mean_run, round(model.to_good, 2), model.runs["3-4"]
        (0.12, 3.0, 0.33, 4)
    """
    lost, arrived = _column(samples, "packets_lost_in"), _column(samples, "packets_in")
    known = np.isfinite(lost) & np.isfinite(arrived)
    lost, arrived = np.maximum(lost[known], 0.0), np.maximum(arrived[known], 0.0)
    total = lost.sum() + arrived.sum()
    if not (lost.sum() > 0.0 and np.isfinite(total)):
        return LossModel(0.0 if total > 0.0 else math.nan, math.nan, math.nan, math.nan, {})
    loss = float(lost.sum() / total)
    counts = {name: np.nansum(np.maximum(_column(samples, name), 0.0)) for name in _RUNS}
    runs = {_shown(name): int(count) for name, count in counts.items() if np.isfinite(count)}
    number = sum(runs.values())
    if not number:
        return _fitted(loss, _mean_run_by_spread(lost, arrived, loss), {})
    return _fitted(loss, max(1.0, float(lost.sum()) / number), runs)


def _fitted(loss: float, mean_run: float, runs: dict[str, int]) -> LossModel:
    to_good = 1.0 / mean_run if mean_run >= 1.0 else math.nan
    to_bad = min(1.0, to_good * loss / (1.0 - loss)) if loss < 1.0 else 1.0
    return LossModel(loss, mean_run, to_bad, to_good, runs)


def _mean_run_by_spread(lost: FloatArray, arrived: FloatArray, loss: float) -> float:
    """The mean run by the index of dispersion of losses a sample: (1 + m) / (1 - m), m the memory."""
    packets = lost + arrived
    due = packets > 0.0
    if due.sum() < 5 or not 0.0 < loss < 1.0:
        return math.nan
    spread = float(((lost[due] - loss * packets[due]) ** 2).sum() / packets[due].sum())
    ratio = max(1.0, spread / (loss * (1.0 - loss)))
    memory = (ratio - 1.0) / (ratio + 1.0)
    return 1.0 / ((1.0 - memory) * (1.0 - loss))


def _shown(name: str) -> str:
    least, most = LOSS_RUN_LENGTHS[name]
    if math.isinf(most):
        return f"{least}+"
    return f"{least}" if least == most else f"{least}-{most:g}"


def _column(frame: pd.DataFrame, name: str) -> FloatArray:
    values: Any = frame[name] if name in frame else np.full(len(frame), np.nan)
    return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
