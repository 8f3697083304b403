"""The last minutes of a call, kept in memory, to be listened to again."""

from __future__ import annotations

from collections import deque

import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S, Pcm


class RollingBuffer:
    """A sink that keeps the last minutes of what it hears.

    Args:
        seconds: how much; five minutes of Opus take 29 MB, of PCMU 5 MB.
    """

    def __init__(self, seconds: float = 300.0) -> None:
        self._frames: deque[Pcm] = deque(maxlen=max(1, round(seconds * FRAMES_PER_S)))
        self._heard = 0  # frames in all
        self.rate = 0

    def open(self, rate: int) -> None:
        """Take frames of this rate; what was kept at another one is thrown away."""
        if rate != self.rate:
            self._frames.clear()
            self.rate = rate

    def write(self, frame: Pcm) -> None:
        """Keep a frame."""
        self._frames.append(frame)
        self._heard += 1

    def close(self) -> None:
        """Keep what was heard: it may be listened to after the call."""

    @property
    def span_s(self) -> tuple[float, float]:
        """From when to when there is sound, in seconds since the first frame."""
        return (self._heard - len(self._frames)) / FRAMES_PER_S, self._heard / FRAMES_PER_S

    def audio(self, start_s: float | None = None, end_s: float | None = None) -> tuple[int, Pcm]:
        """Return a stretch of what was heard; what is not kept any more is left out.

        Args:
            start_s: seconds since the first frame; below zero: before the end; None: all there is.
            end_s: likewise.

        Returns:
            The rate in Hz, and the samples.
        """
        frames = list(self._frames)
        heard = self._heard
        first = heard - len(frames)

        def index(at_s: float | None, default: int) -> int:
            if at_s is None:
                return default
            frame = round(at_s * FRAMES_PER_S) + (heard if at_s < 0 else 0)
            return min(len(frames), max(0, frame - first))

        chosen = frames[index(start_s, 0) : index(end_s, len(frames))]
        return self.rate, np.concatenate(chosen) if chosen else np.zeros(0, np.int16)
