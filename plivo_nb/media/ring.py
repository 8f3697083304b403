"""A ring of samples between two threads: one writes, the other reads, neither waits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Ring:
    """A bounded first-in first-out store of int16 samples, safe for one writer and one reader.

    Args:
        capacity: in samples.
    """

    def __init__(self, capacity: int) -> None:
        self._samples = np.zeros(capacity, np.int16)
        self._read = 0  # both only grow; their difference is what waits
        self._written = 0
        self._lock = threading.Lock()  # held for copies of a few microseconds

    def __len__(self) -> int:
        return self._written - self._read

    @property
    def free(self) -> int:
        """How many samples there is room for."""
        return len(self._samples) - len(self)

    def write(self, samples: NDArray[np.int16]) -> int:
        """Append as many samples as there is room for; return how many."""
        with self._lock:
            count = min(len(samples), self.free)
            start = self._written % len(self._samples)
            first = min(count, len(self._samples) - start)
            self._samples[start : start + first] = samples[:first]
            self._samples[: count - first] = samples[first:count]
            self._written += count
        return count

    def read(self, count: int) -> NDArray[np.int16]:
        """Take up to `count` samples out."""
        with self._lock:
            count = min(count, len(self))
            start = self._read % len(self._samples)
            first = self._samples[start : start + count]
            out = (
                first.copy()
                if len(first) == count
                else np.concatenate([first, self._samples[: count - len(first)]])
            )
            self._read += count
        return out

    def clear(self) -> None:
        """Throw away what waits."""
        with self._lock:
            self._read = self._written
