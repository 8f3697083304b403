"""The engine: one per loop; commands get ids, and reports find who waits for them."""

import asyncio
import logging
import time

import pytest
from call_world import MemoryEngine
from waiting import until

from plivo_nb import Engine, MediaError, NoRunningLoop, PlaneDied
from plivo_nb.engine.engine import media_stack_loads
from plivo_nb.plane import wire


def test_without_a_running_loop_the_error_says_what_to_write() -> None:
    with pytest.raises(NoRunningLoop, match=r"asyncio\.run\(main\(\)\)"):
        Engine()


async def test_a_loop_has_one_engine() -> None:
    assert Engine.current() is Engine.current()
    assert Engine.current().loop is asyncio.get_running_loop()
    assert Engine() is not Engine.current(), "one of your own"


def test_each_loop_has_another() -> None:
    async def current() -> Engine:
        return Engine.current()

    first = asyncio.run(current())
    assert asyncio.run(current()) is not first


def test_the_media_stack_loads_here() -> None:
    assert media_stack_loads()


async def test_a_command_is_answered_by_its_id_also_out_of_order() -> None:
    engine = MemoryEngine(1)
    offer = engine.post(wire.CreateOffer, session=7)
    opened = engine.post(wire.OpenSession, session=8, config=wire.SessionConfig())
    assert await opened is None
    assert (await offer).startswith("v=0")
    await engine.close()


async def test_a_refusal_is_an_error_with_its_code() -> None:
    engine = MemoryEngine(1)
    engine.memory_plane.unusable = True
    with pytest.raises(MediaError, match="Nothing in common") as refused:
        await engine.ask(wire.SetRemote, session=7, type="offer", sdp="v=0")
    assert refused.value.code == "IncompatibleSDP"
    await engine.close()


async def test_reports_find_their_session_and_socket_until_the_route_ends() -> None:
    engine = Engine()
    came: list[wire.Report] = []
    engine.route_session(1, came.append)
    engine.route_socket(2, came.append)
    level, text = wire.Level(1, -20.0, -30.0), wire.Received(2, "OPTIONS", 7.0)
    engine._reports([level, wire.Level(9, 0.0, 0.0), text])
    assert came == [level, text]
    engine.route_session(1, None)
    engine.route_socket(2, None)
    engine._reports([level, text])
    assert came == [level, text]


async def test_a_report_that_cannot_be_handled_is_logged_and_the_next_one_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Engine()
    came: list[wire.Report] = []

    def broken(report: wire.Report) -> None:
        raise RuntimeError("no")

    engine.route_session(1, broken)
    engine.route_session(2, came.append)
    with caplog.at_level(logging.ERROR):
        engine._reports([wire.Level(1, 0.0, 0.0), wire.Level(2, 0.0, 0.0)])
    assert len(came) == 1
    assert "could not be handled" in caplog.text


async def test_a_dead_plane_is_an_error_of_every_command_and_told_to_all() -> None:
    engine = MemoryEngine(1)
    came: list[wire.Report] = []
    engine.route_session(1, came.append)
    engine.route_socket(2, came.append)
    waiting = engine.post(wire.CreateOffer, session=1)
    dead = wire.PlaneDead("The thread ended.")
    engine._reports([dead])
    with pytest.raises(PlaneDied, match="The thread ended"):
        await waiting
    assert came == [dead, dead]
    await engine.close()


async def test_what_a_task_raises_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()

    async def fails() -> None:
        raise RuntimeError("no")

    with caplog.at_level(logging.ERROR):
        engine.spawn(fails(), "errand")
        await until(lambda: "plivo_nb errand failed" in caplog.text)
    await engine.close()


async def test_close_cancels_the_tasks_that_run() -> None:
    engine = Engine()
    task = engine.spawn(asyncio.Event().wait(), "for ever")
    await engine.close()
    assert task.cancelled()


async def test_a_busy_loop_is_seen_while_the_plane_runs() -> None:
    engine = Engine(plane="loop")
    engine._running_plane()
    await asyncio.sleep(0.06)
    began = time.monotonic()
    time.sleep(0.3)
    await until(lambda: max(engine.loop_lag.between_ms(began, time.monotonic()), default=0) > 200)
    await engine.close()


async def test_all_times_are_counted_from_one_reading_of_the_clocks(monkeypatch) -> None:
    engine = Engine(plane="loop")
    engine._running_plane()
    before = time.time_ns()
    assert abs(engine.utc_ns() - before) < 1e9
    monkeypatch.setattr(time, "time_ns", lambda: 0)  # the system's clock is set
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert abs(engine.utc_ns() - before) < 1e9
    assert engine.utc_ns(time.monotonic() - 1) < engine.utc_ns()
    await engine.close()


async def test_an_overload_is_known_and_told_in_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()
    said: list[str] = []
    states: list[bool] = []
    engine.plane_listeners.append(said.append)
    engine.overload_listeners.append(states.append)
    assert not engine.overloaded
    with caplog.at_level(logging.WARNING, "plivo_nb.engine"):
        engine._reports([wire.PlaneOverload(True, 0.42, 40)])
        assert engine.overloaded
        engine._reports([wire.PlaneOverload(False, 0.0, 20)])
    assert states == [True, False]
    assert not engine.overloaded
    assert "cannot keep up with its 40 calls: 42% of its ticks" in said[0]
    assert "keeps up with its calls again" in said[1]
    assert [record.getMessage() for record in caplog.records] == said


async def test_less_effort_of_the_encoders_is_told() -> None:
    engine = Engine()
    said: list[str] = []
    engine.plane_listeners.append(said.append)
    engine._reports([wire.PlaneEffort(True, 30), wire.PlaneEffort(False, 5)])
    assert "so that all 30 calls are in time" in said[0]
    assert "full effort again" in said[1]
