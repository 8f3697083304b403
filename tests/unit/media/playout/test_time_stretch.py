"""Playing faster and slower without a change of pitch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plivo_nb.media.playout.time_stretch import lengthen, shorten

RATES = [8000, 48_000]


def sine(frequency_hz: float, seconds: float, rate: int, amplitude: float = 8000) -> NDArray[np.int16]:
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time)).astype(np.int16)


def steepest(pcm: NDArray[np.int16]) -> int:
    return int(np.abs(np.diff(pcm.astype(np.int32))).max())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frequency_hz", [150.0, 220.0])
def test_a_tone_is_stretched_and_cut_without_a_click(rate: int, frequency_hz: float) -> None:
    tone = sine(frequency_hz, 0.1, rate)
    frames = np.split(tone, 5)
    wanted = round(0.008 * rate)
    shorter = shorten(frames[2], rate, wanted)
    longer = lengthen(frames[2], rate, wanted)
    assert 0 < len(frames[2]) - len(shorter) <= wanted
    assert 0 < len(longer) - len(frames[2]) <= wanted
    for changed in (shorter, longer):
        out = np.concatenate([frames[1], changed, frames[3]])
        assert steepest(out) < 1.7 * steepest(tone)


def test_quiet_is_cut_anywhere_and_speech_only_where_it_fits() -> None:
    generator = np.random.default_rng(2)
    quiet = (generator.standard_normal(160) * 20).astype(np.int16)
    loud = (generator.standard_normal(160) * 8000).astype(np.int16)
    assert len(shorten(quiet, 8000, 80)) == 80
    assert len(shorten(loud, 8000, 80)) == 160
    assert len(shorten(loud, 8000, 80, force=True)) < 160
    assert len(shorten(quiet[:40], 8000, 80)) == 40


@given(
    st.integers(0, 2**31), st.sampled_from(RATES), st.integers(0, 4000), st.integers(0, 3000), st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_any_packet_is_changed_by_no_more_than_asked(
    seed: int, rate: int, length: int, at_most: int, force: bool
) -> None:
    pcm = (np.random.default_rng(seed).standard_normal(length) * 9000).clip(-32768, 32767).astype(np.int16)
    shorter, longer = shorten(pcm, rate, at_most, force), lengthen(pcm, rate, at_most)
    assert length - at_most <= len(shorter) <= length
    assert length <= len(longer) <= length + at_most
    assert shorter.dtype == longer.dtype == np.int16
