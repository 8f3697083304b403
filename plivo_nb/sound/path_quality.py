"""Whether a direct path between a page and the kernel is good enough to carry the sound: a state machine.

The sound takes the direct path while it is ``open``, and the messages of the widget in all other states. A
path that was lost is tried again after a pause, which grows.
"""

from __future__ import annotations

from typing import Literal

#: ``connecting``: ICE and DTLS; ``proving``: connected, and measured; ``open``: packets arrive in both
#: directions; ``poor``: they do not, or too many are lost; ``waiting``: the path is lost, until the next try.
PathState = Literal["connecting", "proving", "open", "poor", "waiting"]
#: ``well`` and ``unwell`` follow from several measurements; ``lost``: given up; ``retry``: the pause is over.
PathEvent = Literal["connected", "well", "unwell", "lost", "retry"]

TRANSITIONS: dict[tuple[PathState, PathEvent], PathState] = {
    ("connecting", "connected"): "proving",
    ("connecting", "lost"): "waiting",
    ("proving", "well"): "open",
    ("proving", "lost"): "waiting",
    ("open", "unwell"): "poor",
    ("open", "lost"): "waiting",
    ("poor", "well"): "open",
    ("poor", "lost"): "waiting",
    ("waiting", "retry"): "connecting",
}

#: How many good measurements in a row make a path ``well``, and how many bad ones ``unwell``.
_GOOD_TO_PROVE, _GOOD_TO_RECOVER, _BAD_TO_LEAVE = 2, 6, 2
#: How long a path may take to become good, from the first try or since it was good last, in seconds.
_LIMIT_S: dict[PathState, float] = {"connecting": 10.0, "proving": 5.0, "poor": 15.0}
_PAUSE_S, _LONGEST_PAUSE_S = 15.0, 240.0
#: A larger share of lost packets is heard more than the longer delay of the other transport.
WORST_LOSS = 0.15


class PathQuality:
    """The state of one path, by its events and measurements.

    Args:
        now: monotonic time in seconds.

    Attributes:
        state: see `PathState`.

    Example:
        >>> path = PathQuality(now=0.0)
        >>> path.connected(0.3)
        >>> for second in (1.0, 2.0):
        ...     path.measure(second, received=True, loss=0.0)
        >>> path.state
        'open'
        >>> for second in (3.0, 4.0):
        ...     path.measure(second, received=False)
        >>> path.state
        'poor'
    """

    def __init__(self, now: float) -> None:
        self.state: PathState = "connecting"
        self._since = now
        self._good = self._bad = 0
        self._pause_s = _PAUSE_S

    def connected(self, now: float) -> None:
        """The connection is established: from now on it is measured."""
        self._on("connected", now)

    def lost(self, now: float) -> None:
        """The connection has failed, or was closed by the page."""
        self._on("lost", now)

    def measure(self, now: float, *, received: bool, loss: float = 0.0) -> None:
        """Take one measurement, of about half a second.

        Args:
            now: monotonic time in seconds.
            received: whether packets arrived that were due.
            loss: share of packets lost, 0..1; NaN where it is not known.
        """
        bad = not received or loss > WORST_LOSS
        self._good, self._bad = (0, self._bad + 1) if bad else (self._good + 1, 0)
        needed = _GOOD_TO_PROVE if self.state == "proving" else _GOOD_TO_RECOVER
        if self._bad >= _BAD_TO_LEAVE:
            self._on("unwell", now)
        elif self._good >= needed:
            self._on("well", now)

    def check(self, now: float) -> bool:
        """Return whether it is time for a new try; to be called about each second.

        A state that lasts too long ends here.
        """
        limit = self._pause_s if self.state == "waiting" else _LIMIT_S.get(self.state)
        if limit is None or now - self._since < limit:
            return False
        if self.state != "waiting":
            self.lost(now)
            return False
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)
        self._on("retry", now)
        return True

    def _on(self, event: PathEvent, now: float) -> None:
        following = TRANSITIONS.get((self.state, event))
        if following is None:
            return
        self.state, self._since = following, now
        self._good = self._bad = 0
        if following == "open":
            self._pause_s = _PAUSE_S
