"""The sounds that robots play: audio sources (the `Source` protocol of `plivo_nb.media.audio.sources`).

The thread of the I/O plane reads them, so they only compute and never wait.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FULLBAND_RATE, Pcm, nonblocking
from plivo_nb.dtmf_table import DTMF_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AMPLITUDE = 0.14 * 32767
TONE_S = 0.12
PAUSE_S = 0.08


class Synthesis:
    """Base class: audio as a function of time."""

    def __init__(self) -> None:
        self._rate = FULLBAND_RATE
        self._position = 0

    def open(self, rate: int) -> None:
        """Continue at this sample rate in Hz, at the same position in time."""
        self._position = round(self._position * rate / self._rate)
        self._rate = rate

    def read(self, samples: int) -> Pcm | None:
        """The next samples."""
        seconds = (self._position + np.arange(samples)) / self._rate
        self._position += samples
        wave = np.clip(self.wave(seconds) * _AMPLITUDE, -32767, 32767)
        return wave.astype(np.int16)

    def close(self) -> None:
        """Nothing to release."""

    def wave(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The signal at these times in seconds; 1 is the usual amplitude."""
        raise NotImplementedError


@nonblocking
class Sine(Synthesis):
    """A sine of the given frequency in Hz."""

    def __init__(self, frequency_hz: float) -> None:
        super().__init__()
        self.frequency_hz = frequency_hz

    def wave(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sine."""
        return np.sin(2 * np.pi * self.frequency_hz * seconds)


@nonblocking
class MusicOnHold(Synthesis):
    """Four broken chords of two seconds each, in a loop. Composed for this project."""

    _CHORDS_HZ = (
        (261.63, 329.63, 392.0),
        (220.0, 261.63, 329.63),
        (174.61, 220.0, 261.63),
        (196.0, 246.94, 293.66),
    )
    _NOTE_S = 0.25

    def wave(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Notes that decay like those of a plucked string."""
        note = np.floor(seconds / self._NOTE_S).astype(np.int64)
        chord = np.array(self._CHORDS_HZ)[(note // 8) % len(self._CHORDS_HZ)]
        frequency = np.take_along_axis(chord, (note % 3)[:, None], axis=1)[:, 0]
        since = seconds - note * self._NOTE_S
        sound: NDArray[np.float64] = 1.6 * np.sin(2 * np.pi * frequency * since) * np.exp(-6 * since)
        return sound


@nonblocking
class DtmfTones:
    """Plays added digits one after the other as DTMF tones (ITU-T Q.23), with pauses between them."""

    def __init__(self) -> None:
        self._rate = FULLBAND_RATE
        self._pending: deque[str] = deque(maxlen=100)
        self._current: str | None = None
        self._position = 0

    def add(self, digit: str) -> None:
        """Append a digit; text that is no DTMF digit is ignored. May be called from any thread."""
        if digit in DTMF_HZ:
            self._pending.append(digit)

    def open(self, rate: int) -> None:
        """Continue at this sample rate in Hz."""
        self._position = round(self._position * rate / self._rate)
        self._rate = rate

    def read(self, samples: int) -> Pcm | None:
        """The next samples of the current digit; None if there is no digit."""
        if self._current is None:
            if not self._pending:
                return None
            self._current, self._position = self._pending.popleft(), 0
        seconds = (self._position + np.arange(samples)) / self._rate
        low, high = DTMF_HZ[self._current]
        wave = np.sin(2 * np.pi * low * seconds) + np.sin(2 * np.pi * high * seconds)
        self._position += samples
        if self._position >= (TONE_S + PAUSE_S) * self._rate:
            self._current = None
        pcm: Pcm = (wave * (seconds < TONE_S) * _AMPLITUDE).astype(np.int16)
        return pcm

    def close(self) -> None:
        """Nothing to release."""
