"""What became of packets that were not simply played: missing, recovered, concealed, late."""

from __future__ import annotations

from collections import deque
from typing import Literal, get_args

PacketFate = Literal["missing", "recovered", "concealed", "late"]
PACKET_FATES: tuple[PacketFate, ...] = get_args(PacketFate)

_CAPACITY = 2000  # more than 10 s without a packet, at up to two fates a tick


class PacketFates:
    """Collects the fates of packets until the owner takes them; the oldest are dropped if nobody does.

    - missing: the packet was not there when the one after it was; its sound was made up. The network lost it,
      or was slow: then it is late, too, when it comes.
    - recovered: likewise, but its sound came from the redundancy in the next packet (Opus in-band FEC).
    - concealed: no packet was there in time; the sound was made up. It may come late or not at all.
    - late: the packet came after the time to play it, and was dropped.

    Example:
        >>> fates = PacketFates()
        >>> fates.add(10.02, "missing")
        >>> fates.take(), fates.take()
        (((10.02, 'missing'),), ())
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, PacketFate]] = deque(maxlen=_CAPACITY)

    def add(self, at_s: float, fate: PacketFate) -> None:
        """Note a fate.

        Args:
            at_s: monotonic time: when the packet should have been played; of a late one, when it came.
            fate: what became of it.
        """
        self._waiting.append((at_s, fate))

    def take(self) -> tuple[tuple[float, PacketFate], ...]:
        """Return what was noted since the last call, in order."""
        if not self._waiting:
            return ()
        taken = tuple(self._waiting)
        self._waiting.clear()
        return taken
