"""`plivo-nb lab`: run the lab until Ctrl-C, with a live table of registrations, calls and the network."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.table import Table

from plivo_nb.errors import LabError
from plivo_nb.lab import Lab
from plivo_nb.lab.network.knobs import DIRECTIONS, KNOBS
from plivo_nb.lab.robots.roles import ROBOTS

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

_REFRESH_S = 0.5
_ROWS = 12
_SHOWN_USERS = 5
_WORKERS_OF_CLASS = 2


@dataclass(frozen=True, slots=True)
class Address:
    """Where the lab listens, and its certificate; see `Lab`."""

    host: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    def arguments(self) -> dict[str, Any]:
        """Those of `Lab` that are given."""
        given = {name: getattr(self, name) for name in ("host", "certificate", "key", "ca")}
        return {name: value for name, value in given.items() if value is not None}


async def run(
    port: int,
    seed: int,
    console: Console,
    accounts: int | None = None,
    scenario: str | None = None,
    share: str | None = None,
    address: Address | None = None,
    workers: int | None = None,
) -> None:
    """Start the lab, print how to reach it, and show its state until cancelled.

    Args:
        port: WebSocket port (0 = any free port).
        seed: the seed of everything random in the network.
        console: where to print.
        accounts: the number of accounts.
        scenario: the name or CSV file of a network scenario to play in a loop.
        share: the file with which others join, or a folder for one file a student; passwords are random then.
        address: where it listens and with which certificate; None: on this computer, not encrypted.
        workers: how many processes the robots have of their own; None: two for a class, otherwise none.

    Raises:
        LabError: the lab did not start or ended by itself, a setting is invalid, or the file cannot be
            written.
    """
    if share is None and address is not None and address.host is not None:
        raise LabError("Passwords of a lab that others reach are random: give --share PATH for them.")
    try:
        lab = Lab(
            accounts,
            port=port,
            seed=seed,
            scenario=scenario,
            random_passwords=share is not None,
            workers=_WORKERS_OF_CLASS * (share is not None) if workers is None else workers,
            **(address or Address()).arguments(),
        )
    except ValueError as error:
        raise LabError(str(error)) from error
    async with lab:
        console.print(f"The lab runs at {lab.url}", highlight=False)
        if share is not None:
            _share(lab, share, console)
        else:
            _print_users(lab, console)
        console.print(f"  robots to call: {', '.join(ROBOTS)}", highlight=False)
        if share is None and lab.url.startswith("ws:"):  # the demo knows the default passwords only
            console.print(f"Try it: plivo-nb demo --lab {lab.url}", highlight=False, soft_wrap=True)
        console.print("Press Ctrl-C to stop.")
        await _watch(lab, console)


def _print_users(lab: Lab, console: Console) -> None:
    users = list(lab.accounts.items())
    for name, password in users[:_SHOWN_USERS]:
        console.print(f"  user {name}, password {password}", highlight=False)
    if len(users) > _SHOWN_USERS:
        console.print(f"  and {len(users) - _SHOWN_USERS} more, up to {users[-1][0]}, password NAME-secret")


def _share(lab: Lab, path: str, console: Console) -> None:
    """Write the files of a class, and say how to use them; no password is printed."""
    try:
        lab.share(path)
    except OSError as error:
        raise LabError(f"{path} cannot be written ({error.strerror}).") from error
    users = list(lab.accounts)
    console.print(f"  {len(users)} students, {users[0]} to {users[-1]}; secrets in {path}", highlight=False)
    console.print('  a student joins with: lab = await plivo_nb.Lab.join("FILE", "NAME")', markup=False)


async def _watch(lab: Lab, console: Console) -> None:
    """Show the live table if the output is a terminal. Returns only by an exception."""
    live = Live(console=console, transient=True, auto_refresh=False)
    with live if console.is_terminal else contextlib.nullcontext():
        while True:
            await asyncio.sleep(_REFRESH_S)
            if not lab.running:
                raise LabError("The lab ended by itself; start it again.")
            if console.is_terminal:
                live.update(picture(await lab.status(), await lab.network.counters()), refresh=True)


def picture(status: dict[str, Any], counters: dict[str, Any]) -> Group:
    """Make the tables of registrations, calls and the network.

    Args:
        status: the result of `Lab.status`.
        counters: the result of `Lab.network.counters`.
    """
    return Group(_registrations(status), _calls(status, counters), _network(status, counters))


def _registrations(status: dict[str, Any]) -> Table:
    table = Table(title="Registered", title_justify="left")
    for column in ("user", "user agent", "expires in"):
        table.add_column(column)
    for entry in status["registrations"][:_ROWS]:
        table.add_row(entry["user"], entry["agent"] or "-", f"{entry['expires_in_s']:.0f} s")
    idle = sum(robot["idle"] for robot in status["robots"])
    table.caption = f"robots: {len(status['robots'])}, {idle} of them idle"
    return table


def _calls(status: dict[str, Any], counters: dict[str, Any]) -> Table:
    table = Table(title="Calls", title_justify="left")
    for column in ("from", "to", "state", "seconds", "RTP to callee", "dropped", "RTP to caller", "dropped"):
        table.add_column(column, justify="right" if column not in ("from", "to", "state") else "left")
    relayed = {call["call_uuid"]: call for call in counters["calls"]}
    for call in status["calls"][:_ROWS]:
        paths = relayed.get(call["call_uuid"], {})
        numbers = [
            str(paths.get(direction, {}).get(name, 0))
            for direction in DIRECTIONS
            for name in ("rtp_seen", "rtp_dropped")
        ]
        table.add_row(call["caller"], call["callee"], call["state"], f"{call['seconds']:.0f}", *numbers)
    if len(status["calls"]) > _ROWS:
        table.caption = f"and {len(status['calls']) - _ROWS} more"
    return table


def _network(status: dict[str, Any], counters: dict[str, Any]) -> Table:
    scenario = status["scenario"]
    table = Table(title=f"Network: scenario {scenario}" if scenario else "Network", title_justify="left")
    for column in ("direction", "settings", "RTP received", "dropped"):
        table.add_column(column)
    for direction in DIRECTIONS:
        name = direction.replace("to_", "to the ")
        knobs = status["network"][direction]
        changed = [f"{name} {knobs[name]}" for name, knob in KNOBS.items() if knobs[name] != knob.default]
        done = counters[direction]
        table.add_row(name, ", ".join(changed) or "clean", str(done["rtp_seen"]), str(done["rtp_dropped"]))
    return table
