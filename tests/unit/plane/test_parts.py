"""The plane's small parts: the way up, the bridge to the sampler, daemon threads, the ticker's rules."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from plivo_nb.errors import PlaneDied
from plivo_nb.media import sdp
from plivo_nb.plane import outbox as outbox_module
from plivo_nb.plane import wire
from plivo_nb.plane.daemon_executor import DaemonExecutor
from plivo_nb.plane.media_session import _codec
from plivo_nb.plane.outbox import Outbox
from plivo_nb.plane.plane import TICK_S, Plane, _SwitchInterval
from plivo_nb.plane.sampling import SessionSampler
from plivo_nb.quality.counters import Counters
from plivo_nb.quality.sampler import ClockAnchor


class Stream:
    """Counters to be read."""

    def __init__(self) -> None:
        self.read = 0
        self.values = Counters()

    def counters(self) -> Counters:
        self.read += 1
        return self.values


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


def test_samples_are_due_each_interval_and_once_after_a_stall() -> None:
    stream: Any = Stream()
    sampler = SessionSampler(ClockAnchor(0, 0.0), 1.0)
    taken = [now for now in (t * TICK_S for t in range(151)) if sampler.due(stream, now) is not None]
    assert taken == pytest.approx([1.0, 2.0, 3.0], abs=TICK_S)
    assert sampler.due(stream, 9.5) is not None
    assert sampler.due(stream, 9.6) is None
    row = sampler.due(stream, 10.02)
    assert row is not None
    assert row.time_monotonic_s == 10.02
    assert row.time_utc_ns == pytest.approx(10.02e9)
    assert stream.read == 5


async def test_name_resolution_runs_in_daemon_threads() -> None:
    loop = asyncio.get_running_loop()
    executor = DaemonExecutor()
    assert await loop.run_in_executor(executor, lambda: threading.current_thread().daemon)
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(executor, lambda: 1 // 0)


def test_the_switch_interval_is_put_back_by_the_last_plane() -> None:
    before = sys.getswitchinterval()
    switching = _SwitchInterval()
    switching.change(1)
    switching.change(1)
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    switching.change(-1)
    assert sys.getswitchinterval() == pytest.approx(0.0005)
    switching.change(-1)
    assert sys.getswitchinterval() == before


def test_a_plane_is_used_once() -> None:
    plane = Plane()
    assert not plane.alive
    with pytest.raises(PlaneDied, match="next call"):
        plane.post(wire.GetStats(1, 1))
    plane.stop()  # one that never ran
    plane.start(lambda batch: None)
    assert plane.alive
    with pytest.raises(RuntimeError, match="another"):
        plane.start(lambda batch: None)
    plane.stop()
    plane.stop()
    assert not plane.alive
    assert not any(t.name == "plivo_nb plane" for t in threading.enumerate())


class Ticked:
    """Stands in a plane for a session, and writes down what the ticker does to it."""

    number = 1
    failed = False

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.skipped = 0

    def tick(self, now: float) -> None:
        self.ticks.append(now)

    def skip(self, ticks: int) -> None:
        self.skipped += ticks


async def ticking(stall_s: float) -> tuple[Ticked, float]:
    """A plane on this loop that stands still once, in the middle of a second."""
    plane = Plane()
    plane.run_on(asyncio.get_running_loop(), lambda batch: None)
    await asyncio.sleep(0)
    session: Any = Ticked()
    desk = plane._executor
    assert desk is not None
    desk.sessions[1] = session
    plane._sessions_changed()
    started = time.monotonic()
    await asyncio.sleep(0.3)
    time.sleep(stall_s)
    await asyncio.sleep(0.3)
    elapsed = time.monotonic() - started
    desk.sessions.clear()
    plane._sessions_changed()
    await plane.aclose()
    return session, elapsed


async def test_ticks_are_made_at_absolute_times() -> None:
    session, elapsed = await ticking(0.0)
    assert len(session.ticks) + session.skipped == pytest.approx(elapsed / TICK_S, abs=2)


async def test_a_slightly_late_tick_is_made_up_for() -> None:
    session, elapsed = await ticking(0.03)
    assert len(session.ticks) + session.skipped == pytest.approx(elapsed / TICK_S, abs=2)
    assert session.skipped <= 3  # the test's own machine may be busy


async def test_after_a_stall_the_late_ticks_are_skipped() -> None:
    session, elapsed = await ticking(0.5)
    assert session.skipped == pytest.approx(24, abs=3)
    assert len(session.ticks) + session.skipped == pytest.approx(elapsed / TICK_S, abs=2)
    ticks = np.array(session.ticks)
    assert max(np.sum((ticks >= t) & (ticks < t + TICK_S)) for t in ticks) <= 3


@pytest.mark.parametrize(
    ("parameters", "fec", "dtx", "bitrate_bps"),
    [
        ("", True, False, 32_000),
        ("useinbandfec=1;usedtx=1", True, True, 32_000),
        ("minptime=10; useinbandfec=0; maxaveragebitrate=20000", False, False, 20_000),
    ],
)
def test_the_encoder_minds_the_peers_wishes(parameters: str, fec: bool, dtx: bool, bitrate_bps: int) -> None:
    codec = _codec(sdp.Format(111, "opus", 48_000, 2, parameters))
    assert (codec.fec, codec.dtx, codec.bitrate_bps) == (fec, dtx, bitrate_bps)
