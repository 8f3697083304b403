"""plane.sampling: what a stream counts is what its samples say, a second at a time."""

from __future__ import annotations

import math

from media_network import OPUS, Given, Pair, speech_like

from plivo_nb.plane.sampling import SessionSampler
from plivo_nb.quality.sampler import ClockAnchor, SampleRow


def sampled(pair: Pair, seconds: int) -> list[SampleRow]:
    sampler = SessionSampler(ClockAnchor(0, 0.0), 1.0)
    rows = []
    for _ in range(seconds * 10):
        pair.run(0.1)
        row = sampler.due(pair.b, pair.now)
        rows += [row] if row is not None else []
    return rows


def test_reordered_and_recovered_packets_are_columns_of_the_samples() -> None:
    pair = Pair(OPUS, seed=3)
    pair.a.source = Given(speech_like(20.0, OPUS.clock_rate))
    pair.ab.loss, pair.ab.delay_s, pair.ab.jitter_s = 0.1, 0.1, 0.04
    rows = sampled(pair, 20)
    last = pair.b.counters()
    reordered, recovered = (
        sum(row.packets_reordered for row in rows),
        sum(row.packets_recovered for row in rows),
    )
    assert reordered > 20
    assert recovered > 20
    assert last.packets_reordered - 10 <= reordered <= last.packets_reordered
    assert last.packets_recovered - 10 <= recovered <= last.packets_recovered <= pair.ab.dropped


def test_a_clean_network_reorders_and_recovers_nothing() -> None:
    pair = Pair(OPUS)
    pair.a.source = Given(speech_like(5.0, OPUS.clock_rate))
    rows = sampled(pair, 5)
    assert {(row.packets_reordered, row.packets_recovered) for row in rows} == {(0, 0)}
    assert math.isnan(rows[0].loss_out) or rows[0].loss_out == 0
