"""The figures of whole calls from their samples, for calls that go on or come from another program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from plivo_nb.analysis.partitions import check_whole, of_partitions
from plivo_nb.audio_types import FRAMES_PER_S
from plivo_nb.quality.columns import Column
from plivo_nb.quality.frames import CALLS
from plivo_nb.quality.limits import LOOP_STALL_MS

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

_ID = "call_uuid"
_NEEDED = (
    _ID, "interval_s", "report_age_s", "rtt_age_s", "jitter_in_ms", "jitter_out_ms", "rtt_ms", "loss_in",
    "loss_out", "packets_expected_in", "packets_expected_out", "packets_in", "packets_out", "codec", "mos",
    "mos_g107", "concealed_ms", "loop_lag_ms",
)  # fmt: skip

#: Columns of `CallSet.calls` behind those of `client.calls`, all of the samples that the set has.
FIGURES: tuple[Column, ...] = (
    Column("samples", "float", "", "How many samples the set has of the call", "samples"),
    Column("mos_p50", "float", "1..4.5", "Median of mos", "samples"),
    Column("mos_g107_mean", "float", "1..4.5", "Mean of mos_g107", "samples"),
    Column("mos_g107_min", "float", "1..4.5", "Smallest mos_g107", "samples"),
    Column("loss_in_max", "float", "0..1", "Greatest loss_in", "samples"),
    Column("loss_in_p95", "float", "0..1", "95th percentile of loss_in", "samples"),
    Column("jitter_in_max_ms", "float", "ms", "Greatest jitter_in_ms", "samples"),
    Column("rtt_max_ms", "float", "ms", "Greatest rtt_ms", "samples"),
    Column("concealed_s", "float", "s", "Sum of concealed_ms", "samples"),
    Column("loop_lag_max_ms", "float", "ms", "Greatest loop_lag_ms", "samples"),
)


def summarized(calls: pd.DataFrame, samples: pd.DataFrame, media_metrics: pd.DataFrame) -> pd.DataFrame:
    """Calls with the figures of their samples.

    Args:
        calls: rows of the schema; a figure that is there already stays.
        samples: of these calls, with all columns of the schema; of pandas or Dask, where no call is in two
            partitions.
        media_metrics: of these calls.

    Returns:
        A copy, in which missing figures are filled in where samples say them, with the columns of `FIGURES`
        in front of the tags. Values from reports of the far end count once a report, as in `client.calls`.

    Raises:
        ValueError: a call is in two partitions.
    """
    known = {column.name for column in (*CALLS, *FIGURES)}
    tags = [name for name in calls.columns if name not in known]
    parts = of_partitions(_figures, samples, columns=_NEEDED)
    check_whole(part.index for part in parts)
    filled = [part for part in parts if len(part)]
    found = pd.concat(filled) if filled else parts[0]
    found["warnings"] = media_metrics.loc[media_metrics["active"], _ID].astype("str").value_counts()
    ids = calls[_ID].to_numpy(dtype=object)
    by_call = found.reindex(ids).set_axis(calls.index)
    made = calls.copy()
    for column in CALLS:
        if column.name in by_call:
            made[column.name] = made[column.name].where(made[column.name].notna(), by_call[column.name])
    made["codec"] = made["codec"].astype("str")
    for column in FIGURES:
        made[column.name] = by_call[column.name].astype(np.float64)
    made["samples"] = made["samples"].fillna(0.0)
    return made[[*(column.name for column in CALLS), *(column.name for column in FIGURES), *tags]]


class _ByCall:
    """Figures of columns for each call.

    A sum does not depend on which other calls there are, to the last bit: pandas chooses its algorithm by all
    values of a column, so sums and means are worked out here.

    Args:
        ids: the call of each row; the rows of a call follow each other.
    """

    def __init__(self, ids: pd.Series) -> None:
        self._ids = ids
        codes, names = pd.factorize(ids)
        self._codes, self._names = codes, pd.Index(names)

    def __call__(self, column: pd.Series, figure: str, *args: float) -> pd.Series:
        """A figure of pandas' name."""
        if figure in ("sum", "mean"):
            total, count = self._sums(column)
            if figure == "mean":
                total = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
            elif args:  # the least number of values
                total = np.where(count >= args[0], total, np.nan)
            return pd.Series(total, self._names)
        made: pd.Series = getattr(column.groupby(self._ids, sort=False), figure)(*args)
        return made

    def _sums(self, column: pd.Series) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        values = column.to_numpy(dtype=np.float64)
        known = ~np.isnan(values)
        count = np.bincount(self._codes[known], minlength=len(self._names))
        begins = np.cumsum(count) - count
        total = np.zeros(len(self._names))
        if known.any():
            total[count > 0] = np.add.reduceat(values[known], begins[count > 0])
        return total, count


def _figures(samples: pd.DataFrame) -> pd.DataFrame:
    """A row a call, by its id: the figures of `client.calls`, and those of `FIGURES`."""
    samples = samples[samples[_ID].notna()]
    samples = samples.iloc[np.argsort(pd.factorize(samples[_ID])[0], kind="stable")]
    ids = samples[_ID].astype("str")
    of = _ByCall(ids)
    interval = samples["interval_s"]
    new_report, new_rtt = ~(samples["report_age_s"] >= interval), ~(samples["rtt_age_s"] >= interval)
    jitter_out, rtt = samples["jitter_out_ms"].where(new_report), samples["rtt_ms"].where(new_rtt)
    missing_in = samples["loss_in"] * samples["packets_expected_in"]
    missing_out = (samples["loss_out"] * samples["packets_expected_out"]).where(new_report)

    def named(name: str) -> pd.Series:
        return samples[name]

    begins = samples.index.to_series() - pd.to_timedelta(interval.fillna(0.0), unit="s")
    ends = samples.index.to_series()
    due_in = of(_due(samples, "in", ids, interval * FRAMES_PER_S), "sum")
    due_out = of(_due(samples, "out", ids, samples["packets_out"]), "sum")
    lost_in, lost_out = of(missing_in, "sum") + due_in, of(missing_out, "sum") + due_out
    expected_in = of(named("packets_expected_in"), "sum") + due_in
    expected_out = of(named("packets_expected_out"), "sum") + due_out
    lag = named("loop_lag_ms")
    return pd.DataFrame({
        "duration_s": (of(ends, "max") - of(begins, "min")).dt.total_seconds(),
        "codec": of(named("codec").astype(object), "last"),
        "packets_in": of(named("packets_in"), "sum", 1),
        "packets_out": of(named("packets_out"), "sum", 1),
        "loss_in": (lost_in / expected_in).where(expected_in > 0).clip(0.0, 1.0),
        "loss_out": (lost_out / expected_out).where(expected_out > 0).clip(0.0, 1.0),
        "jitter_in_mean_ms": of(named("jitter_in_ms"), "mean"),
        "jitter_in_p95_ms": of(named("jitter_in_ms"), "quantile", 0.95),
        "jitter_out_mean_ms": of(jitter_out, "mean"),
        "jitter_out_p95_ms": of(jitter_out, "quantile", 0.95),
        "rtt_mean_ms": of(rtt, "mean"),
        "rtt_p95_ms": of(rtt, "quantile", 0.95),
        "mos_mean": of(named("mos"), "mean"),
        "mos_min": of(named("mos"), "min"),
        "mos_p5": of(named("mos"), "quantile", 0.05),
        "stalls": of((lag > LOOP_STALL_MS).astype(float).where(lag.notna()), "sum", 1),
        "samples": of(interval, "size"),
        "mos_p50": of(named("mos"), "median"),
        "mos_g107_mean": of(named("mos_g107"), "mean"),
        "mos_g107_min": of(named("mos_g107"), "min"),
        "loss_in_max": of(named("loss_in"), "max"),
        "loss_in_p95": of(named("loss_in"), "quantile", 0.95),
        "jitter_in_max_ms": of(named("jitter_in_ms"), "max"),
        "rtt_max_ms": of(named("rtt_ms"), "max"),
        "concealed_s": of(named("concealed_ms"), "sum", 1) / 1000,
        "loop_lag_max_ms": of(lag, "max"),
    })  # fmt: skip


def _due(samples: pd.DataFrame, way: Literal["in", "out"], ids: pd.Series, due: pd.Series) -> pd.Series:
    """Packets of each second that were due, did not arrive and were counted by nothing later in the call.

    The same as in `plivo_nb.quality.call_totals`.
    """
    counted = samples[f"packets_expected_{way}"] > 0.0
    counted_from_here_on = counted[::-1].groupby(ids[::-1]).cummax()[::-1]
    return due.fillna(0.0).where((samples[f"loss_{way}"] == 1.0) & ~counted_from_here_on, 0.0)
