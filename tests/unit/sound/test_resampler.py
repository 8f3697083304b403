"""Resampling: pitch, level and count are right, at every ratio, in pieces of any length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.audio_types import to_int16
from plivo_nb.sound.resampler import Resampler

RATES = [8_000, 16_000, 44_100, 48_000]


def sine(frequency: float, rate: int, samples: int) -> np.ndarray:
    return (10_000 * np.sin(2 * np.pi * frequency * np.arange(samples) / rate)).astype(np.int16)


def fit(out: np.ndarray, frequency: float, rate: int) -> tuple[float, float]:
    """Amplitude of that sine in it, and signal to noise in dB."""
    time = np.arange(len(out)) / rate
    waves = np.stack([np.sin(2 * np.pi * frequency * time), np.cos(2 * np.pi * frequency * time)], axis=1)
    parts = np.linalg.lstsq(waves, out, rcond=None)[0]
    clean = waves @ parts
    return float(np.hypot(*parts)), float(10 * np.log10(np.sum(clean**2) / np.sum((out - clean) ** 2)))


@pytest.mark.parametrize("rate_in", RATES)
@pytest.mark.parametrize("rate_out", RATES)
def test_a_sine_keeps_its_pitch_and_level(rate_in: int, rate_out: int) -> None:
    resampler = Resampler(rate_in, rate_out)
    pcm = sine(1000, rate_in, rate_in)
    out = np.concatenate([resampler.convert(part) for part in np.array_split(pcm, 50)])
    amplitude, snr_db = fit(out[rate_out // 10 :], 1000, rate_out)
    assert amplitude == pytest.approx(10_000, rel=0.01)
    assert snr_db > 60
    assert len(out) == pytest.approx(rate_out, abs=rate_out * 0.003)


@pytest.mark.parametrize("rate_in", [8_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("rate_out", [8_000, 16_000, 24_000, 48_000])
def test_the_nominal_ratio_sounds_as_one_that_is_hardly_different(rate_in: int, rate_out: int) -> None:
    pcm = np.random.default_rng(5).integers(-9_000, 9_000, rate_in).astype(np.int16)
    nominal, other = Resampler(rate_in, rate_out), Resampler(rate_in, rate_out)
    other.convert(pcm[:100], 1.0013)  # its position is between two samples now
    nominal._at, nominal._waiting = other._at, other._waiting.copy()
    parts = np.array_split(pcm, 50)
    ours = np.concatenate([nominal.convert(part, 1.0) for part in parts])
    slow = np.concatenate([other.convert(part, 1.0 + 1e-12) for part in parts])
    assert abs(len(ours) - len(slow)) <= 1
    size = min(len(ours), len(slow))
    assert ours[:size] == pytest.approx(slow[:size], abs=60)  # neighbouring filters, of full-scale noise


def test_what_the_lower_rate_cannot_carry_is_gone() -> None:
    out = Resampler(48_000, 8_000).convert(sine(6_000, 48_000, 48_000))
    assert np.abs(out[1000:]).max() < 30


def test_no_image_appears_at_the_higher_rate() -> None:
    out = Resampler(8_000, 48_000).convert(sine(1_000, 8_000, 8_000))[4800:43_200]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    hz = np.fft.rfftfreq(len(out), 1 / 48_000)
    assert spectrum[hz > 4_500].max() < spectrum.max() / 1000


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, 700), min_size=1, max_size=12),
    speed=st.floats(0.995, 1.005),
    rates=st.sampled_from([(48_000, 48_000), (8_000, 48_000), (48_000, 8_000), (44_100, 48_000)]),
)
def test_how_the_input_is_cut_does_not_matter(cuts: list[int], speed: float, rates: tuple[int, int]) -> None:
    pcm = sine(440, rates[0], sum(cuts))
    whole = Resampler(*rates).convert(pcm, speed)
    parts = Resampler(*rates)
    joined, at = [], 0
    for cut in cuts:
        joined.append(parts.convert(pcm[at : at + cut], speed))
        at += cut
    assert np.concatenate(joined) == pytest.approx(whole, abs=70)  # a sub-sample position may round otherwise


@settings(deadline=None)
@given(samples=st.integers(1, 2_000), speed=st.floats(0.99, 1.01), rate=st.sampled_from(RATES))
def test_needed_is_just_enough(samples: int, speed: float, rate: int) -> None:
    resampler = Resampler(rate, 48_000)
    resampler.convert(sine(440, rate, 333))
    needed = resampler.needed(samples, speed)
    assert needed >= 0
    resampler.feed(sine(440, rate, needed))
    assert resampler.needed(samples, speed) == 0
    assert len(resampler.take(samples, speed)) == samples


def test_speed_changes_how_fast_the_input_is_used_up() -> None:
    resampler = Resampler(48_000, 48_000)
    out = sum(len(resampler.convert(sine(440, 48_000, 960), 1.002)) for _ in range(500))
    assert out == pytest.approx(960 * 500 / 1.002, abs=30)


def test_full_scale_is_clipped_and_not_wrapped() -> None:
    assert to_int16(np.array([40_000.0, -40_000.0, 1.5], np.float32)).tolist() == [32_767, -32_768, 2]
