"""Resampling by any ratio, which may change slightly in every call, between two clocks.

The filter bank is a windowed sinc with one row per sub-sample position. The clocks of sound cards and of the
I/O plane differ, so the ratio of the rates is not fixed.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from plivo_nb.audio_types import FloatPcm, Pcm

_PHASES = 512  # sub-sample positions; rounding to them makes noise 80 dB below a 1 kHz tone at 48 kHz
_HALF_WIDTH = 10  # zero crossings of the sinc on each side
_KAISER_BETA = 7.0
_FEW = 6  # filters, so that one product for each of them is faster than a filter for each sample


@functools.lru_cache(maxsize=16)
def _bank(ratio: float) -> FloatPcm:
    """Make the filters for a ratio of rates out/in; shape (phases + 1, taps)."""
    cutoff = 0.94 * min(1.0, ratio)
    half = math.ceil(_HALF_WIDTH / min(1.0, ratio))
    taps = np.arange(-half + 1, half + 1)
    rows = np.arange(_PHASES + 1)[:, None] / _PHASES
    at = taps[None, :] - rows
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (at / half) ** 2, 0, 1))) / np.i0(_KAISER_BETA)
    bank = cutoff * np.sinc(cutoff * at) * window
    bank /= bank.sum(axis=1, keepdims=True)  # unity gain at 0 Hz
    return bank.astype(np.float32)


class Resampler:
    """Converts a stream of samples from one rate to another. Not thread-safe.

    Args:
        rate_in: Hz.
        rate_out: Hz.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self.rate_in, self.rate_out = rate_in, rate_out
        divisor = math.gcd(rate_in, rate_out)
        self._stride, self._filters = rate_in // divisor, rate_out // divisor
        self._bank = _bank(rate_out / rate_in)
        self._taps: int = self._bank.shape[1]
        self._waiting: FloatPcm = np.zeros(self._taps // 2 - 1, np.float32)
        self._at = 0.0  # the next output sample, in input samples from the middle of the first filter

    def _step(self, speed: float) -> float:
        return self.rate_in / self.rate_out * speed

    def needed(self, samples: int, speed: float = 1.0) -> int:
        """Return how many more input samples are needed for so many output samples."""
        last = math.floor(self._at + (samples - 1) * self._step(speed))
        return max(0, last + self._taps - len(self._waiting))

    def available(self, speed: float = 1.0) -> int:
        """Return how many output samples the input so far suffices for."""
        room = len(self._waiting) - self._taps - self._at
        return max(0, math.floor(room / self._step(speed)) + 1) if room >= 0 else 0

    def feed(self, pcm: Pcm) -> None:
        """Add input samples."""
        self._waiting = np.concatenate([self._waiting, pcm.astype(np.float32)])

    def take(self, samples: int, speed: float = 1.0) -> FloatPcm:
        """Return output samples in the range of int16, which peaks may exceed slightly.

        Args:
            samples: how many; `needed(samples, speed)` must be 0.
            speed: input samples consumed per output sample, relative to the nominal ratio.
        """
        if not samples:
            return np.zeros(0, np.float32)
        step = self._step(speed)
        waiting = self._waiting
        shape = (len(waiting) - self._taps + 1, self._taps)
        windows: FloatPcm = np.ndarray(shape, np.float32, waiting, 0, waiting.strides * 2)
        if speed == 1.0 and self._filters <= _FEW:
            out = self._by_few_filters(windows, samples)
        else:
            at = self._at + step * np.arange(samples)
            first = np.floor(at).astype(np.intp)
            phase = np.rint((at - first) * _PHASES).astype(np.intp)
            out = np.einsum("ij,ij->i", windows[first], self._bank[phase])
        following = self._at + step * samples
        used = min(math.floor(following), len(self._waiting))
        self._waiting = self._waiting[used:]
        self._at = following - used
        return out

    def _by_few_filters(self, windows: FloatPcm, samples: int) -> FloatPcm:
        """Compute output samples whose positions between the input samples repeat."""
        out = np.empty(samples, np.float32)
        for number in range(min(self._filters, samples)):
            of_filter = out[number :: self._filters]
            # the last one may lie at a sample, and be rounded to before or behind it
            last = len(windows) - 1 - (len(of_filter) - 1) * self._stride
            at = self._at + number * self._stride / self._filters
            first = min(math.floor(at), last)
            row = self._bank[round((at - first) * _PHASES)]
            np.einsum("ij,j->i", windows[first :: self._stride][: len(of_filter)], row, out=of_filter)
        return out

    def convert(self, pcm: Pcm, speed: float = 1.0) -> FloatPcm:
        """Add input samples and return all output samples that they suffice for."""
        self.feed(pcm)
        return self.take(self.available(speed), speed)
