"""Samples, mediaMetrics and CALL_STATS of calls over bad networks, against what the networks did.

A part of the grid of bench/analyst_grid.py: each two values of different knobs meet once. The calls are
alone on the machine, side by side.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pandas as pd
import pytest
import pytest_asyncio
from bench import analyst_grid as bench

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.alone]

#: A test machine is not as quiet as the one on which the bench is run.
SLACK = {"loss": 1, "jitter": 3, "rtt": 3}

#: A machine that adds more to a round trip by itself cannot measure 3 ms: something else runs on it.
QUIET_MS = 3.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls(tmp_path_factory: pytest.TempPathFactory) -> list[bench.Observed]:
    """A call for each condition, in two turns."""
    conditions = bench.pairwise()
    half = (len(conditions) + 1) // 2
    observed: list[bench.Observed] = []
    for number, part in enumerate((conditions[:half], conditions[half:])):
        folder: Path = tmp_path_factory.mktemp(f"turn{number}")
        observed += await bench.observe(part, folder)
    await asyncio.to_thread(bench.decode, observed)
    return observed


@pytest.mark.timeout(200)
async def test_loss_jitter_and_round_trip_time_are_those_of_the_network(calls: list[bench.Observed]) -> None:
    if (own_ms := bench.own_delay_ms(calls)) > QUIET_MS:
        pytest.skip(f"The machine is busy: it adds {own_ms:.1f} ms to each round trip.")
    table = pd.DataFrame({str(call.condition): bench.differences(call) for call in calls}).T
    limits = pd.Series({name: bench.limit_of(name) * SLACK[name.split("_")[0]] for name in table})
    over = table[(table > limits).any(axis=1)]
    assert len(table) == len(calls)
    assert over.empty, f"\n{over.round(3).to_string()}"


@pytest.mark.timeout(200)
@pytest.mark.spec("6 high_jitter", "6 high_rtt", "6 high_packetloss", "6 low_mos", "6 no_audio_received")
async def test_scores_media_metrics_and_call_stats_are_what_the_samples_demand(
    calls: list[bench.Observed],
) -> None:
    faults = [fault for call in calls for fault in bench.faults(call)]
    assert faults == [], "\n".join(faults)
    kinds = {
        (row.type, row.active)
        for call in calls
        for row in call.media_metrics.itertuples()
        if row.type != "ice_connection"
    }
    raised = {name for name, active in kinds if active}
    assert raised >= {"high_jitter", "high_rtt", "high_packetloss", "low_mos", "no_audio_received"}
    assert {name for name, active in kinds if not active} == raised


async def test_each_two_values_of_different_knobs_meet_in_the_short_grid() -> None:
    def pairs(conditions: list[bench.Condition]) -> set[object]:
        rows = [(c.codec, c.loss, c.burst, c.delay_ms, c.jitter_ms, c.outage) for c in conditions]
        return {pair for row in rows for pair in bench._pairs(row)}

    assert pairs(bench.pairwise()) == pairs(bench.grid())
    assert len(bench.pairwise()) < len(bench.grid()) / 5
