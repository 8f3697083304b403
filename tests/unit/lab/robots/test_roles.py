"""The robots' numbers and roles."""

from __future__ import annotations

from typing import get_args

from plivo_nb.lab import Lab
from plivo_nb.lab.robots.roles import MAX_SECONDS, ROBOTS, Refusal, RobotNumber, Role, role_of


def test_every_number_has_a_role_a_type_and_a_row() -> None:
    assert all(role_of(number) is not None for number in ROBOTS)
    assert get_args(RobotNumber) == tuple(ROBOTS)
    assert list(Lab().robots["number"]) == list(ROBOTS)


def test_other_texts_have_no_role() -> None:
    for text in ("nobody", "ring-", f"ring-{MAX_SECONDS + 1}", "xecho"):
        assert role_of(text) is None


def test_counted_numbers_count() -> None:
    ring, ends = role_of("ring-7"), role_of("hangs-up-after-12")
    assert isinstance(ring, Role)
    assert isinstance(ends, Role)
    assert (ring.answer_after_s, ring.hang_up_after_s) == (7, None)
    assert (ends.answer_after_s, ends.hang_up_after_s) == (0, 12)
    assert isinstance(role_of("reject"), Refusal)


def test_only_roles_that_answer_plainly_can_call() -> None:
    roles = {number: role for number, (_, role) in ROBOTS.items() if isinstance(role, Role)}
    assert {number for number, role in roles.items() if not role.can_call} == {
        "busy",
        "no-answer",
        "ring-10",
        "early-media",
        "dtmf-rfc4733",
        "one-way",
        "forked",
        "headers",
        "holds",
    }
