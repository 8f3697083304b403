"""Calls continue over bad networks: long round trips, a black hole, a new address."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from waiting import stays, until

from plivo_nb import Call, Client, Lab, Tone

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]

LOST_AFTER_S = 30.0  # aioice's own consent checks end a call then, when its round trip is above 0.5 s


@pytest_asyncio.fixture(loop_scope="session")
async def call(lab: Lab, alice: Client) -> AsyncIterator[Call]:
    """Alice hears her echo; the network is clean again afterwards."""
    call = await alice.call("echo")
    call.play(Tone(440))
    await heard(call)
    try:
        yield call
    finally:
        await lab.network.clear()


async def heard(call: Call, more: int = 20) -> None:
    """Wait for that many more packets."""

    async def received() -> int:
        packets: int = (await of(call, "inbound-rtp"))["packetsReceived"]
        return packets

    begin = await received()

    async def enough() -> bool:
        return await received() >= begin + more

    await until(enough, timeout_s=12, interval_s=0.1)


async def of(call: Call, kind: str) -> dict[str, Any]:
    stats = await call.stats()
    return next((entry for entry in stats.values() if entry["type"] == kind), {"packetsReceived": 0})


def unplug(protocol: Any) -> None:
    """Make a socket neither send nor receive, as if its address had been removed."""
    protocol.sock = None
    protocol.transport.sendto = lambda data, address: None
    protocol.datagram_received = lambda data, address: None


async def gaps_to_the_far_end(lab: Lab, since: float) -> list[float]:
    """Seconds between the packets of ours that the lab's relay passed on."""
    log = await lab.network.log()
    mine = log[(log["direction"] == "to_callee") & (log["kind"] == "rtp") & (log["fate"] == "forwarded")]
    times = [at for at in mine.index.as_unit("ns").asi8 / 1e9 if at > since]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


async def test_a_round_trip_of_800_ms_is_lived_with(lab: Lab, call: Call) -> None:
    await lab.network.set(delay_ms=400)
    await stays(lambda: call.phase == "answered", LOST_AFTER_S + 5, interval_s=0.1)
    pair = await of(call, "candidate-pair")
    assert pair["currentRoundTripTime"] == pytest.approx(0.8, abs=0.3)
    assert pair["responsesReceived"] >= 8
    await heard(call)


async def test_eight_black_seconds_are_told_and_survived(lab: Lab, alice: Client, call: Call) -> None:
    told: list[tuple[str, bool]] = []
    alice.on(
        "mediaMetrics",
        lambda metric: (
            told.append((metric["value"], metric["active"])) if metric["type"] == "ice_connection" else None
        ),
    )
    black_until = time.monotonic() + 8
    await lab.network.set(black_hole=True)
    await until(lambda: told == [("disconnected", True)], timeout_s=8, describe=lambda: told)
    await stays(lambda: told == [("disconnected", True)], black_until - time.monotonic())
    await lab.network.clear()
    await until(lambda: told[1:] == [("connected", False)], timeout_s=5)
    await heard(call)
    assert call.phase == "answered"


async def test_a_new_address_costs_less_than_three_seconds(lab: Lab, call: Call) -> None:
    ssrc = (await of(call, "outbound-rtp"))["ssrc"]
    plane = call._session.media._engine._plane
    transport = next(iter(plane._executor.sessions.values())).transport
    former = transport.ice_ufrag
    since = time.time() - 0.5
    for protocol in transport._current._protocols:
        unplug(protocol)
    await lab.faults.drop_socket("alice", code=1006)
    await until(lambda: transport.ice_ufrag != former, describe=lambda: transport.ice_ufrag)
    await heard(call)
    gaps = await gaps_to_the_far_end(lab, since)
    assert 0.2 < max(gaps) < 3, f"{max(gaps):.2f} s"
    assert call.phase == "answered"
    assert (await of(call, "outbound-rtp"))["ssrc"] == ssrc
