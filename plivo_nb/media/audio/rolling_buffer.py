"""A sink that keeps the last minutes of sound in memory."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S, Pcm, nonblocking

if TYPE_CHECKING:
    from collections.abc import Callable


@nonblocking
class RollingBuffer:
    """A sink that keeps the last minutes of sound.

    Args:
        seconds: how much to keep; five minutes of Opus take 29 MB, of PCMU 5 MB.
        clock: gives the time at which a frame is written, in seconds.

    Attributes:
        rate: of the sound, in Hz; 0 before the first `open`.
        stored_bytes: how much memory the samples take that are kept.
    """

    def __init__(self, seconds: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._frames: deque[tuple[float, Pcm]] = deque(maxlen=max(1, round(seconds * FRAMES_PER_S)))
        self._written = 0  # frames in all
        self.rate = 0
        self.stored_bytes = 0

    def open(self, rate: int) -> None:
        """Take frames of this rate; drop those of another rate."""
        if rate != self.rate:
            self._frames.clear()
            self.stored_bytes = 0
            self.rate = rate

    def write(self, frame: Pcm) -> None:
        """Append a frame; drop the oldest when full."""
        if len(self._frames) == self._frames.maxlen:
            self.drop_oldest()
        self._frames.append((self._clock(), frame))
        self.stored_bytes += frame.nbytes
        self._written += 1

    def drop_oldest(self) -> None:
        """Drop the oldest frame, if there is one."""
        if self._frames:
            self.stored_bytes -= self._frames.popleft()[1].nbytes

    def close(self) -> None:
        """Do nothing: the sound can be read after the call."""

    @property
    def span_s(self) -> tuple[float, float]:
        """Begin and end of the sound that is kept, in seconds since the first frame."""
        return (self._written - len(self._frames)) / FRAMES_PER_S, self._written / FRAMES_PER_S

    def audio(self, start_s: float | None = None, end_s: float | None = None) -> tuple[int, Pcm]:
        """Return the sound between two times, as far as it is kept.

        Args:
            start_s: seconds since the first frame, or, if negative, before the end; None: from the beginning.
            end_s: likewise; None: to the end.

        Returns:
            The rate in Hz, and the samples.
        """
        rate, samples, _ = self.timed_audio(start_s, end_s)
        return rate, samples

    def timed_audio(
        self, start_s: float | None = None, end_s: float | None = None
    ) -> tuple[int, Pcm, list[float]]:
        """As `audio`, and behind it the time at which each of the frames was written, by `clock`."""
        frames = list(self._frames)
        written = self._written
        first = written - len(frames)

        def index(at_s: float | None, default: int) -> int:
            if at_s is None:
                return default
            frame = round(at_s * FRAMES_PER_S) + (written if at_s < 0 else 0)
            return min(len(frames), max(0, frame - first))

        return self._joined(frames[index(start_s, 0) : index(end_s, len(frames))])

    def audio_between(self, start_s: float, end_s: float) -> tuple[int, Pcm, list[float]]:
        """As `timed_audio`, of the frames that were written between two times of `clock`."""
        return self._joined([item for item in list(self._frames) if start_s <= item[0] < end_s])

    @property
    def written_between_s(self) -> tuple[float, float] | None:
        """When the first and the last frame that is kept were written, by `clock`; None without any."""
        frames = list(self._frames)
        return (frames[0][0], frames[-1][0]) if frames else None

    def _joined(self, frames: list[tuple[float, Pcm]]) -> tuple[int, Pcm, list[float]]:
        samples = np.concatenate([pcm for _, pcm in frames]) if frames else np.zeros(0, np.int16)
        return self.rate, samples, [at_s for at_s, _ in frames]
