"""DTMF digits in SIP INFO: the body of Plivo's SDK, written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.dtmf_table import DTMF_DIGITS
from plivo_nb.engine import dtmf


@pytest.mark.parametrize("digit", DTMF_DIGITS)
def test_what_is_written_is_read(digit: str) -> None:
    assert dtmf.read(dtmf.DTMF_TYPE, dtmf.body_of(digit)) == (digit, 100)


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        ("application/dtmf-relay; charset=utf-8", b"Signal=5\r\nDuration=160\r\n", ("5", 160)),
        ("Application/DTMF-Relay", b"signal= a \nduration = 80", ("A", 80)),
        ("application/dtmf-relay", b"Signal=#", ("#", 100)),
        ("application/dtmf-relay", b"Signal=1\r\nDuration=long\r\n", ("1", 100)),
        ("application/dtmf-relay", b"Signal=1\r\nDuration=999999999\r\n", ("1", 100)),
        ("application/dtmf-relay", b"Signal=12\r\n", None),
        ("application/dtmf-relay", b"Signal=\r\n", None),
        ("application/dtmf-relay", b"Duration=100\r\n", None),
        ("application/dtmf-relay", b"", None),
        ("text/plain", b"Signal=5\r\n", None),
    ],
)
def test_what_others_send(content_type: str, body: bytes, digit: tuple[str, int] | None) -> None:
    assert dtmf.read(content_type, body) == digit


@given(st.binary(max_size=60))
def test_no_body_raises_and_what_is_read_is_a_digit(body: bytes) -> None:
    read = dtmf.read(dtmf.DTMF_TYPE, b"Signal=" + body)
    assert read is None or (read[0] in DTMF_DIGITS and 0 <= read[1] < 100_000)
