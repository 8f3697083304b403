"""Sources and sinks made of users' generators and functions, which run in worker threads."""

from __future__ import annotations

import contextvars
import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S, FULLBAND_RATE, Pcm, Sink, Source, padded
from plivo_nb.media.audio.pump import Pump
from plivo_nb.media.audio.sources import AudioFile

if TYPE_CHECKING:
    import av
    from numpy.typing import ArrayLike

_log = logging.getLogger(__name__)
_AHEAD_S = 0.2
_WAITING_FRAMES = 250  # 5 s


def to_pcm(samples: ArrayLike) -> Pcm:
    """Convert samples to mono int16.

    Args:
        samples: integers of 16 bits, or floats from -1 to 1 (NaN is silence); of one channel, or of shape
            (samples, channels), of which the mean is taken.

    Raises:
        ValueError: the array has more than two dimensions, or contains neither integers nor floats.

    Example:
        >>> to_pcm([0.0, 0.5, -1.0]).tolist()
        [0, 16384, -32767]
    """
    array = np.asarray(samples)
    if array.ndim > 2 or array.dtype.kind not in "iuf":
        raise ValueError(f"not an array of samples: shape {array.shape}, type {array.dtype}")
    if array.dtype.kind == "f":
        scaled = np.clip(np.nan_to_num(array.astype(np.float64)), -1, 1) * 32767
    else:
        scaled = np.clip(array.astype(np.float64), -32768, 32767)
    mono = scaled if scaled.ndim < 2 else scaled.mean(axis=1)
    pcm: Pcm = np.rint(np.atleast_1d(mono)).astype(np.int16)
    return pcm


class FrameSource:
    """A source of a generator (or any iterable) of sample arrays of any length.

    Args:
        frames: yields arrays as `to_pcm` takes them. It is iterated in a worker thread, 0.2 s ahead. It is
            iterated once: after `close` and `open` the source continues where it was.
        rate: sample rate of the arrays in Hz; they are resampled to the call's rate.
        on_end: called in the worker thread when all has been sent.
    """

    def __init__(
        self, frames: Iterable[ArrayLike], rate: int = FULLBAND_RATE, on_end: Callable[[], None] | None = None
    ) -> None:
        self._frames = iter(frames)
        self._rate = rate
        self._on_end = on_end
        self._context = contextvars.copy_context()  # the cell's, to which the output of `frames` belongs
        self._pump: Pump | None = None
        self._old: Pump | None = None

    def open(self, rate: int) -> None:
        """Start the worker for a call of this rate."""
        old = self._pump
        if old is not None:
            if old.rate == rate:
                return
            old.stop()
        self._old = old
        self._pump = Pump("frames", self._resampled(rate), rate, _AHEAD_S, self._on_end, self._context)

    def _resampled(self, rate: int) -> Iterator[Pcm]:
        if self._old is not None:  # two threads must not iterate one generator
            self._old.join()
        if rate == self._rate:
            yield from map(to_pcm, self._frames)
            return
        import av  # late, as in `sources`

        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        for samples in self._frames:
            pcm = to_pcm(samples)
            if not len(pcm):
                continue
            frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = self._rate
            yield from _arrays(resampler.resample(frame))
        yield from _arrays(resampler.resample(None))

    def read(self, samples: int) -> Pcm | None:
        """Return a frame, or None while there is none."""
        pcm = self._pump.read(samples) if self._pump is not None else None
        return None if pcm is None else padded(pcm, samples)

    def close(self) -> None:
        """Stop the worker."""
        if self._pump is not None:
            self._pump.stop()
            self._pump = None


def _arrays(frames: Iterable[av.AudioFrame]) -> Iterator[Pcm]:
    for frame in frames:
        yield np.asarray(frame.to_ndarray(), np.int16).reshape(-1)


class CallableSource(FrameSource):
    """A source of a function.

    Args:
        function: called in a worker thread with (number of samples, rate in Hz), for 20 ms at a
            time, 0.2 s ahead. It returns an array as `to_pcm` takes it, or None at the end.
        on_end: called in the worker thread when all has been sent.
    """

    def __init__(
        self, function: Callable[[int, int], ArrayLike | None], on_end: Callable[[], None] | None = None
    ) -> None:
        super().__init__((), on_end=on_end)
        self._function = function

    def _resampled(self, rate: int) -> Iterator[Pcm]:
        for _ in itertools.count():
            samples = self._function(rate // FRAMES_PER_S, rate)
            if samples is None:
                return
            pcm = to_pcm(samples)
            if not len(pcm):
                return
            yield pcm


class CallableSink:
    """A sink that calls a function.

    Args:
        function: called in a worker thread with (20 ms of int16 samples, rate in Hz). Frames that wait
            longer than 5 s are dropped and counted in `dropped`. After an exception, which is logged, the
            function is not called again.
    """

    def __init__(self, function: Callable[[Pcm, int], object]) -> None:
        self._function = function
        self.dropped = 0
        self._rate = 0
        self._frames: deque[tuple[Pcm, int] | None] = deque()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._context = contextvars.copy_context()  # the cell's, to which the output of `function` belongs

    def open(self, rate: int) -> None:
        """Start the worker, or note a new rate."""
        self._rate = rate
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(
                target=self._context.copy().run, args=(self._run,), name="plivo_nb sink", daemon=True
            )
            self._thread.start()

    def write(self, frame: Pcm) -> None:
        """Queue a frame for the function."""
        if self._closed:
            return
        if len(self._frames) >= _WAITING_FRAMES:
            self.dropped += 1
            return
        self._frames.append((frame, self._rate))
        self._ready.set()

    def close(self) -> None:
        """Wait until the function has taken the queued frames, 1 s at most."""
        if self._closed:
            return
        self._closed = True
        self._frames.append(None)
        self._ready.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while True:
            self._ready.wait()
            self._ready.clear()
            while self._frames:
                item = self._frames.popleft()
                if item is None:
                    return
                try:
                    self._function(*item)
                except Exception:
                    _log.exception("The function of a sink failed; it is not called again.")
                    self._closed = True
                    self._frames.clear()
                    return


def as_source(
    thing: object, *, rate: int = FULLBAND_RATE, loop: bool = False, on_end: Callable[[], None] | None = None
) -> Source:
    """Return a source for what a user passes to `Call.play`.

    Args:
        thing: a source; the path of an audio file; a function as `CallableSource` takes it; an array of
            samples; or a generator or list of arrays.
        rate: sample rate of arrays in Hz.
        loop: repeat a file.
        on_end: called in a worker thread when all has been sent; unused if `thing` is a source.

    Raises:
        SourceError: the file cannot be played.
        TypeError: `thing` is none of these.
    """
    if isinstance(thing, str | os.PathLike):
        return AudioFile(os.fspath(thing), loop=loop, on_end=on_end)
    if isinstance(thing, type):
        raise TypeError(f"{thing.__name__} is a class: pass an instance, {thing.__name__}(...)")
    if isinstance(thing, Source):
        return thing
    if callable(thing):
        return CallableSource(thing, on_end)
    if isinstance(thing, np.ndarray):
        return FrameSource([thing], rate, on_end)
    if isinstance(thing, Iterable):
        return FrameSource(thing, rate, on_end)
    raise TypeError(f"{thing!r} cannot be played: give a path, a source, an array, a generator or a function")


def as_sink(thing: object) -> Sink:
    """Return a sink for a sink, or for a function as `CallableSink` takes it. Raises TypeError otherwise."""
    if isinstance(thing, Sink) and not isinstance(thing, type):
        return thing
    if callable(thing):
        return CallableSink(thing)
    raise TypeError(f"{thing!r} is not a sink: give a sink or a function of (samples, rate)")
