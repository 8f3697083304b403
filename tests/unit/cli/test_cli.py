"""cli: arguments, exit codes and error messages."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

import plivo_nb.cli as cli
from plivo_nb.errors import CallFailed, LabError, LoginFailed
from plivo_nb.events import CallInfo


def invoke(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def test_version():
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.output.strip() == f"plivo-nb {cli.__version__}"


@pytest.mark.parametrize("command", ["demo", "lab", "check", "report"])
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
