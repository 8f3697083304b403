"""The DTMF digits against ITU-T Q.23 and RFC 4733."""

import pytest

from plivo_nb.dtmf_table import DTMF_DIGITS, DTMF_HZ


def test_event_codes_are_those_of_rfc_4733() -> None:
    assert [DTMF_DIGITS.index(digit) for digit in "019*#AD"] == [0, 1, 9, 10, 11, 12, 15]


@pytest.mark.parametrize(
    ("digit", "hertz"),
    [("1", (697, 1209)), ("5", (770, 1336)), ("#", (941, 1477)), ("D", (941, 1633)), ("0", (941, 1336))],
)
def test_frequencies_are_those_of_q_23(digit: str, hertz: tuple[float, float]) -> None:
    assert DTMF_HZ[digit] == hertz


def test_each_digit_has_frequencies_of_its_own() -> None:
    assert set(DTMF_HZ) == set(DTMF_DIGITS)
    assert len(set(DTMF_HZ.values())) == len(DTMF_DIGITS) == 16
