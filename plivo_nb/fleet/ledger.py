"""Where each call of a campaign stands, and which one begins where and when. Sans-I/O: events and time in.

    planned --attempt--> attempted --ended--> done
                                   --refused--> failed
                                   --vanished--> lost --again--> planned
    planned --impossible--> failed

A call that is attempted is never dialled again unless it is lost and `retries` says so: a phone that may have
rung does not ring twice.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plivo_nb.fleet.plan import PlannedCall

State = Literal["planned", "attempted", "done", "failed", "lost"]
Event = Literal["attempt", "ended", "refused", "vanished", "again", "impossible"]

#: What each event makes of each state; others do not occur.
TRANSITIONS: Mapping[tuple[State, Event], State] = {
    ("planned", "attempt"): "attempted",
    ("planned", "impossible"): "failed",
    ("attempted", "ended"): "done",
    ("attempted", "refused"): "failed",
    ("attempted", "vanished"): "lost",
    ("lost", "again"): "planned",
}
_FEW_MORE = 2  # calls that a worker has more than another one before an account moves there
FINAL: tuple[State, ...] = ("done", "failed", "lost")


@dataclass(slots=True)
class _Entry:
    call: PlannedCall
    state: State = "planned"
    attempts: int = 0
    worker: str | None = None


@dataclass(slots=True)
class _Worker:
    active: set[int] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Start:
    """A call that begins now.

    Attributes:
        call: the call.
        attempt: the number of this attempt, from 1.
        worker: where.
        late_s: how long after its planned time, in seconds.
        leave: the worker where its account is registered and has to log out first; None: none.
    """

    call: PlannedCall
    attempt: int
    worker: str
    late_s: float
    leave: str | None


class Ledger:
    """The states of all calls of a campaign.

    Args:
        calls: those that have no result yet.
        per_worker: how many calls a worker has at the same time at most.
        tries: how often a call that is lost is attempted in all; 1: once.
        attempts: how often calls were attempted in earlier runs, by number.

    Example:
        >>> from plivo_nb.fleet.plan import PlannedCall
        >>> ledger = Ledger([PlannedCall(0, 0.0, "ann", "echo", 5.0)], per_worker=2)
        >>> ledger.worker_came("one")
        >>> [(start.call.number, start.worker) for start in ledger.due(0.0)]
        [(0, 'one')]
        >>> ledger.apply(0, "ended")
        >>> ledger.finished, ledger.counts["done"]
        (True, 1)
    """

    def __init__(
        self,
        calls: Iterable[PlannedCall],
        per_worker: int,
        tries: int = 1,
        attempts: Mapping[int, int] | None = None,
    ) -> None:
        given = attempts or {}
        self._entries = {call.number: _Entry(call, attempts=given.get(call.number, 0)) for call in calls}
        self._per_worker = per_worker
        self._tries = tries
        self._workers: dict[str, _Worker] = {}
        self._at: dict[str, str] = {}  # where accounts are registered
        self._busy: set[str] = set()  # accounts that have a call
        self.counts: dict[State, int] = dict.fromkeys(("planned", "attempted", *FINAL), 0)
        self.counts["planned"] = len(self._entries)
        self._begins_at_s = min((entry.call.at_s for entry in self._entries.values()), default=0.0)
        self._coming = [(entry.call.at_s, number) for number, entry in self._entries.items()]
        heapq.heapify(self._coming)
        self._waiting: dict[str, list[tuple[float, int]]] = {}  # due calls by account

    # ------------------------------------------------------------ workers

    @property
    def workers(self) -> list[str]:
        """The workers that can take calls."""
        return list(self._workers)

    def worker_came(self, name: str) -> None:
        """A worker can take calls from now on."""
        self._workers.setdefault(name, _Worker())

    def worker_gone(self, name: str) -> list[int]:
        """A worker is gone, and its calls vanished.

        Returns:
            The numbers of these calls, which are lost now.
        """
        worker = self._workers.pop(name, _Worker())
        for account in worker.accounts:
            self._at.pop(account, None)
        vanished = sorted(worker.active)
        for number in vanished:
            self.apply(number, "vanished")
        return vanished

    # ------------------------------------------------------------ calls

    def apply(self, number: int, event: Event) -> None:
        """Something happened to a call.

        Raises:
            ValueError: that does not occur in its state.
        """
        entry = self._entries[number]
        after = TRANSITIONS.get((entry.state, event))
        if after is None:
            raise ValueError(f"Call {number} is {entry.state}: {event!r} does not occur then.")
        self.counts[entry.state] -= 1
        self.counts[after] += 1
        entry.state = after
        if after == "planned":
            heapq.heappush(self._coming, (entry.call.at_s, number))
        elif after != "attempted" and entry.worker is not None:
            self._busy.discard(entry.call.account)
            worker = self._workers.get(entry.worker)
            if worker is not None:
                worker.active.discard(number)
            entry.worker = None

    def retries(self, number: int) -> bool:
        """Whether a call that was lost may be attempted again."""
        entry = self._entries[number]
        return entry.state == "lost" and entry.attempts < self._tries

    def attempts(self, number: int) -> int:
        """How often a call was attempted."""
        return self._entries[number].attempts

    def call(self, number: int) -> PlannedCall:
        """The call with this number."""
        return self._entries[number].call

    def active(self) -> list[int]:
        """The numbers of the calls that are attempted now."""
        return sorted(number for worker in self._workers.values() for number in worker.active)

    def active_at(self, worker: str) -> list[int]:
        """The numbers of a worker's calls."""
        found = self._workers.get(worker)
        return sorted(found.active) if found is not None else []

    @property
    def finished(self) -> bool:
        """Whether no call is planned or attempted any more."""
        return not self.counts["planned"] and not self.counts["attempted"]

    # ------------------------------------------------------------ time

    def next_at(self) -> float | None:
        """When the next call is due, in seconds from the beginning; None: none is to come."""
        return self._coming[0][0] - self._begins_at_s if self._coming else None

    def due(self, now_s: float) -> list[Start]:
        """The calls that begin now, each on a worker that has room for it.

        The first call that has no result begins at 0; so a campaign that is resumed does not wait for the
        time that has passed.

        Args:
            now_s: the time in seconds from the beginning.
        """
        while self._coming and self._coming[0][0] - self._begins_at_s <= now_s:
            at_s, number = heapq.heappop(self._coming)
            heapq.heappush(self._waiting.setdefault(self._entries[number].call.account, []), (at_s, number))
        starts = []
        free = [account for account in self._waiting if account not in self._busy]
        for account in sorted(free, key=lambda name: self._waiting[name][0]):
            worker = self._worker_for(account)
            if worker is None:
                break
            at_s, number = heapq.heappop(self._waiting[account])
            if not self._waiting[account]:
                del self._waiting[account]
            starts.append(self._start(number, worker, max(0.0, now_s - (at_s - self._begins_at_s))))
        return starts

    def _worker_for(self, account: str) -> str | None:
        """Where an account is registered, unless that is full or busier; else the worker with the fewest."""
        active = {name: len(worker.active) for name, worker in self._workers.items()}
        room = [name for name, count in active.items() if count < self._per_worker]
        if not room:
            return None
        least = min(room, key=lambda name: (active[name], len(self._workers[name].accounts)))
        own = self._at.get(account)
        if own in room and active[own] < active[least] + _FEW_MORE:
            return own
        return least

    def _start(self, number: int, name: str, late_s: float) -> Start:
        entry = self._entries[number]
        account = entry.call.account
        before = self._at.get(account)
        leave = before if before != name else None
        if leave is not None:
            self._workers[leave].accounts.discard(account)
        self._at[account] = name
        self._workers[name].accounts.add(account)
        self._workers[name].active.add(number)
        self._busy.add(account)
        entry.worker = name
        entry.attempts += 1
        self.apply(number, "attempt")
        return Start(entry.call, entry.attempts, name, late_s, leave)
