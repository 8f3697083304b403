"""Each cause has words, in plain English."""

from __future__ import annotations

import re
from typing import get_args

from plivo_nb.analysis.diagnosis.causes import CAUSE_WORDS, SET_UP_WORDS, Cause, words_of
from plivo_nb.analysis.diagnosis.surroundings import SET_UP_LIMITS_MS


def test_every_cause_has_words() -> None:
    assert {cause for cause, _ in CAUSE_WORDS} == set(get_args(Cause))
    assert set(SET_UP_WORDS) == set(SET_UP_LIMITS_MS)


def test_words_are_sentences() -> None:
    for words in (*CAUSE_WORDS.values(), *SET_UP_WORDS.values()):
        assert re.fullmatch(r"[A-Z].*[^.]", words.what)
        assert re.fullmatch(r"[A-Z].*\.", words.remedy)
        assert "_" not in words.what


def test_the_words_of_a_direction() -> None:
    assert words_of("choppy", "in") != words_of("choppy", "out")
