"""Labelled calls: calls through the lab, each with a known cause of bad quality, to test the diagnosis.

    cd tests && python -m bench.labelled_calls [--set develop] [--batches 0 1 ...]

Makes the calls of `simulation.labelled_recipes` anew and writes their frames to tests/data/labelled_calls;
without `--set` those of both sets, without `--batches` all. Each batch takes about 40 s, and all ten minutes
a set. Then it diagnoses them, and prints the confusion table. Run it alone on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from simulation import labelled_recipes
from simulation.labelled_recipes import SETS, Recipe, SetName, batches, load, save
from simulation.waiting import until

from plivo_nb import AudioFile, Call, Client, Lab, speech_path
from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.audio_types import Pcm
from plivo_nb.testing import FakeSound

_RATE = 16_000
_LONGEST_S = 45
_SINGLE_AT_ONCE = 4


# ---------------------------------------------------------------- what is said


@cache
def _speech() -> Pcm:
    """The spoken sample, as often as needed."""
    file, parts, missing = AudioFile(speech_path(), loop=True), [], _LONGEST_S * 50
    file.open(_RATE)
    try:
        while missing:
            block = file.read(_RATE // 50)
            if block is None or not len(block):
                time.sleep(0.002)
                continue
            parts.append(block)
            missing -= 1
    finally:
        file.close()
    return np.concatenate(parts)


def said(kind: str, seed: int) -> Pcm:
    """What a party says, 16 kHz: speech, quiet, pauses, falls silent, noise or silence."""
    dice = np.random.default_rng(seed)
    speech = _speech().astype(np.float64)
    noise = dice.normal(0.0, 1.0, len(speech))
    room = 6.0 * noise  # as a microphone in a quiet room: -65 dBFS at its peaks
    time_s = np.arange(len(speech)) / _RATE
    match kind:
        case "speech":
            sound = speech + room
        case "quiet":
            sound = 0.03 * speech + room
        case "pauses":
            pause_s = dice.uniform(6.0, 8.0)
            sound = np.where((time_s + dice.uniform(0, 4)) % (pause_s + 4.0) < 4.0, speech, 0.0) + room
        case "falls silent":
            sound = np.where(time_s < dice.uniform(5.0, 9.0), speech, 0.0)
        case "noise":
            sound = 0.8 * noise
        case _:
            sound = np.zeros(len(speech))
    made: Pcm = np.clip(np.round(sound), -32768, 32767).astype(np.int16)
    return made


class Spoken:
    """What a fake microphone records: samples at 16 kHz."""

    def __init__(self, samples: Pcm) -> None:
        self._samples = samples
        self._at = 0

    def open(self, rate: int) -> None:
        """Bring the samples to the rate of the device, in Hz."""
        times = np.arange(0, len(self._samples), _RATE / rate)
        self._samples = np.interp(times, np.arange(len(self._samples)), self._samples).astype(np.int16)

    def read(self, samples: int) -> Pcm:
        """The next samples."""
        self._at += samples
        return self._samples[self._at - samples : self._at]

    def close(self) -> None:
        """Nothing is open."""


# ---------------------------------------------------------------- a call


async def _slow_proxy(url: str, delay_s: float, stack: contextlib.AsyncExitStack) -> str:
    """The URL of a proxy before the switch that takes its time with each connection."""
    host, port = url.removeprefix("ws://").split("/")[0].split(":")

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay_s)
        upstream, onwards = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pipe(reader, onwards), pipe(upstream, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    stack.callback(server.close)
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


def _compute(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(2_000))


class LabelledCall:
    """One call of a batch: its two parties, and what happens to it."""

    def __init__(self, lab: Lab, number: int, recipe: Recipe, seed: int) -> None:
        self.lab, self.number, self.recipe, self.seed = lab, number, recipe, seed
        self.near, self.far = f"near{number}", f"far{number}"
        self.sound = FakeSound()
        self.says, self.hears = said(recipe.says, seed), said(recipe.hears, seed + 1)  # takes a while

    async def make(self) -> CallFrames:
        """Make the call; the caller's frames, with the label."""
        recipe, lab = self.recipe, self.lab
        async with contextlib.AsyncExitStack() as stack:
            options: dict[str, Any] = {"codecs": list(recipe.codecs), "preDetectOwa": bool(self.number % 2)}
            if recipe.sound:
                self.sound.says(Spoken(self.says))
                options["sound"] = self.sound
            what, amount = recipe.first or ("", 0.0)
            if what == "socket":
                options["registrationDomainSocket"] = [await _slow_proxy(lab.url, amount, stack)]
            far = await stack.enter_async_context(lab.client(codecs=list(recipe.far_codecs)))
            await far.login(self.far, lab.password(self.far))
            near = await stack.enter_async_context(lab.client(**options))
            if what == "register":
                await lab.faults.slow(amount)
            await near.login(self.near, lab.password(self.near))
            await lab.faults.slow(amount if what == "ringing" else 0.0)
            if what == "ice":
                await lab.network.set(delay_ms=1000 * amount)  # a round trip of twice that
            call = await self._answered(near, far)
            if what:
                await until(lambda: "dtls_connected" in call.timings, 30.0)
                await lab.faults.clear()
                await lab.network.clear()
            await self._happens(call)
            await call.hangup()
            await call.ended
            return self._frames(near)

    async def _answered(self, near: Client, far: Client) -> Call:
        incoming = far.wait_for("onIncomingCall", timeout=30)
        operation = near.call(self.far)
        await incoming
        theirs = await far.answer()
        theirs.play(self.hears, rate=_RATE)
        call = await operation
        if not self.recipe.sound:
            call.play(self.says, rate=_RATE)
        return call

    async def _happens(self, call: Call) -> None:
        """Everything that the recipe says, at its time."""
        began = time.monotonic()
        await self.lab.network.set(call_uuid=call.call_uuid, seed=self.seed)
        steps: list[tuple[float, Any, Any]] = [
            *[(at, direction, knobs) for at, direction, knobs in self.recipe.network],
            *self.recipe.actions,
            (self.recipe.seconds, "end", 0),
        ]
        for at, what, value in sorted(steps, key=lambda step: step[0]):
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            await self._do(call, what, value)

    async def _do(self, call: Call, what: str, value: Any) -> None:
        match what:
            case "both" | "to_caller" | "to_callee":
                await self.lab.network.set(call_uuid=call.call_uuid, direction=what, **value)
            case "mute":
                call.mute() if value else call.unmute()
            case "unplug":
                self.sound.unplug(next(item for item in self.sound.devices() if item.kind == "audioinput"))
            case "sleep":
                time.sleep(value)  # the fault: a cell that blocks the loop
            case "compute":
                _compute(value)
            case "restart":
                await self.lab.faults.restart(away_s=value)

    def _frames(self, near: Client) -> CallFrames:
        label = {
            "number": self.number, "label": self.recipe.label, "label_direction": self.recipe.direction,
            "what": self.recipe.what,
        }  # fmt: skip
        return CallFrames.of(near.calls.assign(**label), near.samples, near.media_metrics)


async def _batch(name: SetName, number: int) -> CallFrames:
    items = batches(name)[number]
    users = [f"{side}{place}" for place, _ in items for side in ("near", "far")]
    async with Lab(users, seed=SETS[name] + number, robots=False) as lab:
        calls = [LabelledCall(lab, place, recipe, SETS[name] * 100 + place) for place, recipe in items]
        return CallFrames.joined(await asyncio.gather(*[call.make() for call in calls]))


def make_batch(name: SetName, number: int) -> None:
    """Make the calls of a batch, and replace them in the files of the set."""
    logging.getLogger("plivo_nb").setLevel(logging.WARNING)
    made = asyncio.run(_batch(name, number))
    with _alone_in(labelled_recipes.FOLDER):
        save(name, _with_others(name, made))


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes of this bench from changing the files of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _with_others(name: SetName, made: CallFrames) -> CallFrames:
    """These calls, and the other ones of the set that are there already."""
    try:
        there = load(name)
    except FileNotFoundError:
        return made
    stays = there.calls[~there.calls["number"].isin(made.calls["number"])]
    uuids = set(stays["call_uuid"])
    kept = [frame[frame["call_uuid"].isin(uuids)] for frame in (there.samples, there.media_metrics)]
    return CallFrames.joined([CallFrames(stays, *kept), made])


# ---------------------------------------------------------------- scores


def diagnosed(frames: CallFrames) -> pd.DataFrame:
    """A row each call: number, label, found (the first cause, or ""), all causes, late.

    `late`: share of the seconds in which this machine was too busy to send all packets in time. Calls with
    more than a tenth say little about the diagnosis: make them again while nothing else runs.
    """
    from plivo_nb.analysis.diagnosis import diagnose

    rows = []
    for row, of_call in labelled_recipes.each(frames):
        findings = diagnose(of_call.samples, calls=of_call.calls, media_metrics=of_call.media_metrics)
        found = [(item.cause, item.direction) for item in findings]
        rows.append(
            {
                "number": row["number"], "what": row["what"], "label": row["label"],
                "direction": row["label_direction"], "found": found[0][0] if found else "",
                "found_direction": found[0][1] if found else "",
                "all": ", ".join(" ".join(item).strip() for item in found),
                "late": float((of_call.samples["packets_out"] < 45.0 * of_call.samples["interval_s"]).mean()),
            }
        )  # fmt: skip
    return pd.DataFrame(rows).sort_values("number")


def confusion(table: pd.DataFrame) -> pd.DataFrame:
    """How often each cause was found first, by label."""
    named = table[["label", "found"]].replace("", "nothing")
    return pd.crosstab(named["label"], named["found"])


def _run(name: SetName, numbers: list[int]) -> None:
    """Make batches, each in a process of its own; those of one call some at a time."""
    sizes = [len(batch) for batch in batches(name)]
    rounds = [[number] for number in numbers if sizes[number] > 1]
    single = [number for number in numbers if sizes[number] == 1]
    rounds += [single[start : start + _SINGLE_AT_ONCE] for start in range(0, len(single), _SINGLE_AT_ONCE)]
    for together in rounds:
        command = [sys.executable, "-m", "bench.labelled_calls", "--set", name, "--batches"]
        running = [subprocess.Popen([*command, str(number)]) for number in together]
        codes = [process.wait() for process in running]
        if any(codes):
            raise SystemExit(f"A batch of {together} failed.")


def main() -> None:
    """Make the calls, diagnose them, print the scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", choices=SETS, help="by default both")
    parser.add_argument("--batches", type=int, nargs="*", help="by default all")
    parser.add_argument("--score", action="store_true", help="make none, only diagnose those that are there")
    given = parser.parse_args()
    names: list[SetName] = [given.set] if given.set else list(SETS)
    for name in names:
        numbers = range(len(batches(name))) if given.batches is None else given.batches
        if len(numbers) == 1 and not given.score:
            make_batch(name, numbers[0])
            return
        if not given.score:
            _run(name, list(numbers))
        table = diagnosed(load(name))
        right = table["label"] == table["found"]
        late = (table["late"] > 0.1).sum()
        print(f"{name}: {right.mean():.1%} of {len(table)} calls; on a machine that was too busy: {late}")
        print(confusion(table).to_string())
        print(table[~right].to_string())


if __name__ == "__main__":
    main()
