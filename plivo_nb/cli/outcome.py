"""What comes of the demo: numbers of the whole call and of its parts, beside what the relay counted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

GOOD_CORRELATION = 0.8
GOOD_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class Score:
    """Numbers of a stretch of the call, or of all of it. Losses are 0..1; `relay_*`: dropped by the relay."""

    name: str
    seconds: float
    relay_loss_out: float
    loss_out: float
    relay_loss_in: float
    loss_in: float
    rtt_ms: float
    mos_min: float
    mos_mean: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; `correlation` and `coverage` (`analysis.compare.Match`) of the first, clean part."""

    login_s: float
    post_dial_delay_s: float
    media_setup_s: float
    codec: str
    packets_sent: int
    packets_received: int
    whole: Score
    phases: tuple[Score, ...]
    correlation: float
    coverage: float
    files: tuple[Path, ...]

    @property
    def speech_came_back(self) -> bool:
        """True when what was heard in the clean part is what was sent."""
        return self.correlation > GOOD_CORRELATION and self.coverage > GOOD_COVERAGE


def score(name: str, seconds: float, samples: pd.DataFrame, relay: dict[str, Any]) -> Score:
    """The numbers of these samples, beside what the relay counted by direction."""

    def total(column: str) -> float:
        return float(samples[column].sum(min_count=1))

    return Score(
        name,
        seconds,
        relay_loss_out=_dropped(relay.get("to_callee", {})),
        loss_out=_lost(total("packets_lost_out"), total("packets_out")),
        relay_loss_in=_dropped(relay.get("to_caller", {})),
        loss_in=_lost(total("packets_lost_in"), total("packets_in") + total("packets_lost_in")),
        rtt_ms=float(samples["rtt_ms"].median()),
        mos_min=float(samples["mos"].min()),
        mos_mean=float(samples["mos"].mean()),
    )


def whole_score(
    seconds: float, samples: pd.DataFrame, relay: dict[str, Any], stats: dict[str, dict[str, Any]]
) -> Score:
    """The numbers of the whole call: losses by its final stats, which count what no sample covers too."""
    received, reported = stats.get("inbound-rtp", {}), stats.get("remote-inbound-rtp", {})
    return replace(
        score("whole call", seconds, samples, relay),
        loss_in=_lost_by(received),
        loss_out=_lost_by(reported),
    )


def _lost_by(stats: dict[str, Any]) -> float:
    lost = stats.get("packetsLost", 0)
    return _lost(lost, lost + stats.get("packetsReceived", 0))


def _dropped(counters: dict[str, int]) -> float:
    return _lost(counters.get("rtp_dropped", 0), counters.get("rtp_seen", 0))


def _lost(lost: float, all_of_them: float) -> float:
    return float(lost / all_of_them) if all_of_them > 0 else math.nan


def knobs_text(knobs: dict[str, Any]) -> str:
    """What was done to the network, in a few words."""
    return (
        f"network: {100 * knobs['loss']:.0f} % loss, {knobs['delay_ms']:.0f} ms delay each way, "
        f"jitter ±{knobs['jitter_ms']:.0f} ms"
    )
