"""A ring buffer of samples between two threads: one writes, one reads, neither waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from plivo_nb.audio_types import Pcm


class RingBuffer:
    """A bounded first-in first-out queue of int16 samples, for one writing and one reading thread.

    It needs no lock: each side changes only its own counter, after its copy is complete. So the reader never
    waits for a writer that was interrupted.

    Args:
        capacity: number of samples.
    """

    def __init__(self, capacity: int) -> None:
        self._samples = np.zeros(capacity, np.int16)
        self._read = 0  # both only grow; their difference is the number of samples waiting
        self._written = 0

    def __len__(self) -> int:
        return self._written - self._read

    @property
    def free(self) -> int:
        """Number of samples that can be written."""
        return len(self._samples) - len(self)

    def write(self, samples: Pcm) -> int:
        """Append samples until the buffer is full; return how many."""
        count = min(len(samples), self.free)
        start = self._written % len(self._samples)
        first = min(count, len(self._samples) - start)
        self._samples[start : start + first] = samples[:first]
        self._samples[: count - first] = samples[first:count]
        self._written += count
        return count

    def read(self, count: int) -> Pcm:
        """Remove and return up to `count` samples."""
        count = min(count, len(self))
        start = self._read % len(self._samples)
        first = self._samples[start : start + count]
        if len(first) == count:
            out = first.copy()
        else:
            out = np.concatenate([first, self._samples[: count - len(first)]])
        self._read += count
        return out

    def clear(self) -> None:
        """Drop all samples; for the reading thread."""
        self._read = self._written
