"""The times of SIP messages, set-up and lag are true while a cell blocks the kernel's loop."""

import asyncio
import time

import pytest
from waiting import until

from plivo_nb import Client, Lab

pytestmark = pytest.mark.asyncio(loop_scope="session")
BLOCKED_S = 2.0


@pytest.mark.alone
async def test_a_blocked_cell_does_not_change_the_times_of_a_bye(lab: Lab, alice: Client) -> None:
    call = await alice.call("echo")
    await asyncio.sleep(0.3)
    began, began_utc_s = time.monotonic(), time.time()
    ending = call.hangup()
    time.sleep(BLOCKED_S)
    await ending
    await until(lambda: call.sip_trace["cseq"].str.endswith("BYE").sum() == 2)
    bye = call.sip_trace[call.sip_trace["cseq"].str.endswith("BYE")]
    sent, response = [at.timestamp() for at in bye.index]
    assert bye["direction"].tolist() == ["out", "in"]
    assert sent - began_utc_s == pytest.approx(0, abs=0.03)
    assert 0 <= response - sent < 3 * 0.03, "the server's answer came in the time that the cell was busy"
    assert call.timings["ended"] - began == pytest.approx(0, abs=0.03)


async def test_a_far_end_that_hangs_up_while_a_cell_is_busy_did_so_at_its_time(
    lab: Lab, alice: Client
) -> None:
    call = await alice.call("hangs-up-after-1")
    answered = call.timings["answered"]
    time.sleep(BLOCKED_S)
    assert call.phase == "answered", "the kernel does not know it yet"
    await call.ended
    assert call.timings["ended"] - answered == pytest.approx(1, abs=0.3)
    assert alice.calls["duration_s"].iloc[-1] == pytest.approx(1, abs=0.3)
    received, answer = call.sip_trace.index[-2:]
    assert call.sip_trace["direction"].tolist()[-2:] == ["in", "out"]
    assert (answer - received).total_seconds() > 0.5, "our answer waited for the cell"


async def test_the_set_up_is_timed_by_the_wire(lab: Lab, alice: Client) -> None:
    operation = alice.call("echo")
    await until(lambda: alice.sip_trace["start"].tolist().count("INVITE") == 2)  # with credentials
    slept = time.monotonic()
    time.sleep(BLOCKED_S)
    call = await operation
    times = call.timings
    assert times["answered"] - slept < BLOCKED_S / 2, "the 200 came while the cell was busy"
    assert times["dialled"] <= times["invite_sent"] <= times["ringing"] <= times["answered"]
    await call.hangup()


async def test_two_clients_see_the_whole_stall_once_each(lab: Lab, alice: Client, bob: Client) -> None:
    calls = [await client.call("echo") for client in (alice, bob)]
    await asyncio.sleep(0.7)
    time.sleep(1.5)
    await asyncio.sleep(1.3)
    for client, call in zip((alice, bob), calls, strict=True):
        await call.hangup()
        lags = call.samples["loop_lag_ms"]
        assert (lags > 1200).sum() == 1, lags.tolist()
        row = client.calls.iloc[-1]
        assert row["stalls"] >= 1
        assert row["packets_in"] == call.samples["packets_in"].sum() > 50
        assert (row["loss_in"], row["codec"]) == (0, "OPUS")
        assert row["mos_min"] <= row["mos_p5"] <= row["mos_mean"] <= 4.5
        assert client.calls.index.is_monotonic_increasing
