"""engine.loop_lag: every reader sees the whole lag, and each lag once."""

import asyncio
import itertools
import time

from waiting import until

from plivo_nb.engine.loop_lag import LoopLag


async def test_a_stall_is_in_one_interval_of_every_reader() -> None:
    lag = LoopLag(asyncio.get_running_loop())
    lag.start()
    began = time.monotonic()
    await asyncio.sleep(0.06)
    time.sleep(0.3)
    await until(lambda: len(lag.between_ms(began, time.monotonic())) > 4)
    lag.stop()
    ended = time.monotonic()
    for parts in (3, 7):  # two calls whose samples are made at other times
        step = (ended - began) / parts
        bounds = [began + step * number for number in range(parts)] + [ended]
        seen = [lag.between_ms(*pair) for pair in itertools.pairwise(bounds)]
        assert sum(map(len, seen)) == len(lag.between_ms(began, ended))
        assert sum(any(ms > 200 for ms in part) for part in seen) == 1
    assert 200 < max(lag.between_ms(began, ended)) < 1000


async def test_nothing_is_measured_after_stop() -> None:
    lag = LoopLag(asyncio.get_running_loop())
    lag.start()
    lag.start()
    lag.stop()
    lag.stop()
    await asyncio.sleep(0.12)
    assert lag.between_ms(0, time.monotonic()) == []
