"""Estimates the play-out delay that a network's jitter needs.

Each packet has a transit time (arrival minus RTP time) with an unknown offset. The shortest one of the last
seconds represents an undisturbed network; the others exceed it by the jitter that the delay has to cover.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAME_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONG = 256  # packets, about 5 s; older ones are not used
_SHORT = 50  # packets, about 1 s; reacts to the onset of jitter
_LONG_QUANTILE = 0.97
_SHORT_QUANTILE = 0.95
_MARGIN_S = 0.010
_EVERY = 10


class DelayEstimator:
    """The play-out delay that covers the 95th percentile of the jitter of the last second and the 97th of the
    last five seconds.

    It grows at once with a late packet; it shrinks when no packet of the last 5 s needed it.

    Args:
        minimum_s: shortest delay.
        maximum_s: longest delay.

    Attributes:
        base_s: the shortest transit time in the window.
        target_s: the delay.
    """

    def __init__(self, minimum_s: float, maximum_s: float) -> None:
        self._minimum, self._maximum = minimum_s, max(minimum_s, maximum_s)
        self._transits = np.zeros(_LONG, np.float64)
        self.reset()

    def reset(self) -> None:
        """Drop all measurements, for another source or another clock."""
        self._count = 0
        self._countdown = 0
        self.base_s = math.inf
        self.target_s = self._minimum

    @property
    def measured(self) -> bool:
        """Whether any packet has been measured."""
        return self._count > 0

    def add(self, transit_s: float) -> None:
        """Add a packet.

        Args:
            transit_s: arrival minus RTP time, both in seconds.
        """
        self._transits[self._count % _LONG] = transit_s
        self._count += 1
        self._countdown -= 1
        if transit_s < self.base_s:
            self.base_s = transit_s
        if self._countdown <= 0 or transit_s - self.base_s > self.target_s - _MARGIN_S:
            self._update()

    def _update(self) -> None:
        self._countdown = _EVERY
        filled = min(self._count, _LONG)
        window = self._transits[:filled]
        recent = window
        if filled > _SHORT:
            end = self._count % _LONG
            recent = self._transits[end - _SHORT : end]
            if end < _SHORT:
                recent = np.concatenate((self._transits[end - _SHORT :], self._transits[:end]))
        self.base_s, long = _least_and_quantile(window, _LONG_QUANTILE)
        _, short = _least_and_quantile(recent, _SHORT_QUANTILE)
        need = max(long, short) - self.base_s + _MARGIN_S
        # Targets are whole frames, so that small changes of jitter do not change the delay.
        frames = math.ceil(need / FRAME_S - 1e-6)
        self.target_s = min(self._maximum, max(self._minimum, frames * FRAME_S))


def _least_and_quantile(values: NDArray[np.float64], quantile: float) -> tuple[float, float]:
    index = min(len(values) - 1, math.ceil(quantile * len(values)) - 1)
    ordered = values.copy()
    ordered.sort()  # for so few as fast as a partition
    return ordered.item(0), ordered.item(index)
