"""Rules applied to recorded samples: what other rules would have said of the same call.

The events are those that the live rule engine would have given. Rules about states (`EventRule`: gathering,
the ICE connection, the microphone) have nothing to go by, because samples do not carry states: they are left
out.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.analysis.call_frames import conformed
from plivo_nb.analysis.partitions import check_whole, of_partitions
from plivo_nb.quality.frames import build_frame
from plivo_nb.quality.rule_arrays import SampleArrays, columns_of_rules, events_of
from plivo_nb.quality.rules import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from plivo_nb.quality.rule_arrays import RuleEvent
    from plivo_nb.quality.rules import AnyRule

_WORDS = ("call_uuid", "codec", "direction", "muted")
_KEYS = ("group", "type", "desc", "stream")
_SHORT = 0.9  # a last sample of less than this share of an interval came after the call's end


def replay(
    samples: Any,
    rules: str | Sequence[AnyRule] = "v2.1",
    *,
    silent_source: bool = False,
    ended: bool = True,
) -> pd.DataFrame:
    """The mediaMetrics events that rules give for recorded samples.

    Args:
        samples: of one call or many, such as `client.samples` or what `plivo_nb.read` gives, in pandas or
            Dask; columns that are missing count as not measured.
        rules: the name of a preset (`plivo_nb.quality.rules.PRESETS`), or a list of `Rule` and `SpanRule`
            objects. Rules about states are left out: samples carry no states.
        silent_source: the calls were made with silence as their source, on purpose.
        ended: the calls are over. The last sample of such a call, which is shorter than the others, comes
            after its end, and no rule looks at it.

    Returns:
        A row an event, as `plivo_nb.schema("media_metrics")` describes; the index is the end of the sample
        that raised or cleared it (UTC). Events of the same time are in the order of their calls' beginnings.

    Raises:
        ValueError: there is no such preset, or the list has something else in it; or a call is in two
            partitions of a Dask frame.

    Example:
        >>> import pandas as pd
        >>> index = pd.date_range("2026-11-25", periods=6, freq="s", tz="UTC")
        >>> samples = pd.DataFrame({"call_uuid": "a", "interval_s": 1.0, "jitter_in_ms": 80.0}, index)
        >>> events = replay(samples, "v2.1")
        >>> events[["type", "value", "active"]].to_numpy().tolist()
        [['high_jitter', 80.0, True]]
    """
    chosen = resolve(rules)
    work = functools.partial(_replayed, rules=chosen, silent_source=silent_source, ended=ended)
    parts = of_partitions(work, samples, columns=[*_WORDS, *columns_of_rules(chosen)])
    check_whole(part.calls for part in parts)
    return _frame(pd.concat([part.events for part in parts], ignore_index=True))


@dataclass(frozen=True, slots=True)
class _Replayed:
    """The events of one partition, and its calls."""

    events: pd.DataFrame
    calls: list[str]


def _replayed(samples: pd.DataFrame, rules: Sequence[AnyRule], silent_source: bool, ended: bool) -> _Replayed:
    columns = columns_of_rules(rules)
    frame = conformed("samples", samples, columns=(*_WORDS, *columns))
    call, names = numbered_calls(frame)
    order = np.argsort(call, kind="stable")
    call = call[order]
    times_ns = frame.index.as_unit("ns").asi8[order]  # type: ignore[attr-defined]
    numbers = {name: frame[name].to_numpy()[order] for name in columns}
    first = np.flatnonzero(np.diff(call, prepend=-1))
    begins_ns = times_ns[first]
    at_s = (times_ns - begins_ns[call]) / 1e9
    since_s = np.roll(at_s, 1)
    since_s[first] = at_s[first] - numbers["interval_s"][first]
    arrays = SampleArrays(
        call,
        at_s,
        since_s,
        numbers,
        _codes(frame["codec"], order),
        frame["muted"].to_numpy()[order],
        np.isin(_codes(frame["direction"], order).astype(str), ("recvonly", "inactive")),
    )
    if ended:
        rows = np.flatnonzero(~_after_the_end(call, numbers["interval_s"]))
        arrays = arrays.taken(rows, {name: values[rows] for name, values in numbers.items()})
        times_ns = times_ns[rows]
    events = events_of(arrays, rules, silent_source=silent_source)
    return _Replayed(_rows(events, arrays.call, times_ns, begins_ns, names), names)


def numbered_calls(samples: pd.DataFrame) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The number of each row's call, in the order in which calls begin, and their ids; ``""`` without one."""
    codes, names = pd.factorize(samples["call_uuid"], use_na_sentinel=False)
    return np.asarray(codes, dtype=np.int64), [name if isinstance(name, str) else "" for name in names]


def _codes(words: pd.Series, order: Any) -> npt.NDArray[Any]:
    """The words of a category in this order; ``""`` where one is missing."""
    names = np.array([*words.cat.categories, ""], dtype=object)
    made: npt.NDArray[Any] = names[words.cat.codes.to_numpy()[order]]  # code -1, missing, is the last one
    return made


def _after_the_end(call: npt.NDArray[np.int64], interval_s: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """The last sample of each call, where it is shorter than the others."""
    last = np.diff(call, append=-1) != 0
    usual = pd.Series(interval_s[~last]).groupby(call[~last]).median()
    rows = np.flatnonzero(last)
    short = interval_s[rows] < _SHORT * usual.reindex(call[rows]).to_numpy()
    found = np.zeros(len(call), dtype=np.bool_)
    found[rows[short]] = True
    return found


def _rows(
    events: list[RuleEvent],
    call: npt.NDArray[np.int64],
    times_ns: npt.NDArray[np.int64],
    begins_ns: npt.NDArray[np.int64],
    names: list[str],
) -> pd.DataFrame:
    rows = np.array([event.row for event in events], dtype=np.int64)
    of_call = call[rows]
    return pd.DataFrame({
        "time_ns": times_ns[rows],
        "begin_ns": begins_ns[of_call],
        "call_uuid": np.array([*names, ""], dtype=object)[of_call],
        "value": pd.Series([event.value for event in events], dtype=object),
        "active": np.array([event.active for event in events], dtype=np.bool_),
        **{key: pd.Series([getattr(event.rule, key) for event in events], dtype=object) for key in _KEYS},
    })  # fmt: skip


def _frame(events: pd.DataFrame) -> pd.DataFrame:
    ordered = events.sort_values(["time_ns", "begin_ns", "call_uuid"], kind="stable")
    values = {key: ordered[key].tolist() for key in ("value", "active", *_KEYS)}
    values["call_uuid"] = [name or None for name in ordered["call_uuid"]]
    values["level"] = ["warning"] * len(ordered)
    return build_frame("media_metrics", ordered["time_ns"].tolist(), values)
