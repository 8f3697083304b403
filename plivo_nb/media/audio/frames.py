"""Sources of users' generators and functions, which run in worker threads."""

from __future__ import annotations

import contextvars
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S, FULLBAND_RATE, Pcm, nonblocking, padded
from plivo_nb.media.audio.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import av
    from numpy.typing import ArrayLike

_PIECE = FULLBAND_RATE  # samples converted at a time: a long array takes little memory, and the GIL briefly


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


def to_pieces(samples: ArrayLike) -> Iterator[Pcm]:
    """Convert samples as `to_pcm` does, in pieces of at most 48000."""
    whole: Any = samples if isinstance(samples, list | tuple) else np.asarray(samples)
    if isinstance(whole, np.ndarray) and not whole.ndim:
        whole = whole.reshape(1)
    for at in range(0, len(whole), _PIECE):
        yield to_pcm(whole[at : at + _PIECE])


@nonblocking
class FrameSource:
    """A source of a generator (or any iterable) of sample arrays of any length.

    Args:
        frames: yields arrays as `to_pcm` takes them. It is iterated in a worker thread, 0.2 s ahead. It is
            iterated once: after `close` and `open` the source continues where it was.
        rate: sample rate of the arrays in Hz; they are resampled to the call's rate.
        on_end: called in the worker thread when all has been sent, or after an exception.
        on_error: called in the worker thread with a sentence when `frames` raised an exception.
        name: for the log.
    """

    _AHEAD_S = 0.2

    def __init__(
        self,
        frames: Iterable[ArrayLike],
        rate: int = FULLBAND_RATE,
        on_end: Callable[[], None] | None = None,
        on_error: Callable[[str], None] | None = None,
        name: str = "frames",
    ) -> None:
        self._frames = iter(frames)
        self._rate = rate
        self._name = name
        self._on_end, self._on_error = on_end, on_error
        self._context = contextvars.copy_context()  # the cell's, to which the output of `frames` belongs
        self._pump: Pump | None = None
        self._old: Pump | None = None

    @property
    def ended(self) -> bool:
        """Whether all has been sent, or the frames failed."""
        return self._pump is not None and self._pump.ended

    def open(self, rate: int) -> None:
        """Start the worker for a call of this rate."""
        old = self._pump
        if old is not None:
            if old.rate == rate:
                return
            old.stop()
        self._old = old
        self._pump = Pump(
            self._name,
            self._begin(rate),
            rate,
            self._AHEAD_S,
            self._on_end,
            self._context,
            on_error=self._on_error,
        )

    def _begin(self, rate: int) -> Iterator[Pcm]:
        """The samples at this rate; iterated in the worker thread."""
        if self._old is not None:  # two threads must not iterate one generator
            self._old.join()
        pieces = itertools.chain.from_iterable(map(to_pieces, self._frames))
        if rate == self._rate:
            yield from pieces
            return
        import av  # late, as in `sources`

        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        for pcm in pieces:
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


@nonblocking
class CallableSource(FrameSource):
    """A source of a function.

    Args:
        function: called in a worker thread with (number of samples, rate in Hz), for 20 ms at a
            time, 0.2 s ahead. It returns an array as `to_pcm` takes it, or None at the end.
        on_end, on_error: as for `FrameSource`.
    """

    def __init__(
        self,
        function: Callable[[int, int], ArrayLike | None],
        on_end: Callable[[], None] | None = None,
        on_error: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__((), on_end=on_end, on_error=on_error)
        self._function = function

    def _begin(self, rate: int) -> Iterator[Pcm]:
        if self._old is not None:
            self._old.join()
        for _ in itertools.count():
            samples = self._function(rate // FRAMES_PER_S, rate)
            if samples is None:
                return
            pieces = to_pieces(samples)
            first = next(pieces, None)
            if first is None:
                return
            yield first
            yield from pieces
