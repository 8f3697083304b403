"""Sources: silence, tones, files, and the received sound itself.

A source is read by the I/O plane's thread each 20 ms and must not make it wait. Work that takes time (reading
files, users' code) is done in a thread of the source, which fills a ring buffer.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S, FULLBAND_RATE, Pcm, nonblocking, padded
from plivo_nb.errors import SourceError
from plivo_nb.media.audio.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AHEAD_S, _REFILL_S = 1.0, 0.5  # how far ahead a file's worker decodes, and how much at a time
_KEPT_S, _KEPT_FILES = 30.0, 4  # how long the files are whose sound is kept, and how many


@nonblocking
class Silence:
    """A source that sends silence."""

    def open(self, rate: int) -> None:
        """Do nothing."""

    def read(self, samples: int) -> Pcm | None:
        """Return None."""
        return None

    def close(self) -> None:
        """Do nothing."""


@nonblocking
class Tone:
    """A source of a sine tone.

    Args:
        frequency_hz: frequency, above 0 and below 24000 Hz.
        level_dbfs: RMS level in dBFS; a full-scale sine has -3.01 dBFS.

    Raises:
        ValueError: the frequency is out of range.

    Example:
        >>> tone = Tone(1000)
        >>> tone.open(8_000)
        >>> len(tone.read(160))
        160
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
        """Continue at this rate without a jump of the phase."""
        self._rate = rate

    def read(self, samples: int) -> Pcm | None:
        """Return the next samples of the sine."""
        step = self.frequency_hz / self._rate
        cycles = self._phase + step * np.arange(samples)
        self._phase = (self._phase + step * samples) % 1.0
        wave: Pcm = (self._amplitude * np.sin(2 * np.pi * cycles)).astype(np.int16)
        return wave

    def close(self) -> None:
        """Do nothing."""


@nonblocking
class AudioFile:
    """A source of an audio file, in any format that PyAV decodes.

    A worker thread decodes and resamples about a second ahead.

    Args:
        path: path of the file.
        loop: start again at the end, without a gap.
        on_end: called once in the worker's thread when the last sample has been read.
        on_error: called in the worker's thread with a sentence when the file cannot be decoded any further.

    Raises:
        SourceError: the file does not exist or contains no audio.
    """

    def __init__(
        self,
        path: str | Path,
        loop: bool = False,
        on_end: Callable[[], None] | None = None,
        on_error: Callable[[str], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.loop = loop
        self._on_end, self._on_error = on_end, on_error
        self._worker: Pump | None = None
        self._played_s = 0.0
        self.duration_s = _probe(self.path)

    def __repr__(self) -> str:
        return f"AudioFile({str(self.path)!r}, loop={self.loop})"

    @property
    def ended(self) -> bool:
        """Whether the whole file has been read."""
        return self._worker is not None and self._worker.ended

    @property
    def position_s(self) -> float:
        """How much of the sound has been read, in seconds."""
        return self._played_s

    def open(self, rate: int) -> None:
        """Start decoding at this rate; continue at the present position after a change of rate."""
        worker = self._worker
        if worker is not None:
            if worker.rate == rate or worker.ended:
                return
            worker.stop()
        samples = _samples(self.path, rate, self.loop, self._played_s)
        name = f"file {self.path.name}"
        self._worker = Pump(
            name, samples, rate, _AHEAD_S, self._on_end, on_error=self._on_error, refill_s=_REFILL_S
        )

    def read(self, samples: int) -> Pcm | None:
        """Return the next samples; the last samples are followed by silence."""
        worker = self._worker
        if worker is None:
            return None
        pcm = worker.read(samples)
        if pcm is not None:
            self._played_s += len(pcm) / worker.rate
            return padded(pcm, samples)
        return None

    def close(self) -> None:
        """Stop the worker; its thread ends within milliseconds."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


def _probe(path: Path) -> float | None:
    """Check that a file can be played; return its length in seconds, None if unknown."""
    if not path.is_file():
        raise SourceError(f"There is no audio file {str(path)!r}; check the path.")
    import av  # late: where it is missing, a client can be made all the same and say so (webRTC())

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise SourceError(f"{str(path)!r} contains no audio; use a WAV, MP3, Ogg or similar file.")
            return container.duration / 1_000_000 if container.duration else None
    except (av.FFmpegError, OSError) as error:
        why = error.strerror or error  # without FFmpeg's number and a second copy of the path
        raise SourceError(f"{str(path)!r} cannot be played ({why}); is it an audio file?") from None


def _samples(path: Path, rate: int, loop: bool, start_s: float) -> Iterator[Pcm]:
    """The sound of a file from a position on; with `loop`, repeatedly."""
    skip = round(start_s * rate)
    for _ in itertools.count() if loop else range(1):
        length = 0
        for pcm in _DECODED.parts(path, rate):
            length += len(pcm)
            skipped = min(skip, len(pcm))
            skip -= skipped
            yield pcm[skipped:]
        if not length:
            return


class _Decoded:
    """The sound of short files that were played last, for many calls and loops that play the same one.

    Decoding takes a hundredth of a core a call, and takes the interpreter's lock from the plane.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], tuple[Pcm, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def parts(self, path: Path, rate: int) -> Iterator[Pcm]:
        """The sound from the beginning, in parts of any length."""
        about = path.stat()
        key = (path, about.st_mtime_ns, about.st_size, rate)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        if kept is not None:
            yield from kept
            return
        decoding = _decode(path, rate)
        first = list(_taken(decoding, round(_REFILL_S * rate)))
        yield from first  # there is room for them: what follows is decoded while they are played
        rest = list(_taken(decoding, round((_KEPT_S - _REFILL_S) * rate)))
        after = next(decoding, None)
        if after is None and first:
            self._keep(key, (*first, *rest))
        yield from rest
        if after is not None:
            yield after
            yield from decoding

    def _keep(self, key: tuple[object, ...], parts: tuple[Pcm, ...]) -> None:
        with self._lock:
            self._kept[key] = parts
            while len(self._kept) > _KEPT_FILES:
                self._kept.popitem(last=False)


_DECODED = _Decoded()


def _taken(parts: Iterator[Pcm], samples: int) -> Iterator[Pcm]:
    """Parts until they have so many samples together."""
    while samples > 0 and (pcm := next(parts, None)) is not None:
        samples -= len(pcm)
        yield pcm


def _decode(path: Path, rate: int) -> Iterator[Pcm]:
    """Decode a file."""
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        frames: Any = itertools.chain(container.decode(audio=0), [None])
        for frame in frames:
            for part in resampler.resample(frame):
                yield np.asarray(part.to_ndarray(), np.int16).reshape(-1)


@nonblocking
class Loopback:
    """A sink and a source in one, which sends back what is received.

    Args:
        delay_s: delay in seconds.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self._frames: deque[Pcm] = deque()
        self._waiting = round(delay_s * FRAMES_PER_S)  # frames to wait before the first one is sent back
        self._most = self._waiting + 3 if self._waiting else 1  # without a delay: only the newest

    def open(self, rate: int) -> None:
        """Do nothing: frames are sent back as they are."""

    def write(self, frame: Pcm) -> None:
        """Take a frame."""
        self._frames.append(frame)
        while len(self._frames) > self._most:
            self._frames.popleft()

    def read(self, samples: int) -> Pcm | None:
        """Return the frame received `delay_s` ago, or None."""
        if len(self._frames) <= self._waiting:
            return None
        frame = self._frames.popleft()
        if len(frame) != samples:  # the rates of the two directions differ
            at = np.linspace(0, len(frame) - 1, samples)
            return np.interp(at, np.arange(len(frame)), frame).astype(np.int16)
        return frame

    def close(self) -> None:
        """Drop the waiting frames."""
        self._frames.clear()
