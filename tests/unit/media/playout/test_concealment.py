"""Concealment: what is made up is smooth, bounded and of the right length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_network import OPUS, PCMU, speech_like
from numpy.typing import NDArray

from plivo_nb.media.codecs import make_decoder, make_encoder
from plivo_nb.media.playout.concealment import Concealer, PitchRepeater, find_period, rms

RATES = [8000, 48_000]


def sine(frequency_hz: float, seconds: float, rate: int, amplitude: float = 8000) -> NDArray[np.int16]:
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time)).astype(np.int16)


def steepest(pcm: NDArray[np.int16]) -> int:
    return int(np.abs(np.diff(pcm.astype(np.int32))).max())


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("frequency_hz", [80.0, 125.0, 200.0, 310.0])
def test_the_pitch_period_is_found(rate: int, frequency_hz: float) -> None:
    tone = sine(frequency_hz, 0.05, rate).astype(np.float32)
    cycles = find_period(tone, rate) * frequency_hz / rate
    assert cycles == pytest.approx(round(cycles), abs=0.06)
    assert round(cycles) >= 1


@pytest.mark.parametrize("frequency_hz", [100.0, 200.0, 333.0])
def test_a_lost_frame_of_a_tone_is_filled_without_a_click(frequency_hz: float) -> None:
    tone = sine(frequency_hz, 0.2, 8000)
    concealer = Concealer(make_decoder(PCMU), 8000)
    heard = []
    for i in range(10):
        frame = tone[i * 160 : (i + 1) * 160]
        heard.append(concealer.lost(160)[0] if i == 5 else concealer.good(frame))
    out = np.concatenate(heard)
    assert steepest(out) < 1.6 * steepest(tone)
    assert rms(heard[5]) > 0.6 * rms(tone)


def test_what_is_repeated_fades_and_then_is_comfort_noise() -> None:
    concealer = Concealer(make_decoder(PCMU), 8000)
    for frame in np.split(sine(150, 0.2, 8000), 10):
        concealer.good(frame)
        concealer.learn([0.001])
    filled = [concealer.lost(160) for _ in range(6)]
    assert [silent for _, silent in filled] == [False, False, False, True, True, True]
    levels = [rms(pcm) for pcm, _ in filled]
    assert levels[0] > levels[1] > levels[2] > levels[4]
    assert levels[5] == pytest.approx(concealer.floor, rel=0.3)
    assert 0 < concealer.floor <= 0.001


def test_opus_extrapolates_then_noise_and_comes_back_smoothly() -> None:
    encoder, decoder = make_encoder(OPUS), make_decoder(OPUS)
    concealer = Concealer(decoder, 48_000)
    pcm = sine(200, 1.0, 48_000)
    heard = []
    for i in range(50):
        payload = encoder.encode(pcm[i * 960 : (i + 1) * 960])
        lost = 20 <= i < 30
        heard.append(concealer.lost(960)[0] if lost else concealer.good(decoder.decode(payload)))
    assert all(len(frame) == 960 for frame in heard)
    assert steepest(np.concatenate(heard[3:])) < 3 * steepest(pcm)
    assert rms(heard[20]) > 0.3 * rms(heard[19])
    assert rms(heard[28]) < 0.02


def test_redundancy_is_used_when_the_next_packet_is_there() -> None:
    encoder = make_encoder(OPUS)
    decoder = make_decoder(OPUS)
    concealer = Concealer(decoder, 48_000)
    pcm = speech_like(1.0, 48_000)
    payloads = [encoder.encode(frame) for frame in np.split(pcm, 50)]
    for payload in payloads[:20]:
        concealer.good(decoder.decode(payload))
    frame, silent = concealer.lost(960, payloads[21])
    assert (len(frame), silent) == (960, False)


def test_the_floor_follows_quiet_at_once_and_loud_slowly() -> None:
    concealer = Concealer(make_decoder(PCMU), 8000)
    for _ in range(500):
        concealer.learn([0.004])
    assert concealer.floor == pytest.approx(0.004)
    concealer.learn([0.5])
    assert concealer.floor < 0.0042
    concealer.learn([0.0001])
    assert concealer.floor == pytest.approx(0.0001)


def test_comfort_noise_is_never_loud() -> None:
    concealer = Concealer(make_decoder(PCMU), 8000)
    for _ in range(2000):
        concealer.learn([0.5])
    noise = np.concatenate([concealer.comfort(160) for _ in range(300)])
    assert rms(noise) < 0.012


@given(st.integers(0, 2**31), st.sampled_from(RATES), st.lists(st.integers(1, 3000), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_any_history_is_continued_for_any_length(seed: int, rate: int, lengths: list[int]) -> None:
    generator = np.random.default_rng(seed)
    repeater = PitchRepeater(rate)
    repeater.start((generator.standard_normal(rate // 20) * 10_000).astype(np.float32))
    for length in lengths:
        made = repeater.take(length, 5)
        assert len(made) == length + 5
        assert np.isfinite(made).all()


@pytest.mark.parametrize("rate", RATES)
def test_silence_before_a_gap_gives_silence(rate: int) -> None:
    repeater = PitchRepeater(rate)
    repeater.start(np.zeros(rate // 20, np.float32))
    assert not repeater.take(rate // 50, 10).any()
