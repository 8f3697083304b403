"""Packet loss concealment: redundancy, extrapolation, then comfort noise.

The codec's own methods are used first (Opus: in-band FEC, then its concealment). For other codecs the last
pitch period is repeated and faded, similar to ITU-T G.711 Appendix I. After 60 ms speech cannot be
extrapolated: comfort noise at the level of the background follows until packets arrive. All transitions are
cross-faded.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plivo_nb.audio_types import to_int16

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivo_nb.audio_types import Pcm
    from plivo_nb.media.codecs import Decoder

Samples = NDArray[np.float32] | NDArray[np.int16]

_SPEECH_S = 0.060  # a longer gap is filled with comfort noise
_BLEND_S = 0.005
_HISTORY_FRAMES = 4
_COARSE_RATE = 8_000  # the rate at which the pitch is searched
_PITCH_MIN_S, _PITCH_MAX_S = 0.0025, 0.015
_COMPARED_S = 0.020
_NOISE_LIMIT = 0.01  # background noise is never played louder than -40 dBFS
_NOISE_RISE = 1.02  # per frame: the level follows a louder background slowly, a quieter one at once


@functools.cache
def _noise(rate: int) -> NDArray[np.float32]:
    """Return two seconds of low-pass filtered noise with an RMS of 1."""
    white = np.random.default_rng(1).standard_normal(2 * rate + 16)
    width = max(2, rate // 4000)
    soft = np.convolve(white, np.hanning(width + 2)[1:-1], "valid")[: 2 * rate]
    scaled: NDArray[np.float32] = (soft / np.sqrt(np.mean(soft**2))).astype(np.float32)
    return scaled


@functools.cache
def _ramp(samples: int) -> NDArray[np.float32]:
    return ((np.arange(samples, dtype=np.float32) + 0.5) / samples).astype(np.float32)


def crossfade(old: Samples, new: Samples) -> NDArray[np.float32]:
    """Fade linearly from one array of samples to another of the same length."""
    rise = _ramp(len(new))
    faded: NDArray[np.float32] = (old * (1 - rise) + new * rise).astype(np.float32)
    return faded


def find_period(history: NDArray[np.float32], rate: int) -> int:
    """Find the lag, from 2.5 to 15 ms, at which the end of a signal is most similar to the signal before it.

    Args:
        history: at least 35 ms of samples.
        rate: sample rate in Hz.

    Returns:
        The lag in samples.
    """
    step = max(1, rate // _COARSE_RATE)
    usable = len(history) - len(history) % step
    coarse = history[-usable:].reshape(-1, step).mean(axis=1) if step > 1 else history
    coarse_rate = rate // step
    compared = int(_COMPARED_S * coarse_rate)
    low, high = int(_PITCH_MIN_S * coarse_rate), int(_PITCH_MAX_S * coarse_rate)
    lag = _best_lag(coarse, compared, range(low, min(high, len(coarse) - compared) + 1)) * step
    if step == 1:
        return lag
    near = range(max(1, lag - step), min(lag + step, len(history) - compared * step) + 1)
    return _best_lag(history, compared * step, near)


def _best_lag(signal: NDArray[np.float32], compared: int, lags: range) -> int:
    """Return the lag with the highest normalised correlation of the last `compared` samples."""
    tail = signal[-compared:]
    longest = lags[-1]
    past = signal[len(signal) - compared - longest : len(signal) - lags[0]]
    products = np.correlate(past, tail, "valid")[::-1]  # index 0 is the shortest lag
    energy = np.concatenate(([0.0], np.cumsum(past.astype(np.float64) ** 2)))
    energies = (energy[compared:] - energy[:-compared])[::-1]
    scores = products / np.sqrt(energies + 1.0)
    return lags[int(np.argmax(scores))]


class PitchRepeater:
    """Repeats and fades the last pitch period, later the last two and three (as ITU-T G.711 Appendix I).

    Args:
        rate: Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._buffer: NDArray[np.float32] = np.zeros(0, np.float32)
        self._period = 0
        self._done = 0

    def start(self, history: NDArray[np.float32]) -> None:
        """Start a gap after these samples (at least 48 ms)."""
        self._buffer = history
        self._period = find_period(history, self._rate)
        self._done = 0

    def take(self, samples: int, ahead: int) -> NDArray[np.float32]:
        """Return the next samples of the gap, and `ahead` more that the next call returns again.

        The gain is 1 for 10 ms, then falls by 20 % each 10 ms.
        """
        positions = self._done + np.arange(samples + ahead)
        ten_ms = self._rate // 100
        periods = min(3, 1 + self._done // (2 * ten_ms))  # repeating a longer part sounds less tonal
        length = min(self._period * periods, len(self._buffer) - self._period // 4)
        cycle = self._cycle(length)
        gain = np.clip(1 - 0.2 * (positions / ten_ms - 1), 0, 1)
        self._done += samples
        return (cycle[positions % length] * gain).astype(np.float32)

    def _cycle(self, length: int) -> NDArray[np.float32]:
        """Return the last `length` samples, with the end cross-faded into the beginning."""
        cycle = self._buffer[-length:].copy()
        seam = min(self._period // 4, len(self._buffer) - length)
        if seam > 0:
            before = self._buffer[-length - seam : -length]
            cycle[-seam:] = crossfade(cycle[-seam:], before)
        return cycle


class Concealer:
    """Fills the gaps in one decoded stream.

    Args:
        decoder: the stream's decoder; its own concealment is used where it has one.
        rate: Hz.
    """

    def __init__(self, decoder: Decoder, rate: int) -> None:
        self._decoder = decoder
        self._rate = rate
        self._repeater = None if decoder.conceals else PitchRepeater(rate)
        self._history: deque[Pcm] = deque(maxlen=_HISTORY_FRAMES)
        self._missing = 0  # samples concealed since the last good one
        self._tail: NDArray[np.float32] | None = None  # the continuation, to cross-fade into the next frame
        self._noise_at = 0
        self.floor = 0.0  # level of the background, 0..1

    def good(self, pcm: Pcm) -> Pcm:
        """Return a decoded packet, cross-faded with the concealment before it."""
        if self._tail is not None:
            pcm = self._join(pcm)
        self._missing = 0
        self._history.append(pcm)
        return pcm

    def learn(self, levels: Sequence[float]) -> None:
        """Update the background's level with the RMS of played frames, 0..1."""
        for level in levels:
            self.floor = min(level, max(self.floor, 1e-5) * _NOISE_RISE)

    def _join(self, pcm: Pcm) -> Pcm:
        assert self._tail is not None
        count = min(len(self._tail), len(pcm))
        joined = pcm.copy()
        joined[:count] = to_int16(crossfade(self._tail[:count], pcm[:count]))
        self._tail = None
        return joined

    def lost(self, samples: int, following: bytes | None = None) -> tuple[Pcm, bool]:
        """Return the replacement of a missing packet.

        Args:
            samples: its length.
            following: the payload of the next packet, if it has arrived: it may contain redundancy.

        Returns:
            The samples, and whether they are comfort noise (W3C: silent concealment).
        """
        start = self._missing
        self._missing += samples
        if following is not None and self._decoder.conceals:
            # redundancy is the packet's own speech, however long the gap before it was
            return self.good(self._decoder.decode_fec(following, samples)), False
        if start >= _SPEECH_S * self._rate:
            return self.comfort(samples), True
        if self._repeater is None:
            pcm = self._decoder.conceal(samples)
            return (pcm if self._tail is None else self._join(pcm)), False
        if start == 0 or self._tail is None:
            self._repeater.start(self._past())
        blend = int(_BLEND_S * self._rate)
        made = self._repeater.take(samples, blend)
        self._tail = made[samples:]
        return to_int16(made[:samples]), False

    def _past(self) -> NDArray[np.float32]:
        wanted = int(0.050 * self._rate)
        past = np.concatenate([np.zeros(wanted, np.int16), *self._history])
        return past[-wanted:].astype(np.float32)

    def comfort(self, samples: int) -> Pcm:
        """Return comfort noise at the level of the background."""
        noise = _noise(self._rate)
        blend = int(_BLEND_S * self._rate)
        if self._noise_at + samples + blend > len(noise):
            self._noise_at = 0
        made = noise[self._noise_at : self._noise_at + samples + blend] * (
            min(self.floor, _NOISE_LIMIT) * 32768
        )
        self._noise_at += samples
        out = made[:samples].copy()
        if self._tail is None and self._decoder.conceals:
            self._tail = self._decoder.conceal(max(120, blend // 120 * 120))[:blend].astype(np.float32)
        if self._tail is not None:
            count = min(len(self._tail), samples)
            out[:count] = crossfade(self._tail[:count], out[:count])
        self._tail = made[samples:]
        return to_int16(out)


def rms(pcm: Pcm) -> float:
    """Return the RMS of samples, 0..1."""
    scaled = pcm.astype(np.float32)
    return math.sqrt(float(np.dot(scaled, scaled)) / max(1, len(pcm))) / 32768
