"""What is said in the benches of loss and echo, as raw samples and files, made by the bench's own process.

The peers' programs read the files with `wave` alone: their environment has nothing of this package.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np

Pcm = np.ndarray[Any, np.dtype[np.int16]]
BURST_S, BURST_EVERY_S = 0.06, 1.0
LOUD = 2000  # a sample of a burst, and nothing else, is louder


def read(path: Path) -> Pcm:
    """The samples of a mono file of 16 bits."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def write(path: Path, pcm: Pcm, rate: int) -> None:
    """Write a mono file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(pcm, np.int16).tobytes())


def bursts(rate: int, seconds: float) -> Pcm:
    """A beep of 60 ms once a second, from 0.5 s on, and silence between."""
    time_s = np.arange(round(seconds * rate)) / rate
    on = (time_s - 0.5) % BURST_EVERY_S < BURST_S
    return (9000 * np.sin(2 * np.pi * 600 * time_s) * (on & (time_s >= 0.5))).astype(np.int16)


def onsets(pcm: Pcm, rate: int) -> list[float]:
    """When each burst in a recording begins, s."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > LOUD) / rate
    return [float(t) for n, t in enumerate(loud) if n == 0 or t - loud[n - 1] > BURST_EVERY_S / 3]


def delays_ms(said: list[float], heard: list[float]) -> list[float]:
    """From each burst that was said to the next one heard, within a period, ms."""
    pairs = ((t, next((h for h in heard if t <= h < t + BURST_EVERY_S), None)) for t in said)
    return [1000 * (h - t) for t, h in pairs if h is not None]
