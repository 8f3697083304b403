"""The pump: a thread that fills a ring buffer from an iterator."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from waiting import wait_until

from plivo_nb.media.audio.pump import Pump

RATE = 8_000


def numbered(count: int, length: int = 160) -> Iterator[NDArray[np.int16]]:
    for n in range(count):
        yield np.full(length, n, np.int16)


def frame(pump: Pump) -> NDArray[np.int16]:
    got: list[NDArray[np.int16] | None] = [None]

    def read() -> bool:
        got[0] = pump.read(160)
        return got[0] is not None

    wait_until(read)
    assert got[0] is not None
    return got[0]


def running(name: str) -> bool:
    return any(thread.name == f"plivo_nb {name}" for thread in threading.enumerate())


def test_samples_come_out_in_order_the_last_frame_as_long_as_it_is() -> None:
    ended = threading.Event()
    pump = Pump("order", numbered(3, 100), RATE, 1.0, ended.set)
    first = frame(pump)
    assert first.tolist() == [0] * 100 + [1] * 60
    rest = frame(pump)
    assert rest.tolist() == [1] * 40 + [2] * 100
    assert ended.wait(5)
    assert pump.ended
    assert pump.read(160) is None
    wait_until(lambda: not running("order"))


def test_it_reads_no_further_ahead_than_it_may() -> None:
    drawn: list[int] = []

    def endless() -> Iterator[NDArray[np.int16]]:
        for n in iter(int, 1):
            drawn.append(n)
            yield np.zeros(160, np.int16)

    pump = Pump("ahead", endless(), RATE, 0.2)
    wait_until(lambda: len(drawn) == 11)  # ten frames in the ring, the eleventh waits for room
    assert pump.read(160) is not None
    wait_until(lambda: len(drawn) == 12)
    pump.stop()
    pump.join()
    assert not running("ahead")
    assert not pump.ended


def test_it_goes_on_when_there_is_room_for_much_at_once() -> None:
    drawn: list[int] = []

    def endless() -> Iterator[NDArray[np.int16]]:
        for n in iter(int, 1):
            drawn.append(n)
            yield np.zeros(160, np.int16)

    pump = Pump("much", endless(), RATE, 0.4, refill_s=0.2)
    wait_until(lambda: len(drawn) == 21)
    for _ in range(9):
        pump.read(160)
    assert not pump._room.is_set(), "nine frames are not enough"
    pump.read(160)
    wait_until(lambda: len(drawn) == 31)
    pump.stop()
    pump.join()


def test_an_exception_is_logged_and_what_came_before_is_read(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[NDArray[np.int16]]:
        yield np.ones(160, np.int16)
        raise RuntimeError("mine")

    pump = Pump("broken", broken(), RATE, 1.0)
    assert frame(pump).tolist() == [1] * 160
    wait_until(lambda: pump.ended)
    assert "The source broken failed" in caplog.text
    assert "mine" in caplog.text


def test_a_callback_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("mine")

    pump = Pump("callback", numbered(0), RATE, 1.0, fail)
    wait_until(lambda: not running("callback"))
    assert pump.ended
    assert "on_end" in caplog.text


def test_stopping_closes_a_generator_and_calls_nobody() -> None:
    closed, ended = threading.Event(), threading.Event()

    def holding() -> Iterator[NDArray[np.int16]]:
        try:
            while True:
                yield np.zeros(160, np.int16)
        finally:
            closed.set()

    pump = Pump("holding", holding(), RATE, 0.1, ended.set)
    wait_until(lambda: pump.read(160) is not None)
    pump.stop()
    pump.join()
    assert closed.wait(5)
    assert not ended.is_set()
