"""The plane: its lifetime, its ticker and its executor."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest
from waiting import until

from plivo_nb.audio_types import FRAME_S
from plivo_nb.errors import PlaneDied
from plivo_nb.plane import wire
from plivo_nb.plane.effort import REDUCED_COMPLEXITY
from plivo_nb.plane.plane import DaemonExecutor, Plane


async def test_name_resolution_runs_in_daemon_threads() -> None:
    loop = asyncio.get_running_loop()
    executor = DaemonExecutor()
    assert await loop.run_in_executor(executor, lambda: threading.current_thread().daemon)
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(executor, lambda: 1 // 0)


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
    meters = ()

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.levels_after: list[int] = []
        self.skipped = self.late = 0
        self.limits: list[int] = []
        self.works_s = 0.0

    def tick(self, now: float) -> None:
        self.ticks.append(now)
        time.sleep(self.works_s)

    def report_levels(self) -> None:
        self.levels_after.append(len(self.ticks))

    def limit_complexity(self, limit: int) -> None:
        self.limits.append(limit)

    def skip(self, ticks: int, late: int) -> None:
        self.skipped += ticks
        self.late += late


async def ticking(stall_s: float) -> tuple[Ticked, float]:
    """A plane on this loop that stands still once, in the middle of a second."""
    plane = Plane()
    plane.run_on(asyncio.get_running_loop(), lambda batch: None)
    session: Any = Ticked()
    executor = await until(lambda: plane._executor)
    assert executor is not None
    executor.sessions[1] = session
    plane._sessions_changed()
    started = time.monotonic()
    await asyncio.sleep(0.3)
    time.sleep(stall_s)
    await asyncio.sleep(0.3)
    elapsed = time.monotonic() - started
    executor.sessions.clear()
    plane._sessions_changed()
    await plane.aclose()
    return session, elapsed


async def test_ticks_are_made_at_absolute_times() -> None:
    session, elapsed = await ticking(0.0)
    assert len(session.ticks) + session.skipped == pytest.approx(elapsed / FRAME_S, abs=2)
    assert session.levels_after == list(range(5, len(session.ticks) + 1, 5))


async def test_a_slightly_late_tick_is_made_up_for() -> None:
    session, elapsed = await ticking(0.03)
    assert len(session.ticks) + session.skipped == pytest.approx(elapsed / FRAME_S, abs=2)
    assert session.skipped <= 3  # the test's own machine may be busy


async def test_after_a_stall_the_late_ticks_are_skipped() -> None:
    session, elapsed = await ticking(0.5)
    assert session.skipped == pytest.approx(24, abs=3)
    assert len(session.ticks) + session.skipped == pytest.approx(elapsed / FRAME_S, abs=2)
    assert session.skipped < session.late <= session.skipped + 4  # the two that were caught up with, too
    ticks = np.array(session.ticks)
    assert max(np.sum((ticks >= t) & (ticks < t + FRAME_S)) for t in ticks) <= 3


def overloads(reports: list[wire.Report]) -> list[wire.PlaneOverload]:
    return [report for report in reports if isinstance(report, wire.PlaneOverload)]


async def test_a_plane_that_cannot_keep_up_says_so_and_says_when_it_can_again() -> None:
    reports: list[wire.Report] = []
    plane = Plane()
    plane.run_on(asyncio.get_running_loop(), reports.extend)
    session: Any = Ticked()
    session.works_s = 1.5 * FRAME_S  # more than there is time for
    executor = await until(lambda: plane._executor)
    assert executor is not None
    executor.sessions[1] = session
    plane._sessions_changed()
    await until(lambda: any(isinstance(report, wire.PlaneOverload) for report in reports), 15)
    session.works_s = 0.0
    await until(
        lambda: len([report for report in reports if isinstance(report, wire.PlaneOverload)]) == 2, 15
    )
    began, ended = (report for report in reports if isinstance(report, wire.PlaneOverload))
    assert (began.overloaded, began.sessions, ended.overloaded) == (True, 1, False)
    assert 0.3 < began.late_share <= 1.0
    assert plane.late_ticks == session.late >= session.skipped == plane.skipped_ticks > 0
    executor.sessions.clear()
    plane._sessions_changed()
    await plane.aclose()


async def test_an_overload_ends_with_the_last_session() -> None:
    reports: list[wire.Report] = []
    plane = Plane()
    plane.run_on(asyncio.get_running_loop(), reports.extend)
    session: Any = Ticked()
    session.works_s = 1.5 * FRAME_S
    executor = await until(lambda: plane._executor)
    assert executor is not None
    executor.sessions[1] = session
    plane._sessions_changed()
    await until(lambda: len(overloads(reports)) == 1, 15)
    executor.sessions.clear()
    plane._sessions_changed()
    await until(lambda: len(overloads(reports)) == 2, 5)
    assert reports[-1] == wire.PlaneOverload(False, 0.0, 0)
    await plane.aclose()


async def test_encoders_take_less_time_while_ticks_last_long_also_those_of_new_sessions() -> None:
    reports: list[wire.Report] = []
    plane = Plane()
    plane.run_on(asyncio.get_running_loop(), reports.extend)
    first: Any = Ticked()
    second: Any = Ticked()
    first.works_s = 0.7 * FRAME_S
    executor = await until(lambda: plane._executor)
    assert executor is not None
    executor.sessions[1] = first
    plane._sessions_changed()
    await until(lambda: wire.PlaneEffort(True, 1) in reports, 10)
    executor.sessions[2] = second
    plane._sessions_changed()
    first.works_s = 0.0
    await until(lambda: wire.PlaneEffort(False, 2) in reports, 10)
    assert first.limits[0] == second.limits[-1] == 10
    assert REDUCED_COMPLEXITY in first.limits
    assert second.limits[0] == REDUCED_COMPLEXITY
    executor.sessions.clear()
    plane._sessions_changed()
    await plane.aclose()
