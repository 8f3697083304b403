"""Where the sound that is sent comes from.

A source is read by the plane's thread each 20 ms and must never make it wait: what takes time (files, users'
own code) happens in a thread of the source's own, and passes through a ring.
"""

from __future__ import annotations

import itertools
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S, FULLBAND_RATE, Pcm, padded
from plivo_nb.errors import SourceError
from plivo_nb.media.audio.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AHEAD_S = 1.0  # how much a file's worker decodes ahead


class Silence:
    """Sends silence, on purpose."""

    def open(self, rate: int) -> None:
        """Nothing to prepare."""

    def read(self, samples: int) -> Pcm | None:
        """Give nothing."""
        return None

    def close(self) -> None:
        """Nothing to release."""


class Tone:
    """A sine.

    Args:
        frequency_hz: its frequency.
        level_dbfs: RMS level; a full-scale sine has -3.01 dBFS.
    """

    def __init__(self, frequency_hz: float, level_dbfs: float = -20) -> None:
        if not 0 < frequency_hz < 24_000:
            raise ValueError("a tone needs a frequency between 0 and 24000 Hz")
        self.frequency_hz = frequency_hz
        self.level_dbfs = level_dbfs
        self._amplitude = min(1.0, 10 ** (level_dbfs / 20) * 2**0.5) * 32767
        self._rate = FULLBAND_RATE
        self._phase = 0.0  # in cycles

    def open(self, rate: int) -> None:
        """Go on at this rate; the phase goes on too."""
        self._rate = rate

    def read(self, samples: int) -> Pcm | None:
        """Give the next stretch of the sine."""
        step = self.frequency_hz / self._rate
        cycles = self._phase + step * np.arange(samples)
        self._phase = (self._phase + step * samples) % 1.0
        wave: Pcm = (self._amplitude * np.sin(2 * np.pi * cycles)).astype(np.int16)
        return wave

    def close(self) -> None:
        """Nothing to release."""


class AudioFile:
    """Any audio file that PyAV can decode; a worker thread decodes and resamples about a second ahead.

    Args:
        path: the file.
        loop: begin again at the end, without a gap.
        on_end: called once in the worker's thread, when the last sample has been read.

    Raises:
        SourceError: there is no such file, or no audio in it.
    """

    def __init__(
        self, path: str | Path, loop: bool = False, on_end: Callable[[], None] | None = None
    ) -> None:
        self.path = Path(path)
        self.loop = loop
        self._on_end = on_end
        self._worker: Pump | None = None
        self._played_s = 0.0
        self.duration_s = _probe(self.path)

    def __repr__(self) -> str:
        return f"AudioFile({str(self.path)!r}, loop={self.loop})"

    @property
    def ended(self) -> bool:
        """Whether all of it has been read."""
        return self._worker is not None and self._worker.ended

    @property
    def position_s(self) -> float:
        """How much has been read, in seconds."""
        return self._played_s

    def open(self, rate: int) -> None:
        """Start decoding at this rate, or go on at another one from the present position."""
        worker = self._worker
        if worker is not None:
            if worker.rate == rate or worker.ended:
                return
            worker.stop()
        samples = _decode(self.path, rate, self.loop, self._played_s)
        self._worker = Pump(f"file {self.path.name}", samples, rate, _AHEAD_S, self._on_end)

    def read(self, samples: int) -> Pcm | None:
        """Give the next samples; the last ones are followed by silence."""
        worker = self._worker
        if worker is None:
            return None
        pcm = worker.read(samples)
        if pcm is not None:
            self._played_s += len(pcm) / worker.rate
            return padded(pcm, samples)
        return None

    def close(self) -> None:
        """Stop the worker; its thread ends on its own within milliseconds."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


def _probe(path: Path) -> float | None:
    """Open a file once to see whether it can be played; return its length in seconds if it tells."""
    if not path.is_file():
        raise SourceError(f"There is no audio file {str(path)!r}; check the path.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise SourceError(f"{str(path)!r} holds no audio; use a WAV, MP3, Ogg or similar file.")
            return container.duration / 1_000_000 if container.duration else None
    except (av.FFmpegError, OSError) as error:
        why = error.strerror or error  # without FFmpeg's number, and the path once more
        raise SourceError(f"{str(path)!r} cannot be played ({why}); is it an audio file?") from None


def _decode(path: Path, rate: int, loop: bool, start_s: float) -> Iterator[Pcm]:
    """Decode a file from a position on; with `loop`, again and again."""
    skip = round(start_s * rate)
    for _ in itertools.count() if loop else range(1):
        length = 0
        with av.open(str(path)) as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
            frames: Any = itertools.chain(container.decode(audio=0), [None])
            for frame in frames:
                for part in resampler.resample(frame):
                    pcm = np.asarray(part.to_ndarray(), np.int16).reshape(-1)
                    length += len(pcm)
                    skipped = min(skip, len(pcm))
                    skip -= skipped
                    yield pcm[skipped:]
        if not length:
            return


class Loopback:
    """What is heard is sent back: a sink and a source in one.

    Args:
        delay_s: how much later.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self._frames: deque[Pcm] = deque()
        self._waiting = round(delay_s * FRAMES_PER_S)  # frames until the echo begins

    def open(self, rate: int) -> None:
        """Nothing to prepare: frames are passed on as they come."""

    def write(self, frame: Pcm) -> None:
        """Hear a frame."""
        self._frames.append(frame)
        while len(self._frames) > self._waiting + 3:
            self._frames.popleft()

    def read(self, samples: int) -> Pcm | None:
        """Give the frame heard `delay_s` ago."""
        if len(self._frames) <= self._waiting:
            return None
        frame = self._frames.popleft()
        if len(frame) != samples:  # what is sent has another rate than what is heard
            at = np.linspace(0, len(frame) - 1, samples)
            return np.interp(at, np.arange(len(frame)), frame).astype(np.int16)
        return frame

    def close(self) -> None:
        """Forget what was heard."""
        self._frames.clear()
