"""Measured loss and round-trip time agree with what the lab's network did, over thirty seconds."""

import asyncio

import pytest
from waiting import until

from plivo_nb import Lab, Tone, speech_path

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_loss_and_round_trip_are_measured_as_they_were_set() -> None:
    # A lab of its own: its settings must not reach the calls of other tests.
    async with Lab(seed=11) as lab, lab.client() as client:
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
        call.play(speech_path(), loop=True)
        await lab.network.set(loss=0.05, delay_ms=100)
        await asyncio.sleep(1.5)
        before, samples_before = await lab.network.counters(), len(call.samples)
        await asyncio.sleep(30)
        after, samples = await lab.network.counters(), call.samples.iloc[samples_before:]
        await call.hangup()

    def change(direction: str, name: str) -> int:
        return after[direction][name] - before[direction][name]

    lost, arrived = samples["packets_lost_in"].sum(), samples["packets_in"].sum()
    measured = lost / (lost + arrived)
    done = change("to_caller", "rtp_dropped") / change("to_caller", "rtp_seen")
    assert done > 0.02
    assert measured == pytest.approx(done, abs=0.005)
    assert samples["rtt_ms"].median() == pytest.approx(200, rel=0.15)
    lost_out = samples["packets_lost_out"].sum()
    done_out = change("to_callee", "rtp_dropped")
    assert lost_out == pytest.approx(done_out, abs=0.01 * change("to_callee", "rtp_seen"))


async def test_pcmu_is_measured_too(lab: Lab, clients) -> None:
    client = clients(codecs=["PCMU"])
    await client.login("carol", lab.password("carol"))
    call = await client.call("echo")
    call.play(Tone(440.0))
    await until(lambda: len(call.samples) and call.samples["level_in_dbfs"].iloc[-1] > -30)
    last = call.samples.iloc[-1]
    assert last["codec"] == "PCMU"
    assert last["bitrate_out_kbps"] == pytest.approx(64, abs=20)
    await call.hangup()
