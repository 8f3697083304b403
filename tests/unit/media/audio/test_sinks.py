"""Sinks: none, and several."""

import numpy as np
import pytest
from numpy.typing import NDArray

from plivo_nb.media.audio.sinks import Null, Tee


class Written:
    """A sink that keeps what is done to it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.rates: list[int] = []
        self.frames: list[NDArray[np.int16]] = []
        self.closed = 0

    def open(self, rate: int) -> None:
        self.rates.append(rate)

    def write(self, frame: NDArray[np.int16]) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        self.closed += 1
        if self.error is not None:
            raise self.error


def test_a_tee_gives_all_sinks_the_same_and_closes_all() -> None:
    first, second, third = Written(), Written(OSError("mine")), Written(OSError("another"))
    tee = Tee(first, Null(), second, third)
    tee.open(8_000)
    frames = [np.full(160, n, np.int16) for n in range(20)]
    for frame in frames:
        tee.write(frame)
    with pytest.raises(OSError, match="mine"):
        tee.close()
    for sink in (first, second, third):
        assert (sink.rates, sink.closed) == ([8_000], 1)
        assert all(one is other for one, other in zip(sink.frames, frames, strict=True))


def test_a_tee_passes_sent_sound_to_the_sinks_that_take_it() -> None:
    plain, both = Written(), Written()
    both.sent = Written()  # type: ignore[attr-defined]
    assert Tee(plain, Null()).sent is None
    tee = Tee(plain, both)
    assert tee.sent is not None
    tee.sent.open(48_000)
    tee.sent.write(np.ones(960, np.int16))
    assert both.sent.rates == [48_000]  # type: ignore[attr-defined]
    assert len(both.sent.frames) == 1  # type: ignore[attr-defined]
    assert not plain.frames
    assert not both.frames


def test_null_takes_anything() -> None:
    sink = Null()
    sink.open(8_000)
    sink.write(np.ones(160, np.int16))
    sink.close()
