"""Speakers: tones, and calls from their clock to the sound card's."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

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
_BLOCK_S = 0.02
_TARGET_S = 0.06  # what waits when a frame was just brought: for threads that come late
_AHEAD_S = 0.04  # what waits for the card: two of its blocks


class Voice(Protocol):
    """What can be heard on a line: a source, read at the card's rate and pace.

    It is taken off the line when it has an attribute `ended` that is True.
    """

    def open(self, rate: int) -> None:
        """Get ready to be read at this rate in Hz."""

    def read(self, samples: int) -> Pcm | None:
        """Return that many samples without waiting; None for silence."""

    def close(self) -> None:
        """It is heard no more."""


class OutputRoute(DeviceRoute):
    """The way from all that sounds at once to one speaker.

    Attributes:
        volume: what the sum is multiplied by.
    """

    kind: Kind = "audiooutput"
    volume = 1.0
    _voices: tuple[Voice, ...] = ()
    _opened_at: int = 0
    _lock = threading.Lock()  # held for a few assignments

    @property
    def wanted(self) -> bool:
        """Whether anything sounds."""
        return bool(self._voices)

    @property
    def playing(self) -> tuple[Voice, ...]:
        """What sounds now."""
        return self._voices

    def start(self, voice: Voice) -> None:
        """Let it be heard, from now on."""
        with self._lock:
            if voice in self._voices:
                return
            if self._opened_at:
                voice.open(self._opened_at)
            self._voices = (*self._voices, voice)
        self._wake()

    def stop(self, voice: Voice) -> None:
        """It is heard no more, and closed. Stopping what does not sound is fine."""
        with self._lock:
            if voice not in self._voices:
                return
            self._voices = tuple(item for item in self._voices if item is not voice)
        voice.close()

    def _open(self, system: SoundSystem, device_id: str | None) -> DeviceStream:
        self._due.put(None)
        stream = system.open_output(device_id, self.rate, self._fill)
        with self._lock:
            self._opened_at = stream.rate
            for voice in self._voices:
                voice.open(stream.rate)
        return stream

    def close(self) -> None:
        """Close the stream, if there is one."""
        super().close()
        self._opened_at = 0

    def _fill(self, out: Pcm) -> None:
        """The sound system's callback: from the ring, and no more."""
        pcm = self._ring.read(len(out))
        out[: len(pcm)] = pcm
        out[len(pcm) :] = 0
        self._due.put(None)

    def _work(self, rate: int) -> None:
        block = round(_BLOCK_S * rate)
        while self._working and len(self._ring) < _AHEAD_S * rate:
            self._ring.write(self._mix(block))

    def _mix(self, samples: int) -> Pcm:
        heard: list[Pcm] = []
        for voice in self._voices:
            pcm = voice.read(samples)
            if pcm is not None:
                heard.append(pcm)
            if getattr(voice, "ended", False):
                self.stop(voice)
        if not heard:
            return np.zeros(samples, np.int16)
        if len(heard) == 1 and self.volume == 1.0:
            return heard[0]
        total = np.zeros(samples, np.float32)
        for pcm in heard:
            total += pcm
        return to_int16(total * np.float32(self.volume))


class _Play:
    """What belongs to one rate of the call: its ring and its resampler."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.ring = RingBuffer(round(_RING_S * rate))
        self.resampler: Resampler | None = None


class Speaker:
    """A sink that is a voice too: what the call hears, at the card's rate and by the card's clock.

    Args:
        line: the way to the speaker; it is opened by `start`.
        clock: the call's, in seconds.

    Attributes:
        audible: while False, what the call hears is thrown away: early media that is not to be heard.
        dropped: samples that were thrown away because the card did not take them.
        dry: how many times the card wanted what the call had not brought.
    """

    def __init__(self, line: OutputRoute, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._clock = clock
        self._written_at_s = 0.0
        self._voice = _SpeakerVoice(self)
        self._play: _Play | None = None
        self._drift = DriftControl(_TARGET_S)
        self._filling = True
        self._fresh = False
        self._device_rate = 0
        self.audible = True
        self.dropped = 0
        self.dry = 0

    def start(self) -> None:
        """Open the speaker."""
        self._line.start(self._voice)

    def stop(self) -> None:
        """The call is not heard any more."""
        self._line.stop(self._voice)

    @property
    def waiting_s(self) -> float:
        """How much sound waits for the card."""
        play = self._play
        return len(play.ring) / play.rate if play is not None else 0.0

    @property
    def speed(self) -> float:
        """How fast the call's samples are used up to keep pace; 1.0001: the card is 100 ppm slow."""
        return self._drift.speed

    # ------------------------------------------------------------ the sink: the plane's side

    def open(self, rate: int) -> None:
        """Take frames of this rate (Hz) from now on."""
        if self._play is None or self._play.rate != rate:
            self._play = _Play(rate)
            self._filling = True

    def write(self, frame: Pcm) -> None:
        """Take a frame."""
        play = self._play
        if play is not None and self.audible:
            self.dropped += len(frame) - play.ring.write(frame)
            self._written_at_s = self._clock()
            self._fresh = True

    def close(self) -> None:
        """Like `stop`."""
        self.stop()

    # ------------------------------------------------------------ the voice: the line's side

    def read_at(self, device_rate: int, samples: int) -> Pcm | None:
        """Give the card's next samples; None while there are none."""
        play, drift = self._play, self._drift
        if play is None or not self.audible or not device_rate:
            return None
        if play.resampler is None or play.resampler.rate_out != device_rate:
            play.resampler = Resampler(play.rate, device_rate)
        # a call brings 20 ms at once: what has passed of the next frame counts, lest the fill should seem to
        # change when the phases of the two clocks slide past each other
        coming_s = min(2 * FRAME_S, self._clock() - self._written_at_s)
        fill_s = len(play.ring) / play.rate + coming_s
        if self._filling:
            if fill_s < drift.target_s:
                return None
            play.ring.read(round((fill_s - drift.target_s) * play.rate))
            fill_s = drift.target_s
            self._filling = False
        if fill_s > drift.too_much_s:
            self.dropped += len(play.ring.read(round((fill_s - drift.target_s) * play.rate)))
            drift.restart()
        speed = drift.observe(fill_s, samples / device_rate)
        needed = play.resampler.needed(samples, speed)
        if needed > len(play.ring):
            self._filling = True
            if self._fresh:
                self._fresh = False
                self.dry += 1
                drift.ran_dry()
            return None
        play.resampler.feed(play.ring.read(needed))
        return to_int16(play.resampler.take(samples, speed))


class _SpeakerVoice:
    """The side of a `Speaker` that a line sees: both protocols have an `open`, with another meaning."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._rate = 0

    def open(self, rate: int) -> None:
        """The card's rate."""
        self._rate = rate

    def read(self, samples: int) -> Pcm | None:
        """Give the card's next samples."""
        return self._speaker.read_at(self._rate, samples)

    def close(self) -> None:
        """Nothing to release."""
