"""Rules applied to recorded samples: what other rules would have said of the same call.

The live rule engine does the work, so that a replay gives the events that the call itself would have had.
Rules about states (`EventRule`: gathering, the ICE connection, the microphone) have nothing to go by, because
samples do not carry states: they are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivo_nb.analysis.call_frames import conformed
from plivo_nb.analysis.figures import calls_of
from plivo_nb.quality.frames import build_frame
from plivo_nb.quality.rule_engine import RuleEngine
from plivo_nb.quality.rules import resolve
from plivo_nb.quality.sampler import COLUMNS, SampleRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from plivo_nb.quality.rule_engine import Event
    from plivo_nb.quality.rules import AnyRule

_WORDS = tuple(column.name for column in COLUMNS if column.kind == "category")
_NAMES = tuple(column.name for column in COLUMNS)
_EVENT_KEYS = ("group", "level", "type", "value", "active", "desc", "stream")
_SHORT = 0.9  # a last sample of less than this share of an interval came after the call's end


def replay(
    samples: pd.DataFrame,
    rules: str | Sequence[AnyRule] = "v2.1",
    *,
    silent_source: bool = False,
    ended: bool = True,
) -> pd.DataFrame:
    """The mediaMetrics events that rules give for recorded samples.

    Args:
        samples: of one call or many, such as `client.samples` or what `plivo_nb.read` gives; columns that
            are missing count as not measured.
        rules: the name of a preset (`plivo_nb.quality.rules.PRESETS`), or a list of `Rule` and `SpanRule`
            objects. Rules about states are left out: samples carry no states.
        silent_source: the calls were made with silence as their source, on purpose.
        ended: the calls are over. The last sample of such a call, which is shorter than the others, comes
            after its end, and no rule looks at it.

    Returns:
        A row an event, as `plivo_nb.schema("media_metrics")` describes; the index is the end of the sample
        that raised or cleared it (UTC).

    Raises:
        ValueError: there is no such preset, or the list has something else in it.

    Example:
        >>> import pandas as pd
        >>> index = pd.date_range("2026-11-25", periods=6, freq="s", tz="UTC")
        >>> samples = pd.DataFrame({"call_uuid": "a", "interval_s": 1.0, "jitter_in_ms": 80.0}, index)
        >>> events = replay(samples, "v2.1")
        >>> events[["type", "value", "active"]].to_numpy().tolist()
        [['high_jitter', 80.0, True]]
    """
    chosen = resolve(rules)
    times_ns: list[int] = []
    rows: list[dict[str, Any]] = []
    for call_uuid, call in calls_of(conformed("samples", samples)):
        for time_ns, event in _events(_rows(call, ended), chosen, silent_source):
            times_ns.append(time_ns)
            rows.append({"call_uuid": call_uuid or None, **event})
    return build_frame(
        "media_metrics", times_ns, {key: [row[key] for row in rows] for key in ("call_uuid", *_EVENT_KEYS)}
    )


def _events(
    rows: Iterator[SampleRow], rules: Sequence[AnyRule], silent_source: bool
) -> Iterator[tuple[int, Event]]:
    engine: RuleEngine | None = None
    for row in rows:
        if engine is None:
            engine = RuleEngine(rules, started_at_s=row.time_monotonic_s - row.interval_s)
        for event in engine.sample(row, silent_source=silent_source):
            yield row.time_utc_ns, event


def _rows(call: pd.DataFrame, ended: bool) -> Iterator[SampleRow]:
    """The samples as the live rule engine gets them."""
    times_ns = call.index.as_unit("ns").asi8  # type: ignore[attr-defined]
    columns: dict[str, list[Any]] = {name: call[name].tolist() for name in _NAMES}
    for name in _WORDS:
        columns[name] = call[name].astype(object).where(call[name].notna(), "").tolist()
    intervals_s = call["interval_s"]
    count = len(call)
    if ended and count > 1 and intervals_s.iloc[-1] < _SHORT * intervals_s.iloc[:-1].median():
        count -= 1
    for at in range(count):
        yield SampleRow(
            time_utc_ns=int(times_ns[at]),
            time_monotonic_s=(int(times_ns[at]) - int(times_ns[0])) / 1e9,
            **{name: values[at] for name, values in columns.items()},
        )
