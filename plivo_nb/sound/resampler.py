"""Resampling by any ratio, which may change a little at every call: what joins two clocks.

A windowed-sinc filter bank: one row a sub-sample position. Sound cards and the plane's clock never agree
quite, so the ratio of rates is never a fixed one.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from plivo_nb.audio_types import FloatPcm, Pcm

_PHASES = 512  # sub-sample positions: their rounding stays 80 dB below a 1 kHz tone at 48 kHz
_HALF_WIDTH = 10  # zero crossings of the sinc on each side
_KAISER_BETA = 7.0


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
    bank /= bank.sum(axis=1, keepdims=True)  # a constant stays that constant
    return bank.astype(np.float32)


class Resampler:
    """Converts a stream of samples from one rate to another. Not for two threads at once.

    Args:
        rate_in: Hz.
        rate_out: Hz.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self.rate_in, self.rate_out = rate_in, rate_out
        self._bank = _bank(rate_out / rate_in)
        self._taps: int = self._bank.shape[1]
        self._waiting: FloatPcm = np.zeros(self._taps // 2 - 1, np.float32)
        self._at = 0.0  # of the next output, in input samples from the first filter's middle

    def _step(self, speed: float) -> float:
        return self.rate_in / self.rate_out * speed

    def needed(self, samples: int, speed: float = 1.0) -> int:
        """How many more input samples are needed to give so many output samples."""
        last = math.floor(self._at + (samples - 1) * self._step(speed))
        return max(0, last + self._taps - len(self._waiting))

    def available(self, speed: float = 1.0) -> int:
        """How many output samples the input so far is good for."""
        room = len(self._waiting) - self._taps - self._at
        return max(0, math.floor(room / self._step(speed)) + 1) if room >= 0 else 0

    def feed(self, pcm: Pcm) -> None:
        """Take input samples in."""
        self._waiting = np.concatenate([self._waiting, pcm.astype(np.float32)])

    def take(self, samples: int, speed: float = 1.0) -> FloatPcm:
        """Give output samples, in the range of int16 (a little beyond is possible).

        Args:
            samples: how many; `needed` must be 0 for them.
            speed: input samples used up per output sample, relative to the nominal ratio.
        """
        if not samples:
            return np.zeros(0, np.float32)
        step = self._step(speed)
        at = self._at + step * np.arange(samples)
        first = np.floor(at).astype(np.intp)
        phase = np.rint((at - first) * _PHASES).astype(np.intp)
        waiting = self._waiting
        shape = (len(waiting) - self._taps + 1, self._taps)
        windows: FloatPcm = np.ndarray(shape, np.float32, waiting, 0, waiting.strides * 2)
        out: FloatPcm = np.einsum("ij,ij->i", windows[first], self._bank[phase])
        following = self._at + step * samples
        used = min(math.floor(following), len(self._waiting))
        self._waiting = self._waiting[used:]
        self._at = following - used
        return out

    def convert(self, pcm: Pcm, speed: float = 1.0) -> FloatPcm:
        """Take input in and give all the output that it is good for."""
        self.feed(pcm)
        return self.take(self.available(speed), speed)
