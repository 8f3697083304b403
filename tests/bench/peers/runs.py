"""What is measured together: each function gives `{"ROW COLUMN": figure}` for one run."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[2] / part) for part in ("integration/kamailio", "simulation")]

from bench import call_cost
from bench.peers import environment, speech
from bench.peers.rows import CALLS, CARRIED, CODECS, COLUMNS, LOSSES, RATES, SHARES, known_reason

Figures = dict[str, Any]
Planned = tuple[int, Callable[[int], Figures], str]
SAID_S = 10.0


def program(module: str, what: str, python: str = sys.executable, **arguments: Any) -> dict[str, Any]:
    """Run a peer's program and return what it prints."""
    command = [python, "-m", f"bench.peers.{module}", what, json.dumps(arguments)]
    found: dict[str, Any] = environment.result(command)
    return found


def _pjsua_cost(calls: int, seconds: float) -> dict[str, float]:
    """The wheel holds two calls a process: more calls are more processes."""
    python = str(environment.python())
    one = functools.partial(program, "pjsip", "cost", python, codec="PCMU", seconds=seconds)
    processes = -(-calls // 2)
    with ThreadPoolExecutor(processes) as pool:
        parts = list(pool.map(lambda _: one(calls=min(2, calls)), range(processes)))
    return {
        "cpu": sum(part["cpu"] for part in parts) / processes,
        "carried": min(part["carried"] for part in parts),
        "memory_mb": sum(part["memory_mb"] for part in parts),
    }


def cost(column: str, codec: str, calls: int, seconds: float) -> Figures:
    """CPU and memory of calls."""
    if column == "pjsua2":
        found = _pjsua_cost(calls, seconds)
    else:
        engine = "plane" if column == "ours" else column
        python = str(environment.python()) if column == "aiortc" else sys.executable
        found = call_cost.apart(engine, codec, calls, seconds, python)
    return {
        f"cpu.{codec.lower()}.{calls} {column}": found["cpu"],
        f"used.{codec.lower()}.{calls} {column}": found["memory_mb"],
        f"carried.{codec.lower()}.{calls} {column}": found["carried"],
    }


def _said(folder: Path, seconds: float) -> dict[int, Path]:
    """The speech of the package as files, by rate."""
    from bench import media_quality

    files = {}
    for rate in RATES.values():
        files[rate] = folder / f"said-{rate}.wav"
        speech.write(files[rate], media_quality.speech(rate)[: round(seconds * rate)], rate)
    return files


def _pesq(codec: str, said: Path, heard: Path) -> float:
    """PESQ, narrowband for PCMU and wideband for Opus; the files may have any rate."""
    from pesq import pesq
    from scipy.signal import resample_poly

    def at(path: Path, rate: int) -> Any:
        with wave.open(str(path)) as file:
            have = file.getframerate()
        pcm = speech.read(path)
        return pcm if have == rate else resample_poly(pcm.astype(float), rate, have).astype("int16")

    rate, mode = (8000, "nb") if codec == "PCMU" else (16_000, "wb")
    return float(pesq(rate, at(said, rate), at(heard, rate), mode))


def loss(column: str, run: int, seconds: float) -> Figures:
    """Frames not played at each share of loss, and PESQ also without loss; the codecs at the same time.

    In Chromium one codec after the other: two of them on two cores disturb each other audibly.
    """
    from bench.peers import chromium

    figures: Figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = _said(folder, seconds)

        def one(codec: str) -> dict[str, Any]:
            rate = 48_000 if column == "chromium" else RATES[codec]
            given = {"codec": codec, "seed": run, "said": str(said[rate]), "folder": name}
            shares = list(SHARES["pesq"])
            if column == "chromium":
                return chromium.loss(shares=shares, **given)
            if column == "ours":
                return program("ours", "loss", shares=shares, **given)
            python = str(environment.python())
            if column == "aiortc":
                return program("stock_aiortc", "loss", python, shares=shares, **given)
            with ThreadPoolExecutor() as pool:  # two calls a process
                parts = [shares[:2], shares[2:]]
                found = pool.map(lambda part: program("pjsip", "loss", python, shares=part, **given), parts)
                return {share: values for part in found for share, values in part.items()}

        codecs = [codec for codec in CODECS if known_reason(f"pesq.{codec.lower()}.1", column) is None]
        with ThreadPoolExecutor(1 if column == "chromium" else None) as pool:
            all_found = list(pool.map(one, codecs))  # all calls have ended before PESQ takes a core
        for codec, found in zip(codecs, all_found, strict=True):
            for share, values in found.items():
                row = f"{codec.lower()}.{round(100 * float(share))} {column}"
                if float(share) in LOSSES:
                    figures[f"unplayed.{row}"] = 100 * values["unplayed"]
                figures[f"pesq.{row}"] = _pesq(codec, said[RATES[codec]], Path(values["heard"]))
    return figures


def echo(column: str, seconds: float) -> Figures:
    """Delay through an echo, the codecs at the same time."""
    from bench.peers import chromium

    def one(codec: str) -> float:
        if column == "chromium":
            return chromium.echo(codec, seconds)["delay_ms"]
        python = sys.executable if column == "ours" else str(environment.python())
        module = {"ours": "ours", "aiortc": "stock_aiortc", "pjsua2": "pjsip"}[column]
        return float(program(module, "echo", python, codec=codec, seconds=seconds)["delay_ms"])

    codecs = [codec for codec in CODECS if known_reason(f"echo.{codec.lower()}", column) is None]
    with ThreadPoolExecutor() as pool:
        return {f"echo.{c.lower()} {column}": ms for c, ms in zip(codecs, pool.map(one, codecs), strict=True)}


async def _our_set_up(url: str, count: int, user: str) -> dict[str, list[float]]:
    from client_phone import Person
    from waiting import until

    logging.getLogger("plivo_nb").setLevel(logging.ERROR)

    found: dict[str, list[float]] = {"login": [], "ringing": [], "rtp": []}
    for n in range(count):
        alice, bob = Person(url, f"{user}a{n}"), Person(url, f"{user}b{n}")
        began = time.monotonic()
        await alice.login()
        found["login"].append(1000 * (time.monotonic() - began))
        await bob.login()
        began = time.monotonic()
        calling = alice.client.call(bob.user)
        await alice.expect("onCallRemoteRinging")
        found["ringing"].append(1000 * (time.monotonic() - began))
        began = time.monotonic()
        there = await bob.client.answer()
        await until(lambda call=there: "first_rtp_received" in call.timings, 5, interval_s=0.002)
        found["rtp"].append(1000 * (there.timings["first_rtp_received"] - began))
        await (await calling).hangup()
        await asyncio.gather(alice.client.close(), bob.client.close())
    return found


def setup(column: str, count: int) -> dict[str, list[float]]:
    """Logins and calls through a Kamailio of its own; a list for each row, a figure for each call."""
    from kamailio_rig import Kamailio, KamailioMissing

    from bench.peers import chromium

    with tempfile.TemporaryDirectory() as folder:
        server = Kamailio(Path(folder))
        try:
            server.start()
            if column == "ours":
                found = asyncio.run(_our_set_up(server.plain, count, "ours"))
            elif column == "chromium":
                found = chromium.setup(server.plain, count, "jessie")
            else:
                address, python = f"127.0.0.1:{server.ports['plain']}", str(environment.python())
                found = program("pjsip", "setup", python, server=address, count=count, user="pj")
        except KamailioMissing as error:
            raise environment.Missing(str(error).partition(",")[0]) from error
        finally:
            server.stop()
    return {f"setup.{name} {column}": values for name, values in found.items()}


def plan(wanted: list[str], columns: list[str], quick: bool) -> list[Planned]:
    """The measurements that fill the wanted rows: how often, what, and what it is called on the screen."""
    from bench.peers import starting

    seconds, times = (3.0, 1) if quick else (10.0, 3)
    todo: list[Planned] = []

    def asked(prefix: str) -> bool:
        return any(row.startswith(prefix) for row in wanted)

    for codec in CODECS:
        for calls in CALLS:
            for column in columns:
                row = f"cpu.{codec.lower()}.{calls}"
                memory = asked(f"memory.{codec.lower()}") and calls < 40
                if (row in wanted or memory) and known_reason(row, column) is None:
                    run = functools.partial(cost, column, codec, calls, seconds)
                    todo.append((times, lambda _, run=run: run(), f"{row} {column}"))
    for column in columns:
        if asked("setup.") and known_reason("setup.login", column) is None:
            count = 2 if quick else 5
            todo.append((1, lambda _, c=column, n=count: setup(c, n), f"setup {column}"))
        if asked("unplayed.") or asked("pesq."):
            length = 5.0 if quick else SAID_S
            todo.append((times, lambda n, c=column, s=length: loss(c, n, s), f"loss {column}"))
        if asked("echo."):
            todo.append((times, lambda _, c=column: echo(c, 5.0), f"echo {column}"))
        if asked("import") and known_reason("import", column) is None:
            todo.append((times, lambda _, c=column: _import(c), f"import {column}"))
    if "ours" in columns and asked("demo"):
        todo.append((times, lambda _: {"demo ours": starting.demo_s()}, "demo"))
    if "ours" in columns and asked("widgets."):
        todo.append((times, lambda _: _widgets(seconds), "widgets"))
    return todo


def _import(column: str) -> Figures:
    from bench.peers import starting

    python = sys.executable if column == "ours" else str(environment.python())
    return {f"import {column}": starting.import_s(column, python)}


def _widgets(seconds: float) -> Figures:
    from bench.peers import starting

    return {f"widgets.{name} ours": value for name, value in starting.widgets(seconds).items()}


def gathered(figures: list[Figures]) -> dict[str, dict[str, Any]]:
    """The cells of all runs: values, and whether a run did not carry what it should have."""
    cells: dict[str, dict[str, Any]] = {}
    for run in figures:
        for name, value in run.items():
            values = value if isinstance(value, list) else [value]
            cells.setdefault(name, {"values": []})["values"] += values
    for name, found in cells.items():
        if name.startswith("carried.") and min(found["values"]) < CARRIED:
            cells[name.replace("carried", "cpu")]["saturated"] = True
    return cells


def memory(cells: dict[str, dict[str, Any]]) -> None:
    """Memory a call, from what a process holds with one call and with ten (pjsua2: with one and with two)."""
    for codec in CODECS:
        for column in COLUMNS:
            one, ten = (cells.get(f"used.{codec.lower()}.{n} {column}") for n in (1, 10))
            row = f"memory.{codec.lower()} {column}"
            if not one or not ten:
                continue
            if failed := [found for found in (one, ten) if "reason" in found]:
                cells[row] = failed[0]
                continue
            pairs = zip(one["values"], ten["values"], strict=False)
            values = [(b / 5 - a if column == "pjsua2" else (b - a) / 9) for a, b in pairs]
            cells[row] = {**ten, "values": values}
