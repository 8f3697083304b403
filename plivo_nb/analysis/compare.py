"""Did the speech come back? Heard sound against sent sound, aligned.

Sound that went through a codec, a jitter buffer and a changing network comes back late, by an amount that
changes. So the comparison goes window by window: each half second of what was heard is looked for in what was
sent, by normalised cross-correlation over all shifts (FFT), and its best match is its score. Only the
telephone band counts: below it codecs filter, which turns the phase; above it they keep the sound but not its
waveform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pathlib import Path

FloatArray = npt.NDArray[np.float64]

RATE_HZ = 8000
_BAND_HZ = (300.0, 3400.0)
_QUIET_DB = 30.0  # a window this far below the sent sound's level is a pause, not speech


@dataclass(frozen=True, slots=True)
class Match:
    """How well heard sound matches sent sound.

    Attributes:
        correlation: median of the windows' correlations, 0..1; 0 when nothing was heard.
        coverage: share of the windows in which there was sound, 0..1.
        at_s: where each window that had sound begins, seconds from the beginning of what was heard.
        correlations: correlation of each of those windows.
        offsets_s: where each of them was found, seconds from the beginning of what was sent.
    """

    correlation: float
    coverage: float
    at_s: FloatArray
    correlations: FloatArray
    offsets_s: FloatArray


def load(path: Path | str, rate_hz: int = RATE_HZ) -> FloatArray:
    """Decode a sound file to mono at `rate_hz`, -1..1.

    Raises:
        FileNotFoundError: there is no such file.
        av.error.FFmpegError: it is no sound file.
    """
    parts: list[npt.NDArray[np.int16]] = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
        for frame in container.decode(stream):
            parts.extend(piece.to_ndarray()[0] for piece in resampler.resample(frame))
        parts.extend(piece.to_ndarray()[0] for piece in resampler.resample(None))
    if not parts:
        return np.zeros(0)
    return np.concatenate(parts).astype(np.float64) / 32768.0


def match(heard: FloatArray, sent: FloatArray, *, window_s: float = 0.5, rate_hz: int = RATE_HZ) -> Match:
    """Look for each window of `heard` in `sent`, which counts as played over and over.

    Args:
        heard: mono sound at `rate_hz`.
        sent: mono sound at `rate_hz`.
        window_s: length of a window in seconds: short ones bear changes of delay, long ones chance.
        rate_hz: samples a second of both.
    """
    width = round(window_s * rate_hz)
    if len(heard) < width or len(sent) < width:
        return _NOTHING
    heard, sent = _in_band(heard, rate_hz), _in_band(sent, rate_hz)
    lookup = _Lookup(sent, width)
    floor = np.sqrt(np.mean(sent**2)) * 10 ** (-_QUIET_DB / 20)
    starts = range(0, len(heard) - width + 1, width // 2)
    found = []
    for start in starts:
        window = heard[start : start + width]
        if np.sqrt(np.mean(window**2)) > floor:
            correlation, offset = lookup.best(window)
            found.append((start / rate_hz, correlation, offset / rate_hz))
    if not found:
        return _NOTHING
    at_s, correlations, offsets_s = (np.array(column) for column in zip(*found, strict=True))
    return Match(float(np.median(correlations)), len(found) / len(starts), at_s, correlations, offsets_s)


def _in_band(sound: FloatArray, rate_hz: int) -> FloatArray:
    spectrum = np.fft.rfft(sound)
    frequencies = np.fft.rfftfreq(len(sound), 1.0 / rate_hz)
    spectrum[(frequencies < _BAND_HZ[0]) | (frequencies > _BAND_HZ[1])] = 0.0
    return np.fft.irfft(spectrum, len(sound))


class _Lookup:
    """Finds windows of one width in a sound that is played over and over."""

    def __init__(self, sound: FloatArray, width: int) -> None:
        self._width = width
        self._length = len(sound)
        looped = np.concatenate([sound, sound[:width]])
        self._size = 1 << (len(looped) + width - 1).bit_length()
        self._spectrum = np.fft.rfft(looped, self._size)
        energy = np.concatenate([[0.0], np.cumsum(looped**2)])
        norm = np.sqrt(np.maximum(energy[width:] - energy[:-width], 0.0))[: self._length]
        # Near-silent stretches match anything once they are scaled up: they must not win.
        self._norm = np.maximum(norm, 0.1 * norm.max() + 1e-9)

    def best(self, window: FloatArray) -> tuple[float, int]:
        """(correlation, where) of the best match; the correlation is 0..1."""
        product = self._spectrum * np.conj(np.fft.rfft(window, self._size))
        scores = np.fft.irfft(product, self._size)[: self._length]
        scores /= self._norm * max(float(np.linalg.norm(window)), 1e-9)
        where = int(np.argmax(scores))
        return float(np.clip(_peak(scores, where), 0.0, 1.0)), where


def _peak(scores: FloatArray, where: int) -> float:
    """Height of the peak, by a parabola through three points: delays are no whole number of samples."""
    before, top, after = (float(scores[index % len(scores)]) for index in (where - 1, where, where + 1))
    bend = before - 2.0 * top + after
    return top if bend >= 0.0 else top - (before - after) ** 2 / (8.0 * bend)


_NOTHING = Match(0.0, 0.0, np.zeros(0), np.zeros(0), np.zeros(0))
