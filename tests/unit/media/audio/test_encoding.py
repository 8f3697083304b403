"""Sound as bytes of a file is the same sound when it is decoded."""

import io
import wave

import av
import numpy as np
import pytest
from simulation.media_network import aligned_correlation, speech_like

from plivo_nb.media.audio.encoding import opus_bytes, resampled, wav_bytes


def test_a_wav_file_has_the_samples_themselves() -> None:
    samples = np.arange(-400, 400, dtype=np.int16)
    with wave.open(io.BytesIO(wav_bytes(8_000, samples))) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 8_000)
        assert np.array_equal(np.frombuffer(file.readframes(-1), "<i2"), samples)


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_an_opus_file_sounds_the_same(rate: int) -> None:
    speech = speech_like(2.0, rate)
    content = opus_bytes(rate, speech)
    assert len(content) < 12_000
    with av.open(io.BytesIO(content)) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        parts = [
            piece.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for piece in resampler.resample(frame)
        ]
    heard = np.concatenate(parts)
    assert abs(len(heard) - len(speech)) < rate // 10
    assert aligned_correlation(speech, heard) > 0.8


def test_a_lower_bit_rate_makes_a_smaller_file() -> None:
    speech = speech_like(2.0, 16_000)
    assert len(opus_bytes(16_000, speech, 8_000)) < 0.5 * len(opus_bytes(16_000, speech, 48_000))


def test_opus_has_five_sample_rates() -> None:
    with pytest.raises(ValueError, match="no sample rate of 44100 Hz"):
        opus_bytes(44_100, np.zeros(100, np.int16))


def test_resampling_keeps_the_duration() -> None:
    speech = speech_like(1.0, 48_000)
    assert len(resampled(speech, 48_000, 8_000)) == pytest.approx(8_000, abs=40)
    assert resampled(speech, 48_000, 48_000) is speech
    assert len(resampled(speech[:0], 48_000, 8_000)) == 0
