"""Masking: what is known and what looks like a number, an address or a name is replaced, and always alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.analysis.report.masking import Masking


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("sip:+14155550100@phone.plivo.com;transport=ws", "address 1;transport=ws"),
        ("INVITE sips:bob@192.0.2.7:5061 SIP/2.0", "INVITE address 1 SIP/2.0"),
        ("write to bob@example.com", "write to address 1"),
        ("candidate 192.0.2.7 5000 typ host", "candidate address 1 5000 typ host"),
        ("from [2001:db8::1]", "from [address 1]"),
        ("wss://sip.example.com:7443/ws is away", "address 1 is away"),
        ("call 4155550100 or +1 (415) 555-0100", "call number 1 or number 2"),
    ],
)
def test_what_looks_like_one_is_replaced(text: str, masked: str) -> None:
    assert Masking()(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25 14:03:21.123 UTC",
        "1,234,567 packets, 12.5 % of 123456",
        "8c3f1a2b-1234-4f5e-9a7b-1234567890ab",
        "200 OK (INVITE)",
        "rtt_ms 143.25, MOS 4.35",
        "plivo_nb 0.2.0, Python 3.11.2, Linux 6.1.0-13-amd64",
        "",
    ],
)
def test_figures_times_and_versions_stay(text: str) -> None:
    assert Masking()(text) == text


def test_known_names_are_replaced_as_whole_words_whatever_their_case() -> None:
    masking = Masking(["Alice Smith", "sip:alice@lab.example", "echo", "+1 415 555-0100", ""])
    assert masking("ALICE called Echo on lab.example: alice, malice, echoes") == (
        "name 1 called name 2 on address 1: name 1, malice, echoes"
    )
    assert masking("+14155550100, 14155550100 and +1 415 555-0100") == "number 1, number 2 and number 1"


def test_the_same_value_has_the_same_pseudonym() -> None:
    masking = Masking(["bob", "eve"])
    assert masking("eve") == "name 1"
    assert masking("bob and eve") == "name 2 and name 1"


def test_without_masking_all_stays() -> None:
    assert Masking(["bob"], enabled=False)("bob sip:bob@h +14155550100") == "bob sip:bob@h +14155550100"


@given(st.text(max_size=60), st.text(min_size=1, max_size=20))
def test_any_text_is_taken_and_a_name_between_spaces_is_gone(text: str, name: str) -> None:
    masking = Masking([name])
    masking(text)
    if name.isalnum() and name.isascii() and not {name.casefold()} & {"name", "number", "address", "1"}:
        assert (
            name.casefold()
            not in masking(f"by {name} there").casefold().removeprefix("by ").removesuffix(" there")
            or name.casefold() in "name number address 1"
        )
