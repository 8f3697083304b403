"""The command line: `plivo-nb demo | lab | check | report | campaign`. Only this package prints.

This module defines the arguments and exit codes; each command is implemented in the module of its name. A
command imports what it needs when it runs, so that ``--help`` and ``--version`` are fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer
from rich.console import Console

from plivo_nb._version import __version__
from plivo_nb.errors import CallFailed, LoginFailed, PlivoError
from plivo_nb.lab.config import FIRST_USERS, MAX_ACCOUNTS, MAX_WORKERS
from plivo_nb.lab.network.scenarios import ScenarioName

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

_T = TypeVar("_T")

INTERRUPTED = 130
_SCENARIOS = ", ".join(get_args(ScenarioName))

app = typer.Typer(
    name="plivo-nb",
    help="A softphone for Jupyter notebooks: make a test call, check the installation, run the lab, "
    "report on calls, or run campaigns of calls.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the `plivo-nb` command."""
    # The package's log is not for users of the command line, which reports errors itself.
    logging.getLogger("plivo_nb").addHandler(logging.NullHandler())
    logging.getLogger("plivo_nb").propagate = False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # for terminals that cannot display all characters
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        Console().print(f"plivo-nb {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


@app.command("demo")
def _demo(
    seconds: Annotated[float, typer.Option(min=6, max=3600, help="Duration of the call, in seconds.")] = 20.0,
    out: Annotated[Path, typer.Option(help="Directory for samples.parquet, call.png and heard.wav.")] = Path(
        "demo-out"
    ),
    lab: Annotated[
        str | None,
        typer.Option(metavar="URL", help="URL (ws://...) of a running lab (default: start one)."),
    ] = None,
    username: Annotated[str, typer.Option(help="User to log in as.")] = "alice",
    password: Annotated[str | None, typer.Option(help="Password (default: the user's in the lab).")] = None,
    number: Annotated[str, typer.Option(help="Number or user to call.")] = "echo",
    loss: Annotated[
        float, typer.Option(min=0, max=1, hidden=True, help="Packet loss while the network is clean, 0 to 1.")
    ] = 0.0,
) -> None:
    """Make a call to the echo robot while the network gets worse and better, and show the results."""
    from plivo_nb.cli.demo import Plan, run
    from plivo_nb.cli.screen import Screen

    plan = Plan(
        seconds=seconds,
        out=out,
        server=lab,
        username=username,
        password=password,
        number=number,
        clean_loss=loss,
    )
    screen = Screen()
    outcome = _run(_with_screen(screen, run(plan, screen)))
    screen.summary(outcome)
    if not outcome.speech_came_back:
        raise typer.Exit(1)


async def _with_screen(screen: Any, work: Coroutine[Any, Any, _T]) -> _T:
    with screen:
        return await work


@app.command("lab")
def _lab(
    port: Annotated[int, typer.Option(min=0, max=65535, help="WebSocket port (0 = any free port).")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the network's random numbers.")] = 1,
    accounts: Annotated[int, typer.Option(min=1, max=MAX_ACCOUNTS, help="Number of accounts.")] = len(
        FIRST_USERS
    ),
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|CSV", help=f"Network scenario to play in a loop: {_SCENARIOS}, or a CSV file."
        ),
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="For a class: write the file with which others join, or, into a folder (DIR/), one for each "
            "student.",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="This computer's address or name by which others reach the lab; it needs a certificate "
            "(default: this computer only).",
        ),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TLS certificate for that address (PEM).")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key (PEM), if it is in another file.")
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The authority that signed it (PEM), for those who join (default: itself)."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_WORKERS,
            help="Processes for the robots, one for about 20 calls (default: 0; 2 with --share).",
        ),
    ] = None,
) -> None:
    """Run the lab, an embedded Plivo with accounts and robots to call, until Ctrl-C."""
    from plivo_nb.cli.lab import Address, run

    address = Address(host, certificate, key, ca)
    _run(run(port, seed, Console(), accounts, scenario, share, address, workers))


@app.command("check")
def _check(
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Signalling server, wss://... (default: a lab).")
    ] = None,
    username: Annotated[
        str | None, typer.Option(help="Endpoint to log in as; its password is read from PLIVO_PASSWORD.")
    ] = None,
    number: Annotated[str | None, typer.Option(help="Whom to call on the server (default: nobody).")] = None,
    stun: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="STUN server; give two to tell the kind of a NAT.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Duration of the call, in seconds.")] = 10.0,
) -> None:
    """Check the installation, the network and a call to the lab or a server."""
    from plivo_nb.cli.screen import checks
    from plivo_nb.preflight import STUN_SERVERS
    from plivo_nb.preflight import check as preflight

    console = Console()
    with console.status("Checking; this takes as long as the call and a few seconds."):
        found = _run(
            preflight(server, username, number=number, stun=tuple(stun or STUN_SERVERS), call_s=seconds)
        )
    checks(console, found)
    if (found["result"] == "fail").any():
        raise typer.Exit(1)


@app.command("report")
def _report(
    path: Annotated[Path, typer.Argument(help="File or folder with calls.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    mask: Annotated[
        bool, typer.Option("--mask/--no-mask", help="Replace numbers, addresses and names by pseudonyms.")
    ] = True,
    sound: Annotated[bool, typer.Option("--sound", help="Add the recording of the only call.")] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column or tag of the calls to group them by; several times for several tables (default: "
            "label, network, region and codec, where the calls differ).",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0, max=64, help="Read the samples in so many processes of Dask (default: 0, into memory)."
        ),
    ] = 0,
) -> None:
    """Write a report of stored calls, or of a campaign's run, to one HTML file."""
    from plivo_nb.cli.report import run

    console = Console(soft_wrap=True)
    with _sentences(PlivoError, OSError, ValueError):
        for sentence in run(path, out, mask=mask, sound=sound, by=by or None, workers=workers):
            console.print(sentence, style="yellow", highlight=False, markup=False)
    console.print(f"Report written to {out}", highlight=False, markup=False)


@app.command("campaign")
def _campaign(
    plan: Annotated[Path, typer.Argument(help="CSV file: a row a call, see the README.")],
    out: Annotated[str, typer.Option(help="Folder of the run; the same one again goes on with it.")] = "run",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Number of worker processes.")] = 2,
    calls_per_worker: Annotated[
        int, typer.Option(min=1, max=200, help="Calls of a worker at the same time.")
    ] = 8,
    lab: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Class file of a running lab (default: start a lab).")
    ] = None,
    server: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Another server, wss://...; it needs --confirm.")
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON file with its passwords by account, mode 0600 (default: PLIVO_NB_PASSWORD_ACCOUNT).",
        ),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler (default: workers on this machine).")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Yes, call at that server, which may cost money.")
    ] = False,
    max_calls: Annotated[int, typer.Option(min=1, help="Greatest number of calls at a server.")] = 100,
    max_per_s: Annotated[
        float, typer.Option(min=0.001, help="Greatest rate at a server, calls a second.")
    ] = 1,
    sound: Annotated[bool, typer.Option("--sound", help="Record the sound of each call.")] = False,
) -> None:
    """Make the calls of a plan with several processes, or go on with it."""
    from plivo_nb.cli.campaign import Where, run, show

    console = Console(soft_wrap=True)
    where = Where(lab, server, credentials, scheduler, confirm, max_calls, max_per_s)
    with _sentences(ValueError):
        made = _run(run(plan, out, where, console, workers=workers, per_worker=calls_per_worker, sound=sound))
    show(made, console)
    if not made.complete:
        raise typer.Exit(1)


@contextlib.contextmanager
def _sentences(*expected: type[Exception]) -> Iterator[None]:
    """Expected errors become one sentence on standard error and exit code 1."""
    try:
        yield
    except expected as error:
        Console(stderr=True, soft_wrap=True).print(
            _sentence(error), style="bold red", highlight=False, markup=False
        )
        raise typer.Exit(1) from None


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a command's coroutine. Expected errors become one sentence on standard error and exit code 1."""
    try:
        with _sentences(PlivoError, OSError):
            return asyncio.run(work)
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; calls and processes are closed.")
        raise typer.Exit(INTERRUPTED) from None


def _sentence(error: Exception) -> str:
    """One sentence that says what went wrong and what to do."""
    if isinstance(error, LoginFailed) and error.cause == "Authentication Error":
        return "The login was refused: wrong user name or password."
    if isinstance(error, LoginFailed) and error.cause in ("Connection Error", "Request Timeout"):
        return "No server answers at that address: is the lab running? `plivo-nb lab` starts one."
    if isinstance(error, CallFailed):
        dest = f" to {error.call_info.dest}" if error.call_info else ""
        hint = " (there is no user of that name)" if error.cause == "Not Found" else ""
        return f"The call{dest} was not answered: {error.cause}{hint}."
    if isinstance(error, OSError) and error.filename is not None:
        return f"Cannot use {os.fsdecode(error.filename)}: {error.strerror}."
    return str(error)
