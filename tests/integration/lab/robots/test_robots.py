"""A call to each of the lab's robots: what the caller hears, and the events it gets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from hearing import Ear
from waiting import stays, until

from plivo_nb import Call, CallFailed, Client, Lab, LabError, Tone
from plivo_nb.dtmf_table import DTMF_HZ

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextlib.asynccontextmanager
async def calling(client: Client, number: str, **headers: str) -> AsyncIterator[tuple[Call, Ear]]:
    call = await client.call(number, {name.replace("_", "-"): value for name, value in headers.items()})
    ear = Ear()
    call.add_sink(ear)
    yield call, ear
    if call.phase != "over":
        await call.hangup()


@pytest_asyncio.fixture(loop_scope="session")
async def alice(lab: Lab) -> AsyncIterator[Client]:
    """Alice with room for several calls that ring."""
    async with lab.client(allowMultipleIncomingCalls=True) as client:
        await client.login("alice", lab.password("alice"))
        yield client


async def test_echo_sends_back_what_it_hears(alice: Client) -> None:
    async with calling(alice, "echo") as (call, ear):
        call.play(Tone(440))
        await until(lambda: ear.level(440) > 0.05)
        assert ear.level(1000) < 0.01


async def test_echo_delay_sends_it_back_a_second_later(alice: Client) -> None:
    async with calling(alice, "echo-delay") as (call, ear):
        call.play(Tone(440))
        began = time.monotonic()
        await until(lambda: ear.level(440, 0.1) > 0.05)
        assert 0.9 < time.monotonic() - began < 4.0


async def test_tone(alice: Client) -> None:
    async with calling(alice, "tone-1000") as (_, ear):
        await until(lambda: ear.level(1000) > 0.1)


async def test_speech_is_loud_and_changes(alice: Client) -> None:
    async with calling(alice, "speech") as (_, ear):
        await until(lambda: ear.peak(0.3) > 0.1 and len(ear.frames) > 60)
        levels = [float(np.sqrt(np.mean(np.square(frame.astype(float))))) for frame in ear.frames[10:]]
        assert np.std(levels) > 0.2 * np.mean(levels)


async def test_music_on_hold_plays_its_first_chord(alice: Client) -> None:
    async with calling(alice, "music-on-hold") as (_, ear):
        await until(lambda: ear.level(261.63, 0.7) > 0.01 and ear.level(329.63, 0.7) > 0.01)


async def test_silence_answers_and_its_packets_flow(alice: Client) -> None:
    async with calling(alice, "silence") as (_, ear):
        await until(lambda: len(ear.frames) > 30)
        assert ear.peak() < 0.001


@pytest.mark.parametrize(
    ("number", "cause", "code"),
    [
        ("busy", "Busy", 486),
        ("reject", "Rejected", 603),
        ("nobody", "Not Found", 404),
        ("carol", "Unavailable", 480),
    ],
)
async def test_those_who_do_not_answer(alice: Client, number: str, cause: str, code: int) -> None:
    with pytest.raises(CallFailed) as failed:
        await alice.call(number)
    assert failed.value.cause == cause
    assert failed.value.call_info is not None
    assert failed.value.call_info.code == code
    assert failed.value.call_info.callUUID


async def test_no_answer_rings_until_it_is_given_up(alice: Client) -> None:
    operation = alice.call("no-answer")
    await until(lambda: operation.call.phase == "ringing")
    await stays(lambda: operation.call.phase == "ringing", 1.0)
    info = await alice.hangup()
    assert info.state == "canceled"
    with pytest.raises(CallFailed):
        await operation


async def test_ring_n_rings_for_n_seconds(alice: Client) -> None:
    async with calling(alice, "ring-1") as (call, _):
        assert 0.9 < call.timings["answered"] - call.timings["ringing"] < 4.0


async def test_hangs_up_after_n(alice: Client) -> None:
    async with calling(alice, "hangs-up-after-1") as (call, _):
        info = await call.ended
        assert (info.state, info.originator) == ("ended", "remote")
        assert 0.8 < call.timings["ended"] - call.timings["answered"] < 4.0


async def test_early_media_is_heard_before_the_answer(alice: Client) -> None:
    operation = alice.call("early-media")
    ear = Ear()
    operation.call.add_sink(ear)
    await until(lambda: ear.level(1000, 0.3) > 0.1)
    assert operation.call.phase == "ringing"
    call = await operation
    assert call.timings["answered"] - call.timings["first_rtp_received"] > 1.0
    await call.hangup()


async def test_dtmf_is_given_back_as_tones_and_as_dtmf(alice: Client) -> None:
    heard: list[str] = []
    alice.on("onDtmfReceived", lambda event: heard.append(event["tone"]))
    async with calling(alice, "dtmf") as (call, ear):
        await until(lambda: len(ear.frames) > 10)
        await call.send_dtmf("5")
        low, high = DTMF_HZ["5"]
        await until(lambda: ear.highest_level(low) > 0.05 and ear.highest_level(high) > 0.05)
        await call.send_dtmf("#0")
        await until(lambda: heard == ["5", "#", "0"])


async def test_digits_go_in_the_rtp_where_the_robot_offers_it(alice: Client, lab: Lab) -> None:
    heard: list[str] = []
    alice.on("onDtmfReceived", lambda event: heard.append(event["tone"]))
    async with calling(alice, "dtmf-rfc4733") as (call, _):

        def offered() -> bool:
            frame = lab.events
            return "telephone-event" in set(frame[frame.call_uuid == call.call_uuid]["what"])

        await until(offered)
        before = (await lab.status())["requests"]
        await call.send_dtmf("42")
        await until(lambda: heard == ["4", "2"])
        after = (await lab.status())["requests"]
        assert after.get("INFO", 0) == before.get("INFO", 0)
        digits = lab.events[lab.events.what == "dtmf"]
        assert list(digits[digits.call_uuid == call.call_uuid].detail) == ["4", "2"]


async def test_holds_puts_the_caller_on_hold_and_goes_on(alice: Client, lab: Lab) -> None:
    async with calling(alice, "holds") as (call, ear):
        call.play(Tone(440))
        await until(lambda: ear.level(440) > 0.05)

        def done() -> list[str]:
            frame = lab.events
            return list(frame[frame.call_uuid == call.call_uuid]["what"])

        await until(lambda: "hold" in done())
        await until(lambda: ear.level(440) < 0.01)  # we may only receive: nothing of ours comes back
        await until(lambda: call.on_hold)
        await until(lambda: "resume" in done())
        await until(lambda: ear.level(440) > 0.05)
        await until(lambda: not call.on_hold)
        assert call.phase == "answered"
    await until_idle(lab)


async def test_one_way_answers_and_nothing_arrives(alice: Client, lab: Lab) -> None:
    async with calling(alice, "one-way") as (call, ear):

        async def relayed() -> dict[str, Any]:
            calls = (await lab.network.counters())["calls"]
            return next(entry for entry in calls if entry["call_uuid"] == call.call_uuid)

        async def both_have_sent() -> bool:
            mine = await relayed()
            return bool(mine["to_callee"]["rtp_forwarded"] > 20 and mine["to_caller"]["rtp_seen"] > 20)

        await until(both_have_sent)
        dropped = (await relayed())["to_caller"]
        assert dropped["rtp_seen"] == dropped["rtp_dropped"]
        assert "first_rtp_received" not in call.timings
        assert ear.peak() == 0


async def test_forked_rings_twice_and_one_answers(alice: Client, lab: Lab) -> None:
    async with calling(alice, "forked") as (_, ear):
        await until(lambda: ear.level(1000) > 0.1)
    await until_idle(lab)


async def test_headers_come_back_in_a_call(alice: Client) -> None:
    came: list[Any] = []
    alice.on("onIncomingCall", lambda caller, headers, info: came.append(dict(headers)))
    async with calling(alice, "headers", X_PH_Test="one", X_PH_Other="2"):
        pass
    await until(lambda: came)
    assert came == [{"X-PH-Test": "one", "X-PH-Other": "2"}]
    await alice.reject()


async def test_the_lab_rings_a_user_with_several_calls(alice: Client, lab: Lab) -> None:
    came: list[Any] = []
    alice.on(
        "onIncomingCall", lambda caller, headers, info: came.append((caller, dict(headers), info.callUUID))
    )
    calls = await lab.call("alice", n=3, headers={"X-PH-Campaign": "7"}, role="tone-1000")
    assert [call["state"] for call in calls] == ["ringing"] * 3
    assert {uuid for _, _, uuid in came} == {call["call_uuid"] for call in calls}
    assert all(headers == {"X-PH-Campaign": "7"} for _, headers, _ in came)
    assert len({caller for caller, _, _ in came}) == 3
    call = await alice.answer(calls[0]["call_uuid"])
    ear = Ear()
    call.add_sink(ear)
    await until(lambda: ear.level(1000) > 0.1)
    assert alice.incoming_calls == []
    await call.hangup()
    await until_idle(lab)


async def test_a_call_to_who_is_not_there_is_told(lab: Lab) -> None:
    calls = await lab.call("carol")
    assert [(call["state"], call["cause"]) for call in calls] == [("failed", "Unavailable")]
    with pytest.raises(LabError, match="robot can call as 'busybody'"):
        await lab.call("carol", role="busybody")


async def test_a_robots_call_can_end_itself(alice: Client, lab: Lab) -> None:
    await lab.call("alice", role="hangs-up-after-1")
    call = await alice.answer()
    info = await call.ended
    assert (info.state, info.originator) == ("ended", "remote")
    with pytest.raises(LabError, match="can call as 'one-way'"):
        await lab.call("alice", role="one-way")


async def test_several_calls_to_one_number_at_once(lab: Lab) -> None:
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(lab.client()) for _ in range(3)]
        for name, client in zip(("alice", "bob", "carol"), clients, strict=True):
            await client.login(name, lab.password(name))
        calls = [await operation for operation in [client.call("echo") for client in clients]]
        ears = [Ear() for _ in calls]
        for index, (call, ear) in enumerate(zip(calls, ears, strict=True)):
            call.add_sink(ear)
            call.play(Tone(400 + 200 * index))
        await until(lambda: all(ear.level(400 + 200 * i) > 0.05 for i, ear in enumerate(ears)))
        assert all(ear.level(400 + 200 * ((i + 1) % 3)) < 0.02 for i, ear in enumerate(ears))
        for call in calls:
            await call.hangup()


async def until_idle(lab: Lab) -> None:
    async def no_calls() -> bool:
        return not (await lab.status())["calls"]

    await until(no_calls)
