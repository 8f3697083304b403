"""The queue of reports: batches, order, and what is dropped."""

from __future__ import annotations

import asyncio
import time

import pytest

from plivo_nb.plane import outbox as outbox_module
from plivo_nb.plane import wire
from plivo_nb.plane.outbox import Outbox


def sample(number: int) -> wire.Sample:
    return wire.Sample(number, None)  # type: ignore[arg-type]  # the row does not matter here


async def test_reports_come_in_batches_and_in_order() -> None:
    batches: list[list[wire.Report]] = []
    box = Outbox(asyncio.get_running_loop(), batches.append)
    for number in range(5):
        box.put(wire.Ok(number))
    assert batches == []
    await asyncio.sleep(0)
    assert batches == [[wire.Ok(n) for n in range(5)]]
    box.put(wire.Ok(9))
    await asyncio.sleep(0)
    assert batches[1:] == [[wire.Ok(9)]]


async def test_levels_are_dropped_first_and_the_oldest_samples_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "SAMPLES_KEPT", 3)
    monkeypatch.setattr(outbox_module, "LEVELS_WAIT_BELOW", 4)
    got: list[wire.Report] = []
    box = Outbox(asyncio.get_running_loop(), got.extend)
    for number in range(5):
        box.put(sample(number))
        box.put(wire.Level(number, 0, 0))
        box.put(wire.SessionState(number, "ice", "connected", 0.0))
    await asyncio.sleep(0)
    assert [r.session for r in got if isinstance(r, wire.Sample)] == [2, 3, 4]
    assert [r.session for r in got if isinstance(r, wire.SessionState)] == [0, 1, 2, 3, 4]
    assert [r.session for r in got if isinstance(r, wire.Level)] == [0]
    assert box.dropped == 2 + 4


async def test_a_receiver_that_raises_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(batch: list[wire.Report]) -> None:
        raise ValueError("no")

    box = Outbox(asyncio.get_running_loop(), refuse)
    box.put(wire.Ok(1))
    await asyncio.sleep(0)
    assert "receiver of a batch" in caplog.text


async def test_a_closed_loop_is_nobody_to_tell() -> None:
    closed = asyncio.new_event_loop()
    closed.close()
    box = Outbox(asyncio.get_running_loop(), print, closed)
    box.put(wire.Ok(1))
    box.put_last(wire.PlaneDead("over"))


async def test_nothing_follows_the_put_last() -> None:
    got: list[wire.Report] = []
    box = Outbox(asyncio.get_running_loop(), got.extend)
    box.put(wire.Ok(1))
    box.put_last(wire.PlaneDead("over"))
    box.put(wire.Ok(2))
    await asyncio.sleep(0)
    assert got == [wire.Ok(1), wire.PlaneDead("over")]


async def test_a_flood_of_frames_is_delivered_in_turns_of_10_ms_and_in_order() -> None:
    got: list[wire.Report] = []

    def slow(batch: list[wire.Report]) -> None:
        time.sleep(0.001)
        got.extend(batch)

    loop = asyncio.get_running_loop()
    box = Outbox(loop, slow)
    sent: list[wire.Report] = [wire.Received(1, str(number), 0.0) for number in range(100)]
    sent[50:50] = [wire.Ok(1), wire.SocketState(1, "closed", 1000, "", 0.0)]
    for report in sent:
        box.put(report)
    longest = 0.0
    while len(got) < len(sent):
        began = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - began)
        assert len(got) < len(sent) or longest < 0.15
    assert got == sent


async def test_sockets_wait_while_too_many_frames_or_bytes_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "FRAMES_WAIT_BELOW", 3)
    monkeypatch.setattr(outbox_module, "FRAME_BYTES_WAIT_BELOW", 1000)
    got: list[wire.Report] = []
    box = Outbox(asyncio.get_running_loop(), got.extend)
    for frames in ([b"x"] * 3, ["x" * 1000]):
        got.clear()
        for frame in frames:
            await box.room()
            box.put(wire.Received(1, frame, 0.0))
        waiting = asyncio.ensure_future(box.room())
        assert not waiting.done()
        assert got == []
        await asyncio.wait_for(waiting, 1)
        assert [report.data for report in got if isinstance(report, wire.Received)] == frames


async def test_the_end_delivers_all_that_waits() -> None:
    got: list[wire.Report] = []

    def slow(batch: list[wire.Report]) -> None:
        time.sleep(0.003)
        got.extend(batch)

    box = Outbox(asyncio.get_running_loop(), slow)
    for number in range(20):
        box.put(wire.Received(1, str(number), 0.0))
    box.finish()
    assert len(got) == 20
