"""Reading a source that a worker thread fills."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plivo_nb.audio_types import Source


def read_all(source: Source, samples: int, at_most: int = 100_000) -> NDArray[np.int16]:
    """Read as fast as the worker fills the ring; stop after 0.7 s of nothing."""
    frames: list[NDArray[np.int16]] = []
    quiet_since = time.monotonic()
    while len(frames) < at_most and time.monotonic() - quiet_since < (0.7 if frames else 5.0):
        frame = source.read(samples)
        if frame is None:
            time.sleep(0.002)
            continue
        assert len(frame) == samples
        quiet_since = time.monotonic()
        frames.append(frame)
    return np.concatenate(frames) if frames else np.zeros(0, np.int16)
