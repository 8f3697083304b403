"""A sink that keeps the last second of received sound and measures its frequency."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np


class Ear:
    """A `Sink` of the package that measures the strongest frequency of the last 400 ms."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rate = 0
        self._heard: list[Any] = []

    def open(self, rate: int) -> None:
        with self._lock:
            self._rate = rate
            self._heard = []

    def write(self, frame: Any) -> None:
        with self._lock:
            self._heard = [*self._heard[-19:], np.array(frame)]

    def close(self) -> None:
        """Do nothing."""

    def forget(self) -> None:
        """Drop what was received."""
        with self._lock:
            self._heard = []

    @property
    def frequency_hz(self) -> float | None:
        """The strongest frequency, or None while less than 400 ms, or no more than noise, has been heard."""
        with self._lock:
            rate, frames = self._rate, list(self._heard)
        if len(frames) < 20:
            return None
        sound = np.concatenate(frames).astype(float)
        if np.max(np.abs(sound)) < 328:  # -40 dBFS
            return None
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum) * rate / len(sound))

    async def hears(self, frequency_hz: float, timeout_s: float = 8.0) -> None:
        """Wait until that tone is heard (within 2 %)."""
        deadline = time.monotonic() + timeout_s
        heard: float | None = None
        while time.monotonic() < deadline:
            heard = self.frequency_hz
            if heard is not None and abs(heard - frequency_hz) < 0.02 * frequency_hz:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"A tone of {frequency_hz} Hz was to be heard, not {heard}.")
