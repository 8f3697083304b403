"""`plivo-nb lab`: the embedded Plivo for everybody on this machine, until Ctrl-C, with a live table."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.table import Table

from plivo_nb.errors import LabError
from plivo_nb.lab import Lab

if TYPE_CHECKING:
    from rich.console import Console

_LOOK_S = 0.5
_ROWS = 12
_SHOWN_USERS = 5
_AT_REST = {
    "loss": 0.0,
    "burst_packets": 1.0,
    "delay_ms": 0.0,
    "jitter_ms": 0.0,
    "duplicate": 0.0,
    "rate_kbps": None,
    "black_hole": False,
}


async def run(
    port: int, seed: int, console: Console, accounts: int | None = None, scenario: str | None = None
) -> None:
    """Start the lab, say how to reach it, and show what goes on until cancelled.

    Raises:
        LabError: it did not start, or it ended by itself; or a setting is wrong.
    """
    try:
        lab = Lab(accounts, port=port, seed=seed, scenario=scenario)
    except ValueError as error:
        raise LabError(str(error)) from error
    async with lab:
        console.print(f"The lab runs at {lab.url}", highlight=False)
        users = list(lab.accounts.items())
        for name, password in users[:_SHOWN_USERS]:
            console.print(f"  user {name}, password {password}", highlight=False)
        if len(users) > _SHOWN_USERS:
            console.print(f"  and {len(users) - _SHOWN_USERS} more, up to {users[-1][0]}, each NAME-secret")
        console.print("  robots to call: echo, speech, tone-1000, music-on-hold, busy, early-media, ...")
        console.print(f"Try it: plivo-nb demo --lab {lab.url}", highlight=False, soft_wrap=True)
        console.print("Ctrl-C ends it.")
        await _watch(lab, console)


async def _watch(lab: Lab, console: Console) -> None:
    """Show the table where there is a terminal to show it in; come back only by an error."""
    live = Live(console=console, transient=True, auto_refresh=False)
    with live if console.is_terminal else contextlib.nullcontext():
        while True:
            await asyncio.sleep(_LOOK_S)
            if not lab.running:
                raise LabError("The lab ended by itself; start it again.")
            if console.is_terminal:
                live.update(picture(await lab.status(), await lab.network.counters()), refresh=True)


def picture(status: dict[str, Any], counters: dict[str, Any]) -> Group:
    """The lab now: who is registered, which calls there are, what the network does.

    Args:
        status: of `Lab.status`.
        counters: of `Lab.network.counters`.
    """
    return Group(_registrations(status), _calls(status, counters), _network(status, counters))


def _registrations(status: dict[str, Any]) -> Table:
    table = Table(title="Registered", title_justify="left")
    for column in ("user", "with", "renews within"):
        table.add_column(column)
    for entry in status["registrations"][:_ROWS]:
        table.add_row(entry["user"], entry["agent"] or "-", f"{entry['expires_in_s']:.0f} s")
    idle = sum(robot["idle"] for robot in status["robots"])
    table.caption = f"robots: {len(status['robots'])}, {idle} of them idle"
    return table


def _calls(status: dict[str, Any], counters: dict[str, Any]) -> Table:
    table = Table(title="Calls", title_justify="left")
    for column in ("from", "to", "state", "seconds", "packets there", "dropped", "packets back", "dropped"):
        table.add_column(column, justify="right" if column not in ("from", "to", "state") else "left")
    relayed = {call["call_uuid"]: call for call in counters["calls"]}
    for call in status["calls"][:_ROWS]:
        paths = relayed.get(call["call_uuid"], {})
        numbers = [
            str(paths.get(direction, {}).get(name, 0))
            for direction in ("to_callee", "to_caller")
            for name in ("rtp_seen", "rtp_dropped")
        ]
        table.add_row(call["caller"], call["callee"], call["state"], f"{call['seconds']:.0f}", *numbers)
    if len(status["calls"]) > _ROWS:
        table.caption = f"and {len(status['calls']) - _ROWS} more"
    return table


def _network(status: dict[str, Any], counters: dict[str, Any]) -> Table:
    scenario = status["scenario"]
    table = Table(title=f"Network: scenario {scenario}" if scenario else "Network", title_justify="left")
    for column in ("direction", "set to", "RTP seen", "dropped"):
        table.add_column(column)
    for direction, name in (("to_callee", "to the callee"), ("to_caller", "to the caller")):
        knobs = status["network"][direction]
        changed = [f"{knob} {knobs[knob]}" for knob, rest in _AT_REST.items() if knobs[knob] != rest]
        done = counters[direction]
        table.add_row(name, ", ".join(changed) or "clean", str(done["rtp_seen"]), str(done["rtp_dropped"]))
    return table
