"""Speakers: tones, and the sound of calls from the call's clock to the sound card's clock."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAME_S, Pcm, nonblocking, to_int16
from plivo_nb.sound.clock_drift import DriftControl, RateBuffer
from plivo_nb.sound.resampler import Resampler
from plivo_nb.sound.route import DeviceRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.audio_types import Source
    from plivo_nb.sound.browser_sound import BrowserSound
    from plivo_nb.sound.devices import DeviceStream, Kind, SoundSystem

_TARGET_S = 0.06  # what waits just after a frame was written, for threads that run late
_PUNCTUAL_TARGET_S = 0.025  # where no other thread takes part: a frame, and what the resampler keeps
_DIRECT_TARGET_S = 0.04  # where a thread of Python, and no sound card, reads
_AHEAD_S = 0.04  # what waits for the card: two of its blocks


class OutputRoute(DeviceRoute):
    """The route from sources, which are mixed, to a speaker device.

    Sources are read at the device's rate and pace. A source whose attribute `ended` becomes True is stopped.

    Attributes:
        volume: factor for the sum of all sources.
        page: the page whose speaker this is, which can play tones by itself; None for other speakers.
    """

    kind: Kind = "audiooutput"
    page: BrowserSound | None = None
    volume = 1.0
    _sources: tuple[Source, ...] = ()
    _opened_at: int = 0
    _lock = threading.Lock()  # held for a few assignments

    @property
    def wanted(self) -> bool:
        """Whether any source is played."""
        return bool(self._sources)

    @property
    def playing(self) -> tuple[Source, ...]:
        """The sources that are played now."""
        return self._sources

    def start(self, source: Source) -> None:
        """Play this source from now on."""
        with self._lock:
            if source in self._sources:
                return
            if self._opened_at:
                source.open(self._opened_at)
            self._sources = (*self._sources, source)
        self._wake()

    def stop(self, source: Source) -> None:
        """Stop playing this source and close it; does nothing when it is not played."""
        with self._lock:
            if source not in self._sources:
                return
            self._sources = tuple(item for item in self._sources if item is not source)
        source.close()

    def _open(self, system: SoundSystem, device_id: str | None) -> DeviceStream:
        self._due.put(None)
        stream = system.open_output(device_id, self.rate, self._fill)
        with self._lock:
            self._opened_at = stream.rate
            for source in self._sources:
                source.open(stream.rate)
        return stream

    def close(self) -> None:
        """Close the stream, if there is one."""
        super().close()
        self._opened_at = 0

    def _fill(self, out: Pcm) -> None:
        """Fill the device's buffer; called by the sound system, so it only copies samples, unless direct."""
        stream = self.stream
        if stream is not None and stream.direct and self._converting.acquire(blocking=False):
            try:
                self._ring.clear()
                self._follow_rate(stream.rate)
                out[:] = self._mix(len(out))
            finally:
                self._converting.release()
            return
        pcm = self._ring.read(len(out))
        out[: len(pcm)] = pcm
        out[len(pcm) :] = 0
        self._due.put(None)

    def _follow_rate(self, rate: int) -> None:
        """Ask the sources for this rate; that of a page's speaker changes with the way to the page."""
        if rate != self._opened_at and self._opened_at and self._lock.acquire(blocking=False):
            try:
                self._opened_at = rate
                for source in self._sources:
                    source.open(rate)
            finally:
                self._lock.release()

    def _convert(self, rate: int) -> None:
        block = round(FRAME_S * rate)
        while self._working and not self.direct and len(self._ring) < _AHEAD_S * rate:
            self._ring.write(self._mix(block))

    def _mix(self, samples: int) -> Pcm:
        parts: list[Pcm] = []
        for source in self._sources:
            pcm = source.read(samples)
            if pcm is not None:
                parts.append(pcm)
            if getattr(source, "ended", False):
                self.stop(source)
        if not parts:
            return np.zeros(samples, np.int16)
        if len(parts) == 1 and self.volume == 1.0:
            return parts[0]
        total = np.zeros(samples, np.float32)
        for pcm in parts:
            total += pcm
        return to_int16(total * np.float32(self.volume))


@nonblocking
class Speaker:
    """A sink for a call's sound, which plays it at the card's rate and by the card's clock.

    Args:
        route: the route to the device; `start` opens it.
        clock: returns the call's time in seconds.

    Attributes:
        audible: while False, frames are dropped, as for early media that is not to be played.
        dropped: number of samples dropped because the card did not take them.
        underruns: how many times the card needed samples that the call had not written.
    """

    def __init__(self, route: OutputRoute, clock: Callable[[], float] = time.monotonic) -> None:
        self._route = route
        self._clock = clock
        self._written_at_s = 0.0
        self._source = _SpeakerSource(self)
        self._buffer: RateBuffer | None = None
        self._drift = DriftControl(_TARGET_S)
        self._filling = True
        self._fresh = False
        self._device_rate = 0
        self.audible = True
        self.dropped = 0
        self.underruns = 0

    def start(self) -> None:
        """Open the speaker."""
        self._route.start(self._source)

    def stop(self) -> None:
        """Stop playing the call."""
        self._route.stop(self._source)

    @property
    def waiting_s(self) -> float:
        """How much sound waits for the card, in seconds."""
        buffer = self._buffer
        return buffer.fill_s if buffer is not None else 0.0

    @property
    def speed(self) -> float:
        """How fast the call's samples are consumed; 1.0001: the card's clock is 100 ppm slow."""
        return self._drift.speed

    # ------------------------------------------------------------ the sink, used by the I/O plane

    def open(self, rate: int) -> None:
        """Take frames of this rate (Hz) from now on."""
        if self._buffer is None or self._buffer.rate != rate:
            self._buffer = RateBuffer(rate)
            self._filling = True

    def write(self, frame: Pcm) -> None:
        """Take a frame."""
        buffer = self._buffer
        if buffer is not None and self.audible:
            self.dropped += len(frame) - buffer.ring.write(frame)
            self._written_at_s = self._clock()
            self._fresh = True

    def close(self) -> None:
        """Like `stop`."""
        self.stop()

    # ------------------------------------------------------------ the source, used by the route

    def _reserve_s(self) -> float:
        route = self._route
        if route.direct:
            return _PUNCTUAL_TARGET_S if route.punctual else _DIRECT_TARGET_S
        return _TARGET_S

    def read_at(self, device_rate: int, samples: int) -> Pcm | None:
        """Return the card's next samples; None while there are none."""
        buffer, drift = self._buffer, self._drift
        if buffer is None or not self.audible or not device_rate:
            return None
        drift.keep(self._reserve_s())
        if buffer.resampler is None or buffer.resampler.rate_out != device_rate:
            buffer.resampler = Resampler(buffer.rate, device_rate)
        # a call writes 20 ms at once: the part of the next frame that has passed counts; else the fill would
        # appear to change while the phases of the two clocks shift
        coming_s = min(2 * FRAME_S, self._clock() - self._written_at_s)
        fill_s = buffer.fill_s + coming_s
        if self._filling:
            if fill_s < drift.target_s:
                return None
            buffer.ring.read(round((fill_s - drift.target_s) * buffer.rate))
            fill_s = drift.target_s
            self._filling = False
        if fill_s > drift.max_fill_s:
            self.dropped += len(buffer.ring.read(round((fill_s - drift.target_s) * buffer.rate)))
            drift.restart()
        speed = drift.observe(fill_s, samples / device_rate)
        needed = buffer.resampler.needed(samples, speed)
        if needed > len(buffer.ring):
            self._filling = True
            if self._fresh:
                self._fresh = False
                self.underruns += 1
                drift.ran_dry()
            return None
        buffer.resampler.feed(buffer.ring.read(needed))
        return to_int16(buffer.resampler.take(samples, speed))


class _SpeakerSource:
    """The source that a route reads; `Speaker.open` itself gets the call's rate, not the card's."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._rate = 0

    def open(self, rate: int) -> None:
        """Note the card's rate."""
        self._rate = rate

    def read(self, samples: int) -> Pcm | None:
        """Return the card's next samples."""
        return self._speaker.read_at(self._rate, samples)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
