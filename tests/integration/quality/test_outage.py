"""A real call over a network that dies, both ways and each way: frame, mediaMetrics, statistics service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pandas as pd
import pytest
import pytest_asyncio
from statistics_service import Collector
from waiting import until

from plivo_nb import Client, Lab, Tone
from plivo_nb.analysis.rule_replay import replay

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def network(lab: Lab) -> AsyncIterator[object]:
    yield lab.network
    await lab.network.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def collector() -> AsyncIterator[Collector]:
    running = Collector()
    await running.start()
    yield running
    await running.stop()


async def through_an_outage(client: Client, network, direction: str, for_s: float) -> tuple[object, int]:
    """A call with sound both ways, its network dead for so long; the call, and where the outage began."""
    call = await client.call("echo")
    call.play(Tone(440.0))
    await until(lambda: len(call.samples) >= 5)
    began = len(call.samples)
    await network.set(black_hole=True, direction=direction)
    await asyncio.sleep(for_s)
    return call, began


def kinds(frame: pd.DataFrame, active: bool) -> set[tuple[str, str]]:
    return {(row.type, row.stream) for row in frame.itertuples() if row.active == active}


def said(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    """The events of the rules that look at samples."""
    kept = frame[frame["type"] != "ice_connection"]
    return [(row.type, row.value, row.active, row.desc, row.stream) for row in kept.itertuples()]


@pytest.mark.spec("6 low_mos", "6 high_packetloss")
async def test_thirteen_seconds_of_a_dead_line_are_thirteen_seconds_of_mos_1(
    lab: Lab, clients: Callable[..., Client], network, collector: Collector
) -> None:
    client = clients(**collector.options)
    await client.login("alice", lab.password("alice"))
    call, began = await through_an_outage(client, network, "both", 13.0)
    dead = call.samples.iloc[began + 1 :]
    assert len(dead) >= 11
    assert set(dead["loss_in"]) == set(dead["mos"]) == set(dead["mos_in"]) == set(dead["mos_g107"]) == {1.0}
    assert not dead["not_sent_in"].any()
    assert dead["rtt_ms"].iloc[-6:].isna().all()
    assert dead["loss_out"].iloc[-6:].isna().all()
    raised = kinds(call.media_metrics, True)
    assert {("low_mos", "None"), ("high_packetloss", "remote"), ("no_audio_received", "remote")} <= raised
    await network.clear()
    await until(lambda: ("low_mos", "None") in kinds(call.media_metrics, False))
    await until(lambda: ("high_packetloss", "remote") in kinds(call.media_metrics, False))
    await call.hangup()
    replayed = replay(call.samples)
    assert said(replayed) == said(call.media_metrics), "a replay says the same as the call did"
    stats = collector.of("CALL_STATS")
    dead_stats = [message for message in stats if message["local"].get("mos") == 1]
    assert len(dead_stats) >= 1, stats
    assert max(message["remote"]["fractionLoss"] or 0 for message in stats) == 1
    assert any(message["local"].get("mos", 0) > 4 for message in stats), "before the outage"


@pytest.mark.parametrize(
    ("direction", "column", "score", "stream"),
    [
        ("to_callee", "loss_out", "mos_out", "local"),
        ("to_caller", "loss_in", "mos_in", "remote"),
    ],
    ids=["what is sent", "what is received"],
)
async def test_one_dead_direction_makes_the_call_a_dead_one(
    lab: Lab,
    clients: Callable[..., Client],
    network,
    direction: str,
    column: str,
    score: str,
    stream: str,
) -> None:
    client = clients()
    await client.login("alice", lab.password("alice"))
    call, began = await through_an_outage(client, network, direction, 8.5)
    dead = call.samples.iloc[began + 3 :]
    assert len(dead) >= 5
    assert set(dead[column]) == set(dead[score]) == set(dead["mos"]) == {1.0}
    if direction == "to_callee":
        assert dead["loss_in"].max() == 0.0, "the other direction is as it was"
    raised = kinds(call.media_metrics, True)
    assert {("low_mos", "None"), ("high_packetloss", stream)} <= raised
    await network.clear()
    await until(lambda: ("low_mos", "None") in kinds(call.media_metrics, False))
    await call.hangup()


async def test_a_call_of_half_a_second_has_a_row(lab: Lab, clients: Callable[..., Client], network) -> None:
    client = clients()
    await client.login("alice", lab.password("alice"))
    call = await client.call("echo")
    await asyncio.sleep(0.5)
    await call.hangup()
    await until(lambda: len(call.samples) == 1)
    row = call.samples.iloc[0]
    assert 0.3 < row["interval_s"] < 1.0
    assert row["packets_out"] > 10
    assert client.calls["call_uuid"].tolist() == [call.call_uuid]
    assert client.calls["mos_mean"].iloc[0] == pytest.approx(row["mos"], nan_ok=True)


@pytest.mark.spec("6 ice_timeout")
async def test_a_shorter_gathering_time_out_reports_its_own_time(
    lab: Lab, clients: Callable[..., Client]
) -> None:
    client = clients(iceServers=[{"urls": "stun:192.0.2.1:3478"}], iceGatheringTimeout=0.5)
    events: list[dict] = []
    client.on("mediaMetrics", events.append)
    await client.login("alice", lab.password("alice"))
    call = await client.call("echo")
    (event,) = [event for event in events if event["type"] == "ice_timeout"]
    assert 500 <= event["value"] < 1500
    await call.hangup()
