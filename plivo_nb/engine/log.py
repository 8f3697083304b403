"""The bounded log of a client: what happened, in order, for people and for frames."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `time_utc_s`: seconds since the epoch."""

    time_utc_s: float
    event: str
    call_uuid: str | None
    text: str


class Log:
    """The last `size` entries; older ones are forgotten."""

    def __init__(self, size: int = 10_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self.added = 0

    def add(self, event: str, text: str = "", call_uuid: str | None = None) -> None:
        """Keep one entry, stamped with the time now."""
        self._entries.append(Entry(time.time(), event, call_uuid, text))
        self.added += 1

    def tail(self, count: int) -> list[Entry]:
        """The last `count` entries, oldest first."""
        return list(self._entries)[-count:]

    def frame(self) -> pd.DataFrame:
        """All entries: index `time` (UTC), columns event, call_uuid, text."""
        import pandas as pd

        entries = list(self._entries)
        index = pd.to_datetime([entry.time_utc_s for entry in entries], unit="s", utc=True)
        return pd.DataFrame(
            {
                "event": pd.Categorical([entry.event for entry in entries]),
                "call_uuid": pd.Categorical([entry.call_uuid for entry in entries]),
                "text": pd.array([entry.text for entry in entries], dtype="str"),
            },
            index=pd.DatetimeIndex(index, name="time"),
        )
