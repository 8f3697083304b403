"""The network between the parties of all calls: a relay for each call, knobs, counters, history and log.

One heap and one timer hold all packets in transit, so a delay is as exact as the loop's clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

from plivo_nb.lab.config import HOST
from plivo_nb.lab.network.impairment import Fate, Impairment, Kind, PathCounters
from plivo_nb.lab.network.knobs import DIRECTIONS, KNOBS, Direction, DirectionOrBoth, NetworkKnobs
from plivo_nb.lab.network.relay import Address, Relay

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plivo_nb.lab.sip.records import Side

_logger = logging.getLogger("plivo_nb.lab.network.network")

_LOG_PACKETS = 200_000
_HISTORY_ENTRIES = 10_000
_KEPT_CALLS = 1_000
_SEND_NOW_S = 0.0005


@dataclass(slots=True)
class RelayedCall:
    """The media of one call; kept after its end for the counters."""

    key: str
    call_uuid: str
    caller: str
    callee: str
    relay: Relay
    started_utc_ns: int
    ended_utc_ns: int | None = None


class Network:
    """The media path of all calls of the lab, on the running event loop.

    Args:
        seed: the seed of everything random; the same seed drops the same packets of the n-th call.
        host: the host at which the parties reach the relays.
    """

    def __init__(self, seed: int = 1, host: str = HOST) -> None:
        self._host = host
        self.seed = seed
        self.history: deque[dict[str, Any]] = deque(maxlen=_HISTORY_ENTRIES)
        self._impairments: dict[Direction, Impairment] = {name: Impairment() for name in DIRECTIONS}
        self._of_users: dict[str, dict[Direction, dict[str, Any]]] = {}  # knobs that win over those
        self._loop = asyncio.get_running_loop()
        self._calls: OrderedDict[str, RelayedCall] = OrderedDict()
        self._ordinal = itertools.count(1)
        self._sequence = itertools.count()
        self._heap: list[tuple[float, int, Relay, Side, Kind, bytes]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._log: deque[tuple[int, str, Direction, Kind, int, Fate, float]] = deque(maxlen=_LOG_PACKETS)

    # ------------------------------------------------------------------ calls

    def open_call(self, key: str, call_uuid: str, caller: str, callee: str) -> None:
        """Make the relay of a call. Its addresses are known when this returns."""
        if key in self._calls:
            return
        seed = f"{self.seed}/{next(self._ordinal)}"
        relay = Relay(
            key,
            {name: self._impairment(name, caller, callee) for name in DIRECTIONS},
            seed,
            later=self._later,
            clock=self._loop.time,
            note=self._note,
            host=self._host,
        )
        self._calls[key] = RelayedCall(key, call_uuid, caller, callee, relay, time.time_ns())
        task = self._loop.create_task(relay.open(), name=f"lab relay {call_uuid}")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        self._forget_old_calls()

    def describe(self, key: str, side: Side, candidate: Address | None) -> Address | None:
        """Take the address from a session description of `side`.

        Args:
            key: the key of the call.
            side: the sender of the description.
            candidate: the address in the description; None if it has no usable address.

        Returns:
            The relay's address, which replaces it for the other side; None if there is no relay.
        """
        call = self._calls.get(key)
        if call is None or call.relay.closed:
            return None
        call.relay.describe(side, candidate)
        other: Side = "callee" if side == "caller" else "caller"
        return call.relay.ports[other].address

    def close_call(self, key: str) -> None:
        """Close the relay of a call that has ended. Its counters are kept."""
        call = self._calls.get(key)
        if call is not None and call.ended_utc_ns is None:
            call.relay.close()
            call.ended_utc_ns = time.time_ns()

    def close_idle(self, known: set[str], idle_s: float) -> None:
        """Close the relays of calls that are not in `known` and received nothing for `idle_s` seconds."""
        horizon = self._loop.time() - idle_s
        for key, call in self._calls.items():
            if call.call_uuid not in known and call.relay.last_heard < horizon:
                self.close_call(key)

    async def close(self) -> None:
        """Close all relays."""
        for key in list(self._calls):
            self.close_call(key)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._heap.clear()
        await asyncio.gather(*self._opening, return_exceptions=True)

    # ------------------------------------------------------------------ knobs

    def set(
        self,
        *,
        direction: DirectionOrBoth = "both",
        call_uuid: str | None = None,
        user: str | None = None,
        seed: int | None = None,
        **knobs: Unpack[NetworkKnobs],
    ) -> dict[str, Any]:
        """Set knobs for the calls in progress and for later calls. Knobs that are not given do not change.

        Args:
            direction: ``to_callee`` (what the caller sends), ``to_caller``, or ``both``.
            call_uuid: change this call only; by default all calls.
            user: change the calls of this user only, now and later; these knobs win over those for all.
            seed: restart the random number streams from this seed.
            knobs: see `KNOBS`.

        Returns:
            The new entry of the history: the time and all settings now in force.

        Raises:
            ValueError: there is no such knob or call, or a value is out of range. Nothing is changed.
        """
        directions = _directions(direction)
        unknown = sorted(set(knobs) - set(KNOBS))
        if unknown:
            raise ValueError(f"The network has no knob {unknown[0]!r}; it has {', '.join(KNOBS)}.")
        if user is not None and call_uuid is not None:
            raise ValueError("Knobs are set for a call or for a user, not for both at once.")
        calls = [call for call in self._chosen(call_uuid) if user in (None, call.caller, call.callee)]
        changed = {name: replace(self._impairments[name], **knobs) for name in directions}
        if user is not None:
            own = self._of_users.setdefault(user, {name: {} for name in DIRECTIONS})
            for name in directions:
                own[name].update(knobs)
        elif call_uuid is None:
            self._impairments.update(changed)
        for call in calls:
            for name in directions:
                path = call.relay.paths[name]
                path.impairment = replace(path.impairment, **knobs)
                if user is None and call_uuid is None:
                    path.impairment = self._with_own(path.impairment, name, call.caller, call.callee)
        if seed is not None:
            self._reseed(seed, calls)
        return self._record("set", call_uuid, user)

    def clear(self, user: str | None = None) -> dict[str, Any]:
        """Reset every knob of every call to its default.

        Args:
            user: let the calls of this user have the knobs for all again.
        """
        if user is None:
            self._impairments = dict.fromkeys(DIRECTIONS, Impairment())
            self._of_users.clear()
        else:
            self._of_users.pop(user, None)
        for call in self._calls.values():
            if user in (None, call.caller, call.callee):
                for name, path in call.relay.paths.items():
                    path.impairment = self._impairment(name, call.caller, call.callee)
        return self._record("clear", None, user)

    def _impairment(self, direction: Direction, caller: str, callee: str) -> Impairment:
        """That of a call between these two."""
        return self._with_own(self._impairments[direction], direction, caller, callee)

    def _with_own(self, impairment: Impairment, direction: Direction, caller: str, callee: str) -> Impairment:
        for user in (caller, callee):
            if user in self._of_users:
                impairment = replace(impairment, **self._of_users[user][direction])
        return impairment

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The knobs of new calls, by direction."""
        return {name: impairment.to_dict() for name, impairment in self._impairments.items()}

    # ------------------------------------------------------------------ counters and log

    def counters(self, call_uuid: str | None = None) -> dict[str, Any]:
        """Count packets: sums of RTP packets, all counters by direction, and the same for each call.

        Args:
            call_uuid: count the packets of this call only; by default those of all calls.

        Raises:
            ValueError: there is no such call.
        """
        calls = [self._counters_of(call) for call in self._chosen(call_uuid)]
        totals = {name: _sum(call[name] for call in calls) for name in DIRECTIONS}
        both = _sum(totals.values())
        return {
            "seen": both["rtp_seen"],
            "dropped": both["rtp_dropped"],
            "forwarded": both["rtp_forwarded"],
            "duplicated": both["duplicated"],
            "to_callee": totals["to_callee"],
            "to_caller": totals["to_caller"],
            "calls": calls,
        }

    def passing(self) -> dict[str, dict[str, dict[str, int]]]:
        """RTP packets of the calls of now: by call UUID and direction those seen and those dropped."""
        passing: dict[str, dict[str, dict[str, int]]] = {}
        for call in self._calls.values():
            if call.ended_utc_ns is None:
                counters = {name: path.counters for name, path in call.relay.paths.items()}
                passing[call.call_uuid] = {
                    name: {"seen": one.rtp_seen, "dropped": one.rtp_dropped} for name, one in counters.items()
                }
        return passing

    def log(self, last: int | None = None) -> list[tuple[int, str, Direction, Kind, int, Fate, float]]:
        """The last packets: (UTC time in ns, call UUID, direction, kind, bytes, fate, delay in ms)."""
        entries = list(self._log)
        return entries if last is None else entries[-last:]

    def _counters_of(self, call: RelayedCall) -> dict[str, Any]:
        described: dict[str, Any] = {
            "call_uuid": call.call_uuid,
            "caller": call.caller,
            "callee": call.callee,
            "active": call.ended_utc_ns is None,
        }
        for name in DIRECTIONS:
            described[name] = call.relay.paths[name].counters.to_dict()
        return described

    def _chosen(self, call_uuid: str | None) -> list[RelayedCall]:
        if call_uuid is None:
            return list(self._calls.values())
        chosen = [call for call in self._calls.values() if call.call_uuid == call_uuid]
        if not chosen:
            raise ValueError(f"There is no call {call_uuid!r}; `await lab.status()` lists the calls.")
        return chosen

    def _reseed(self, seed: int, calls: list[RelayedCall]) -> None:
        self.seed = seed
        self._ordinal = itertools.count(1)
        for call in calls:
            if call.ended_utc_ns is not None:
                continue  # the next call gets the ordinal, and so the losses, of the first call of a new lab
            ordinal = next(self._ordinal)
            for name, path in call.relay.paths.items():
                path.reseed(f"{seed}/{ordinal}/{name}")

    def _record(self, what: str, call_uuid: str | None, user: str | None = None) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "time_utc_ns": time.time_ns(),
            "what": what,
            "call_uuid": call_uuid,
            "user": user,
            "seed": self.seed,
        }
        chosen = self._chosen(call_uuid) if call_uuid is not None else []
        for name in DIRECTIONS:
            impairment = chosen[0].relay.paths[name].impairment if chosen else self._impairments[name]
            if user is not None:
                impairment = self._impairment(name, user, user)
            entry[name] = impairment.to_dict()
        self.history.append(entry)
        return entry

    def _forget_old_calls(self) -> None:
        ended = [key for key, call in self._calls.items() if call.ended_utc_ns is not None]
        for key in ended[: max(0, len(self._calls) - _KEPT_CALLS)]:
            del self._calls[key]

    # ------------------------------------------------------------------ packets in transit

    def _note(
        self, relay: Relay, direction: Direction, kind: Kind, size: int, fate: Fate, delay_s: float
    ) -> None:
        call = self._calls.get(relay.key)
        call_uuid = call.call_uuid if call is not None else relay.key
        self._log.append((time.time_ns(), call_uuid, direction, kind, size, fate, delay_s * 1000))

    def _later(self, due: float, relay: Relay, to: Side, kind: Kind, data: bytes) -> None:
        if due <= self._loop.time() + _SEND_NOW_S:
            relay.deliver(to, kind, data)
            return
        heapq.heappush(self._heap, (due, next(self._sequence), relay, to, kind, data))
        if self._timer is None or due < self._timer.when():
            self._arm(due)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._deliver_due)

    def _deliver_due(self) -> None:
        self._timer = None
        horizon = self._loop.time() + _SEND_NOW_S
        while self._heap and self._heap[0][0] <= horizon:
            _, _, relay, to, kind, data = heapq.heappop(self._heap)
            relay.deliver(to, kind, data)
        if self._heap:
            self._arm(self._heap[0][0])


def _directions(direction: str) -> tuple[Direction, ...]:
    if direction == "both":
        return DIRECTIONS
    for name in DIRECTIONS:
        if direction == name:
            return (name,)
    raise ValueError(f"direction must be 'both', 'to_callee' or 'to_caller', not {direction!r}.")


def _sum(counters: Iterable[dict[str, int]]) -> dict[str, int]:
    total = PathCounters().to_dict()
    for one in counters:
        for name, value in one.items():
            total[name] += value
    return total
