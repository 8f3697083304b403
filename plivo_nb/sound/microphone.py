"""Microphones: sound from the sound card's clock to the call's clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAME_S, Pcm, nonblocking, to_int16
from plivo_nb.sound.clock_drift import DriftControl, RateBuffer
from plivo_nb.sound.resampler import Resampler
from plivo_nb.sound.route import DeviceRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sound.devices import DeviceStream, Kind, SoundSystem

_TARGET_S = 0.03  # what remains after the call has taken its frame, for threads that run late
_PUNCTUAL_TARGET_S = 0.006  # where no other thread takes part


class InputRoute(DeviceRoute):
    """The route from a microphone device to the calls that use it.

    Attributes:
        gain: factor for all samples.
    """

    kind: Kind = "audioinput"
    gain = 1.0
    _listeners: tuple[Microphone, ...] = ()

    @property
    def wanted(self) -> bool:
        """Whether any call uses the microphone."""
        return bool(self._listeners)

    def attach(self, microphone: Microphone) -> None:
        """Pass the device's samples to this microphone. The device is opened if it is closed."""
        if microphone not in self._listeners:
            self._listeners = (*self._listeners, microphone)
            self._wake()

    def detach(self, microphone: Microphone) -> None:
        """Pass no more samples to it. The device is closed after the last one is detached."""
        self._listeners = tuple(item for item in self._listeners if item is not microphone)

    def _open(self, system: SoundSystem, device_id: str | None) -> DeviceStream:
        return system.open_input(device_id, self.rate, self._take)

    def _take(self, pcm: Pcm) -> None:
        """Take samples; called by the sound system, so it only copies them, unless the stream is direct."""
        self._ring.write(pcm)
        stream = self.stream
        if stream is not None and stream.direct and self._converting.acquire(blocking=False):
            try:
                self._convert(stream.rate)
            finally:
                self._converting.release()
        else:
            self._due.put(None)

    def _convert(self, rate: int) -> None:
        pcm = self._ring.read(len(self._ring))
        if len(pcm):
            for microphone in self._listeners:
                microphone.take(pcm, rate, self.gain)


@nonblocking
class Microphone:
    """A source of a microphone's sound, at the call's rate and by the call's clock.

    Args:
        route: the route to the device; `start` opens it.
        clock: returns the call's time in seconds.

    Attributes:
        live: while False, `read` returns None, as before the call is answered.
        dropped: number of samples dropped because the call did not read them.
    """

    def __init__(self, route: InputRoute, clock: Callable[[], float] = time.monotonic) -> None:
        self._route = route
        self._clock = clock
        self._buffer: RateBuffer | None = None
        self._drift = DriftControl(_TARGET_S)
        self._read_at_s = 0.0
        self._filling = True
        self._fresh = False
        self._started = False
        self.live = True
        self.dropped = 0

    def start(self) -> None:
        """Open the microphone."""
        self._started = True
        self._route.attach(self)

    def stop(self) -> None:
        """Stop using the microphone; `open` does not start it again."""
        self._started = False
        self._route.detach(self)

    def open(self, rate: int) -> None:
        """Return samples of this rate (Hz) from now on. After `close`, the device is used again."""
        if self._started:
            self._route.attach(self)
        if self._buffer is None or self._buffer.rate != rate:
            self._buffer = RateBuffer(rate)
            self._filling = True

    @property
    def waiting_s(self) -> float:
        """How much sound waits for the call, in seconds."""
        buffer = self._buffer
        return buffer.fill_s if buffer is not None else 0.0

    @property
    def speed(self) -> float:
        """How fast the card's samples are consumed; 1.0001: the card's clock is 100 ppm fast."""
        return self._drift.speed

    def take(self, pcm: Pcm, device_rate: int, gain: float) -> None:
        """Take samples of the card; called on the route's thread."""
        buffer = self._buffer
        if buffer is None or not self.live:
            return
        ring, drift = buffer.ring, self._drift
        drift.keep(_PUNCTUAL_TARGET_S if self._route.punctual else _TARGET_S)
        if buffer.resampler is None or buffer.resampler.rate_in != device_rate:
            buffer.resampler = Resampler(device_rate, buffer.rate)
        fill_s = buffer.fill_s
        if fill_s > drift.max_fill_s:
            self.dropped += len(ring.read(round((fill_s - drift.target_s) * buffer.rate)))
            drift.restart()
        # before the call has begun to read, the fill does not show the drift
        speed = 1.0 if self._filling else drift.observe(fill_s - self._played_s(), len(pcm) / device_rate)
        samples = buffer.resampler.convert(pcm, speed)
        ring.write(to_int16(samples if gain == 1.0 else samples * np.float32(gain)))
        self._fresh = True

    def _played_s(self) -> float:
        """Return how much of the last frame has passed since it was read: a call reads 20 ms at once.

        Without this the fill would appear to change while the phases of the two clocks shift.
        """
        return min(2 * FRAME_S, self._clock() - self._read_at_s)

    def read(self, samples: int) -> Pcm | None:
        """Return a frame; None while there is none, for instance while the device is switched."""
        buffer = self._buffer
        if buffer is None or not self.live:
            return None
        self._read_at_s = self._clock()
        waiting = len(buffer.ring)
        if self._filling:
            target = round((self._drift.target_s + FRAME_S) * buffer.rate)
            if waiting < target:
                return None
            buffer.ring.read(waiting - target)
            waiting = target
            self._filling = False
        if waiting >= samples:
            return buffer.ring.read(samples)
        self._filling = True
        if self._fresh:  # the microphone delivers samples, but too late
            self._fresh = False
            self._drift.ran_dry()
        return None

    def close(self) -> None:
        """Stop using the microphone until it is opened again."""
        self._route.detach(self)
