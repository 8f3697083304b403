"""What became of the packets of one call, for the frame `Call.packet_fates`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from plivo_nb.quality.frames import build_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from plivo_nb.media.playout.packet_fates import PacketFate

#: Five minutes without a packet, as much as keepAudio keeps by default; about 1.5 MB.
CAPACITY = 15_000


class FateRecord:
    """Keeps the last fates of a call's packets.

    Args:
        utc_ns: UTC, ns since 1970, of a `time.monotonic()` time.
        capacity: how many to keep.
    """

    def __init__(self, utc_ns: Callable[[float], int], capacity: int = CAPACITY) -> None:
        self._utc_ns = utc_ns
        self._rows: deque[tuple[float, PacketFate]] = deque(maxlen=capacity)

    def add(self, fates: Iterable[tuple[float, PacketFate]]) -> None:
        """Add fates: monotonic times in seconds, and what became of the packet."""
        self._rows.extend(fates)

    def rows(self) -> tuple[tuple[int, PacketFate], ...]:
        """What is kept: UTC, ns since 1970, and the fate."""
        return tuple((self._utc_ns(at_s), fate) for at_s, fate in self._rows)

    def frame(self, call_uuid: str | None) -> pd.DataFrame:
        """What is kept, as `plivo_nb.schema("packet_fates")` describes it."""
        return fates_frame(self.rows(), call_uuid)


def fates_frame(rows: Sequence[tuple[int, str]], call_uuid: str | None) -> pd.DataFrame:
    """Fates of packets as a frame; `plivo_nb.schema("packet_fates")` says what the columns mean.

    Args:
        rows: UTC, ns since 1970, and the fate.
        call_uuid: of the call; None where it is not known.
    """
    values: dict[str, list[Any]] = {
        "call_uuid": [call_uuid] * len(rows),
        "fate": [fate for _, fate in rows],
    }
    return build_frame("packet_fates", [at_ns for at_ns, _ in rows], values)
