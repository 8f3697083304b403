"""How far a campaign is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivo_nb.fleet.ledger import FINAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plivo_nb.fleet.ledger import State


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is.

    Attributes:
        rows: how many calls the plan has.
        counts: how many calls are in each state: planned, attempted, done, failed, lost.
        workers: how many workers take calls.
        seconds: since the run began.
        earlier: how many calls had a result before this run went on; they are in none of the counts.

    Example:
        >>> print(Progress(9, {"planned": 4, "attempted": 2, "done": 3, "failed": 0, "lost": 0}, 2, 7.5))
        3 of 9 calls (3 done, 0 failed, 0 lost), 2 now, on 2 workers
    """

    rows: int
    counts: Mapping[State, int]
    workers: int
    seconds: float
    earlier: int = 0

    @property
    def finished(self) -> int:
        """How many calls have a result."""
        return self.earlier + sum(self.counts[state] for state in FINAL)

    def __str__(self) -> str:
        words = ", ".join(f"{self.counts[state]} {state}" for state in FINAL)
        if self.earlier:
            words += f", {self.earlier} earlier"
        workers = f"{self.workers} worker{'s' if self.workers != 1 else ''}"
        return f"{self.finished} of {self.rows} calls ({words}), {self.counts['attempted']} now, on {workers}"
