"""Sources and sinks for whatever users play and listen with."""

from __future__ import annotations

import numbers
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import numpy as np

from plivo_nb.audio_types import FULLBAND_RATE, Pcm, Sink, Source, is_nonblocking, nonblocking
from plivo_nb.media.audio.frames import CallableSource, FrameSource
from plivo_nb.media.audio.isolation import IsolatedSink, IsolatedSource
from plivo_nb.media.audio.sources import AudioFile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class _Function:
    """The sink that a function is."""

    def __init__(self, function: Callable[[Pcm, int], object]) -> None:
        self._function = function
        self._rate = 0

    def open(self, rate: int) -> None:
        self._rate = rate

    def write(self, frame: Pcm) -> None:
        self._function(frame, self._rate)

    def close(self) -> None:
        """Do nothing: a function has no end."""


@nonblocking
class CallableSink(IsolatedSink):
    """A sink that calls a function.

    Args:
        function: called in a worker thread with (20 ms of int16 samples, rate in Hz). Frames that wait
            longer than 5 s are dropped and counted in `dropped`. After an exception, which is logged, the
            function is not called again.
        on_error: called in the worker thread with a sentence when the function failed.
    """

    def __init__(
        self, function: Callable[[Pcm, int], object], on_error: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(_Function(function), on_error, name=f"function {_name(function)}")


def _name(function: Callable[..., object]) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__)


def as_source(
    thing: object,
    *,
    rate: int = FULLBAND_RATE,
    loop: bool = False,
    on_end: Callable[[], None] | None = None,
    on_error: Callable[[str], None] | None = None,
) -> Source:
    """Return a source for what a user passes to `Call.play`.

    Args:
        thing: a source; the path of an audio file; a function as `CallableSource` takes it; an array or
            list of samples; or a generator or list of arrays.
        rate: sample rate of arrays in Hz.
        loop: repeat a file.
        on_end: called in a worker thread when all has been sent; unused if `thing` is a source.
        on_error: called in a worker thread with a sentence when it failed.

    Raises:
        SourceError: the file cannot be played.
        TypeError: `thing` is none of these.
    """
    if isinstance(thing, str | os.PathLike):
        return AudioFile(os.fspath(thing), loop=loop, on_end=on_end, on_error=on_error)
    if isinstance(thing, type):
        raise TypeError(f"{thing.__name__} is a class: pass an instance, {thing.__name__}(...)")
    if isinstance(thing, Source):
        return thing if is_nonblocking(thing) else IsolatedSource(thing, on_error)
    if callable(thing):
        return CallableSource(thing, on_end, on_error)
    if isinstance(thing, np.ndarray) or _is_numbers(thing):
        return FrameSource([cast("ArrayLike", thing)], rate, on_end, on_error)
    if isinstance(thing, Iterable):
        return FrameSource(thing, rate, on_end, on_error)
    raise TypeError(f"{thing!r} cannot be played: give a path, a source, an array, a generator or a function")


def _is_numbers(thing: object) -> bool:
    return isinstance(thing, list | tuple) and bool(thing) and isinstance(thing[0], numbers.Real)


def as_sink(thing: object, *, on_error: Callable[[str], None] | None = None) -> Sink:
    """Return a sink for what a user passes to `Call.add_sink`.

    Args:
        thing: a sink, or a function as `CallableSink` takes it.
        on_error: called in a worker thread with a sentence when it failed.

    Raises:
        TypeError: `thing` is none of these.
    """
    if isinstance(thing, Sink) and not isinstance(thing, type):
        return thing if is_nonblocking(thing) else IsolatedSink(thing, on_error)
    if callable(thing):
        return CallableSink(thing, on_error)
    raise TypeError(f"{thing!r} is not a sink: give a sink or a function of (samples, rate)")
