"""The mediaMetrics rules on samples, worked out again from the words of Plivo's page and its packages.

Nothing of the product is used. Each sample's events are found from all samples up to it; nothing is carried
over but whether a warning is raised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Sample = dict[str, Any]
Events = list[tuple[int, str, str, bool, float]]  # index of the sample, type, stream, active, value

FAR_END = {"jitter_out_ms": "report_age_s", "loss_out": "report_age_s", "rtt_ms": "rtt_age_s"}


@dataclass(frozen=True)
class Warning_:
    type: str
    stream: str
    column: str
    over: Callable[[float, str], bool]
    mean_over: bool = False


def loss_limit(codec: str) -> float:
    return {"OPUS": 0.10, "PCMU": 0.20, "PCMA": 0.20}[codec]


V2_1 = [
    Warning_("high_jitter", "local", "jitter_out_ms", lambda value, _: value > 30),
    Warning_("high_jitter", "remote", "jitter_in_ms", lambda value, _: value > 30),
    Warning_("high_rtt", "None", "rtt_ms", lambda value, _: value > 400, mean_over=True),
    Warning_("high_packetloss", "local", "loss_out", lambda value, codec: value > loss_limit(codec), True),
    Warning_("high_packetloss", "remote", "loss_in", lambda value, codec: value > loss_limit(codec), True),
    Warning_("low_mos", "None", "mos", lambda value, _: value < 3),
]
SDK_2_2 = [
    *V2_1[:3],
    Warning_(
        "high_packetloss",
        "local",
        "loss_out",
        lambda v, codec: v >= (0.10 if codec == "OPUS" else 0.02),
        True,
    ),
    Warning_(
        "high_packetloss",
        "remote",
        "loss_in",
        lambda v, codec: v >= (0.10 if codec == "OPUS" else 0.02),
        True,
    ),
    Warning_("low_mos", "None", "mos", lambda value, _: value < 3.5),
]


def known(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def raised_value(warning: Warning_, window: Sequence[Sample], measured: Sequence[float]) -> float:
    """The mean of those over, or the current one."""
    if not warning.mean_over:
        return measured[-1]
    over = [s[warning.column] for s in window if warning.over(s[warning.column], s["codec"])]
    return sum(over) / len(over)


def is_over(warning: Warning_, sample: Sample) -> bool:
    value = sample[warning.column]
    return not math.isnan(value) and warning.over(value, sample["codec"])


def v2_1(samples: Sequence[Sample]) -> Events:
    """At least 3 of the last 5 are over: raised; none is: cleared, once. Levels: 5 of 5 at most -70 dBFS.

    The window of values that come from the far end's reports is its last five reports; they are cleared also
    when they go missing.
    """
    events: Events = []
    for warning in V2_1:
        events += _v2_1_of(warning, samples)
    for stream, column in (("local", "level_out_dbfs"), ("remote", "level_in_dbfs")):
        events += _silence(stream, column, samples)
    return sorted(events)


def _v2_1_of(warning: Warning_, samples: Sequence[Sample]) -> Events:
    events: Events = []
    raised = False
    far_end = warning.column in FAR_END
    for index, sample in enumerate(samples):
        past = samples[: index + 1]
        missing = math.isnan(sample[warning.column])
        if far_end:
            age = FAR_END[warning.column]
            past = [s for s in past if not math.isnan(s[warning.column]) and s[age] < s["interval_s"]]
            is_new = not missing and sample[age] < sample["interval_s"]
        else:
            is_new = True
        window = past[-5:]
        over = sum(is_over(warning, s) for s in window)
        measured = known([s[warning.column] for s in past])
        if not raised and is_new and over >= 3:
            raised = True
            events.append(
                (index, warning.type, warning.stream, True, raised_value(warning, window, measured))
            )
        elif raised and (over == 0 or (far_end and missing)):
            raised = False
            events.append((index, warning.type, warning.stream, False, measured[-1]))
    return events


def _silence(stream: str, column: str, samples: Sequence[Sample]) -> Events:
    events: Events = []
    raised = False
    for index in range(len(samples)):
        levels = [_level(stream, s, column) for s in samples[: index + 1]]
        silent = [level <= -70 for level in levels[-5:]]
        if not raised and len(silent) == 5 and all(silent):
            raised = True
            events.append((index, "no_audio_received", stream, True, known(levels)[-1]))
        elif raised and not any(silent):
            raised = False
            events.append((index, "no_audio_received", stream, False, known(levels)[-1]))
    return events


def _level(stream: str, sample: Sample, column: str) -> float:
    """Our own silence says nothing while we are muted or do not send."""
    ours = stream == "local" and (sample["muted"] or sample["direction"] in ("recvonly", "inactive"))
    return math.nan if ours else float(sample[column])


def sdk_2_2(samples: Sequence[Sample], mos: Callable[..., float]) -> Events:
    """A sample each 5 s, looked at at every second one over the last three, of which two are over.

    Raised again while it lasts; cleared with the value 0 when at most one of the three is over. Silence is
    two equal levels of three.

    Args:
        samples: one a second, without a gap.
        mos: the score of (rtt_ms, jitter_ms, loss, codec).
    """
    fives = [_five(samples[at : at + 5], mos) for at in range(0, len(samples) - 4, 5)]
    events: Events = []
    for warning in SDK_2_2:
        raised = False
        for number in range(1, len(fives), 2):
            window = fives[max(0, number - 2) : number + 1]
            measured = known([s[warning.column] for s in fives[: number + 1]])
            index = 5 * number + 4
            if sum(is_over(warning, s) for s in window) >= 2:
                raised = True
                value = raised_value(warning, window, measured)
                events.append((index, warning.type, warning.stream, True, value))
            elif raised:
                raised = False
                events.append((index, warning.type, warning.stream, False, 0))
    for stream, column in (("local", "level_out_dbfs"), ("remote", "level_in_dbfs")):
        events += _repeats(stream, column, fives)
    return sorted(events)


def _repeats(stream: str, column: str, fives: Sequence[Sample]) -> Events:
    events: Events = []
    raised = False
    for number in range(1, len(fives), 2):
        levels = [_level(stream, s, column) for s in fives[: number + 1]]
        window = known(levels[-3:])
        if any(window.count(level) >= 2 for level in window):
            raised = True
            events.append((5 * number + 4, "no_audio_received", stream, True, known(levels)[-1]))
        elif raised:
            raised = False
            events.append((5 * number + 4, "no_audio_received", stream, False, 0))
    return events


def _five(samples: Sequence[Sample], mos: Callable[..., float]) -> Sample:
    """One sample of five: loss over all packets and all reports of the time, scores from that."""
    last = dict(samples[-1])
    last["loss_in"] = _share([(s["loss_in"], s["packets_expected_in"]) for s in samples])
    if not math.isnan(last["loss_out"]):
        reports = [s for s in samples if s["report_age_s"] < s["interval_s"]]
        if reports:
            last["loss_out"] = _share([(s["loss_out"], s["packets_expected_out"]) for s in reports])
    directions = (("jitter_in_ms", "loss_in"), ("jitter_out_ms", "loss_out"))
    scores = [
        1.0 if last[loss] == 1 else mos(last["rtt_ms"], last[jitter], last[loss], last["codec"])
        for jitter, loss in directions
    ]
    last["mos"] = min(known(scores), default=math.nan)
    return last


def _share(parts: Sequence[tuple[float, float]]) -> float:
    """Lost packets by expected packets; a time in which nothing arrived counts as the average of the rest."""
    parts = [(loss, expected) for loss, expected in parts if not math.isnan(loss)]
    flowing = [expected for _, expected in parts if expected]
    usual = sum(flowing) / len(flowing) if flowing else 1.0
    whole = sum(expected or usual for _, expected in parts)
    return sum(loss * (expected or usual) for loss, expected in parts) / whole if parts else math.nan


def mos(rtt_ms: float, jitter_ms: float, loss: float, codec: str) -> float:
    """The score of one direction by the Browser SDK's formula, to 3 decimals; 1 where nothing arrives."""
    if loss == 1:
        return 1.0
    if math.isnan(rtt_ms + jitter_ms + loss):
        return math.nan
    latency = rtt_ms + 2 * jitter_ms + 10
    rating = 95.0 if codec == "OPUS" else 93.2
    rating -= latency / 40 if latency < 160 else (latency - 120) / 10
    rating -= 250 * loss
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    score = 1 + 0.035 * rating + 0.000007 * rating * (rating - 60) * (100 - rating)
    return round(min(max(score, 1.0), 4.5), 3)


def call_statistics(samples: Sequence[Sample]) -> dict[str, float | None]:
    """What a CALL_STATS message says about these samples: delays in whole ms, loss 0..1, the call's MOS."""
    five = _five(samples, mos)

    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    def whole(value: float) -> float | None:
        return None if math.isnan(value) else round(value)

    return {
        "rtt": whole(five["rtt_ms"]),
        "jitter": whole(five["jitter_out_ms"]),
        "fractionLoss": number(five["loss_out"]),
        "mos": number(five["mos"]),
        "jitter_in": whole(five["jitter_in_ms"]),
        "fractionLoss_in": number(five["loss_in"]),
    }
