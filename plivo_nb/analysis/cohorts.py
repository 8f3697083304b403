"""Groups of calls in one table, by codec, network, region, label or any other column of the calls.

All figures come from the table of calls, where each call is one row and its figures are exact; so they are
the same whichever way the samples were read. Percentiles are over calls, not over seconds: a long call counts
as much as a short one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

_ID = "call_uuid"
#: States of calls that were not answered, and not because the caller gave up.
FAILED = ("failed", "rejected", "lost")
UNKNOWN = "(not known)"

#: Column of the table: column of the calls, and the percentile over the calls (None: the mean).
_FIGURES: dict[str, tuple[str, float | None]] = {
    "mos_p5": ("mos_mean", 0.05),
    "mos_p50": ("mos_mean", 0.5),
    "mos_p95": ("mos_mean", 0.95),
    "mos_min_p5": ("mos_min", 0.05),
    "loss_in_mean": ("loss_in", None),
    "loss_in_p95": ("loss_in", 0.95),
    "loss_out_mean": ("loss_out", None),
    "jitter_in_p50_ms": ("jitter_in_mean_ms", 0.5),
    "jitter_in_p95_ms": ("jitter_in_mean_ms", 0.95),
    "rtt_p50_ms": ("rtt_mean_ms", 0.5),
    "rtt_p95_ms": ("rtt_mean_ms", 0.95),
}


def cohort_table(calls: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The figures of each group of calls; see `CallSet.cohorts`.

    Args:
        calls: as `CallSet.calls`.
        by: the columns whose values make the groups; none: one group of all calls.

    Returns:
        A row a group that has calls, in the order of the groups' values.

    Raises:
        ValueError: there is no such column.

    Example:
        >>> calls = pd.DataFrame({"codec": ["OPUS", "PCMU", "OPUS"], "state": ["ended", "ended", "failed"],
        ...     "mos_mean": [4.0, 3.0, float("nan")], "warnings": [0.0, 2.0, 0.0]})
        >>> cohort_table(calls, ["codec"])[["calls", "failed", "mos_p50", "warned"]].to_numpy().tolist()
        [[2.0, 1.0, 4.0, 0.0], [1.0, 0.0, 3.0, 1.0]]
    """
    rows, names = [], []
    for name, group in _grouped(calls, by):
        rows.append(_figures_of(group))
        names.append(name)
    return pd.DataFrame(rows, index=_index(names, by), columns=_COLUMNS)


def warning_table(calls: pd.DataFrame, media_metrics: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """How often each warning was raised in each group; see `CallSet.warning_counts`.

    Args:
        calls: as `CallSet.calls`.
        media_metrics: their mediaMetrics events.
        by: the columns whose values make the groups; none: one group of all calls.

    Returns:
        A row a group, type and desc that occurred: calls (how many had it), share (of the group's calls,
        0..1), events (how often it was raised).

    Raises:
        ValueError: there is no such column.
    """
    raised = media_metrics[media_metrics["active"].astype(bool)]
    plain = pd.DataFrame({key: raised[key].astype(object) for key in (_ID, "type", "desc")})
    rows: list[dict[str, float]] = []
    names: list[tuple[Hashable, ...]] = []
    for name, group in _grouped(calls, by):
        own = plain[plain[_ID].isin(set(group[_ID]))]
        for (kind, desc), events in own.groupby(["type", "desc"], dropna=False):
            with_it = events[_ID].nunique()
            rows.append({"calls": with_it, "share": with_it / len(group), "events": len(events)})
            names.append((*name, str(kind), str(desc)))
    index = _index(names, [*by, "type", "desc"])
    return pd.DataFrame(rows, index=index, columns=["calls", "share", "events"])


def _grouped(calls: pd.DataFrame, by: Sequence[str]) -> list[tuple[tuple[Hashable, ...], pd.DataFrame]]:
    missing = [name for name in by if name not in calls]
    if missing:
        raise ValueError(
            f"There is no column {', '.join(map(repr, missing))} to group by; CallSet.tagged makes one, and "
            f"calls has {', '.join(map(str, calls.columns))}."
        )
    if not by:
        return [((), calls)] if len(calls) else []
    keys: list[Any] = [
        calls[name].astype(object).where(calls[name].notna(), UNKNOWN).rename(name) for name in by
    ]
    try:
        return list(calls.groupby(keys, sort=True))
    except TypeError:  # values that cannot be compared: in the order in which they come
        return list(calls.groupby(keys, sort=False))


def _figures_of(group: pd.DataFrame) -> dict[str, float]:
    warnings = _column(group, "warnings").fillna(0.0)
    state = group["state"].astype(object) if "state" in group else pd.Series(dtype=object)
    failed = int(state.isin(FAILED).sum())
    row: dict[str, float] = {
        "calls": len(group),
        "failed": failed,
        "failed_share": failed / len(group),
        "duration_s": float(_column(group, "duration_s").sum()),
    }
    for name, (column, percentile) in _FIGURES.items():
        values = _column(group, column)
        row[name] = float(values.mean() if percentile is None else values.quantile(percentile))
    row["warned"] = int((warnings > 0).sum())
    row["warnings"] = float(warnings.sum())
    return row


_COLUMNS = ["calls", "failed", "failed_share", "duration_s", *_FIGURES, "warned", "warnings"]


def _column(group: pd.DataFrame, name: str) -> pd.Series:
    if name not in group:
        return pd.Series(float("nan"), group.index, dtype="float64")
    return pd.to_numeric(group[name], errors="coerce").astype("float64")


def _index(names: Sequence[tuple[Hashable, ...]], by: Sequence[str]) -> pd.Index:
    if not by:
        return pd.Index(["all"] * len(names), name="group")
    if len(by) == 1:
        return pd.Index([name[0] for name in names], name=by[0])
    return (
        pd.MultiIndex.from_tuples(list(names), names=list(by))
        if names
        else pd.MultiIndex.from_arrays([[] for _ in by], names=list(by))
    )
