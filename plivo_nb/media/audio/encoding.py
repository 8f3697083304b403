"""Sound as the bytes of a file: WAV, and Ogg Opus (RFC 7845)."""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S, FULLBAND_RATE, padded

if TYPE_CHECKING:
    from plivo_nb.audio_types import Pcm

_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, FULLBAND_RATE)  # RFC 6716 section 2
_MIN_BPS, _MAX_BPS = 6_000, 48_000


def wav_bytes(rate: int, samples: Pcm) -> bytes:
    """Return a WAV file of mono samples.

    Args:
        rate: sample rate in Hz.
        samples: int16.

    Example:
        >>> len(wav_bytes(8_000, np.zeros(80, np.int16)))
        204
    """
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return target.getvalue()


def opus_bytes(rate: int, samples: Pcm, bitrate_bps: int = 32_000) -> bytes:
    """Return an Ogg Opus file of mono samples.

    Args:
        rate: sample rate in Hz, one that Opus has: 8000, 12000, 16000, 24000 or 48000.
        samples: int16.
        bitrate_bps: mean bit rate; from 6000 to 48000, others are taken as the nearest of these.

    Raises:
        ValueError: Opus has no such rate.
    """
    if rate not in _OPUS_RATES:
        raise ValueError(
            f"Opus has no sample rate of {rate} Hz; take one of {', '.join(map(str, _OPUS_RATES))}."
        )
    import av  # late: a client is made where it does not load, and says so

    target = io.BytesIO()
    frame_length = rate // FRAMES_PER_S
    with av.open(target, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate, layout="mono")
        stream.bit_rate = min(max(bitrate_bps, _MIN_BPS), _MAX_BPS)
        for start in range(0, len(samples), frame_length):
            pcm = padded(samples[start : start + frame_length], frame_length)
            frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def resampled(samples: Pcm, rate: int, to_rate: int) -> Pcm:
    """Return mono samples at another sample rate (Hz), by FFmpeg's resampler."""
    if rate == to_rate or not len(samples):
        return samples
    import av  # late, as above

    resampler = av.AudioResampler(format="s16", layout="mono", rate=to_rate)
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    parts = [part.to_ndarray()[0] for part in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(parts).astype(np.int16)
