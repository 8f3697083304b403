"""Microphones: from the sound card's clock to the call's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAME_S, Pcm, to_int16
from plivo_nb.ring_buffer import RingBuffer
from plivo_nb.sound.clock_drift import DriftControl
from plivo_nb.sound.resampler import Resampler
from plivo_nb.sound.route import DeviceRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sound.devices import DeviceStream, Kind, SoundSystem

_RING_S = 0.5
_TARGET_S = 0.03  # what is left when the call has taken its frame: for threads that come late


class InputRoute(DeviceRoute):
    """The way from a microphone to those who listen to it.

    Attributes:
        gain: what samples are multiplied by.
    """

    kind: Kind = "audioinput"
    gain = 1.0
    _listeners: tuple[Microphone, ...] = ()

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def attach(self, microphone: Microphone) -> None:
        """Let it listen; the device is opened if it was not."""
        if microphone not in self._listeners:
            self._listeners = (*self._listeners, microphone)
            self._wake()

    def detach(self, microphone: Microphone) -> None:
        """It listens no more; the device is closed after the last one."""
        self._listeners = tuple(item for item in self._listeners if item is not microphone)

    def _open(self, system: SoundSystem, device_id: str | None) -> DeviceStream:
        return system.open_input(device_id, self.rate, self._take)

    def _take(self, pcm: Pcm) -> None:
        """The sound system's callback: to the ring, and no more."""
        self._ring.write(pcm)
        self._due.put(None)

    def _work(self, rate: int) -> None:
        pcm = self._ring.read(len(self._ring))
        if len(pcm):
            for microphone in self._listeners:
                microphone.hear(pcm, rate, self.gain)


class _Feed:
    """What belongs to one rate of the call: its ring and its resampler."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.ring = RingBuffer(round(_RING_S * rate))
        self.resampler: Resampler | None = None


class Microphone:
    """A source: what a microphone hears, at the call's rate and by the call's clock.

    Args:
        line: the way to the microphone; it is opened by `start`.
        clock: the call's, in seconds.

    Attributes:
        live: while False, nothing is given: the call is not answered yet.
        dropped: samples that were thrown away because the call did not take them.
    """

    def __init__(self, line: InputRoute, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._clock = clock
        self._feed: _Feed | None = None
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
        self._line.attach(self)

    def stop(self) -> None:
        """Listen no more, for good."""
        self._started = False
        self._line.detach(self)

    def open(self, rate: int) -> None:
        """Give samples of this rate (Hz) from now on. A call that plays a file meanwhile may come back."""
        if self._started:
            self._line.attach(self)
        if self._feed is None or self._feed.rate != rate:
            self._feed = _Feed(rate)
            self._filling = True

    @property
    def waiting_s(self) -> float:
        """How much sound waits for the call."""
        feed = self._feed
        return len(feed.ring) / feed.rate if feed is not None else 0.0

    @property
    def speed(self) -> float:
        """How fast the card's samples are used up to keep pace; 1.0001: the card is 100 ppm fast."""
        return self._drift.speed

    def hear(self, pcm: Pcm, device_rate: int, gain: float) -> None:
        """Take what the card heard; on the line's thread."""
        feed = self._feed
        if feed is None or not self.live:
            return
        ring, drift = feed.ring, self._drift
        if feed.resampler is None or feed.resampler.rate_in != device_rate:
            feed.resampler = Resampler(device_rate, feed.rate)
        fill_s = len(ring) / feed.rate
        if fill_s > drift.too_much_s:
            self.dropped += len(ring.read(round((fill_s - drift.target_s) * feed.rate)))
            drift.restart()
        # before the call has begun to read, the fill says nothing
        speed = 1.0 if self._filling else drift.observe(fill_s - self._in_hand_s(), len(pcm) / device_rate)
        samples = feed.resampler.convert(pcm, speed)
        ring.write(to_int16(samples if gain == 1.0 else samples * np.float32(gain)))
        self._fresh = True

    def _in_hand_s(self) -> float:
        """How much of the frame that was taken last has been played: a call takes 20 ms at once.

        Without it the fill would seem to change when the phases of the two clocks slide past each other.
        """
        return min(2 * FRAME_S, self._clock() - self._read_at_s)

    def read(self, samples: int) -> Pcm | None:
        """Give a frame; None while there is none (also while the device is being changed)."""
        feed = self._feed
        if feed is None or not self.live:
            return None
        self._read_at_s = self._clock()
        waiting = len(feed.ring)
        if self._filling:
            target = round((self._drift.target_s + FRAME_S) * feed.rate)
            if waiting < target:
                return None
            feed.ring.read(waiting - target)
            waiting = target
            self._filling = False
        if waiting >= samples:
            return feed.ring.read(samples)
        self._filling = True
        if self._fresh:  # the microphone runs, but not punctually
            self._fresh = False
            self._drift.ran_dry()
        return None

    def close(self) -> None:
        """Listen no more, until it is opened again."""
        self._line.detach(self)
