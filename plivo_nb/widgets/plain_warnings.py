"""mediaMetrics warnings in plain words: what happened, how much, since when, and what helps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plivo_nb.analysis.diagnosis.causes import (
    DEVICE_REMEDY,
    DISTANCE_REMEDY,
    FAR_END_REMEDY,
    FIREWALL_REMEDY,
    MICROPHONE_REMEDY,
    NETWORK_REMEDY,
)
from plivo_nb.quality.limits import verdict
from plivo_nb.quality.sampler import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

#: How many samples, or reports of the far end, the documented rules look at.
RULE_WINDOW = 5
#: The panel of the dashboard that draws a column of `samples`, by its place among `figure.PANELS`.
_PANELS = {"jitter_in_ms": 0, "jitter_out_ms": 0, "rtt_ms": 1, "loss_in": 2, "loss_out": 2, "mos": 3}
_AGES = {column.name: column.age for column in COLUMNS if column.age}


def percent(share: float) -> str:
    """A share (0..1) in percent, with one decimal below 10 %.

    Example:
        >>> percent(0.123), percent(0.0123)
        ('12 %', '1.2 %')
    """
    return f"{100 * share:.{1 if share < 0.0995 else 0}f} %"


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms"


def _seconds(value_ms: float) -> str:
    return f"{value_ms / 1000:.1f} s"


def _score(value: float) -> str:
    return f"MOS {value:.1f}, {verdict(value).word}"


def _level(value: float) -> str:
    return "complete silence" if value <= -99.5 else f"level {value:.0f} dB".replace("-", "−")


def _nothing(_value: float) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class WarningWords:
    """The words of one type of mediaMetrics warning.

    Attributes:
        what: what happens, as a sentence without its full stop.
        name: the same as a noun, in small letters, for lists.
        helps: what the user can do, as one sentence.
        column: the column of `samples` that the rule looks at, or "".
        amount: turns the value into words; for a value that is a word, see `words`.
        words: what the values that are words mean.
        lowest: whether small values are the bad ones.
        shown_for_s: the warning is shown this long; for types that are never cleared.
    """

    what: str
    name: str
    helps: str
    column: str = ""
    amount: Callable[[float], str] = _nothing
    words: tuple[tuple[str, str], ...] = ()
    lowest: bool = False
    shown_for_s: float = math.inf


#: The words by (type, stream) of the event, the worst first.
WARNING_WORDS: dict[tuple[str, str], WarningWords] = {
    ("ice_connection", "None"): WarningWords(
        "The connection to the far end is interrupted",
        "connection interrupted",
        "Check this machine's network. The call reconnects by itself when it can.",
        words=(("disconnected", "no answer"), ("failed", "given up")),
    ),
    ("no_audio_received", "remote"): WarningWords(
        "Nothing can be heard from the far end",
        "silence from the far end",
        FAR_END_REMEDY,
        column="level_in_dbfs",
        amount=_level,
        lowest=True,
    ),
    ("no_microphone_access", "local"): WarningWords(
        "No sound of your microphone is being sent",
        "no sound of the microphone",
        DEVICE_REMEDY,
    ),
    ("no_audio_received", "local"): WarningWords(
        "Your microphone or source is silent",
        "silence from your side",
        MICROPHONE_REMEDY,
        column="level_out_dbfs",
        amount=_level,
        lowest=True,
    ),
    ("high_packetloss", "remote"): WarningWords(
        "Packets are lost on the way to you",
        "packets lost on the way to you",
        NETWORK_REMEDY,
        column="loss_in",
        amount=percent,
    ),
    ("high_packetloss", "local"): WarningWords(
        "Packets are lost on the way from you",
        "packets lost on the way from you",
        NETWORK_REMEDY,
        column="loss_out",
        amount=percent,
    ),
    ("low_mos", "None"): WarningWords(
        "Speech is hard to understand",
        "low MOS",
        "Mend what is worst below: loss, round trip or jitter.",
        column="mos",
        amount=_score,
        lowest=True,
    ),
    ("high_rtt", "None"): WarningWords(
        "Answers come late",
        "long round trip",
        DISTANCE_REMEDY,
        column="rtt_ms",
        amount=_milliseconds,
    ),
    ("high_jitter", "remote"): WarningWords(
        "Packets reach you unevenly",
        "jitter on the way to you",
        NETWORK_REMEDY,
        column="jitter_in_ms",
        amount=_milliseconds,
    ),
    ("high_jitter", "local"): WarningWords(
        "Packets from you arrive unevenly",
        "jitter on the way from you",
        NETWORK_REMEDY,
        column="jitter_out_ms",
        amount=_milliseconds,
    ),
    ("ice_timeout", "None"): WarningWords(
        "Finding a way through the network took long",
        "slow search for network addresses",
        f"If there is no sound, {FIREWALL_REMEDY}",
        amount=_seconds,
        shown_for_s=15.0,
    ),
}
_RANKS = {key: rank for rank, key in enumerate(WARNING_WORDS)}
_WHERE = {"remote": " on the way to you", "local": " on the way from you"}


def words_of(type_: str, stream: str) -> WarningWords:
    """The words of a warning; of a type from a rule of the user's own, its name.

    Args:
        type_: `type` of the mediaMetrics event.
        stream: `stream` of the event: ``local``, ``remote`` or ``None``.

    Example:
        >>> words_of("high_packetloss", "remote").what
        'Packets are lost on the way to you'
    """
    found = WARNING_WORDS.get((type_, stream))
    if found is not None:
        return found
    name = type_.replace("_", " ").strip() or "warning"
    return WarningWords(
        f"{name[0].upper()}{name[1:]}{_WHERE.get(stream, '')}",
        f"{name}{_WHERE.get(stream, '')}",
        "This is a rule of your own (option rules).",
        amount=lambda value: f"{value:g}",
    )


@dataclass(frozen=True, slots=True)
class WarningSpan:
    """A warning from its being raised to its being cleared.

    Attributes:
        type, stream, desc: as in the event.
        value: of the event that raised it.
        since_s: when, in seconds into the call.
        until_s: when it was cleared, likewise; infinity while it is active.
    """

    type: str
    stream: str
    desc: str
    value: Any
    since_s: float
    until_s: float = math.inf

    @property
    def words(self) -> WarningWords:
        """Its words."""
        return words_of(self.type, self.stream)

    @property
    def panel(self) -> int | None:
        """The panel of the dashboard that draws what it is about; None where it is about all of the call."""
        return _PANELS.get(self.words.column)

    def amount(self, recent: Mapping[str, NDArray[np.float64]] | None = None) -> str:
        """How much, in words; "" where there is nothing to measure.

        Args:
            recent: the last samples. The amount is then the worst value of those that the rule looks at:
                the last five samples, or the last five reports of the far end. By default it is the value
                of the event.
        """
        if isinstance(self.value, str):
            return dict(self.words.words).get(self.value, self.value)
        value = float(self.value)
        if recent is not None:
            value = _worst(self.words, recent, value)
        return "" if math.isnan(value) else self.words.amount(value)


def _worst(words: WarningWords, recent: Mapping[str, NDArray[np.float64]], otherwise: float) -> float:
    values = recent.get(words.column)
    if values is None:
        return otherwise
    age, interval = recent.get(_AGES.get(words.column, "")), recent.get("interval_s")
    if age is not None and interval is not None:
        values = values[~(age >= interval)]  # each report once
    values = values[~np.isnan(values)][-RULE_WINDOW:]
    if not len(values):
        return otherwise
    return float(values.min() if words.lowest else values.max())


class WarningSpans:
    """The warnings of one call, from its mediaMetrics events."""

    def __init__(self) -> None:
        self._spans: list[WarningSpan] = []  # in the order of their beginnings
        self._active: dict[tuple[str, str], int] = {}

    def add(self, event: Mapping[str, Any], at_s: float) -> None:
        """Take one event into account. One that is raised again while it lasts changes nothing.

        Args:
            event: a mediaMetrics event with Plivo's keys.
            at_s: its time, in seconds into the call.
        """
        key = str(event["type"]), str(event["desc"])
        if not event["active"]:
            index = self._active.pop(key, None)
            if index is not None:
                self._spans[index] = replace(self._spans[index], until_s=max(at_s, 0.0))
        elif key not in self._active:
            self._active[key] = len(self._spans)
            stream = str(event["stream"])
            self._spans.append(WarningSpan(key[0], stream, key[1], event["value"], max(at_s, 0.0)))

    def end(self, at_s: float) -> None:
        """The call ended: nothing is active any more."""
        for index in self._active.values():
            self._spans[index] = replace(self._spans[index], until_s=max(at_s, self._spans[index].since_s))
        self._active.clear()

    def at(self, at_s: float) -> list[WarningSpan]:
        """The warnings that are active at a time, the worst first."""
        found = [
            span
            for span in self._spans
            if span.since_s <= at_s < min(span.until_s, span.since_s + span.words.shown_for_s)
        ]
        return sorted(
            found, key=lambda span: (_RANKS.get((span.type, span.stream), len(_RANKS)), span.since_s)
        )

    def __iter__(self) -> Iterator[WarningSpan]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)


def spans_of(media_metrics: pd.DataFrame, began: pd.Timestamp) -> WarningSpans:
    """The warnings in the mediaMetrics events of one call.

    Args:
        media_metrics: rows of `client.media_metrics` of this call.
        began: the time of second 0 of the call.
    """
    spans = WarningSpans()
    seconds = (pd.DatetimeIndex(media_metrics.index) - began).total_seconds()
    for at_s, event in zip(seconds, media_metrics.to_dict("records"), strict=True):
        spans.add({str(key): value for key, value in event.items()}, float(at_s))
    return spans


def summary(spans: Iterable[WarningSpan], ended_s: float) -> str:
    """The warnings of a call that has ended, in one sentence, by type in the order of the worst.

    Example:
        >>> span = WarningSpan("high_packetloss", "remote", "packetLossRemoteMeasure", 0.12, 3.0, 17.0)
        >>> summary([span], 60.0)
        'Packets lost on the way to you (14 s).'
    """
    lasted: dict[tuple[str, str], float] = {}
    for span in spans:
        key = span.type, span.stream
        lasted[key] = lasted.get(key, 0.0) + max(0.0, min(span.until_s, ended_s) - span.since_s)
    if not lasted:
        return "No warning in this call."
    parts = []
    for key in sorted(lasted, key=lambda item: _RANKS.get(item, len(_RANKS))):
        words = words_of(*key)
        is_moment = math.isfinite(words.shown_for_s) or lasted[key] < 0.5
        parts.append(words.name if is_moment else f"{words.name} ({lasted[key]:.0f} s)")
    sentence = ", ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."
