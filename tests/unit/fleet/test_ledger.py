"""fleet.ledger: each call has one result, whatever happens to workers."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from plivo_nb.fleet.ledger import FINAL, TRANSITIONS, Ledger
from plivo_nb.fleet.plan import PlannedCall


def call(number: int, at_s: float = 0.0, account: str | None = None) -> PlannedCall:
    return PlannedCall(number, at_s, account or f"user{number}", "echo", 5.0)


def started(ledger: Ledger, now_s: float) -> list[tuple[int, str]]:
    return [(start.call.number, start.worker) for start in ledger.due(now_s)]


def test_calls_begin_in_time_on_the_worker_with_the_fewest() -> None:
    ledger = Ledger([call(0, 0.0), call(1, 0.0), call(2, 1.0)], per_worker=2)
    assert started(ledger, 0.0) == [], "there is no worker"
    ledger.worker_came("one")
    ledger.worker_came("two")
    assert sorted(worker for _, worker in started(ledger, 0.5)) == ["one", "two"]
    assert ledger.next_at() == 1.0
    (start,) = ledger.due(1.25)
    assert (start.call.number, start.attempt, start.late_s, start.leave) == (2, 1, 0.25, None)
    assert ledger.next_at() is None


def test_a_worker_has_no_more_calls_than_it_may() -> None:
    ledger = Ledger([call(number) for number in range(5)], per_worker=2)
    ledger.worker_came("one")
    assert len(ledger.due(0.0)) == 2
    assert ledger.due(9.0) == []
    ledger.apply(ledger.active()[0], "ended")
    (start,) = ledger.due(9.0)
    assert start.late_s == 9.0


def test_an_account_has_one_call_at_a_time_in_the_order_of_time() -> None:
    ledger = Ledger([call(0, 2.0, "ann"), call(1, 1.0, "ann"), call(2, 1.0, "bob")], per_worker=5)
    ledger.worker_came("one")
    assert [number for number, _ in started(ledger, 9.0)] == [1, 2]
    ledger.apply(1, "refused")
    assert started(ledger, 9.0) == [(0, "one")]


def test_an_account_stays_at_its_worker_and_leaves_it_only_where_that_is_full() -> None:
    calls = [call(0, 0, "ann"), call(1, 0, "bob"), call(2, 1, "ann"), call(3, 1, "carl"), call(4, 2, "ann")]
    ledger = Ledger(calls, per_worker=1)
    ledger.worker_came("one")
    ledger.worker_came("two")
    at = dict(started(ledger, 0.0))
    ledger.apply(0, "ended")
    (again,) = ledger.due(1.0)
    assert (again.call.number, again.worker, again.leave) == (2, at[0], None)
    ledger.apply(2, "ended")
    assert started(ledger, 1.0) == [(3, at[0])]
    ledger.apply(1, "ended")
    (moved,) = ledger.due(2.0)
    assert (moved.worker, moved.leave) == (at[1], at[0])


def test_a_worker_that_comes_later_gets_its_share() -> None:
    ledger = Ledger(
        [call(number, float(number >= 4), f"user{number % 4}") for number in range(8)], per_worker=8
    )
    ledger.worker_came("one")
    assert {worker for _, worker in started(ledger, 0.0)} == {"one"}
    for number in (0, 1):
        ledger.apply(number, "ended")
    ledger.worker_came("two")
    assert started(ledger, 1.0) == [(4, "two"), (5, "one")]


def test_a_call_lost_with_its_worker_is_made_again_as_often_as_it_may() -> None:
    ledger = Ledger([call(0)], per_worker=1, tries=2)
    for attempt in (1, 2):
        ledger.worker_came("one")
        (start,) = ledger.due(0.0)
        assert start.attempt == attempt
        assert ledger.worker_gone("one") == [0]
        assert ledger.retries(0) is (attempt == 1)
        if attempt == 1:
            ledger.apply(0, "again")
    assert ledger.finished
    assert ledger.counts["lost"] == 1
    assert ledger.worker_gone("one") == []


def test_attempts_of_earlier_runs_count() -> None:
    ledger = Ledger([call(0)], per_worker=1, tries=2, attempts={0: 1})
    ledger.worker_came("one")
    (start,) = ledger.due(0.0)
    assert start.attempt == 2
    ledger.worker_gone("one")
    assert not ledger.retries(0)


def test_a_run_that_goes_on_does_not_wait_for_the_time_that_has_passed() -> None:
    ledger = Ledger([call(7, 3600.0), call(8, 3601.0)], per_worker=2)
    ledger.worker_came("one")
    assert started(ledger, 0.0) == [(7, "one")]
    assert ledger.next_at() == 1.0


def test_what_cannot_occur_is_refused() -> None:
    ledger = Ledger([call(0)], per_worker=1)
    with pytest.raises(ValueError, match="Call 0 is planned: 'ended' does not occur then"):
        ledger.apply(0, "ended")
    ledger.apply(0, "impossible")
    with pytest.raises(ValueError, match="does not occur"):
        ledger.apply(0, "attempt")


def test_nothing_leaves_a_result_but_a_loss_that_is_tried_again() -> None:
    assert {(state, event) for state, event in TRANSITIONS if state in FINAL} == {("lost", "again")}
    assert set(TRANSITIONS.values()) - {"planned", "attempted"} == set(FINAL)


class AnyWorkersAnyOrder(RuleBasedStateMachine):
    """Workers come and go, calls end and are lost in any order."""

    @initialize(
        at=st.lists(st.floats(0, 20), min_size=1, max_size=15),
        accounts=st.integers(1, 6),
        tries=st.integers(1, 3),
        room=st.integers(1, 3),
    )
    def plan(self, at: list[float], accounts: int, tries: int, room: int) -> None:
        self.calls = [call(number, at_s, f"user{number % accounts}") for number, at_s in enumerate(at)]
        self.ledger = Ledger(self.calls, room, tries)
        self.room, self.tries, self.now_s = room, tries, 0.0
        self.at: dict[int, str] = {}
        self.ends: dict[int, int] = {}
        self.attempts: dict[int, int] = {}
        self.made = 0

    @rule()
    def worker_comes(self) -> None:
        self.made += 1
        self.ledger.worker_came(f"worker {self.made}")

    @rule(data=st.data())
    @precondition(lambda self: self.ledger.workers)
    def worker_goes(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.ledger.workers))
        active = [number for number, at in self.at.items() if at == name]
        assert sorted(active) == self.ledger.worker_gone(name)
        for number in active:
            del self.at[number]
            if self.ledger.retries(number):
                self.ledger.apply(number, "again")
            else:
                self.ends[number] = self.ends.get(number, 0) + 1

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        for start in self.ledger.due(self.now_s):
            number = start.call.number
            assert number not in self.at
            assert number not in self.ends, "a call that has a result is never dialled again"
            assert start.call.account not in {self.calls[other].account for other in self.at}
            self.at[number] = start.worker
            self.attempts[number] = self.attempts.get(number, 0) + 1
            assert start.attempt == self.attempts[number] <= self.tries

    @rule(data=st.data(), event=st.sampled_from(["ended", "refused"]))
    @precondition(lambda self: self.at)
    def call_ends(self, data: st.DataObject, event: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.at)))
        self.ledger.apply(number, event)  # type: ignore[arg-type]
        del self.at[number]
        self.ends[number] = self.ends.get(number, 0) + 1

    @invariant()
    def counts_agree(self) -> None:
        counts = self.ledger.counts
        assert sum(counts.values()) == len(self.calls)
        assert counts["attempted"] == len(self.at) == len(self.ledger.active())
        assert sum(counts[state] for state in FINAL) == len(self.ends)
        assert set(self.ends.values()) <= {1}
        assert self.ledger.finished is (len(self.ends) == len(self.calls))
        for worker in self.ledger.workers:
            assert len(self.ledger.active_at(worker)) <= self.room

    def teardown(self) -> None:
        """With a worker and time, each call gets its result."""
        if not hasattr(self, "ledger"):
            return
        self.worker_comes()
        for _ in range(3 * len(self.calls) + 3):
            self.time_passes(30.0)
            for number in sorted(self.at):
                self.ledger.apply(number, "ended")
                del self.at[number]
                self.ends[number] = self.ends.get(number, 0) + 1
        assert self.ledger.finished


TestAnyWorkersAnyOrder = AnyWorkersAnyOrder.TestCase
TestAnyWorkersAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
