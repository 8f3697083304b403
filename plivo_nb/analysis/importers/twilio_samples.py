"""Samples of Twilio's Voice SDK (its ``sample`` event, RTCSample), JSON lines, a list, or under ``samples``.

A sample has the growth of one second and, under ``totals``, the sums since the call began; jitter and round
trip are in ms. Its levels are no levels of the sound but means over a coarse spectrum in dB, scaled to
0 .. 32767: loud speech has 5000 to 9000. Only 0 says something here: silence.
(https://twilio.github.io/twilio-voice.js/interfaces/RTCSample.html)
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from plivo_nb.analysis.importers.audio_report import AudioReport
from plivo_nb.analysis.importers.imported_call import ImportedCall, frames_of
from plivo_nb.analysis.importers.source import mapping, milliseconds, number, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivo_nb.analysis.call_frames import CallFrames
    from plivo_nb.analysis.importers.source import Source

Sample = dict[str, Any]

_OWN_KEYS = {
    "packetsLostFraction",
    "audioInputLevel",
    "audioOutputLevel",
    "mos",
    "rtt",
    "codecName",
    "totals",
}
_ENOUGH = 3  # of these keys
_UNDER = ("samples", "data", "payload", "metrics", "sample")
_DEEPEST = 4
_SNAKE = re.compile(r"_([a-z])")


def recognises(source: Source) -> bool:
    """Whether there is such a sample in it."""
    return next(_samples(_content(source)), None) is not None


def read(source: Source) -> CallFrames:
    """The calls in it: one, or one for each callSid."""
    calls: dict[str, ImportedCall] = {}
    counted: dict[str, dict[str, float]] = {}
    used = _content(source)
    source.warn_of_damage(used)
    for sample in _samples(used):
        name = word(sample.get("callSid")) or source.name
        call = calls.setdefault(name, ImportedCall(name))
        report = _report(sample, counted.setdefault(name, {}))
        call.reports.append((milliseconds(sample.get("timestamp")), report))
    for call in calls.values():
        if call.reports and call.reports[0][0] == call.reports[0][0]:
            call.started_ms = call.reports[0][0] - 1e3  # a sample is about the second before it
    return frames_of(calls.values(), source.warnings)


def _content(source: Source) -> Any:
    return source.lines if len(source.lines) > 1 else source.document


def _samples(value: Any, depth: int = 0) -> Iterator[Sample]:
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _samples(item, depth + 1)
    elif isinstance(value, dict):
        sample = {_SNAKE.sub(lambda match: match[1].upper(), key): item for key, item in value.items()}
        if len(sample.keys() & _OWN_KEYS) >= _ENOUGH and "type" not in sample:
            yield sample
            return
        for key in _UNDER:
            if isinstance(value.get(key), dict | list):
                yield from _samples(value[key], depth + 1)


def _report(sample: Sample, counted: dict[str, float]) -> AudioReport:
    """The report with the sums; where the sample has none, the growths are added up in `counted`."""
    totals = mapping(sample.get("totals"))
    sums: dict[str, float] = {}
    for name in ("packetsReceived", "packetsLost", "packetsSent", "bytesReceived", "bytesSent"):
        growth, total = number(sample.get(name)), number(totals.get(name))
        counted[name] = (
            total if total == total else counted.get(name, 0.0) + (growth if growth == growth else 0.0)
        )
        if total == total or growth == growth:
            sums[name] = counted[name]
    report = AudioReport(
        steady=True, codec=word(sample.get("codecName")).upper(), score=number(sample.get("mos"))
    )
    received = {
        key: value
        for key, value in sums.items()
        if key in ("packetsReceived", "packetsLost", "bytesReceived")
    }
    received |= _known(
        jitter=number(sample.get("jitter")) * 1e-3, audioLevel=_level(sample.get("audioOutputLevel"))
    )
    report.inbound["in"] = received
    report.outbound["out"] = {
        key: value for key, value in sums.items() if key in ("packetsSent", "bytesSent")
    }
    report.source_level = _level(sample.get("audioInputLevel"))
    report.pair_rtt_s = number(sample.get("rtt")) * 1e-3
    return report


def _known(**values: float) -> dict[str, float]:
    return {key: value for key, value in values.items() if value == value}


def _level(value: Any) -> float:
    """The linear level, where that is known: 0 is silence."""
    return 0.0 if number(value) == 0.0 else math.nan
