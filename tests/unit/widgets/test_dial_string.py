"""Written numbers are cleaned; names and addresses are left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.widgets.dial_string import dial_string


@pytest.mark.parametrize(
    ("typed", "dialled"),
    [
        ("+1 (415) 555-0100", "+14155550100"),
        ("(+49) 30/123 45", "+493012345"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("415.555.0100", "4155550100"),
        ("tel:+1-415-555-0100;ext=3", "+14155550100"),
        ("\uff0b\uff14\uff19 30", "+4930"),  # full-width
        ("\u202a+49\u00a030\u20111\u202c", "+49301"),  # as copied from an address book
        ("*21#", "*21#"),
        (" echo ", "echo"),
        ("ring-10", "ring-10"),
        ("1-800-FLOWERS", "1-800-FLOWERS"),
        ("sip:bob@phone.plivo.com", "sip:bob@phone.plivo.com"),
        ("bob.2-x@example.org", "bob.2-x@example.org"),
        ("-", "-"),
        ("", ""),
    ],
)
def test_what_is_dialled(typed: str, dialled: str) -> None:
    assert dial_string(typed) == dialled


@given(st.text(alphabet="0123456789+()-./ *#", max_size=40) | st.text(max_size=40))
def test_cleaning_twice_changes_nothing_and_no_digit_is_invented(typed: str) -> None:
    once = dial_string(typed)
    assert dial_string(once) == once
    assert len(once) <= max(len(typed), 1) * 4


@pytest.mark.parametrize("part", ["0", "0 ", "( ", "(+", "tel:"])
def test_a_long_text_takes_no_time(part: str) -> None:
    start = time.perf_counter()
    dial_string(part * 60_000 + "x")
    assert time.perf_counter() - start < 1.0
