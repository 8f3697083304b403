"""A process that cannot keep up with its call: it says so, and nobody blames the network."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from waiting import until

from plivo_nb import Client, Engine, Tone
from plivo_nb.analysis import diagnose

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.alone
async def test_late_ticks_are_in_the_samples_the_log_and_the_diagnosis(alice: Client) -> None:
    engine = Engine.current()
    call = await alice.call("echo")
    call.play(Tone(440))
    await until(lambda: len(call.samples) > 1)
    plane = engine._running_plane()
    loop = plane._loop
    assert loop is not None

    def work() -> None:
        """More than there is time for in a tick."""
        if plane.alive and busy:
            time.sleep(0.05)
            loop.call_later(0.001, work)

    busy: list[Callable[[], None]] = [work]
    loop.call_soon_threadsafe(work)
    try:
        await until(lambda: engine.overloaded, 20)
    finally:
        await until(lambda: (call.samples["late_ticks"] > 5).sum() >= 5, 20)
        busy.clear()
    await until(lambda: not engine.overloaded, 20)
    await call.hangup()
    said = alice.log[alice.log["event"] == "I/O plane"]["text"].tolist()
    assert "cannot keep up with its" in said[-2]
    assert "keeps up with its calls again" in said[-1]
    found = diagnose(call.samples)
    assert "overloaded" in [finding.cause for finding in found]
    assert not {"robotic", "lag", "choppy"} & {finding.cause for finding in found}
