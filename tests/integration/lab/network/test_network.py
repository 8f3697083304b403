"""The network's knobs in real calls: what the relay did against what the caller measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from waiting import until

from plivo_nb import Call, Lab, Tone

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def call(lab: Lab) -> AsyncIterator[Call]:
    """Alice in a call with echo; the network is clean again afterwards."""
    async with lab.client() as client:
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
        call.play(Tone(440))
        await hears(call)
        try:
            yield call
        finally:
            await lab.network.clear()


async def hears(call: Call) -> None:
    """Wait for media."""
    await until(lambda: "first_rtp_received" in call.timings)


async def inbound(call: Call) -> dict[str, Any]:
    stats = await call.stats()
    return next(entry for entry in stats.values() if entry["type"] == "inbound-rtp")


async def counters(lab: Lab, call: Call) -> dict[str, Any]:
    calls = (await lab.network.counters())["calls"]
    mine: dict[str, Any] = next(entry for entry in calls if entry["call_uuid"] == call.call_uuid)
    return mine


async def reaches(lab: Lab, call: Call, name: str, value: int) -> dict[str, Any]:
    """Wait until a counter of what the caller receives exceeds a value; returns all of these counters."""

    async def counted() -> dict[str, Any] | None:
        relay: dict[str, Any] = (await counters(lab, call))["to_caller"]
        return relay if relay[name] > value else None

    return await until(counted)


async def drained(lab: Lab, call: Call) -> dict[str, Any]:
    """The counters of what the caller receives, once the caller has counted later packets too."""
    relay = (await counters(lab, call))["to_caller"]

    async def has_later_packets() -> bool:
        return bool((await inbound(call))["packetsReceived"] > relay["rtp_forwarded"] + 10)

    await until(has_later_packets)
    return (await counters(lab, call))["to_caller"]


async def test_the_caller_counts_the_packets_that_the_relay_dropped(lab: Lab, call: Call) -> None:
    await lab.network.set(loss=0.2, seed=3)
    await reaches(lab, call, "rtp_dropped", 20)
    await lab.network.clear()
    relay = await drained(lab, call)
    heard = await inbound(call)
    assert relay["rtp_dropped"] > 15
    assert abs(heard["packetsLost"] - relay["rtp_dropped"]) <= 1
    assert abs(heard["packetsReceived"] - relay["rtp_forwarded"]) <= 15  # those that came while we asked
    assert relay["dropped_lost"] == relay["rtp_dropped"] + relay["rtcp_dropped"]


async def test_the_round_trip_is_what_was_set(lab: Lab, call: Call) -> None:
    await lab.network.set(delay_ms=150)

    def measured() -> list[float] | None:
        found = [value for value in call.samples["rtt_ms"].dropna() if value > 200]
        return found if len(found) >= 3 else None

    rtts = await until(measured, interval_s=0.2)
    assert rtts is not None
    assert sorted(rtts)[len(rtts) // 2] == pytest.approx(300, rel=0.15)


async def test_duplicates_and_reordering_are_not_loss(lab: Lab, call: Call) -> None:
    await lab.network.set(duplicate=0.3, delay_ms=60, jitter_ms=40)
    await reaches(lab, call, "duplicated", 20)
    await until(lambda: call.samples["jitter_in_ms"].max() > 10)
    await lab.network.clear()
    relay = await drained(lab, call)
    assert relay["rtp_dropped"] == 0
    assert (await inbound(call))["packetsLost"] <= 0  # RFC 3550: a duplicate counts as received


async def test_a_slow_bottleneck_drops_at_its_queue(lab: Lab, call: Call) -> None:
    await lab.network.set(rate_kbps=20, queue_ms=100, direction="to_caller")
    await reaches(lab, call, "dropped_queue_full", 30)
    assert (await counters(lab, call))["to_callee"]["dropped_queue_full"] == 0


async def test_a_call_lives_through_a_short_black_hole(lab: Lab, call: Call) -> None:
    await lab.network.set(black_hole=True)
    await reaches(lab, call, "dropped_black_hole", 100)
    await lab.network.clear()
    received = (await inbound(call))["packetsReceived"]

    async def receives_again() -> bool:
        return bool((await inbound(call))["packetsReceived"] > received + 25)

    await until(receives_again)
    assert call.phase == "answered"


async def test_a_call_is_set_up_over_a_lossy_slow_network(lab: Lab) -> None:
    await lab.network.set(loss=0.2, delay_ms=200, jitter_ms=30)
    try:
        async with lab.client() as client:
            await client.login("bob", lab.password("bob"))
            call = await client.call("tone-1000")
            await hears(call)
            assert call.media_setup_s > 0.4
            await call.hangup()
    finally:
        await lab.network.clear()


async def test_the_log_holds_every_packet_of_the_call(lab: Lab, call: Call) -> None:
    await lab.network.set(loss=0.3, delay_ms=20)
    await reaches(lab, call, "rtp_dropped", 5)
    await lab.network.clear()
    await drained(lab, call)
    frame = await lab.network.log()
    mine = frame[
        (frame.call_uuid == call.call_uuid) & (frame.kind == "rtp") & (frame.direction == "to_caller")
    ]
    lost = (mine.fate == "lost").sum()
    assert lost == (await counters(lab, call))["to_caller"]["rtp_dropped"] > 5
    assert mine.delay_ms[mine.fate == "forwarded"].max() == pytest.approx(20, abs=0.01)
    assert len(await lab.network.log(last=10)) == 10


async def test_the_same_seed_loses_the_same_packets_in_two_calls(lab: Lab) -> None:
    async def fates() -> list[str]:
        async with lab.client() as client:
            await client.login("carol", lab.password("carol"))
            await lab.network.set(loss=0.25, seed=11)
            call = await client.call("tone-1000")
            await reaches(lab, call, "rtp_seen", 80)
            await call.hangup()
            frame = await lab.network.log()
            mine = frame[(frame.call_uuid == call.call_uuid) & (frame.kind == "rtp")]
            return list(mine.fate[mine.direction == "to_caller"])[:60]

    try:
        first, second = await fates(), await fates()
    finally:
        await lab.network.clear()
    assert first == second
    assert 5 < first.count("lost") < 30
