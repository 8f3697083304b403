"""How much effort the Opus encoders of a plane take: less while the ticks last too long. Sans-I/O.

Encoding is nearly half of what a call costs. A reduced effort takes a third of the time, and costs quality
(PESQ 3.2 in place of 3.9 with wide-band speech, without loss); gaps, because sound is late, cost more.
"""

from __future__ import annotations

from collections import deque

from plivo_nb.audio_types import FRAME_S

#: The complexity of Opus that is allowed with reduced effort. At 32 kbit/s, 2 and 3 take twice as long and
#: sound no better.
REDUCED_COMPLEXITY = 1
#: Over how many ticks their length is judged.
TICKS = 100
#: The median length of a tick from which the effort is reduced, and below which it is whole again, as a share
#: of the time from one tick to the next. The rest is needed for what is received. A reduced effort shortens a
#: tick to 0.6, so that it does not end by its own success.
REDUCED_FROM, WHOLE_BELOW = 0.5, 0.2


class Effort:
    """Judges how long the ticks of a plane take.

    Attributes:
        reduced: whether encoders are to take less time.

    Example:
        >>> effort = Effort()
        >>> changes = [effort.note(0.012) for tick in range(200)]
        >>> changes.count(True), effort.reduced
        (1, True)
    """

    def __init__(self) -> None:
        self.reduced = False
        self._took: deque[float] = deque(maxlen=TICKS)

    @property
    def limit(self) -> int:
        """The greatest complexity that encoders may have."""
        return REDUCED_COMPLEXITY if self.reduced else 10

    def note(self, took_s: float) -> bool:
        """Note how long a tick took.

        Returns:
            True if `reduced` has changed.
        """
        self._took.append(took_s)
        if len(self._took) < TICKS:
            return False
        median = sorted(self._took)[TICKS // 2]
        self._took.clear()
        before = self.reduced
        self.reduced = median > FRAME_S * (WHOLE_BELOW if before else REDUCED_FROM)
        return self.reduced != before
