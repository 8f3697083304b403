"""A sink that keeps what was received last and measures its level and frequency."""

from __future__ import annotations

import math
import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray
from waiting import until

from plivo_nb.audio_types import FRAMES_PER_S

_KEPT_FRAMES = 500  # 10 s
_MEASURED_FRAMES = 20  # 400 ms


class Ear:
    """A `Sink` of the package that keeps the last ten seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rate = 0
        self._frames: deque[NDArray[np.int16]] = deque(maxlen=_KEPT_FRAMES)

    def open(self, rate: int) -> None:
        with self._lock:
            self._rate = rate
            self._frames.clear()

    def write(self, frame: NDArray[np.int16]) -> None:
        with self._lock:
            self._frames.append(frame.copy())

    def close(self) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Drop what was received."""
        with self._lock:
            self._frames.clear()

    @property
    def frames(self) -> list[NDArray[np.int16]]:
        """The frames received, oldest first."""
        with self._lock:
            return list(self._frames)

    def sound(self, last_s: float = 0.5) -> NDArray[np.float64]:
        """The samples received last."""
        frames = self.frames[-math.ceil(last_s * FRAMES_PER_S) :]
        samples = np.concatenate(frames or [np.zeros(1, np.int16)]).astype(np.float64)
        return samples[-round(last_s * max(self._rate, 1)) :]

    def level(self, frequency_hz: float, last_s: float = 0.5) -> float:
        """The amplitude of that frequency in what was received last, 0 to 1 of full scale."""
        return self._level(frequency_hz, self.sound(last_s))

    def highest_level(self, frequency_hz: float, last_s: float = 2.0, window_s: float = 0.1) -> float:
        """The amplitude of that frequency in the part where it was highest: for tones that are short."""
        sound, window = self.sound(last_s), max(1, round(window_s * self._rate))
        parts = [sound[at : at + window] for at in range(0, max(1, len(sound) - window), window // 2 or 1)]
        return max(self._level(frequency_hz, part) for part in parts)

    def _level(self, frequency_hz: float, sound: NDArray[np.float64]) -> float:
        turn = np.exp(-2j * np.pi * frequency_hz * np.arange(len(sound)) / max(self._rate, 1))
        return float(2 * abs(np.mean(sound * turn)) / 32768)

    def peak(self, last_s: float = 0.5) -> float:
        """The highest sample of what was received last, 0 to 1 of full scale."""
        return float(np.max(np.abs(self.sound(last_s)))) / 32768

    @property
    def frequency_hz(self) -> float | None:
        """The strongest frequency, or None while less than 400 ms, or no more than noise, was received."""
        frames = self.frames[-_MEASURED_FRAMES:]
        if len(frames) < _MEASURED_FRAMES:
            return None
        sound = np.concatenate(frames).astype(float)
        if np.max(np.abs(sound)) < 328:  # -40 dBFS
            return None
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum) * self._rate / len(sound))

    async def hears(self, frequency_hz: float, timeout_s: float = 8.0) -> None:
        """Wait until that tone is received (within 2 %)."""
        await until(
            lambda: abs((self.frequency_hz or 0.0) - frequency_hz) < 0.02 * frequency_hz,
            timeout_s,
            describe=lambda: f"{self.frequency_hz} Hz instead of {frequency_hz} Hz",
            interval_s=0.05,
        )
