"""A thread that fills a ring buffer from an iterator, for sources whose samples take time to make."""

from __future__ import annotations

import contextvars
import logging
import threading
from typing import TYPE_CHECKING

from plivo_nb.audio_types import FRAME_S
from plivo_nb.ring_buffer import RingBuffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plivo_nb.audio_types import Pcm

_log = logging.getLogger(__name__)
_CHECK_S = 0.5


def described(error: BaseException) -> str:
    """The type and text of an exception of users' code, whose `__str__` may fail too."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


class Pump:
    """Reads samples from an iterator in a thread, as fast as they are read from the ring buffer.

    The thread ends with the iterator, after an exception (which is logged), or soon after `stop`.

    Args:
        name: name of the thread, also used in the log.
        samples: yields arrays of samples; it runs in the thread.
        rate: sample rate in Hz.
        ahead_s: capacity of the ring buffer in seconds.
        on_end: called in the thread when the last sample has been read; not after `stop`.
        context: in which the iterator runs. In a notebook it says which cell the output of users' code
            belongs to.
        on_error: called in the thread with a sentence after an exception, before `on_end`.
        refill_s: how much room there is when the thread goes on, in seconds. A thread that is woken for each
            frame of each call takes the interpreter's lock from the plane so often.
    """

    def __init__(
        self,
        name: str,
        samples: Iterator[Pcm],
        rate: int,
        ahead_s: float,
        on_end: Callable[[], None] | None = None,
        context: contextvars.Context | None = None,
        on_error: Callable[[str], None] | None = None,
        refill_s: float = FRAME_S,
    ) -> None:
        self.rate = rate
        self.ended = False
        self._name, self._samples, self._on_end, self._on_error = name, samples, on_end, on_error
        self._ring = RingBuffer(round(ahead_s * rate))
        self._low = round(refill_s * rate)
        self._room = threading.Event()
        self._stopped = False
        self._complete = False  # all samples are in the ring buffer
        run = (context or contextvars.copy_context()).copy().run
        self._thread = threading.Thread(target=run, args=(self._run,), name=f"plivo_nb {name}", daemon=True)
        self._thread.start()

    def read(self, samples: int) -> Pcm | None:
        """Return samples without waiting: whole frames except for the last; None while there is none."""
        ring = self._ring
        if len(ring) < samples and not self._complete:
            return None
        pcm = ring.read(samples)
        if self._complete or ring.free >= self._low:
            self._room.set()
        return pcm if len(pcm) else None

    def stop(self) -> None:
        """Ask the thread to end; return at once."""
        self._stopped = True
        self._room.set()

    def join(self) -> None:
        """Wait until the thread ends, 1 s at most; for worker threads only."""
        self._thread.join(1.0)

    def _run(self) -> None:
        try:
            for pcm in self._samples:
                if not self._write(pcm):
                    break
        except BaseException as error:  # SystemExit too: it is not the program that ends, but this source
            self._failed(error)
        self._close_samples()
        self._complete = True
        while len(self._ring) and not self._stopped:
            self._wait()
        if self._stopped:
            return
        self.ended = True
        if self._on_end is not None:
            try:
                self._on_end()
            except Exception:
                _log.exception("The callback on_end of the source %s failed.", self._name)

    def _failed(self, error: BaseException) -> None:
        sentence = (
            f"The source {self._name} failed ({described(error)}); silence follows, and the call goes on."
        )
        _log.error(sentence, exc_info=error)
        if self._on_error is not None:
            self._on_error(sentence)

    def _close_samples(self) -> None:
        """Close a generator, which may hold a file open."""
        close = getattr(self._samples, "close", None)
        if close is None:
            return
        try:
            close()
        except BaseException as error:
            _log.warning("Closing the source %s failed (%s).", self._name, described(error))

    def _write(self, pcm: Pcm) -> bool:
        """Write samples to the ring buffer as it empties; return False when stopped."""
        while len(pcm) and not self._stopped:
            pcm = pcm[self._ring.write(pcm) :]
            if len(pcm):
                self._wait()
        return not self._stopped

    def _wait(self) -> None:
        self._room.wait(_CHECK_S)
        self._room.clear()
