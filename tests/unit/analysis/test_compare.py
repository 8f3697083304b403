"""analysis.compare: speech is recognised after codec, delay and damage; nothing else is."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from plivo_nb.analysis.compare import RATE_HZ, load, match
from plivo_nb.data import speech_path


@pytest.fixture(scope="module")
def speech():
    return load(speech_path())


def through_opus(sound):
    """Encode and decode at the kit's bit rate."""
    target = io.BytesIO()
    with av.open(target, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono", bit_rate=32_000)
        pcm = (np.repeat(sound, 48_000 // RATE_HZ) * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    target.seek(0)
    with av.open(target) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        parts = [p.to_ndarray()[0] for f in container.decode(audio=0) for p in resampler.resample(f)]
    return np.concatenate(parts) / 32768


def test_the_sample_is_12_to_15_seconds_and_as_loud_as_speech(speech):
    assert 12 <= len(speech) / RATE_HZ <= 15
    assert 0.3 < np.abs(speech).max() <= 1.0
    assert speech_path().stat().st_size < 200_000


def test_itself(speech):
    found = match(speech, speech)
    assert found.correlation == pytest.approx(1.0, abs=1e-6)
    assert found.coverage > 0.8
    assert np.allclose(found.at_s, found.offsets_s)


def test_looped_delayed_and_quieter(speech):
    late = np.concatenate([np.zeros(RATE_HZ // 3), 0.2 * speech[5 * RATE_HZ :], 0.2 * speech[: 6 * RATE_HZ]])
    assert match(late, speech).correlation > 0.95


def test_through_opus_twice(speech):
    assert match(through_opus(through_opus(speech)), speech).correlation > 0.9


def test_a_delay_that_jumps_each_two_seconds(speech):
    pieces = np.array_split(speech, 7)
    jumping = np.concatenate([part for piece in pieces for part in (piece, np.zeros(160))])
    assert match(jumping, speech).correlation > 0.8


def test_noise_is_not_speech(speech):
    noise = 0.1 * np.random.default_rng(1).standard_normal(len(speech))
    assert match(noise, speech).correlation < 0.3


def test_other_speech_is_not_this_speech(speech):
    backwards = speech[::-1]
    assert match(backwards, speech).correlation < 0.7


def test_damage_shows(speech):
    broken = speech.copy()
    rng = np.random.default_rng(1)
    for start in range(0, len(broken), 160):
        if rng.random() < 0.5:
            broken[start : start + 160] = 0.1 * rng.standard_normal(len(broken[start : start + 160]))
    assert match(broken, speech).correlation < 0.8


@pytest.mark.parametrize("heard", [np.zeros(5 * RATE_HZ), np.zeros(10), np.zeros(0)])
def test_silence_is_nothing(speech, heard):
    found = match(heard, speech)
    assert found.correlation == 0.0
    assert found.coverage == 0.0


def test_half_of_it_silent(speech):
    heard = np.concatenate([speech[: 6 * RATE_HZ], np.zeros(6 * RATE_HZ)])
    found = match(heard, speech)
    assert found.correlation > 0.95
    assert found.coverage < 0.6
