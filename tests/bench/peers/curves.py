"""How the cost grows, as pictures: CPU with calls, lag with rows and widgets, logins and set-ups a second.

    python tests/bench curves --out FOLDER [--quick]

It writes curves.png, and the figures to curves.json. All of it takes three to five minutes; with --quick
there are two points of each, of a second, measured beside one another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import call_cost, dashboard_cost
from bench.peers import environment
from bench.widgets_lag import CALL, SETUP, run, started_kernel

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
    """p99 of the lag of a 20 ms ticker in ms, by thousands of rows of the call that a dashboard shows."""
    found = dashboard_cost.measure(seconds, hours)
    return {"a dashboard": [(3.6 * hour, found[f"{hour} h"][2]) for hour in hours]}


def lag_of_widgets(seconds: float, counts: tuple[int, ...] = WIDGETS) -> Points:
    """The same by the number of dashboards in a call."""
    manager, client = started_kernel()
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


async def _round(url: str, names: list[tuple[str, str]]) -> tuple[float, float]:
    """Seconds until all of these pairs are logged in, and until all have a call."""
    from client_phone import Person

    async def talk(alice: Person, bob: Person) -> None:
        calling = alice.client.call(bob.user)
        await bob.expect("onIncomingCall", timeout_s=30)
        await bob.client.answer()
        await calling

    pairs = [(Person(url, a), Person(url, b)) for a, b in names]
    try:
        began = time.monotonic()
        await asyncio.gather(*(person.login() for pair in pairs for person in pair))
        logged_in = time.monotonic()
        await asyncio.gather(*(talk(*pair) for pair in pairs))
        return logged_in - began, time.monotonic() - logged_in
    finally:
        await asyncio.gather(*(person.client.close() for pair in pairs for person in pair))


async def _rates(url: str, count: int, rounds: int) -> tuple[float, float]:
    """Logins and calls a second, of the median round; the first round, in which modules load, is left out."""
    took = [
        await _round(url, [(f"a{count}-{n}-{k}", f"b{count}-{n}-{k}") for k in range(count if n else 1)])
        for n in range(rounds + 1)
    ]
    login_s, call_s = (statistics.median(column) for column in zip(*took[1:], strict=True))
    return 2 * count / login_s, count / call_s


def rates(rounds: int, at_once: tuple[int, ...] = AT_ONCE) -> tuple[Points, Points]:
    """Logins and calls answered a second, by how many are begun at once; both ends are in this process.

    Each number has a Kamailio of its own.
    """
    from kamailio_rig import Kamailio, KamailioMissing

    logging.getLogger("plivo_nb").setLevel(logging.ERROR)
    logins, calls = [], []
    for count in at_once:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            server = Kamailio(Path(folder))
            stack.callback(server.stop)
            try:
                server.start()
            except KamailioMissing as error:
                raise environment.Missing(str(error)) from error
            login_rate, call_rate = asyncio.run(_rates(server.plain, count, rounds))
        logins.append((2.0 * count, login_rate))
        calls.append((float(count), call_rate))
    return {"through Kamailio": logins}, {"through Kamailio": calls}


def draw(file: Path, panels: list[tuple[str, str, str, Points]]) -> None:
    """One picture of all curves: title, names of the axes and points of each panel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), dpi=80, layout="constrained")
    axes = list(figure.subplots(2, 3).flat)
    for place, (title, across, up, points) in zip(axes, panels, strict=False):
        for name, line in points.items():
            place.plot(*zip(*line, strict=True), marker="o", label=name)
        place.set(title=title, xlabel=across, ylabel=up)
        place.set_ylim(0, 1.1 * max(y for line in points.values() for _, y in line))
        place.grid(alpha=0.3)
        place.spines[["top", "right"]].set_visible(False)
        if len(points) > 1:
            place.legend(frameon=False)
    for empty in axes[len(panels) :]:
        empty.set_axis_off()
    figure.savefig(file)


def main(folder: Path, quick: bool = False) -> int:
    """Measure, draw, and write the figures to a folder that exists."""
    seconds, rounds, most = (1.0, 1, 2) if quick else (5.0, 5, 9)
    registrations, set_ups = rates(rounds, AT_ONCE[:most])
    with ThreadPoolExecutor(3 if quick else 1) as measuring:
        cores = measuring.submit(cpu, seconds, CALLS[:most])
        rows = measuring.submit(lag_of_rows, seconds, HOURS[:most])
        dashboards = measuring.submit(lag_of_widgets, seconds, WIDGETS[:most])
    curves = {
        "cpu": ("CPU of calls", "calls, both ends in one process", "cores", cores.result()),
        "registrations": (
            "Logins through Kamailio", "logins begun at once", "logins a second", registrations,
        ),
        "setups": (
            "Calls set up through Kamailio", "calls begun at once", "calls answered a second", set_ups,
        ),
        "lag_rows": (
            "Lag of the loop, one dashboard", "rows of the call, thousands", "p99, ms",
            rows.result(),
        ),
        "lag_widgets": (
            "Lag of the loop, many dashboards", "dashboards of one call", "p99, ms",
            dashboards.result(),
        ),
    }  # fmt: skip
    draw(folder / "curves.png", list(curves.values()))
    figures = {name: points for name, (*_, points) in curves.items()}
    (folder / "curves.json").write_text(json.dumps(figures, indent=1), "utf-8")
    print(folder / "curves.png")
    return 0
