"""lab.membership: what a student may do, and what is published to a student."""

from __future__ import annotations

import pytest

from plivo_nb.errors import LabError
from plivo_nb.lab.membership import MOST_CALLS, TEACHER, Member, check, concerns, visible

ANN = Member("ann")
ENTRIES = [
    {"call_uuid": None, "user": None},
    {"call_uuid": None, "user": "ann"},
    {"call_uuid": None, "user": "bob"},
    {"call_uuid": "u-1", "user": None},
]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("network.set", "Only the teacher may change the network; you joined as ann."),
        ("network.clear", "change the network"),
        ("network.play", "play a scenario"),
        ("network.log", "see everybody's packets"),
        ("fault.drop_socket", "cause faults"),
        ("something.new", "use something.new"),
    ],
)
def test_a_student_is_told_what_only_the_teacher_may_do(command: str, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence.replace(".", r"\.")):
        check(ANN, command, {})
    check(TEACHER, command, {})


def test_robots_call_a_student_who_asks_and_nobody_else() -> None:
    check(ANN, "call", {"user": "ann", "n": MOST_CALLS})
    for arguments in (
        {"user": "bob", "n": 1},
        {"user": "ann", "n": MOST_CALLS + 1},
        {"user": "ann", "n": "1"},
    ):
        with pytest.raises(LabError):
            check(ANN, "call", arguments)
    check(TEACHER, "call", {"user": "bob", "n": 30})


def test_robots_that_call_a_student_already_count() -> None:
    check(ANN, "call", {"user": "ann"}, MOST_CALLS - 1)
    with pytest.raises(LabError, match="At most 3 robots"):
        check(ANN, "call", {"user": "ann"}, MOST_CALLS)
    check(TEACHER, "call", {"user": "ann"}, MOST_CALLS)


def test_a_student_sees_the_own_calls_and_registration_only() -> None:
    calls = [
        {"caller": "ann", "callee": "echo"},
        {"caller": "bob", "callee": "ann"},
        {"caller": "bob", "callee": "carl"},
    ]
    status = {
        "url": "ws://x", "network": {}, "scenario": None, "robots": [], "pid": 7, "sockets": 3,
        "registrations": [{"user": "ann"}, {"user": "bob"}], "calls": calls,
    }  # fmt: skip
    seen = visible(ANN, "status", status)
    assert seen["calls"] == calls[:2]
    assert seen["registrations"] == [{"user": "ann"}]
    assert "pid" not in seen
    assert visible(ANN, "network.counters", {"calls": calls, "seen": 9}) == {"calls": calls[:2]}
    assert visible(ANN, "network.history", ENTRIES) == ENTRIES[:2]
    assert visible(TEACHER, "status", status) is status


def test_events_go_to_those_whom_they_concern() -> None:
    assert [concerns(ANN, "network", entry) for entry in ENTRIES] == [True, True, False, False]
    assert concerns(ANN, "collected", {"user": "ann"})
    assert not concerns(ANN, "collected", {"user": "bob"})
    assert concerns(ANN, "event", {"who": "ann"})
    assert not concerns(ANN, "event", {"who": "bob"})
    assert concerns(ANN, "scenario", None)
    assert all(concerns(TEACHER, "network", entry) for entry in ENTRIES)
