"""Call-progress tones (ITU-T E.180, North American precise tone plan) and DTMF tones (ITU-T Q.23)."""

from __future__ import annotations

import numpy as np

from plivo_nb.audio_types import Pcm, nonblocking, padded
from plivo_nb.dtmf_table import DTMF_HZ

_FADE_S = 0.004


def tone(
    frequencies_hz: tuple[float, ...],
    seconds: float,
    rate: int,
    level_dbfs: float = -20.0,
    fade_s: float = _FADE_S,
) -> Pcm:
    """Return a sum of sines with faded edges.

    Args:
        frequencies_hz: frequency of each sine.
        seconds: length of the tone.
        rate: sample rate in Hz.
        level_dbfs: RMS level of the sum in dBFS.
        fade_s: length of the fade at each end.
    """
    count = round(seconds * rate)
    time = np.arange(count) / rate
    wave = np.sum([np.sin(2 * np.pi * frequency * time) for frequency in frequencies_hz], axis=0)
    wave = wave * 10 ** (level_dbfs / 20) * (2 / len(frequencies_hz)) ** 0.5
    edge = min(count // 2, round(fade_s * rate))
    if edge:
        rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
        wave[:edge] *= rise
        wave[-edge:] *= rise[::-1]
    pcm: Pcm = np.clip(wave * 32767, -32768, 32767).astype(np.int16)
    return pcm


def dtmf(digit: str, rate: int, seconds: float = 0.1, level_dbfs: float = -20.0) -> Pcm:
    """Return the tone of a DTMF digit (ITU-T Q.23). Raises KeyError for any other character."""
    return tone(DTMF_HZ[digit.upper()], seconds, rate, level_dbfs)


@nonblocking
class CadenceTone:
    """A source that repeats a tone with pauses.

    Args:
        frequencies_hz: frequencies of the tone.
        on_s: length of the tone in seconds.
        off_s: length of the pause in seconds; 0: no pause.
        level_dbfs: RMS level of the tone in dBFS.

    Attributes:
        samples: one cycle, from `open` on.
    """

    def __init__(
        self, frequencies_hz: tuple[float, ...], on_s: float, off_s: float = 0.0, level_dbfs: float = -20.0
    ) -> None:
        self.frequencies_hz, self.on_s, self.off_s, self.level_dbfs = frequencies_hz, on_s, off_s, level_dbfs
        self.samples: Pcm = np.zeros(1, np.int16)
        self._at = 0

    def open(self, rate: int) -> None:
        """Compute one cycle at this rate."""
        fade_s = _FADE_S if self.off_s else 0.0  # without a pause the cycles join
        on = tone(self.frequencies_hz, self.on_s, rate, self.level_dbfs, fade_s)
        self.samples = np.concatenate([on, np.zeros(round(self.off_s * rate), np.int16)])
        self._at = 0

    def read(self, samples: int) -> Pcm | None:
        """Return the next samples of the cycle."""
        at = (self._at + np.arange(samples)) % len(self.samples)
        self._at = (self._at + samples) % len(self.samples)
        return self.samples[at]

    def close(self) -> None:
        """Do nothing."""


@nonblocking
class DtmfTones:
    """A source that plays DTMF digits once.

    Args:
        digits: of ``0123456789*#ABCD``.
        on_s: length of each tone in seconds.
        off_s: length of the pause after each tone in seconds.
        level_dbfs: RMS level of each tone in dBFS.

    Attributes:
        ended: whether all has been read.
        samples: all tones, from `open` on.
    """

    def __init__(
        self, digits: str, on_s: float = 0.1, off_s: float = 0.07, level_dbfs: float = -20.0
    ) -> None:
        self.digits, self.on_s, self.off_s, self.level_dbfs = digits, on_s, off_s, level_dbfs
        self.ended = False
        self.samples: Pcm = np.zeros(0, np.int16)
        self._at = 0

    def open(self, rate: int) -> None:
        """Compute the tones at this rate."""
        pause = np.zeros(round(self.off_s * rate), np.int16)
        parts = [part for d in self.digits for part in (dtmf(d, rate, self.on_s, self.level_dbfs), pause)]
        self.samples = np.concatenate([np.zeros(0, np.int16), *parts])
        self._at = 0

    def read(self, samples: int) -> Pcm | None:
        """Return the next samples; silence after the end."""
        part = self.samples[self._at : self._at + samples]
        self._at += len(part)
        self.ended = self._at >= len(self.samples)
        return padded(part, samples)

    def close(self) -> None:
        """Do nothing."""


def rendered(source: CadenceTone | DtmfTones, rate: int) -> Pcm:
    """Return one cycle of a cadence, or all of the digits' tones, as int16 samples at this rate (Hz).

    Example:
        >>> len(rendered(ring_tone(), 8000)), len(rendered(DtmfTones("12"), 8000))
        (24000, 2720)
    """
    source.open(rate)
    return source.samples


def dial_tone() -> CadenceTone:
    """Return the dial tone: 350 + 440 Hz, without a pause."""
    return CadenceTone((350.0, 440.0), 1.0)


def ringback_tone() -> CadenceTone:
    """Return the ring-back tone: 440 + 480 Hz, 2 s on, 4 s off."""
    return CadenceTone((440.0, 480.0), 2.0, 4.0)


def ring_tone() -> CadenceTone:
    """Return the ring tone of an incoming call: 1000 + 1250 Hz, 1 s on, 2 s off."""
    return CadenceTone((1000.0, 1250.0), 1.0, 2.0, -15.0)
