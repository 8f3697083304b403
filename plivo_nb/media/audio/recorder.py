"""The recorder: writes received sound, or both directions, to a file in its own thread."""

from __future__ import annotations

import logging
import stat
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FULLBAND_RATE, Pcm, nonblocking
from plivo_nb.errors import MediaError
from plivo_nb.media.audio import recording_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import av

    from plivo_nb.media.audio.recording_file import RecordingFile


_log = logging.getLogger(__name__)
_WAITING_FRAMES = 3000  # a minute
_BLOCK_FRAMES = 50  # written at a time: what a full disk costs at most
_CLOSE_S = 1.0

_Item = tuple[tuple[int, Pcm], ...]  # (rate, samples) of each channel


@nonblocking
class Recorder:
    """A sink that records a call to a file, at the rate of the call's codec.

    Args:
        path: path of the file, which is replaced if it exists. The extension selects the format: .wav (16
            bit), .flac, .mp3, .ogg, .opus or .m4a.
        both: record in stereo, received sound left and sent sound right.
        on_error: called in the writer's thread with a sentence when recording stopped before `close`.

    Raises:
        MediaError: the folder does not exist or is not writable, the path is a folder, or the extension is
            not supported.

    Attributes:
        dropped: number of frames dropped because the disk was more than a minute behind.
        error: why recording stopped before `close`, a sentence; None if it did not.
    """

    def __init__(
        self, path: str | Path, both: bool = False, on_error: Callable[[str], None] | None = None
    ) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir() or self.path.is_dir():
            raise MediaError(
                f"Cannot record to {str(self.path)!r}: give the path of a file in a folder that exists."
            )
        if self.path.suffix.lower() not in recording_file.FORMATS:
            endings = ", ".join(recording_file.FORMATS)
            raise MediaError(f"Cannot record to {str(self.path)!r}: its name must end in {endings}.")
        _check_writable(self.path)
        self.both = both
        self.sent: SentSide | None = SentSide(self) if both else None
        self.dropped = 0  # frames
        self.error: str | None = None
        self._on_error = on_error
        self._file: RecordingFile | None = None
        self._items: deque[_Item | None] = deque()
        self._received: tuple[int, Pcm] | None = (
            None  # a received frame that waits for the one sent in the same tick
        )
        self._rate = 0
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Recorder({str(self.path)!r}, seconds={self.seconds:.2f})"

    @property
    def seconds(self) -> float:
        """How much of the recording is in the file, in seconds; until `close`, all but the last second."""
        return 0.0 if self._file is None else self._file.seconds

    def open(self, rate: int) -> None:
        """Start the writer, or note a new rate: its frames are resampled to the first rate."""
        self._rate = rate
        if self._thread is None and not self._closed:
            name = f"plivo_nb {self.path.name}"
            self._thread = threading.Thread(target=self._run, args=(rate,), name=name, daemon=True)
            self._thread.start()

    def write(self, frame: Pcm) -> None:
        """Take a received frame; drop it when the disk is a minute behind."""
        if self._closed or not self._rate:
            return
        received = (self._rate, frame)
        if not self.both:
            self._put((received,))
            return
        if self._received is not None:  # nothing was sent in the tick before
            self._put((self._received, (self._received[0], np.zeros_like(self._received[1]))))
        self._received = received

    def write_sent(self, rate: int, frame: Pcm) -> None:
        """Take a sent frame, after the frame received in the same tick."""
        if self._closed or self._received is None:
            return
        received, self._received = self._received, None
        self._put((received, (rate, frame)))

    def _put(self, item: _Item) -> None:
        if len(self._items) >= _WAITING_FRAMES:
            self.dropped += 1
            return
        self._items.append(item)
        if len(self._items) >= 10:
            self._ready.set()

    def close(self) -> None:
        """Finish the file; wait for that up to 1 s. A second call does nothing.

        After an error of the disk the writer has ended or is about to; it is waited for as well, so that the
        error has been reported when this returns.
        """
        if not self._closed:
            self._closed = True
            if self._received is not None:
                self._put((self._received, (self._received[0], np.zeros_like(self._received[1]))))
            self._items.append(None)
            self._ready.set()
            if self._thread is None:  # nothing was received: an empty recording
                self._run(FULLBAND_RATE)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_S)

    # ------------------------------------------------------------ the writer's thread

    def _run(self, rate: int) -> None:
        channels = 2 if self.both else 1
        try:
            file = self._file = recording_file.create(self.path, rate, channels)
            try:
                self._copy(file, rate, channels)
            finally:
                file.close()
        except Exception as error:  # of the disk, of FFmpeg, or one that nobody expects: the call goes on
            self._failed(error)
        if self.dropped:
            _log.warning("%d frames are missing in %s: the disk was too slow.", self.dropped, self.path)

    def _failed(self, error: Exception) -> None:
        self._closed = True
        self._items.clear()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.error = (
            f"Recording to {str(self.path)!r} stopped ({reason}); "
            f"the file contains the first {self.seconds:.1f} s, and the call goes on."
        )
        _log.warning(self.error)
        if self._on_error is not None:
            self._on_error(self.error)

    def _copy(self, file: RecordingFile, rate: int, channels: int) -> None:
        sides = [_Side(rate) for _ in range(channels)]
        complete = False
        while not complete:
            if not self._items:
                self._ready.wait(0.5)
                self._ready.clear()
            for _ in range(min(len(self._items), _BLOCK_FRAMES)):
                item = self._items.popleft()
                if item is None:
                    complete = True
                    break
                for side, (side_rate, samples) in zip(sides, item, strict=True):
                    side.add(side_rate, samples)
            count = min(side.waiting for side in sides)
            if count:
                file.write(np.column_stack([side.take(count) for side in sides]))


@nonblocking
class SentSide:
    """The sink of a recorder for sent sound."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._rate = 0

    def open(self, rate: int) -> None:
        """Note the rate of sent sound."""
        self._rate = rate

    def write(self, frame: Pcm) -> None:
        """Pass a frame on to the recorder."""
        self._recorder.write_sent(self._rate, frame)

    def close(self) -> None:
        """Do nothing: the recorder itself is closed."""


class _Side:
    """One channel: its samples at the recording's rate, until the other channel has as many."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._waiting: Pcm = np.zeros(0, np.int16)
        self._resampler: tuple[int, av.AudioResampler] | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def add(self, rate: int, samples: Pcm) -> None:
        parts = [samples] if rate == self._rate else self._resample(rate, samples)
        self._waiting = np.concatenate([self._waiting, *parts])

    def take(self, count: int) -> Pcm:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def _resample(self, rate: int, samples: Pcm) -> list[Pcm]:
        import av  # late, as in `sources`

        if self._resampler is None or self._resampler[0] != rate:
            self._resampler = (rate, av.AudioResampler(format="s16", layout="mono", rate=self._rate))
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        return [
            np.asarray(part.to_ndarray(), np.int16).reshape(-1) for part in self._resampler[1].resample(frame)
        ]


def _check_writable(path: Path) -> None:
    """Raise in the user's cell, not later in a thread. Leave no file behind."""
    existed = path.exists()
    try:
        if existed and stat.S_ISFIFO(path.stat().st_mode):  # opening it would wait for a reader
            raise MediaError(f"Cannot record to {str(path)!r}: it is a pipe; give the path of a file.")
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise MediaError(
            f"Cannot record to {str(path)!r} ({error.strerror}): choose a folder in which you may write."
        ) from None
