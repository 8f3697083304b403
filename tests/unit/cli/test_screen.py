"""What the commands print: tables, results, progress."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from plivo_nb.cli.demo import Phase
from plivo_nb.cli.outcome import Outcome, PhaseStats
from plivo_nb.cli.screen import Screen, checks, mos_text
from plivo_nb.quality.frames import SAMPLES, ColumnStore

NAN = float("nan")


def samples():
    store = ColumnStore(SAMPLES)
    for row, lost in enumerate([0, 10]):
        store.append(
            row,
            packets_in=50 - lost,
            packets_lost_in=lost,
            packets_out=50,
            packets_lost_out=5,
            mos=4.0 - row,
            rtt_ms=20,
        )
    return store.frame()


def outcome(correlation):
    whole = PhaseStats("whole call", 20, 0.034, 0.033, 0.031, 0.03, 120.0, 2.1, 3.9)
    clean = PhaseStats("clean", 7, 0.0, NAN, 0.0, 0.0, NAN, NAN, NAN)
    return Outcome(
        0.05,
        0.1,
        0.02,
        "OPUS",
        1000,
        970,
        whole,
        (clean, clean, clean),
        correlation,
        0.9,
        (Path("call.png"),),
    )


def shown(correlation):
    text = io.StringIO()
    Screen(Console(file=text, width=120)).summary(outcome(correlation))
    return text.getvalue()


def test_summary_says_everything_that_was_promised():
    text = shown(0.95)
    for part in (
        "Login",
        "Post-dial delay",
        "Answer to first RTP",
        "Packets sent / received",
        "by the relay",
    ):
        assert part in text
    assert "1000 / 970" in text
    assert "2.10 bad" in text
    assert "3.90 fair" in text
    assert "The speech came back" in text
    assert "nan" not in text


def test_summary_of_a_silent_call():
    assert "did not come back" in shown(0.3)
    assert not outcome(0.8).speech_came_back
    assert outcome(0.81).speech_came_back


@pytest.mark.parametrize(
    ("mos", "word"),
    [(4.4, "excellent"), (4.1, "good"), (3.6, "fair"), (3.0, "poor"), (1.0, "bad")],
)
def test_scores_have_a_word_beside_their_colour(mos, word):
    assert word in mos_text(mos)


def test_screen_shows_steps_and_numbers_while_it_runs():
    text = io.StringIO()
    with Screen(Console(file=text, width=120)) as screen:
        screen.step("alice is logged in.")
        screen.tick(Phase("bad", 7, {}), 3.0, 20.0, samples())
        screen.tick(Phase("bad", 7, {}), 3.0, 20.0, samples().iloc[:0])
    assert "alice is logged in." in text.getvalue()


def test_findings_are_listed_with_their_result_and_remedy():
    text = io.StringIO()
    found = pd.DataFrame(
        [
            ("Python", "pass", "3.13", ""),
            ("Sound", "warn", "none", "[Install]"),
            ("Call", "fail", "unanswered", "Try"),
        ],
        columns=["what", "result", "detail", "remedy"],
    )
    checks(Console(file=text, width=80), found)
    lines = [line.split() for line in text.getvalue().splitlines()]
    assert lines == [
        ["pass", "Python", "3.13"],
        ["warn", "Sound", "none"],
        ["[Install]"],
        ["fail", "Call", "unanswered"],
        ["Try"],
    ]
