"""`plivo-nb campaign`: make the calls of a plan, with a line that shows how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from plivo_nb.fleet import Campaign, RunError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from rich.console import Console

    from plivo_nb.fleet import Progress, Run

_SHOWN_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Where:
    """Where a campaign calls, and on which workers.

    Attributes:
        lab: the class file of a running lab; None: a lab is started.
        server: URLs of another server.
        credentials: file with its passwords.
        scheduler: address of a Dask scheduler; None: workers are started.
        confirm: calls at a server that is no lab are wanted.
        max_calls: of such a run, the greatest number.
        max_per_s: of such a run, the greatest rate.
    """

    lab: Path | None = None
    server: list[str] | None = None
    credentials: Path | None = None
    scheduler: str | None = None
    confirm: bool = False
    max_calls: int = 100
    max_per_s: float = 1.0


async def run(
    plan: Path, out: str, where: Where, console: Console, *, workers: int, per_worker: int, sound: bool
) -> Run:
    """Make the calls of a plan, or go on with it.

    Args:
        plan: a CSV file.
        out: the folder or URL of the run.
        where: where to call.
        console: where to show the progress.
        workers: how many processes are started.
        per_worker: how many calls each has at the same time.
        sound: record the sound of calls.

    Raises:
        PlivoError, ValueError, OSError: the plan is wrong, or the run cannot begin or stopped.
    """
    campaign = Campaign(
        plan, lab=where.lab, server=where.server or None, credentials=where.credentials, sound=sound
    )
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("workers start", total=len(campaign.plan))

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.finished, description=str(progress))

        campaign.on_progress(show)
        arguments: dict[str, Any] = {
            "workers": workers,
            "calls_per_worker": per_worker,
            "confirm": where.confirm,
            "max_calls": where.max_calls,
            "max_per_s": where.max_per_s,
        }
        if where.scheduler is None:
            return await campaign.run(out=out, **arguments)
        return await _run_at(campaign, where.scheduler, out, arguments)


async def _run_at(campaign: Campaign, scheduler: str, out: str, arguments: dict[str, Any]) -> Run:
    try:
        from distributed import Client
    except ImportError:
        raise RunError("A scheduler needs Dask: pip install 'plivo-nb[scale]'.") from None
    made: Any = Client
    try:
        async with made(scheduler, asynchronous=True) as client:
            return await campaign.run(client, out, **arguments)
    except OSError as error:
        raise RunError(f"No scheduler answers at {scheduler} ({error}).") from None


def show(run: Run, console: Console) -> None:
    """Print what became of the calls, by their labels, and what happened to workers and files."""
    calls = run.read().calls
    console.print(_table(calls))
    for sentence in run.problems["problem"].iloc[:_SHOWN_PROBLEMS]:
        console.print(sentence, style="yellow", highlight=False, markup=False)
    more = len(run.problems) - _SHOWN_PROBLEMS
    if more > 0:
        console.print(f"and {more} more problems, in run.problems.", style="yellow")
    console.print(f"The calls are in {run.url}; plivo-nb report {run.url} makes a report.", markup=False)


def _table(calls: pd.DataFrame) -> Table:
    table = Table(title="Calls", title_justify="left")
    names = ("label", "calls", "done", "failed", "lost", "MOS p5", "MOS p50", "loss", "RTT p95, ms")
    for name in names:
        table.add_column(name, justify="left" if name == "label" else "right")
    labels = calls["label"].fillna("") if "label" in calls else calls["network"]
    for label, group in calls.groupby(labels, sort=True):
        states = [str(int((group["status"] == state).sum())) for state in ("done", "failed", "lost")]
        mos = group["mos_mean"]
        table.add_row(
            str(label) or "-",
            str(len(group)),
            *states,
            _number(float(mos.quantile(0.05)), ".2f"),
            _number(mos.median(), ".2f"),
            _number(group["loss_in"].mean(), ".1%"),
            _number(group["rtt_p95_ms"].median(), ".0f"),
        )
    return table


def _number(value: float, form: str) -> str:
    return "-" if value != value else format(value, form)
