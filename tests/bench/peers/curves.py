"""How the cost grows, as pictures: CPU with calls, lag with rows and widgets, logins and set-ups a second.

    python tests/bench curves --out FOLDER [--quick]

The figures are written to curves.json beside the pictures. All of it takes about four minutes;
with --quick there are two points of each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from bench import call_cost, dashboard_cost
from bench.widgets_lag import CALL, SETUP, run

sys.path += [str(Path(__file__).parents[2] / part) for part in ("integration/kamailio", "simulation")]

Points = dict[str, list[tuple[float, float]]]
CALLS = (1, 5, 10, 20, 40)
HOURS = (0, 2, 8, 20, 40)
WIDGETS = (0, 1, 2, 4, 8)
AT_ONCE = (1, 2, 5, 10, 20)
DASHBOARDS = """
shown = [plivo_nb.Dashboard(client) for _ in range({count})]
for dashboard in shown:
    display(dashboard)
    dashboard._panels._on_message(None, {{"type": "shown", "page": "bench", "have": {{}}}}, [])
await asyncio.sleep({settle})  # their drawing processes start
"""
CLOSE = """
for dashboard in shown:
    await dashboard.close()
"""


def cpu(seconds: float, calls: tuple[int, ...] = CALLS) -> Points:
    """Cores that calls take, by the number of calls (both ends are here)."""
    points: Points = {}
    for codec, name in (("OPUS", "Opus"), ("PCMU", "PCMU")):
        found = [(n, call_cost.apart("plane", codec, n, seconds)["cpu"] * 2 * n / 60) for n in calls]
        points[name] = [(float(n), cores) for n, cores in found]
    return points


def lag_of_rows(seconds: float, hours: tuple[int, ...] = HOURS) -> Points:
    """p99 of the lag of a 20 ms ticker in ms, by the rows of the call that a dashboard shows."""
    found = dashboard_cost.measure(seconds, hours)
    return {"a dashboard": [(3600.0 * hour, found[f"{hour} h"][2]) for hour in hours]}


def lag_of_widgets(seconds: float, counts: tuple[int, ...] = WIDGETS) -> Points:
    """The same by the number of dashboards in a call."""
    manager, client = start_new_kernel(kernel_name="python3")
    points = []
    try:
        run(client, SETUP + CALL)
        for count in counts:
            run(client, DASHBOARDS.format(count=count, settle=2 + count))
            lags = run(client, f"lags = await ticker({seconds})", "lags")
            points.append((float(count), lags[2]))
            run(client, CLOSE)
        run(client, "await client.close()\nawait lab.close()")
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    return {"dashboards in a call": points}


async def _rates(url: str, at_once: tuple[int, ...], rounds: int) -> tuple[Points, Points]:
    from client_phone import Person

    logins, calls = [], []
    for count in at_once:
        login_s = call_s = 0.0
        for n in range(rounds):
            names = [(f"a{count}-{n}-{k}", f"b{count}-{n}-{k}") for k in range(count)]
            pairs = [(Person(url, a), Person(url, b)) for a, b in names]
            try:
                began = time.monotonic()
                await asyncio.gather(*(person.login() for pair in pairs for person in pair))
                login_s += time.monotonic() - began
                began = time.monotonic()

                async def talk(alice: Any, bob: Any) -> None:
                    calling = alice.client.call(bob.user)
                    await bob.expect("onIncomingCall", timeout_s=30)
                    await bob.client.answer()
                    await calling

                await asyncio.gather(*(talk(*pair) for pair in pairs))
                call_s += time.monotonic() - began
            finally:
                await asyncio.gather(*(person.client.close() for pair in pairs for person in pair))
        logins.append((2.0 * count, 2 * count * rounds / login_s))
        calls.append((float(count), count * rounds / call_s))
    return {"through Kamailio": logins}, {"through Kamailio": calls}


def rates(rounds: int, at_once: tuple[int, ...] = AT_ONCE) -> tuple[Points, Points]:
    """Logins and calls answered a second, by how many are begun at once; both ends are in this process."""
    from kamailio_rig import Kamailio

    logging.getLogger("plivo_nb").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = Kamailio(Path(folder))
        stack.callback(server.stop)
        server.start()
        return asyncio.run(_rates(server.plain, at_once, rounds))


def draw(file: Path, title: str, across: str, up: str, points: Points) -> None:
    """One curve picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    for name, line in points.items():
        axes.plot(*zip(*line, strict=True), marker="o", label=name)
    axes.set(title=title, xlabel=across, ylabel=up)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(file)


def main(folder: Path, quick: bool = False) -> int:
    """Measure, draw, and write the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    seconds, rounds, most = (2.0, 1, 2) if quick else (5.0, 3, 9)
    registrations, set_ups = rates(rounds, AT_ONCE[:most])
    widgets = lag_of_widgets(seconds, WIDGETS[:most])
    pictures = {
        "registrations": ("Logins", "logins begun at once", "logins a second", registrations),
        "setups": ("Calls set up", "calls begun at once", "calls answered a second", set_ups),
        "cpu": ("CPU of calls", "calls, both ends in one process", "cores", cpu(seconds, CALLS[:most])),
        "lag_rows": ("Lag of the loop", "rows of the call", "p99, ms", lag_of_rows(seconds, HOURS[:most])),
        "lag_widgets": ("Lag of the loop", "dashboards in one call", "p99, ms", widgets),
    }
    for name, (title, across, up, points) in pictures.items():
        draw(folder / f"{name}.png", title, across, up, points)
        print(folder / f"{name}.png")
    figures = {name: points for name, (*_, points) in pictures.items()}
    (folder / "curves.json").write_text(json.dumps(figures, indent=1), "utf-8")
    return 0
