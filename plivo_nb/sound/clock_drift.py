"""The buffer between a sound card and a call, and the control of its fill while their two clocks drift apart.

The clocks of sound cards are wrong by up to about 500 ppm, which fills or drains a buffer by 0.3 s in 10
minutes. The correction of the speed is proportional to the smoothed error of the fill and at most 0.5 %, a
change of pitch that is not audible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.ring_buffer import RingBuffer

if TYPE_CHECKING:
    from plivo_nb.sound.resampler import Resampler

_CAPACITY_S = 0.5

_GAIN_PER_S = 0.1  # the error decays with a time constant of 10 s
_SMOOTHING_S = 2.0
_MAX_CORRECTION = 0.005
_STEP_S = 0.010
_TOLERANCE_S = 0.002  # a smaller error is no drift; at speed 1 resampling costs a fifth
_MAX_TARGET_S = 0.160
_CALM_S = 30.0


class RateBuffer:
    """The samples that wait between a sound card and a call, at one rate of the call.

    Args:
        rate: the call's sample rate in Hz.

    Attributes:
        ring: the samples.
        resampler: converts between the card's rate and `rate`; None until the card's rate is known.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.ring = RingBuffer(round(_CAPACITY_S * rate))
        self.resampler: Resampler | None = None

    @property
    def fill_s(self) -> float:
        """How much sound waits, in seconds."""
        return len(self.ring) / self.rate


class DriftControl:
    """Computes from a buffer's fill how fast to empty it.

    Args:
        target_s: the fill to keep, in seconds. The target grows by 10 ms when the buffer ran empty, since the
            threads around it are then less punctual than assumed, and shrinks by 10 ms after each 30 s in
            which the buffer did not run empty.
    """

    def __init__(self, target_s: float = 0.040) -> None:
        self._min_target_s = target_s
        self.target_s = target_s
        self.speed = 1.0
        self._smooth_s: float | None = None
        self._calm_s = 0.0

    @property
    def max_fill_s(self) -> float:
        """The fill above which the buffer is to be cut to its target at once."""
        return self.target_s + 0.120

    def observe(self, fill_s: float, elapsed_s: float) -> float:
        """Return the speed to continue with (1.001: 0.1 % faster), after a measurement of the fill."""
        if self._smooth_s is None:
            self._smooth_s = self.target_s
        weight = min(1.0, elapsed_s / _SMOOTHING_S)
        self._smooth_s += weight * (fill_s - self._smooth_s)
        error_s = self._smooth_s - self.target_s
        if abs(error_s) < _TOLERANCE_S:
            error_s = 0.0
        self.speed = 1.0 + max(-_MAX_CORRECTION, min(_MAX_CORRECTION, _GAIN_PER_S * error_s))
        self._calm_s += elapsed_s
        if self._calm_s >= _CALM_S and self.target_s > self._min_target_s:
            self._calm_s = 0.0
            self.target_s -= _STEP_S
        return self.speed

    def keep(self, min_target_s: float) -> None:
        """Change the fill to keep, for threads that are more or less punctual than before."""
        if min_target_s != self._min_target_s:
            self.target_s = max(min_target_s, self.target_s + min_target_s - self._min_target_s)
            self._min_target_s = min_target_s

    def ran_dry(self) -> None:
        """Note that the buffer was empty when samples were needed."""
        self.target_s = min(_MAX_TARGET_S, self.target_s + _STEP_S)
        self.restart()

    def restart(self) -> None:
        """Note that the fill was set to the target by dropping samples."""
        self._smooth_s = None
        self._calm_s = 0.0
        self.speed = 1.0
