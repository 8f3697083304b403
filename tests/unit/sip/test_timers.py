"""Timers in simulated time."""

from __future__ import annotations

from plivo_nb.sip.timers import Timers


def test_timers_fire_in_order_and_forget_the_cancelled() -> None:
    timers, fired = Timers(), []
    for at in (3.0, 1.0, 2.0, 1.0):
        timers.start(at, lambda now, at=at: fired.append((at, now)))  # type: ignore[misc]
    gone = timers.start(0.5, lambda now: fired.append((0.5, now)))
    gone.cancel()
    gone.cancel()
    assert timers.next_deadline() == 1.0
    assert len(timers) == 4
    timers.advance(2.5)
    assert fired == [(1.0, 2.5), (1.0, 2.5), (2.0, 2.5)]
    assert timers.next_deadline() == 3.0
    for _ in range(5000):
        timers.start(100.0, fired.append).cancel()  # type: ignore[arg-type]
    assert len(timers._heap) < 2000
    timers.advance(3.0)
    assert timers.next_deadline() is None
