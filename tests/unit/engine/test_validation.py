"""Headers, digits and feedback: what is accepted, and what each refusal says."""

import logging
import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.engine.validation import (
    EMPTY_CREDENTIALS,
    FEEDBACK_COMMENTS,
    FeedbackComment,
    are_digits,
    credentials_problem,
    feedback_problem,
    split_uri_headers,
    target_problem,
    valid_headers,
)

NAME_CHARACTERS = "ABCabc019-"
VALUE_CHARACTERS = "ABCabc019_+()%.-"


@given(
    st.dictionaries(
        st.builds(
            "{}{}".format,
            st.sampled_from(["X-PH-", "x-ph-", "X-Ph-"]),
            st.text(NAME_CHARACTERS, min_size=1, max_size=19),
        ),
        st.text(VALUE_CHARACTERS, min_size=1, max_size=120),
    )
)
def test_headers_by_the_rule_are_kept_as_they_are(headers: dict[str, str]) -> None:
    assert valid_headers(headers) == headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-PH-", "a"),
        ("X-PH-" + "a" * 20, "a"),
        ("X-PH-a_b", "a"),
        ("X-Other", "a"),
        ("X-PH-a\n", "a"),
        ("X-PH-a", ""),
        ("X-PH-a", "a" * 121),
        ("X-PH-a", "a b"),
        ("X-PH-a", "a\r\nEvil: 1"),
        ("X-PH-a", "é"),
        ("X-PH-a", 5),
        (5, "a"),
    ],
)
def test_any_other_header_is_dropped_with_one_warning_that_names_it(
    name: Any, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        assert valid_headers({name: value, "X-PH-Good": "1"}) == {"X-PH-Good": "1"}
    assert len(caplog.records) == 1
    assert (repr(name) if name != "X-PH-a" else name) in caplog.text


def test_no_headers_are_none_and_what_is_no_dict_is_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert valid_headers(None) == {}
    assert caplog.records == []
    assert valid_headers(["X-PH-a"]) == {}
    assert "must be a dict" in caplog.text


@given(st.text())
def test_digits_are_0_to_9_star_and_pound_only(text: str) -> None:
    assert are_digits(text) == bool(text and set(text) <= set("0123456789*#"))


@pytest.mark.parametrize("given", [None, 5, b"1", ["1"], "", "1\n", "٣"])
def test_anything_else_is_no_digit(given: Any) -> None:
    assert not are_digits(given)


def test_every_documented_comment_is_accepted_for_every_score() -> None:
    assert get_args(FeedbackComment) == FEEDBACK_COMMENTS
    for comment in FEEDBACK_COMMENTS:
        for score in range(1, 6):
            assert feedback_problem("u", ("u", None), score, comment) is None


@pytest.mark.parametrize(
    ("uuid", "score", "comment", "sentence"),
    [
        ("other", 3, "no-audio", "neither the current nor the last call"),
        (None, 3, "no-audio", "neither the current nor the last call"),
        ("u", 0, "no-audio", "from 1 to 5"),
        ("u", 6, "no-audio", "from 1 to 5"),
        ("u", True, "no-audio", "from 1 to 5"),
        ("u", 3.0, "no-audio", "from 1 to 5"),
        ("u", "3", "no-audio", "from 1 to 5"),
        ("u", 3, "nice", "must be one of bad-audio"),
    ],
)
def test_other_feedback_is_refused_with_what_is_wrong(
    uuid: Any, score: Any, comment: Any, sentence: str
) -> None:
    assert re.search(sentence, feedback_problem(uuid, (None, "u"), score, comment) or "")


@pytest.mark.parametrize(
    ("dialled", "target", "headers", "warned"),
    [
        ("sip:x@y?H=v", "sip:x@y", {}, 1),
        ("sip:x@y;user=phone?X-PH-Room=5&Subject=hi", "sip:x@y;user=phone", {"X-PH-Room": "5"}, 1),
        ("sips:y?X-PH-A=a%2Bb", "sips:y", {"X-PH-A": "a+b"}, 0),
        ("bob@host?Route=%3Csip:evil%3E", "bob@host", {}, 1),
        ("sip:what?ever@host", "sip:what?ever@host", {}, 0),
        ("sip:x@y?Subject=a@b", "sip:x@y", {}, 1),
        ("what?", "what?", {}, 0),
        ("+14155550100", "+14155550100", {}, 0),
    ],
)
def test_header_fields_leave_the_address_and_only_those_for_plivo_are_kept(
    dialled: str, target: str, headers: dict[str, str], warned: int, caplog
) -> None:
    assert split_uri_headers(dialled) == (target, headers)
    assert len(caplog.records) == warned


@pytest.mark.parametrize(
    ("username", "password", "problem"),
    [
        ("alice", "secret", None),
        ("alice", "pässwörd ²", None),
        ("", "secret", EMPTY_CREDENTIALS),
        ("  ", "secret", EMPTY_CREDENTIALS),
        ("alice", "", EMPTY_CREDENTIALS),
        (None, "secret", EMPTY_CREDENTIALS),
        (5, b"x", EMPTY_CREDENTIALS),
        ("a\r\nb", "secret", "Username has a character that cannot be sent"),
        ("a\0", "secret", "Username has a character that cannot be sent"),
        ("\ud800", "secret", "Username has a character that cannot be sent"),
        ("alice", "\ud800", "Password has a character that cannot be sent"),
        ("alice", "a\0b", "Password has a character that cannot be sent"),
        ("a" * 300, "secret", "Username or password is longer than 256 characters"),
    ],
)
def test_credentials_that_cannot_be_sent_are_refused(
    username: object, password: object, problem: str | None
) -> None:
    assert credentials_problem(username, password) == problem


@pytest.mark.parametrize("number", [None, "", "  ", 5, ["bob"], b"bob"])
def test_what_is_no_text_cannot_be_called(number: Any) -> None:
    assert "number or SIP address as text" in str(target_problem(number))


def test_a_target_of_unusual_length_is_refused_in_a_short_sentence() -> None:
    assert target_problem("4" * 512) is None
    problem = target_problem("4" * 60_000)
    assert problem == "call: the number or address has 60000 characters; at most 512 can be dialled."
    assert len(str(target_problem(["bob"] * 60_000))) < 200


@pytest.mark.parametrize(
    "hidden", ["\0", "\n", "\x1b", "\x7f", "\x85", "\u202e", "\u2066", "\u2028", "\ud800"]
)
def test_a_target_with_a_hidden_character_is_refused_and_not_repeated(hidden: str) -> None:
    problem = str(target_problem(f"a{hidden}b"))
    assert problem.endswith(f"has a character that cannot be dialled, U+{ord(hidden):04X}.")
    assert problem.isprintable()
    assert target_problem("José García") is None
