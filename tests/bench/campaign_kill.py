"""A campaign whose workers and scheduler are killed on the way: is a call lost, or made twice?

    cd tests && python -m bench.campaign_kill [calls] [workers] [calls per worker]

300 calls of 5 to 10 s by default, on 4 workers with 8 calls each, in the lab: PCMU, two settings of the
network. Two workers are killed (SIGKILL) on the way, then the scheduler; the run stops, and goes on with new
ones. Printed are rows, calls with no row or two, how often calls were attempted, and what became of them.
Exit code 1 if a row is missing or there twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bench.dask_processes import DaskProcesses
from plivo_nb import Lab
from plivo_nb.fleet import Campaign, Progress, Run, RunError, grid, poisson

USERS = 40
_DURATIONS_S = (5.0, 10.0)


async def kill(
    folder: Path,
    calls: int,
    workers: int,
    per_worker: int,
    *,
    durations_s: tuple[float, float] = _DURATIONS_S,
    per_s: float = 4.0,
    worker_kills: int = 2,
    users: int = USERS,
    tell: Callable[[str], object] = lambda text: None,
) -> tuple[Run, dict[str, float]]:
    """Run a campaign, kill workers and the scheduler, and go on with it.

    Returns:
        The run, and figures: seconds, and how many calls had a result when each kill happened.
    """
    accounts = [f"user{number:02d}" for number in range(users)]
    networks = grid(loss=[0.0, 0.05])
    plan = poisson(calls, per_s, accounts, duration_s=durations_s, networks=networks, codec="PCMU")
    figures: dict[str, float] = {}
    began = time.monotonic()
    async with Lab(accounts, random_passwords=True, workers=2) as lab:
        campaign = Campaign(plan, lab=lab)
        processes = DaskProcesses(folder, workers)
        await processes.start()
        steps = [f"worker killed {number + 1}" for number in range(worker_kills)] + ["scheduler killed"]
        each = calls // (len(steps) + 1)
        killing: set[asyncio.Task[int]] = set()

        def follow(progress: Progress) -> None:
            tell(f"{progress.seconds:6.1f} s: {progress}")
            if steps and progress.finished >= each * (len(figures) + 1):
                step = steps.pop(0)
                figures[step] = progress.finished
                tell(step)
                if step.startswith("worker"):
                    killing.add(asyncio.get_running_loop().create_task(processes.kill_worker()))
                else:
                    processes.kill_scheduler()

        remove = campaign.on_progress(follow)
        try:
            async with processes.client() as client:
                with contextlib.suppress(RunError):
                    await campaign.run(client, folder / "run", calls_per_worker=per_worker)
                    raise AssertionError("The run did not stop with its scheduler.")
            await processes.stop()
            await processes.start()
            tell("started again")
            async with processes.client() as client:
                run = await campaign.run(client, folder / "run", calls_per_worker=per_worker)
        finally:
            remove()
            await asyncio.gather(*killing, return_exceptions=True)
            await processes.stop()
    figures["seconds"] = time.monotonic() - began
    return run, figures


def shown(run: Run, calls: int) -> pd.Series:
    """What became of the calls."""
    rows = run.read().calls
    return pd.Series({
        "rows": len(rows),
        "calls with two rows": int(rows["row"].duplicated().sum()),
        "calls without a row": calls - rows["row"].nunique(),
        "attempted more than once": int((rows["attempt"] > 1).sum()),
        **{str(name): int(count) for name, count in rows["status"].value_counts().items()},
    })  # fmt: skip


async def main() -> int:
    """Run and print."""
    given = [int(word) for word in sys.argv[1:]]
    calls, workers, per_worker = (given + [300, 4, 8][len(given) :])[:3]
    with tempfile.TemporaryDirectory() as folder:
        run, figures = await kill(Path(folder), calls, workers, per_worker, tell=print)
        found = shown(run, calls)
        print(run.problems["problem"].to_string())
        print(pd.Series(figures).round(1).to_string())
        print(found.to_string())
        print(run.read().calls["problem"].value_counts().to_string())
    return int(found["rows"] != calls or found["calls with two rows"] or found["calls without a row"])


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
