"""The types of sound that all packages share: PCM samples, sources and sinks, and sample rates."""

from __future__ import annotations

from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

#: Mono samples of 16 bits; full scale is 32767.
Pcm: TypeAlias = NDArray[np.int16]
#: Samples while they are computed with, in the range of int16.
FloatPcm: TypeAlias = NDArray[np.float32]

#: The sample rate of Opus (RFC 7587 section 4.1) and the one that sound cards are opened with, in Hz.
FULLBAND_RATE = 48_000
#: One frame of sound, in seconds: what a packet holds, what a media session reads from a source and writes to
#: a sink at a time, and how often the I/O plane does so.
FRAME_S = 0.020
FRAMES_PER_S = round(1 / FRAME_S)

_T = TypeVar("_T")
_NONBLOCKING: set[type] = set()
_METHODS = frozenset({"open", "read", "write", "close"})


def nonblocking(kind: type[_T]) -> type[_T]:
    """Class decorator: sources and sinks of exactly this class never wait and never raise.

    Only these are read and written in a thread with deadlines. A subclass is another class, with other
    methods: it has to be decorated itself.
    """
    _NONBLOCKING.add(kind)
    return kind


def is_nonblocking(thing: object) -> bool:
    """Whether a source or sink may be used in a thread with deadlines; others need a worker thread.

    Example:
        >>> class Mine: ...
        >>> is_nonblocking(Mine())
        False
    """
    return type(thing) in _NONBLOCKING and _METHODS.isdisjoint(getattr(thing, "__dict__", ()))


def to_int16(samples: FloatPcm) -> Pcm:
    """Round samples to integers, and clip those beyond full scale.

    Example:
        >>> to_int16(np.array([0.6, -40_000.0], np.float32)).tolist()
        [1, -32768]
    """
    pcm: Pcm = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return pcm


def padded(pcm: Pcm, samples: int) -> Pcm:
    """Return `pcm` followed by silence, so that it is at least `samples` long."""
    missing = samples - len(pcm)
    return np.concatenate([pcm, np.zeros(missing, np.int16)]) if missing > 0 else pcm


@runtime_checkable
class Source(Protocol):
    """Sound that can be sent or played. PCM is mono int16.

    A source of yours is read in a worker thread, a little ahead. It may wait; one that raises ends, not the
    call. Its frames may be any arrays of samples that `Call.play` takes. A source that ends may have an
    attribute `ended`, which is True from then on.
    """

    def open(self, rate: int) -> None:
        """Prepare to be read at this rate in Hz. Returns at once; may be called again with another rate."""

    def read(self, samples: int) -> Pcm | None:
        """Return that many samples, or None while there are none (silence is sent)."""

    def close(self) -> None:
        """Release everything. Returns at once."""


@runtime_checkable
class Sink(Protocol):
    """A receiver of sound. PCM is mono int16, in frames of 20 ms.

    A sink of yours is written in a worker thread. It may wait (frames that wait longer than 5 s are dropped);
    one that raises ends, not the call. A sink may have an attribute `sent`, a sink itself, which receives
    what is sent: in each tick after the sink has received what was received.
    """

    def open(self, rate: int) -> None:
        """Prepare for frames of this rate in Hz. Returns at once; may be called again with another rate."""

    def write(self, frame: Pcm) -> None:
        """Take a frame."""

    def close(self) -> None:
        """Finish and release everything."""
