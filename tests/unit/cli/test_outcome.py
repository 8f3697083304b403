"""Statistics of the demo's phases."""

from __future__ import annotations

import pandas as pd

from plivo_nb.cli.outcome import network_text, phase_stats
from plivo_nb.quality.frames import SAMPLES, ColumnStore


def samples():
    store = ColumnStore(SAMPLES)
    for row, lost in enumerate([0, 10]):
        store.append(
            row,
            packets_in=50 - lost,
            packets_lost_in=lost,
            packets_out=50,
            packets_lost_out=5,
            mos=4.0 - row,
            rtt_ms=20,
        )
    return store.frame()


def test_losses_are_sums_of_counts_not_means_of_shares():
    relay = {
        "to_callee": {"rtp_seen": 100, "rtp_dropped": 11},
        "to_caller": {"rtp_seen": 100, "rtp_dropped": 10},
    }
    got = phase_stats("whole call", 2, samples(), relay)
    assert (got.loss_in, got.relay_loss_in) == (0.10, 0.10)
    assert (got.loss_out, got.relay_loss_out) == (0.10, 0.11)
    assert (got.mos_min, got.mos_mean, got.rtt_ms) == (3.0, 3.5, 20)


def test_stats_of_nothing_is_missing():
    got = phase_stats("whole call", 2, samples().iloc[:0], {})
    assert pd.isna(
        [got.loss_in, got.loss_out, got.relay_loss_in, got.mos_min, got.mos_mean, got.rtt_ms]
    ).all()


def test_network_settings_as_text():
    assert network_text({"loss": 0.1, "delay_ms": 120, "jitter_ms": 20}) == (
        "network: 10 % loss, 120 ms delay each way, jitter ±20 ms"
    )
