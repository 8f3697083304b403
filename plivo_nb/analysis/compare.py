"""Compare received sound with sent sound, to find out whether the speech came back.

Sound that passed a codec, a jitter buffer and a network is delayed, and the delay varies. The comparison
therefore goes window by window: each half second of the received sound is searched for in the sent sound by
normalised cross-correlation over all shifts (FFT). Only the telephone band is used: below it, the filters of
codecs change the phase; above it, codecs do not preserve the waveform.
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
_QUIET_DB = 30.0  # a window this much quieter than the sent sound is treated as a pause


@dataclass(frozen=True, slots=True)
class Match:
    """How well the received sound matches the sent sound.

    Attributes:
        correlation: median correlation of the windows, 0..1; 0 if all windows are pauses.
        coverage: share of the windows that are not pauses, 0..1.
        at_s: start of each window that is not a pause, in seconds of the received sound.
        correlations: correlation of each of those windows.
        offsets_s: where each of those windows was found, in seconds of the sent sound.
    """

    correlation: float
    coverage: float
    at_s: FloatArray
    correlations: FloatArray
    offsets_s: FloatArray


def load(path: Path | str, rate_hz: int = RATE_HZ) -> FloatArray:
    """Decode a sound file to mono.

    Args:
        path: a file of any format that FFmpeg reads.
        rate_hz: sampling rate of the result in Hz.

    Returns:
        One value a sample, -1..1; empty if the file has no sound.

    Raises:
        FileNotFoundError: there is no such file.
        av.error.FFmpegError: the file is not a sound file.
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
    """Search for each window of `heard` in `sent`. `sent` is treated as repeated without end.

    Args:
        heard: the received sound, mono.
        sent: the sent sound, mono.
        window_s: length of a window in seconds. Short windows tolerate changes of the delay better; long ones
            are less likely to match by chance.
        rate_hz: sampling rate of both, in Hz.

    Returns:
        The match; correlation and coverage are 0 if either sound is shorter than a window.

    Example:
        >>> speech = np.random.default_rng(1).normal(size=RATE_HZ)
        >>> round(match(speech[1000:], speech).correlation, 3)
        1.0
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
    """Searches for windows of one width in a repeated sound."""

    def __init__(self, sound: FloatArray, width: int) -> None:
        self._width = width
        self._length = len(sound)
        looped = np.concatenate([sound, sound[:width]])
        self._size = 1 << (len(looped) + width - 1).bit_length()
        self._spectrum = np.fft.rfft(looped, self._size)
        energy = np.concatenate([[0.0], np.cumsum(looped**2)])
        norm = np.sqrt(np.maximum(energy[width:] - energy[:-width], 0.0))[: self._length]
        # Almost silent parts would match anything once they are normalised.
        self._norm = np.maximum(norm, 0.1 * norm.max() + 1e-9)

    def best(self, window: FloatArray) -> tuple[float, int]:
        """Correlation (0..1) and position of the best match."""
        product = self._spectrum * np.conj(np.fft.rfft(window, self._size))
        scores = np.fft.irfft(product, self._size)[: self._length]
        scores /= self._norm * max(float(np.linalg.norm(window)), 1e-9)
        where = int(np.argmax(scores))
        return float(np.clip(_peak(scores, where), 0.0, 1.0)), where


def _peak(scores: FloatArray, where: int) -> float:
    """Height of the peak by a parabola through three points: delays are not whole numbers of samples."""
    before, top, after = (float(scores[index % len(scores)]) for index in (where - 1, where, where + 1))
    bend = before - 2.0 * top + after
    return top if bend >= 0.0 else top - (before - after) ** 2 / (8.0 * bend)


_NOTHING = Match(0.0, 0.0, np.zeros(0), np.zeros(0), np.zeros(0))
