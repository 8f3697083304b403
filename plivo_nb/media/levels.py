"""The level of sound, frame by frame: its peak, its RMS and its energy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plivo_nb.audio_types import Pcm

SILENCE_DBFS = -100.0
_NOTHING_MEASURED = -1.0  # no peak is negative
#: Samples in one frame of each of the meters that are settled together; more would fill the caches.
_SAMPLES_TOGETHER = 3200
_FRAMES_AT_ONCE = 8  # more than come between two readings of the level display, which settles them


def dbfs(level: float) -> float:
    """Convert a level (1 is full scale) to dBFS, from -100 (silence) to 0."""
    return max(SILENCE_DBFS, 20 * math.log10(level)) if level > 0 else SILENCE_DBFS


class LevelMeter:
    """Peak and energy of 20 ms frames, by numpy.

    Frames are copied, and computed a few at a time: for a single one, most of the time is numpy's calls.

    Args:
        on_levels: called with the RMS of frames, 0..1, in order; by default nobody.
    """

    __slots__ = (
        "_block",
        "_duration_s",
        "_energy",
        "_filled",
        "_level",
        "_on_levels",
        "_peaks",
        "_rate",
        "_samples",
    )

    def __init__(self, on_levels: Callable[[list[float]], None] | None = None) -> None:
        self._on_levels = on_levels
        self._level = 0.0
        self._energy = 0.0
        self._duration_s = 0.0
        self._peaks = [_NOTHING_MEASURED, _NOTHING_MEASURED]
        self._block = np.zeros((_FRAMES_AT_ONCE, 0), np.int16)
        self._filled = self._samples = 0
        self._rate = 0

    @property
    def level(self) -> float:
        """The RMS of the last frame, 0..1 (W3C audioLevel)."""
        self.settle()
        return self._level

    @property
    def energy(self) -> float:
        """The energy of all frames (W3C totalAudioEnergy).

        Divided by `duration_s`, differences of it are the mean power.
        """
        self.settle()
        return self._energy

    @property
    def duration_s(self) -> float:
        """The length of all frames (W3C totalSamplesDuration)."""
        self.settle()
        return self._duration_s

    def measure(self, frame: Pcm, rate: int) -> None:
        """Measure a frame; rate in Hz."""
        filled = self._filled
        if len(frame) != self._samples or rate != self._rate:
            self.settle()
            filled = 0
            self._samples, self._rate = len(frame), rate
            self._block = np.zeros((_FRAMES_AT_ONCE, self._samples), np.int16)
        self._block[filled] = frame
        self._filled = filled = filled + 1
        if filled == _FRAMES_AT_ONCE:
            self.settle()

    def settle(self, tell: bool = True) -> None:
        """Compute the frames that wait; with `tell`, `on_levels` is called with them."""
        if self._filled:
            _settle([self], tell)

    def _take(self, squares: list[float], peak: float, tell: bool) -> None:
        """Take the sums of squares of the frames that waited, and their peak."""
        self._filled = 0
        samples = self._samples
        full_scale = samples * 1_073_741_824
        powers = [square / full_scale for square in squares]
        levels = list(map(math.sqrt, powers))
        self._level = levels[-1]
        self._energy += sum(powers) * samples / self._rate
        self._duration_s += len(squares) * samples / self._rate
        self._note_peak(peak)
        if tell and self._on_levels is not None:
            self._on_levels(levels)

    def silence(self, seconds: float) -> None:
        """Measure a frame that is known to be silent."""
        if self._filled:
            self.settle()
        self._level = 0.0
        self._duration_s += seconds
        self._note_peak(0.0)

    def _note_peak(self, peak: float) -> None:
        peaks = self._peaks
        if peak > peaks[0]:
            peaks[0] = peak
        if peak > peaks[1]:
            peaks[1] = peak

    def take_peak_dbfs(self, reader: int) -> float:
        """Return the highest peak since this reader's last call, NaN where no frame was measured since.

        Args:
            reader: 0, the sampler; 1, the level display.
        """
        self.settle()
        peak, self._peaks[reader] = self._peaks[reader], _NOTHING_MEASURED
        return math.nan if peak < 0 else dbfs(peak / 32768)


def settle_together(meters: Iterable[LevelMeter]) -> None:
    """Compute the frames that wait in several meters: for one, most of the time is numpy's calls."""
    waiting: dict[int, list[LevelMeter]] = {}
    for meter in meters:
        if not meter._filled:
            continue
        group = waiting.setdefault(meter._samples, [])
        group.append(meter)
        if len(group) * meter._samples >= _SAMPLES_TOGETHER:
            _settle(waiting.pop(meter._samples), tell=True)
    for group in waiting.values():
        _settle(group, tell=True)


def _settle(meters: list[LevelMeter], tell: bool) -> None:
    """Compute the frames that wait in meters of frames of one length."""
    frames = np.concatenate([meter._block[: meter._filled] for meter in meters], dtype=np.float32)
    squares = np.vecdot(frames, frames).tolist()
    peaks = np.abs(frames, out=frames).max(axis=1).tolist()
    end = 0
    for meter in meters:
        start, end = end, end + meter._filled
        meter._take(squares[start:end], max(peaks[start:end]), tell)
