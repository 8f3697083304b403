"""cli: arguments, exit codes, sentences, tables. The demo itself runs in tests/integration."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

import plivo_nb.cli as cli
from plivo_nb.cli.demo import Phase, Plan, phases_of
from plivo_nb.cli.outcome import Outcome, PhaseStats, network_text, phase_stats
from plivo_nb.cli.screen import Screen, mos_text
from plivo_nb.errors import CallFailed, LabError, LoginFailed
from plivo_nb.events import CallInfo
from plivo_nb.quality.frames import SAMPLES, ColumnStore

NAN = float("nan")


def invoke(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def test_version():
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.output.strip() == f"plivo-nb {cli.__version__}"


@pytest.mark.parametrize("command", ["demo", "lab", "check"])
def test_help_names_the_command(command):
    assert command in invoke("--help").output
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert command in result.output


def test_help_does_not_show_the_tests_option():
    assert "--loss" not in invoke("demo", "--help").output


@pytest.mark.parametrize("wrong", [("--seconds", 1), ("--loss", 2), ("--no-such-option", 1)])
def test_wrong_arguments_are_usage_errors(wrong):
    assert invoke("demo", *wrong).exit_code == 2


def test_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = invoke("demo", "--out", tmp_path / "file" / "below")
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Cannot use" in result.stderr
    assert "Traceback" not in result.output


INFO = CallInfo(
    "uuid", "OUTGOING", "sip:alice@phone.plivo.com", "nobody", "failed", code=404, reason="Not Found"
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LoginFailed("Authentication Error"), "wrong user name or password"),
        (LoginFailed("Connection Error"), "is the lab running"),
        (LoginFailed("Request Timeout"), "is the lab running"),
        (LoginFailed("Rejected"), "Login failed: Rejected."),
        (CallFailed("Not Found", INFO), "The call to nobody was not answered: Not Found (there is no user"),
        (CallFailed("Busy"), "The call was not answered: Busy."),
        (LabError("The lab did not start."), "The lab did not start."),
    ],
)
def test_errors_become_one_sentence_and_exit_code_1(error, said, capsys):
    async def work():
        raise error

    with pytest.raises(cli.typer.Exit) as exit_:
        cli._run(work())
    assert exit_.value.exit_code == 1
    output = capsys.readouterr()
    assert said in output.err
    assert len(output.err.strip().splitlines()) == 1
    assert output.out == ""


def test_interrupt_is_130(capsys):
    async def work():
        raise KeyboardInterrupt

    with pytest.raises(cli.typer.Exit) as exit_:
        cli._run(work())
    assert exit_.value.exit_code == 130
    assert "Interrupted" in capsys.readouterr().err


def test_programming_errors_are_not_hidden():
    async def work():
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cli._run(work())


# ---------------------------------------------------------------- the demo's arithmetic


def test_phases_fill_the_time_and_only_the_middle_is_bad():
    phases = phases_of(Plan(seconds=21, out=Path()), own_network=True)
    assert [phase.name for phase in phases] == ["clean", "bad", "clean again"]
    assert sum(phase.seconds for phase in phases) == pytest.approx(21)
    assert phases[0].network == phases[2].network == {"loss": 0.0, "delay_ms": 0.0, "jitter_ms": 0.0}
    assert phases[1].network["loss"] > 0


def test_somebody_elses_network_is_left_alone():
    assert phases_of(Plan(seconds=9, out=Path()), own_network=False) == (Phase("as it is", 9, {}),)


def test_clean_loss_for_tests_holds_throughout():
    phases = phases_of(Plan(seconds=9, out=Path(), clean_loss=1.0), own_network=True)
    assert [phase.network["loss"] for phase in phases] == [1.0, 1.0, 1.0]


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


def test_score_sums_counts_not_shares():
    relay = {
        "to_callee": {"rtp_seen": 100, "rtp_dropped": 11},
        "to_caller": {"rtp_seen": 100, "rtp_dropped": 10},
    }
    got = phase_stats("whole call", 2, samples(), relay)
    assert (got.loss_in, got.relay_loss_in) == (0.10, 0.10)
    assert (got.loss_out, got.relay_loss_out) == (0.10, 0.11)
    assert (got.mos_min, got.mos_mean, got.rtt_ms) == (3.0, 3.5, 20)


def test_stats_of_nothing_is_missing():
    got = phase_stats("whole call", 2, samples().iloc[:0], {})
    assert pd.isna(
        [got.loss_in, got.loss_out, got.relay_loss_in, got.mos_min, got.mos_mean, got.rtt_ms]
    ).all()


# ---------------------------------------------------------------- what is shown


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


def test_knobs_in_words():
    assert network_text({"loss": 0.1, "delay_ms": 120, "jitter_ms": 20}) == (
        "network: 10 % loss, 120 ms delay each way, jitter ±20 ms"
    )


def test_screen_shows_steps_and_numbers_while_it_runs():
    text = io.StringIO()
    with Screen(Console(file=text, width=120)) as screen:
        screen.step("alice is logged in.")
        screen.tick(Phase("bad", 7, {}), 3.0, 20.0, samples())
        screen.tick(Phase("bad", 7, {}), 3.0, 20.0, samples().iloc[:0])
    assert "alice is logged in." in text.getvalue()
