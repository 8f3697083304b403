"""The bounded log of a client: what happened, in order."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


_logger = logging.getLogger("plivo_nb.log")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `time_utc_s`: seconds since the epoch."""

    time_utc_s: float
    event: str
    call_uuid: str | None
    text: str


class Log:
    """The last `size` entries.

    Args:
        utc_ns: the clock, ns since 1970.
    """

    def __init__(self, utc_ns: Callable[[], int] = time.time_ns, size: int = 10_000) -> None:
        self._utc_ns = utc_ns
        self._entries: deque[Entry] = deque(maxlen=size)
        self.added = 0

    def add(self, event: str, text: str = "", call_uuid: str | None = None) -> None:
        """Keep one entry, stamped with the time now, and log it at INFO."""
        self._entries.append(Entry(self._utc_ns() / 1e9, event, call_uuid, text))
        self.added += 1
        _logger.info("%s%s%s", event, text and f" {text}", f" ({call_uuid})" if call_uuid else "")

    def tail(self, count: int) -> list[Entry]:
        """Return the last `count` entries, oldest first."""
        return list(self._entries)[-count:]

    def since(self, number: int) -> list[Entry]:
        """Return the entries added after the first `number` ones, if they are still kept; oldest first."""
        new = self.added - number
        return self.tail(new) if new > 0 else []

    def frame(self) -> pd.DataFrame:
        """Return all entries, oldest first; `plivo_nb.schema("log")` says what the columns mean."""
        from plivo_nb.quality.frames import build_frame

        entries = list(self._entries)
        return build_frame(
            "log",
            [round(entry.time_utc_s * 1e9) for entry in entries],
            {name: [getattr(entry, name) for entry in entries] for name in ("event", "call_uuid", "text")},
        )
