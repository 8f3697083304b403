"""Device routes: the connection to a microphone or speaker, which outlasts the device that it is open on.

A route opens its device when it is used and closes it soon after, so that a client without calls costs no
CPU time. `update`, `retry`, `try_device` and `close` run on the device manager's thread.
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

_LINGER_S = 0.5  # how long a device stays open after its last use: often another tone follows
_RETRY_S, _MOST_RETRY_S = 1.0, 8.0  # doubled after each try, since PortAudio prints a message for each
_SILENT_CHECKS = 7  # a device without a callback between so many checks is lost
_CHECK_S = 0.09  # shortest time between two checks
_LATE_S = 0.3  # after a longer time the check itself was late, and does not count
_BEGINNING_S = 2.5  # how long a device may take until its first callback
_RING_S = 0.5


class DeviceRoute:
    """Base class of `InputRoute` and `OutputRoute`.

    Args:
        wake: makes the device manager update this route soon.
        on_state: called on the device manager's thread with the new state: ``open``; ``lost`` (the device was
            removed while in use); ``failed``, with the error (the device could not be opened; opening it is
            tried again, after 1 s at first and each 8 s at last); ``closed``.

    Attributes:
        kind: ``audioinput`` or ``audiooutput``.
        chosen: the id of the device that the user chose; None: the system's default.
        rate: the sample rate that devices are asked for, in Hz.
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
        self._converting = threading.Lock()  # nobody waits for it but the worker
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
        """Whether the route is in use."""
        raise NotImplementedError

    def _open(self, system: SoundSystem, device_id: str | None) -> DeviceStream:
        raise NotImplementedError

    def _convert(self, rate: int) -> None:
        """Convert the samples that are due; called by the worker thread."""
        raise NotImplementedError

    @property
    def direct(self) -> bool:
        """Whether samples are converted in the device's callbacks, see `DeviceStream`."""
        stream = self.stream
        return stream is not None and stream.direct

    @property
    def punctual(self) -> bool:
        """Whether the device's callbacks come at the pace of calls, see `DeviceStream`."""
        stream = self.stream
        return stream is not None and stream.punctual

    # ------------------------------------------------------------ on the device manager's thread

    def update(self, system: SoundSystem, present: set[str], default: str | None, now: float) -> bool:
        """Open, move or close the stream, as is due now.

        Args:
            system: opens the devices.
            present: the ids of the devices present.
            default: the id of the system's default device of this kind.
            now: monotonic time in seconds.

        Returns:
            Whether the device is lost: then list the devices and update the route again.
        """
        target = self.chosen if self.chosen in present else default
        if self.wanted:
            self._last_use_s = now
        elif self.stream is not None:
            if now - self._last_use_s > _LINGER_S or self.stream.device_id != target:
                self.close()
                self._set_state("closed")
            return False
        if self.stream is not None:
            if self._is_silent(now) or (self._silent_checks and self.stream.lost()):
                _logger.warning("The %s was removed while in use.", self._what)
                self.close()
                self._set_state("lost")
                self._retry_at_s = now
                return True
            elif self.stream.device_id != target and target is not None:
                self._move(system, target)
        if self.stream is None and self.wanted and now >= self._retry_at_s:
            self._try(system, target, now)
        return False

    def retry(self) -> None:
        """Try to open the device in the next update, since the devices have changed."""
        self._retry_at_s, self._pause_s = 0.0, _RETRY_S

    def try_device(self, system: SoundSystem, device_id: str | None) -> None:
        """Open the device and close it again, to find out whether that is possible.

        Raises:
            MediaError: the device cannot be opened.
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
                _logger.warning("%s The call continues without it.", error)
                self.error = error
                self._set_state("failed", error)
            return
        self.error = None
        self._pause_s = _RETRY_S
        self._start(stream)
        self._opened_at_s = self._checked_at_s = now
        self._set_state("open")

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
            _logger.info("The %s was switched to another device.", self._what)
            return
        self.close()
        self._try(system, target, time.monotonic())

    def _is_silent(self, now: float) -> bool:
        """Whether callbacks have ceased, which is the only sign of a device that was removed."""
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
        """Close the stream, if it is open."""
        stream, self.stream = self.stream, None
        worker, self._worker = self._worker, None
        self._working = False
        self._due.put(None)
        if stream is not None:
            stream.close()
        if worker is not None:
            worker.join(1.0)
        self._ring.clear()

    def _set_state(self, state: RouteState, error: MediaError | None = None) -> None:
        if self.on_state is not None:
            self.on_state(state, error)

    # ------------------------------------------------------------ on the worker's thread

    def _run(self, rate: int) -> None:
        raise_priority()
        while self._working:
            with contextlib.suppress(queue.Empty):
                self._due.get(timeout=0.2)
            try:
                stream = self.stream
                with self._converting:
                    self._convert(rate if stream is None else stream.rate)
            except Exception:
                _logger.exception(
                    "Converting the sound of the %s failed; it continues with the next block.", self._what
                )
