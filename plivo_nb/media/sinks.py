"""Where the sound that is heard goes.

A sink is written by the plane's thread each 20 ms and must never make it wait; the recorder writes its file
in a thread of its own.
"""

from __future__ import annotations

import logging
import threading
import wave
from collections import deque
from pathlib import Path
from typing import Protocol, runtime_checkable

import av
import numpy as np
from numpy.typing import NDArray

from plivo_nb.errors import MediaError

Pcm = NDArray[np.int16]

_log = logging.getLogger(__name__)
_WAITING_FRAMES = 3000  # a minute
_CLOSE_S = 1.0


@runtime_checkable
class Sink(Protocol):
    """What can take sound. PCM is mono int16, in frames of 20 ms."""

    def open(self, rate: int) -> None:
        """Get ready for frames of this rate in Hz. Returns at once; may be called again with another rate."""

    def write(self, frame: Pcm) -> None:
        """Take a frame without waiting. It is not to be changed: others may hold it too."""

    def close(self) -> None:
        """Finish and release everything."""


class Null:
    """Hears nothing."""

    def open(self, rate: int) -> None:
        """Nothing to prepare."""

    def write(self, frame: Pcm) -> None:
        """Drop it."""

    def close(self) -> None:
        """Nothing to release."""


class Tee:
    """Passes what is heard on to several sinks."""

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks

    def open(self, rate: int) -> None:
        """Open all."""
        for sink in self.sinks:
            sink.open(rate)

    def write(self, frame: Pcm) -> None:
        """Give all of them the frame."""
        for sink in self.sinks:
            sink.write(frame)

    def close(self) -> None:
        """Close all, also where one of them fails."""
        errors = []
        for sink in self.sinks:
            try:
                sink.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]


class Recorder:
    """Writes a mono 16 bit WAV in a thread of its own, at the rate of the call's codec.

    Args:
        path: of the file; it is replaced. A later change of rate is resampled to the first one.

    Raises:
        MediaError: the folder does not exist, or the path is one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir() or self.path.is_dir():
            raise MediaError(
                f"Cannot record to {str(self.path)!r}: give the path of a file in a folder that exists."
            )
        self.dropped = 0  # frames
        self.error: str | None = None
        self._seconds = 0.0
        self._frames: deque[tuple[int, Pcm] | None] = deque()
        self._rate = 0
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Recorder({str(self.path)!r}, seconds={self.seconds:.2f})"

    @property
    def seconds(self) -> float:
        """How much has been recorded."""
        return self._seconds

    def open(self, rate: int) -> None:
        """Start the writer, or note another rate."""
        self._rate = rate
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name=f"plivo_nb {self.path.name}", daemon=True)
            self._thread.start()

    def write(self, frame: Pcm) -> None:
        """Take a frame; drop it when the disk is a minute behind."""
        if self._closed or not self._rate:
            return
        if len(self._frames) >= _WAITING_FRAMES:
            self.dropped += 1
            return
        self._frames.append((self._rate, frame))
        self._seconds += len(frame) / self._rate
        if len(self._frames) >= 10:
            self._ready.set()

    def close(self) -> None:
        """Write what waits and finish the file; waits for that up to a second. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._frames.append(None)
        self._ready.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
        else:
            with (
                self.path.open("wb") as raw,
                wave.open(raw, "wb") as file,
            ):  # nothing was heard: an empty recording
                self._set_up(file, 48_000)

    def _set_up(self, file: wave.Wave_write, rate: int) -> None:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)

    def _run(self) -> None:
        try:
            rate = self._rate
            with self.path.open("wb") as raw, wave.open(raw, "wb") as file:
                self._set_up(file, rate)
                self._copy(file, rate)
        except (OSError, wave.Error) as error:
            self.error = str(error)
            _log.warning("recording to %s stopped: %s", self.path, error)

    def _copy(self, file: wave.Wave_write, rate: int) -> None:
        resampler: tuple[int, av.AudioResampler] | None = None
        while True:
            self._ready.wait(0.5)
            self._ready.clear()
            while self._frames:
                item = self._frames.popleft()
                if item is None:
                    return
                frame_rate, frame = item
                if frame_rate != rate:
                    if resampler is None or resampler[0] != frame_rate:
                        resampler = (frame_rate, av.AudioResampler(format="s16", layout="mono", rate=rate))
                    frame = _resample(resampler[1], frame, frame_rate)
                file.writeframesraw(frame.tobytes())


def _resample(resampler: av.AudioResampler, frame: Pcm, rate: int) -> Pcm:
    source = av.AudioFrame.from_ndarray(frame.reshape(1, -1), format="s16", layout="mono")
    source.sample_rate = rate
    parts = [np.asarray(part.to_ndarray(), np.int16).reshape(-1) for part in resampler.resample(source)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
