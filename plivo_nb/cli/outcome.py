"""The results of the demo: statistics of the call and of its phases, beside the relay's own counters."""

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
class PhaseStats:
    """Statistics of one phase, or of the whole call.

    Losses are shares of packets, 0..1. Those named `relay_*` are counted by the lab's relay.
    """

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
    """Results of the demo; `correlation` and `coverage` are those of the first phase (`compare.Match`)."""

    login_s: float
    post_dial_delay_s: float
    media_setup_s: float
    codec: str
    packets_sent: int
    packets_received: int
    whole: PhaseStats
    phases: tuple[PhaseStats, ...]
    correlation: float
    coverage: float
    files: tuple[Path, ...]

    @property
    def speech_came_back(self) -> bool:
        """True if the sound received in the first phase matches the sound that was sent."""
        return self.correlation > GOOD_CORRELATION and self.coverage > GOOD_COVERAGE


def phase_stats(name: str, seconds: float, samples: pd.DataFrame, relay: dict[str, Any]) -> PhaseStats:
    """Statistics of these samples; `relay` has the relay's counters by direction."""

    def total(column: str) -> float:
        return float(samples[column].sum(min_count=1))

    return PhaseStats(
        name,
        seconds,
        relay_loss_out=_relay_loss(relay.get("to_callee", {})),
        loss_out=_ratio(total("packets_lost_out"), total("packets_out")),
        relay_loss_in=_relay_loss(relay.get("to_caller", {})),
        loss_in=_ratio(total("packets_lost_in"), total("packets_in") + total("packets_lost_in")),
        rtt_ms=float(samples["rtt_ms"].median()),
        mos_min=float(samples["mos"].min()),
        mos_mean=float(samples["mos"].mean()),
    )


def call_stats(
    seconds: float, samples: pd.DataFrame, relay: dict[str, Any], stats: dict[str, dict[str, Any]]
) -> PhaseStats:
    """Statistics of the whole call. Losses are from the final W3C statistics, complete to the end."""
    received, reported = stats.get("inbound-rtp", {}), stats.get("remote-inbound-rtp", {})
    return replace(
        phase_stats("whole call", seconds, samples, relay),
        loss_in=_loss_by_stats(received),
        loss_out=_loss_by_stats(reported),
    )


def _loss_by_stats(stats: dict[str, Any]) -> float:
    lost = stats.get("packetsLost", 0)
    return _ratio(lost, lost + stats.get("packetsReceived", 0))


def _relay_loss(counters: dict[str, int]) -> float:
    return _ratio(counters.get("rtp_dropped", 0), counters.get("rtp_seen", 0))


def _ratio(lost: float, total: float) -> float:
    return float(lost / total) if total > 0 else math.nan


def network_text(network: dict[str, Any]) -> str:
    """A short description of the network settings."""
    return (
        f"network: {100 * network['loss']:.0f} % loss, {network['delay_ms']:.0f} ms delay each way, "
        f"jitter ±{network['jitter_ms']:.0f} ms"
    )
