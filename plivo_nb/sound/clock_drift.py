"""How fast to play when two clocks disagree: keeps the buffer between a sound card and a call at its target.

Cards are off by up to some 500 ppm, which fills or drains a buffer by 0.3 s in 10 minutes. The correction is
proportional to the (smoothed) error, so slow that nobody hears it: at most 0.5 % of pitch.
"""

from __future__ import annotations

_GAIN_PER_S = 0.1  # the error decays with a time constant of 10 s
_SMOOTHING_S = 2.0
_MOST = 0.005
_STEP_S = 0.010
_LONGEST_S = 0.160
_CALM_S = 30.0


class DriftControl:
    """Watches a buffer's fill and says how fast to empty it.

    Args:
        target_s: how much should wait, in seconds. It grows when the buffer ran dry, since then the threads
            around it are less punctual than that, and shrinks again in calm times.
    """

    def __init__(self, target_s: float = 0.040) -> None:
        self._least_s = target_s
        self.target_s = target_s
        self.speed = 1.0
        self._smooth_s: float | None = None
        self._calm_s = 0.0

    @property
    def too_much_s(self) -> float:
        """Beyond this fill nothing gentle helps: cut down to the target."""
        return self.target_s + 0.120

    def observe(self, fill_s: float, elapsed_s: float) -> float:
        """Take a measurement of the fill in; return the speed to go on with (1.001: a thousandth faster)."""
        if self._smooth_s is None:
            self._smooth_s = self.target_s
        weight = min(1.0, elapsed_s / _SMOOTHING_S)
        self._smooth_s += weight * (fill_s - self._smooth_s)
        error_s = self._smooth_s - self.target_s
        self.speed = 1.0 + max(-_MOST, min(_MOST, _GAIN_PER_S * error_s))
        self._calm_s += elapsed_s
        if self._calm_s >= _CALM_S and self.target_s > self._least_s:
            self._calm_s = 0.0
            self.target_s -= _STEP_S
        return self.speed

    def ran_dry(self) -> None:
        """The buffer was empty when something was wanted of it."""
        self.target_s = min(_LONGEST_S, self.target_s + _STEP_S)
        self.restart()

    def restart(self) -> None:
        """The fill was set to the target by force."""
        self._smooth_s = None
        self._calm_s = 0.0
        self.speed = 1.0
