"""The rules of mediaMetrics events, as data. `rule_engine` applies them to a call.

A rule says what is measured, when it is over its limit, how many of how many samples must be over it, and
what the event then says.

    Rule        a number of the samples over a limit, in some samples of a window
    SpanRule    the sum of a number over a span of time that falls short of a limit
    EventRule   a state that was reported: gathering, the ICE connection, the microphone

`PRESETS` has two sets: ``v2.1``, the documented rules, and ``sdk-2.2``, those of the published packages.
Rules of your own, alone or beside a preset's:

    >>> quiet = Rule(type="quiet", group="audio", desc="remote_level", stream="remote",
    ...              column="level_in_dbfs", over="<", limit=-40)
    >>> rules = [*V2_1, quiet]  # for Client(rules=rules)
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from plivo_nb.quality import limits
from plivo_nb.quality.sampler import SampleRow

Stream = Literal["local", "remote", "None"]
Comparison = Literal[">", ">=", "<", "<=", "repeats"]
ValueMode = Literal["current", "mean over"]
Exemption = Literal["muted", "held", "silent source"]

_COLUMNS = frozenset(item.name for item in fields(SampleRow) if item.type == "float")
_ANY_CODEC = ""


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Warning:
    """The keys that the events of all rules have.

    Args:
        type, group, desc: as in the event.
        stream: as in the event: ``local`` is what is sent, ``remote`` what is received.
    """

    type: str
    group: str
    desc: str
    stream: Stream = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(_Warning):
    """A number of the samples that is over its limit too often.

    Args:
        type, group, desc: as in the event.
        stream: as in the event: ``local`` is what is sent, ``remote`` what is received.
        column: a column of `plivo_nb.schema("samples")`, in its unit.
        over: how a value that is over the limit compares with it. ``repeats`` has no limit: over are the
            samples of the window with its most frequent value, if at least two have it.
        limit: in the column's unit; or by codec (``{"OPUS": 0.1, "PCMU": 0.2}``, ``""`` for all others).
        window: how many of the last samples count. Of a column that comes from the far end's RTCP reports
            (jitter_out_ms, loss_out, mos_out, rtt_ms), how many of the last reports, unless `interval_s` is
            set: a sample without a new report changes nothing.
        count: raised when at least this many of them are over. A missing sample is not over.
        clear: cleared, once, when at most this many are; a column of the far end's reports also when it
            goes missing.
        value: ``current``, or ``mean over``: the mean of those in the window that are over.
        cleared_value: the value when cleared; None: the last one measured.
        every: evaluated at every n-th sample.
        interval_s: seconds of samples that are merged into one; 0: each sample is taken by itself.
        repeat: raised again at each evaluation, while it lasts.
        unless: when the sample says nothing about this rule: it then counts as missing.

    Raises:
        ValueError: the numbers do not fit together, or there is no such column; the message says which.
    """

    column: str
    over: Comparison
    limit: float | Mapping[str, float] = 0.0
    window: int = 5
    count: int = 3
    clear: int = 0
    value: ValueMode = "current"
    cleared_value: float | None = None
    every: int = 1
    interval_s: float = 0.0
    repeat: bool = False
    unless: tuple[Exemption, ...] = ()

    def __post_init__(self) -> None:
        _check_column(self.type, self.column)
        if self.over not in (*_COMPARE, "repeats"):
            raise ValueError(f"Rule {self.type}: over must be one of > >= < <= repeats, not {self.over!r}.")
        if self.value not in ("current", "mean over"):
            raise ValueError(f"Rule {self.type}: value must be 'current' or 'mean over', not {self.value!r}.")
        if not 0 <= self.clear < self.count <= self.window:
            raise ValueError(
                f"Rule {self.type}: 0 <= clear < count <= window must hold, not "
                f"{self.clear}, {self.count}, {self.window}."
            )
        if self.every < 1 or self.interval_s < 0:
            raise ValueError(f"Rule {self.type}: every must be at least 1 and interval_s at least 0.")

    def is_over(self, value: float, codec: str) -> bool:
        """Whether this value of a call with this codec is over the limit; a missing one (NaN) never is."""
        limit = self.limit
        if isinstance(limit, Mapping):
            limit = limit.get(codec, limit.get(_ANY_CODEC, math.nan))
        compare = _COMPARE.get(self.over)  # none for "repeats": that depends on the whole window
        return compare is not None and compare(value, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRule(_Warning):
    """The sum of a number over any span of `span_s` seconds is less than a limit.

    Args:
        type, group, desc, stream: as in the event; see `Rule`.
        column: a column of `plivo_nb.schema("samples")`, in its unit.
        limit: raised when the sum is less, cleared when it is not.
        span_s: seconds.
        value: the event's value, when raised and when cleared.
        unless: when the sample says nothing about this rule: it is cleared then, and a new span begins.

    Raises:
        ValueError: there is no such column, or no span.
    """

    column: str
    limit: float
    span_s: float
    value: float = 0
    unless: tuple[Exemption, ...] = ()

    def __post_init__(self) -> None:
        _check_column(self.type, self.column)
        if not self.span_s > 0:
            raise ValueError(f"Rule {self.type}: span_s must be above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule(_Warning):
    """A state that was reported. Raised at each change into one of `raised_by`.

    Args:
        type, group, desc, stream: as in the event; see `Rule`.
        what: whose state it is: ``gathering``, ``ice`` or ``microphone``.
        raised_by: states that raise it.
        cleared_by: states that clear it.
        over_by: states that end it without an event, so that it can be raised again.
        value: the event's value; None: the number reported with the state, else the state.
    """

    what: str
    raised_by: frozenset[str]
    cleared_by: frozenset[str] = frozenset()
    over_by: frozenset[str] = frozenset()
    value: float | str | None = None


AnyRule = Rule | SpanRule | EventRule


def _check_column(type_: str, column: str) -> None:
    if column not in _COLUMNS:
        raise ValueError(f"Rule {type_}: samples have no number {column!r}; see plivo_nb.schema('samples').")


# ---------------------------------------------------------------- the presets

_COMMON: tuple[AnyRule, ...] = (
    SpanRule(
        type="no_microphone_access",
        group="audio",
        desc="no audio sent",
        stream="local",
        column="source_bytes",
        limit=limits.MICROPHONE_LIMIT_BYTES,
        span_s=limits.MICROPHONE_SPAN_S,
        unless=("muted", "held", "silent source"),
    ),
    EventRule(
        type="no_microphone_access",
        group="audio",
        desc="lost access to microphone",
        stream="local",
        what="microphone",
        raised_by=frozenset({"lost"}),
        cleared_by=frozenset({"present"}),
        value=0,
    ),
    EventRule(
        type="ice_timeout",
        group="network",
        desc="Possible NAT/Firewall issue",
        what="gathering",
        raised_by=frozenset({"timeout"}),
        over_by=frozenset({"gathering", "complete"}),
    ),
    EventRule(
        type="ice_connection",
        group="network",
        desc="network drop",
        what="ice",
        raised_by=frozenset({"disconnected", "failed"}),
        cleared_by=frozenset({"connected"}),
    ),
)


_LOCAL: dict[str, Any] = {"stream": "local"}
_REMOTE: dict[str, Any] = {"stream": "remote"}
_JITTER: dict[str, Any] = {
    "type": "high_jitter", "group": "network", "over": ">", "limit": limits.JITTER_LIMIT_MS,
}  # fmt: skip
_RTT: dict[str, Any] = {
    "type": "high_rtt", "group": "network", "over": ">", "limit": limits.RTT_LIMIT_MS, "value": "mean over",
}  # fmt: skip
_LOSS: dict[str, Any] = {
    "type": "high_packetloss", "group": "network", "over": ">", "limit": limits.LOSS_LIMITS,
    "value": "mean over",
}  # fmt: skip
_MOS: dict[str, Any] = {"type": "low_mos", "group": "network", "over": "<", "limit": limits.MOS_LIMIT}
_SILENCE: dict[str, Any] = {
    "type": "no_audio_received", "group": "audio", "over": "<=", "limit": limits.SILENCE_LIMIT_DBFS,
    "count": 5,
}  # fmt: skip
_LOCAL_LEVEL: dict[str, Any] = {
    **_LOCAL, "column": "level_out_dbfs", "desc": "local_audio", "unless": ("muted", "held"),
}  # fmt: skip
_REMOTE_LEVEL: dict[str, Any] = {**_REMOTE, "column": "level_in_dbfs", "desc": "remote_audio"}

#: The documented rules.
V2_1: tuple[AnyRule, ...] = (
    Rule(**_JITTER, **_LOCAL, column="jitter_out_ms", desc="jitterLocalMeasures"),
    Rule(**_JITTER, **_REMOTE, column="jitter_in_ms", desc="jitterRemoteMeasures"),
    Rule(**_RTT, column="rtt_ms", desc="high latency"),
    Rule(**_LOSS, **_LOCAL, column="loss_out", desc="packetLossLocalMeasure"),
    Rule(**_LOSS, **_REMOTE, column="loss_in", desc="packetLossRemoteMeasure"),
    Rule(**_MOS, column="mos", desc="mosRemoteMeasure"),
    Rule(**_SILENCE, **_LOCAL_LEVEL),
    Rule(**_SILENCE, **_REMOTE_LEVEL),
    *_COMMON,
)

# When the published packages 2.1.29 to 2.2.21 evaluate their rules, and what is different in these.
_PUBLISHED: dict[str, Any] = {
    "window": 3, "count": 2, "clear": 1, "every": 2, "interval_s": 5.0, "repeat": True, "cleared_value": 0,
}  # fmt: skip
_PUBLISHED_LOSS: dict[str, Any] = {**_LOSS, **_PUBLISHED, "over": ">=", "limit": limits.SDK_2_2_LOSS_LIMITS}
_PUBLISHED_MOS: dict[str, Any] = {**_MOS, **_PUBLISHED, "limit": limits.SDK_2_2_MOS_LIMIT}
_PUBLISHED_SILENCE: dict[str, Any] = {**_SILENCE, **_PUBLISHED, "over": "repeats", "limit": 0.0}

#: The rules of the published packages 2.1.29 to 2.2.21.
SDK_2_2: tuple[AnyRule, ...] = (
    Rule(**_JITTER, **_PUBLISHED, **_LOCAL, column="jitter_out_ms", desc="jitterLocalMeasures"),
    Rule(**_JITTER, **_PUBLISHED, **_REMOTE, column="jitter_in_ms", desc="jitterRemoteMeasures"),
    Rule(**_RTT, **_PUBLISHED, column="rtt_ms", desc="high latency"),
    Rule(**_PUBLISHED_LOSS, **_LOCAL, column="loss_out", desc="packetLossLocalMeasures"),
    Rule(**_PUBLISHED_LOSS, **_REMOTE, column="loss_in", desc="packetLossRemoteMeasures"),
    Rule(**_PUBLISHED_MOS, column="mos", desc="mosRemoteMeasures"),
    Rule(**_PUBLISHED_SILENCE, **_LOCAL_LEVEL),
    Rule(**_PUBLISHED_SILENCE, **_REMOTE_LEVEL),
    *_COMMON,
)

PRESETS: dict[str, tuple[AnyRule, ...]] = {"v2.1": V2_1, "sdk-2.2": SDK_2_2}


def resolve(option: Any) -> tuple[AnyRule, ...]:
    """The rules that the option `rules` names: a preset's name, or rules of your own.

    Raises:
        ValueError: neither; the sentence says what is allowed.
    """
    if isinstance(option, str):
        if option in PRESETS:
            return PRESETS[option]
    elif isinstance(option, Iterable) and not isinstance(option, Mapping):
        own = tuple(option)
        if all(isinstance(rule, Rule | SpanRule | EventRule) for rule in own):
            return own
    names = ", ".join(repr(name) for name in PRESETS)
    raise ValueError(f"Option rules cannot be {option!r}; allowed: {names}, or a list of Rule objects.")
