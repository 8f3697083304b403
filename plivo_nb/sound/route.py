"""A line: what leads to one microphone or speaker, over every device that it is moved to.

A line is opened when somebody uses it and closed soon after nobody does, so that a phone that only waits
costs nothing. All methods with an underscore, and `tend`, run on the sound desk's thread.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Literal

from plivo_nb.audio_types import FULLBAND_RATE
from plivo_nb.errors import MediaError
from plivo_nb.ring_buffer import RingBuffer
from plivo_nb.thread_priority import raise_priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sound.devices import DeviceStream, Kind, SoundSystem

_logger = logging.getLogger("plivo_nb.sound")

RouteState = Literal["open", "lost", "failed", "closed"]

_LINGER_S = 0.5  # a line stays open so long after its last use: tones follow upon each other
_RETRY_S, _MOST_RETRY_S = 1.0, 8.0  # doubled from try to try, since PortAudio writes about each
_SILENT_CHECKS = 7  # checks without a callback in between that make a device a lost one
_CHECK_S = 0.09  # at least so long from check to check; one that is late itself says nothing
_LATE_S = 0.3
_BEGINNING_S = 2.5  # some devices take their time to begin
_RING_S = 0.5


class DeviceRoute:
    """Base of the two kinds of line.

    Args:
        kind: microphone or speaker.
        wake: makes the desk tend to this line soon.
        on_state: called on the desk's thread: ``open``; ``lost`` (the device went away while in use);
            ``failed`` with the error (it could not be opened; it is tried again now and then); ``closed``.

    Attributes:
        chosen: the device that the user wants; None: the system's default.
        rate: Hz, to ask devices for.
    """

    kind: Kind

    def __init__(
        self,
        wake: Callable[[], None],
        on_state: Callable[[RouteState, MediaError | None], None] | None = None,
    ) -> None:
        self._wake = wake
        self.on_state = on_state
        self.chosen: str | None = None
        self.rate = FULLBAND_RATE
        self.stream: DeviceStream | None = None
        self.error: MediaError | None = None
        self._ring = RingBuffer(round(_RING_S * FULLBAND_RATE))
        self._due: queue.SimpleQueue[None] = queue.SimpleQueue()  # in C: a threading.Event costs 30 us
        self._worker: threading.Thread | None = None
        self._working = False
        self._last_use_s = 0.0
        self._retry_at_s = 0.0
        self._pause_s = _RETRY_S
        self._seen_callbacks = 0
        self._silent_checks = 0
        self._checked_at_s = 0.0
        self._opened_at_s = 0.0

    @property
    def wanted(self) -> bool:
        """Whether somebody uses it now."""
        raise NotImplementedError

    def _open(self, system: SoundSystem, device_id: str | None) -> DeviceStream:
        raise NotImplementedError

    def _work(self, rate: int) -> None:
        """One turn of the worker: convert what is due."""
        raise NotImplementedError

    # ------------------------------------------------------------ the desk's part

    def tend(self, system: SoundSystem, present: set[str], default: str | None, now: float) -> bool:
        """Open, move, close or give up the stream, as is due now.

        Args:
            system: where devices are opened.
            present: the ids of the devices that there are.
            default: the id of the system's default device of this kind.
            now: monotonic seconds.

        Returns:
            Whether the device was found lost: see what there is now, and tend again.
        """
        target = self.chosen if self.chosen in present else default
        if self.wanted:
            self._last_use_s = now
        elif self.stream is not None:
            if now - self._last_use_s > _LINGER_S or self.stream.device_id != target:
                self.close()
                self._say("closed")
            return False
        if self.stream is not None:
            if self._is_silent(now) or (self._silent_checks and self.stream.lost()):
                _logger.warning("The %s went away in use.", self._what)
                self.close()
                self._say("lost")
                self._retry_at_s = now
                return True
            elif self.stream.device_id != target and target is not None:
                self._move(system, target)
        if self.stream is None and self.wanted and now >= self._retry_at_s:
            self._try(system, target, now)
        return False

    def retry(self) -> None:
        """Try again at once: devices have changed."""
        self._retry_at_s, self._pause_s = 0.0, _RETRY_S

    def try_device(self, system: SoundSystem, device_id: str | None) -> None:
        """Open the device for a moment, to see whether it can be.

        Raises:
            MediaError: it cannot.
        """
        if self.stream is None:
            self._open(system, device_id).close()

    @property
    def _what(self) -> str:
        return "microphone" if self.kind == "audioinput" else "speaker"

    def _try(self, system: SoundSystem, target: str | None, now: float) -> None:
        try:
            stream = self._open(system, target)
        except MediaError as error:
            self._retry_at_s = now + self._pause_s
            self._pause_s = min(_MOST_RETRY_S, 2 * self._pause_s)
            if self.error is None or self.error.code != error.code:
                _logger.warning("%s The call goes on without it.", error)
                self.error = error
                self._say("failed", error)
            return
        self.error = None
        self._pause_s = _RETRY_S
        self._start(stream)
        self._opened_at_s = self._checked_at_s = now
        self._say("open")

    def _start(self, stream: DeviceStream) -> None:
        self.stream = stream
        self._seen_callbacks, self._silent_checks = stream.callbacks, 0
        self._working = True
        self._worker = threading.Thread(target=self._run, args=(stream.rate,), name=f"plivo_nb {self._what}")
        self._worker.daemon = True
        self._worker.start()

    def _move(self, system: SoundSystem, target: str) -> None:
        assert self.stream is not None
        if self.stream.move(target):
            _logger.info("The %s is another one now.", self._what)
            return
        self.close()
        self._try(system, target, time.monotonic())

    def _is_silent(self, now: float) -> bool:
        """Whether callbacks have ceased: that is all one sees of a device that is gone."""
        assert self.stream is not None
        passed_s = now - self._checked_at_s
        if passed_s < _CHECK_S:
            return False
        self._checked_at_s = now
        count = self.stream.callbacks
        silent = count == self._seen_callbacks and passed_s < _LATE_S
        if count == 0 and now - self._opened_at_s < _BEGINNING_S:
            silent = False
        self._silent_checks = self._silent_checks + 1 if silent else 0
        self._seen_callbacks = count
        return self._silent_checks >= _SILENT_CHECKS

    def close(self) -> None:
        """Close the stream, if there is one."""
        stream, self.stream = self.stream, None
        worker, self._worker = self._worker, None
        self._working = False
        self._due.put(None)
        if stream is not None:
            stream.close()
        if worker is not None:
            worker.join(1.0)
        self._ring.clear()

    def _say(self, state: RouteState, error: MediaError | None = None) -> None:
        if self.on_state is not None:
            self.on_state(state, error)

    # ------------------------------------------------------------ the worker's part

    def _run(self, rate: int) -> None:
        raise_priority()
        while self._working:
            with contextlib.suppress(queue.Empty):
                self._due.get(timeout=0.2)
            try:
                self._work(rate)
            except Exception:
                _logger.exception("What serves the %s failed; it goes on with the next block.", self._what)
