"""The drawing process, for real: started, fed, killed, closed."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plivo_nb.widgets.render_worker import RenderError, RenderWorker

REQUEST: dict[str, Any] = {"title": "Call with echo", "loss_limit": 10.0, "window_s": 60.0}


def columns(rows: int = 5, scale: float = 1.0) -> dict[str, np.ndarray]:
    names = ("t", "jitter_in", "jitter_out", "rtt", "loss_in", "loss_out", "mos_in", "mos_out")
    return {name: np.arange(rows, dtype=float) * (1.0 if name == "t" else scale) for name in names}


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
async def worker():
    worker = RenderWorker()
    yield worker
    await worker.close()


async def test_draws_all_four_panels_of_the_numbers_it_is_given(worker: RenderWorker) -> None:
    empty = picture(await worker.render(columns(0), **REQUEST))
    first = picture(await worker.render(columns(5), **REQUEST))
    assert first.shape == (450, 750, 3)
    changed = np.abs(first - empty).sum(axis=2) > 60
    panels = [changed[rows, columns_] for rows in (slice(75, 220), slice(275, 420))
              for columns_ in (slice(46, 360), slice(414, 725))]  # fmt: skip
    assert [bool(panel.any()) for panel in panels] == [True] * 4


async def test_runs_in_its_own_session_and_is_nice(worker: RenderWorker) -> None:
    await worker.render(columns(), **REQUEST)
    assert worker.pid is not None
    assert os.getsid(worker.pid) == worker.pid
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) >= 10


async def test_the_loop_keeps_ticking_while_it_draws(worker: RenderWorker) -> None:
    await worker.render(columns(), **REQUEST)
    drawing = asyncio.ensure_future(worker.render(columns(300), **REQUEST))
    ticks = 0
    while not drawing.done():
        await asyncio.sleep(0.005)
        ticks += 1
    await drawing
    assert ticks >= 5


async def test_a_killed_process_is_reported_and_replaced(worker: RenderWorker) -> None:
    await worker.render(columns(), **REQUEST)
    first = worker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with pytest.raises(RenderError, match=r"ended unexpectedly .*started again"):
        await worker.render(columns(), **REQUEST)
    assert (await worker.render(columns(), **REQUEST)).startswith(b"\x89PNG")
    assert worker.pid not in (None, first)
    assert worker.crashes == 1


async def test_a_process_that_died_between_two_pictures_is_reported_too(worker: RenderWorker) -> None:
    await worker.render(columns(), **REQUEST)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while worker.pid is not None:  # until the loop has noticed
            await asyncio.sleep(0.01)
    with pytest.raises(RenderError, match=r"ended unexpectedly .*started again"):
        await worker.render(columns(), **REQUEST)
    assert (await worker.render(columns(), **REQUEST)).startswith(b"\x89PNG")
    assert worker.crashes == 1


async def test_restarts_are_bounded() -> None:
    worker = RenderWorker(restarts=1)
    for _ in range(2):
        await worker.render(columns(0), **REQUEST)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(RenderError, match="ended unexpectedly"):
            await worker.render(columns(0), **REQUEST)
    with pytest.raises(RenderError, match=r"has ended too often; it is started again in \d+ s"):
        await worker.render(columns(0), **REQUEST)
    await worker.close()


async def test_a_stopped_process_times_out_and_is_ended(worker: RenderWorker) -> None:
    await worker.render(columns(), **REQUEST)
    stopped = worker.pid
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    worker._timeout_s = 0.2
    with pytest.raises(RenderError, match=r"took over 0\.2 s"):
        await worker.render(columns(), **REQUEST)
    assert not alive(stopped)


async def test_a_bad_request_is_answered_with_a_sentence_and_the_process_goes_on(
    worker: RenderWorker,
) -> None:
    with pytest.raises(RenderError, match="cannot be drawn: KeyError"):
        await worker.render({"t": np.zeros(3)}, **REQUEST)
    before = worker.pid
    assert (await worker.render(columns(), **REQUEST)).startswith(b"\x89PNG")
    assert worker.pid == before
    assert worker.crashes == 0


async def test_a_cancelled_picture_is_not_taken_for_the_next_one(worker: RenderWorker) -> None:
    expected = await worker.render(columns(9), **REQUEST)
    drawing = asyncio.ensure_future(worker.render(columns(300), **REQUEST))
    await asyncio.sleep(0.02)
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing
    assert await worker.render(columns(9), **REQUEST) == expected


async def test_close_ends_the_process_and_is_final() -> None:
    worker = RenderWorker()
    await worker.render(columns(0), **REQUEST)
    pid = worker.pid
    assert pid is not None
    await worker.close()
    await worker.close()
    assert not alive(pid)
    with pytest.raises(RenderError, match="closed"):
        await worker.render(columns(), **REQUEST)
