"""The sounds of the robots."""

from __future__ import annotations

import numpy as np
import pytest

from plivo_nb.dtmf_table import DTMF_HZ
from plivo_nb.lab.robots.sounds import PAUSE_S, TONE_S, DtmfTones, MusicOnHold, Sine


def heard(source: Sine | MusicOnHold | DtmfTones, seconds: float, rate: int = 8000) -> np.ndarray:
    source.open(rate)
    frames = [source.read(rate // 50) for _ in range(round(seconds * 50))]
    return np.concatenate([np.zeros(rate // 50, np.int16) if frame is None else frame for frame in frames])


def level(sound: np.ndarray, frequency_hz: float, rate: int = 8000) -> float:
    turn = np.exp(-2j * np.pi * frequency_hz * np.arange(len(sound)) / rate)
    return float(2 * abs(np.mean(sound.astype(float) * turn)) / 32768)


def test_a_sine_is_one_frequency_without_a_click_between_frames() -> None:
    sound = heard(Sine(1000), 1.0)
    assert level(sound, 1000) == pytest.approx(0.14, abs=0.002)
    assert level(sound, 1200) < 0.001
    assert np.max(np.abs(np.diff(sound.astype(int)))) < 0.14 * 32768 * 2 * np.pi * 1000 / 8000 * 1.01


def test_a_sine_goes_on_at_another_rate() -> None:
    source = Sine(1000)
    heard(source, 0.5)
    assert level(heard(source, 0.5, 48_000), 1000, 48_000) == pytest.approx(0.14, abs=0.003)


def test_music_on_hold_is_music_and_never_clips() -> None:
    sound = heard(MusicOnHold(), 8.0)
    assert 0.05 < np.max(np.abs(sound)) / 32768 < 0.5
    first, second = sound[:16_000], sound[16_000:32_000]
    assert level(first, 392.0) > 5 * level(second, 392.0)


@pytest.mark.parametrize("digit", list(DTMF_HZ))
def test_dtmf_tones_are_those_of_q23_with_a_pause(digit: str) -> None:
    tones = DtmfTones()
    tones.add(digit)
    sound = heard(tones, TONE_S + PAUSE_S)
    on, off = sound[: round(TONE_S * 8000)], sound[round(TONE_S * 8000) :]
    low, high = DTMF_HZ[digit]
    assert level(on, low) > 0.1
    assert level(on, high) > 0.1
    assert not off.any()
    assert tones.read(160) is None


def test_text_that_is_no_digit_is_not_played() -> None:
    tones = DtmfTones()
    for text in ("x", "12", ""):
        tones.add(text)
    assert tones.read(160) is None
