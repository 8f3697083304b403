"""The rolling buffer: the last seconds, and any stretch of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.media.audio.rolling_buffer import RollingBuffer


def test_the_last_seconds_can_be_heard_again() -> None:
    rolling = RollingBuffer(seconds=2.0)
    assert rolling.audio()[1].tolist() == []
    rolling.open(8000)
    for n in range(150):
        rolling.write(np.full(160, n, np.int16))
    assert rolling.span_s == (1.0, 3.0)
    rate, everything = rolling.audio()
    assert (rate, len(everything), everything[0], everything[-1]) == (8000, 16_000, 50, 149)
    assert set(rolling.audio(2.0, 2.1)[1].tolist()) == {100, 101, 102, 103, 104}
    assert set(rolling.audio(-0.04)[1].tolist()) == {148, 149}
    assert rolling.audio(0.0, 0.5)[1].tolist() == []
    rolling.close()
    rolling.open(48_000)
    assert rolling.audio()[1].tolist() == []


@given(st.integers(0, 120), st.floats(-3, 3) | st.none(), st.floats(-3, 3) | st.none())
def test_any_stretch_may_be_asked_for(count: int, start_s: float | None, end_s: float | None) -> None:
    rolling = RollingBuffer(seconds=1.0)
    rolling.open(8000)
    for n in range(count):
        rolling.write(np.full(160, n, np.int16))
    assert len(rolling.audio(start_s, end_s)[1]) <= 8000


def test_stored_bytes_are_those_of_the_frames_that_are_kept() -> None:
    rolling = RollingBuffer(seconds=0.1)
    rolling.open(8000)
    for count in (1, 2, 3, 4, 5, 5, 5):
        rolling.write(np.zeros(160, np.int16))
        assert rolling.stored_bytes == count * 320
    rolling.drop_oldest()
    assert rolling.stored_bytes == 4 * 320
    assert rolling.span_s == (3 / 50, 7 / 50)
    rolling.open(48_000)
    assert rolling.stored_bytes == 0
    rolling.drop_oldest()
    assert rolling.stored_bytes == 0


def test_sound_is_found_by_the_time_at_which_it_was_written() -> None:
    times = iter([*np.arange(100.0, 101.0, 0.02), *np.arange(105.0, 106.0, 0.02)])  # with a gap
    rolling = RollingBuffer(seconds=10.0, clock=lambda: next(times))
    assert rolling.written_between_s is None
    rolling.open(8000)
    for n in range(100):
        rolling.write(np.full(160, n, np.int16))
    rate, samples, written = rolling.audio_between(100.49, 105.09)
    assert (rate, len(samples), len(written)) == (8000, 160 * len(written), 30)
    assert (samples[0], samples[-1], round(written[-1], 2)) == (25, 54, 105.08)
    assert rolling.audio_between(101.5, 104.0)[1:] == (pytest.approx([]), [])
    assert rolling.timed_audio(0.0, 0.04)[2] == [100.0, 100.02]
    assert rolling.written_between_s == pytest.approx((100.0, 105.98))
