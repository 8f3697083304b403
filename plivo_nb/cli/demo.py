"""`plivo-nb demo`: one call to the echo robot, on a network that gets worse and better.

This module does not print: it reports progress to an `Observer`, and `run` returns the `Outcome`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import math
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from plivo_nb.addresses import is_loopback_url
from plivo_nb.cli.outcome import Outcome, PhaseStats, call_stats, network_text, phase_stats
from plivo_nb.data import speech_path
from plivo_nb.errors import LoginFailed, PlivoError
from plivo_nb.lab import Lab

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from plivo_nb.call import Call
    from plivo_nb.client import Client

LOGIN_TIMEOUT_S = 15.0
BAD_NETWORK = {"loss": 0.10, "delay_ms": 120.0, "jitter_ms": 20.0}
_TICK_S = 0.25
_ROBOTS_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of the demo.

    Attributes:
        seconds: duration of the call.
        out: directory for the files; created if it does not exist.
        server: WebSocket URL of a running lab, whose network is not changed; None starts a lab.
        username: user to log in as.
        password: None means the lab's password of that user.
        number: number or user to call.
        clean_loss: packet loss (0..1) while the network is clean; for tests.
    """

    seconds: float
    out: Path
    server: str | None = None
    username: str = "alice"
    password: str | None = None
    number: str = "echo"
    clean_loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the call with one setting of the network; `network` is empty if the demo cannot set it."""

    name: str
    seconds: float
    network: dict[str, Any]


@dataclass(slots=True)
class MeasuredPhase:
    """A completed phase: its times, and the relay's packet counters by direction."""

    phase: Phase
    start: datetime
    end: datetime
    started_at_s: float
    ended_at_s: float
    relay: dict[str, dict[str, int]] = field(default_factory=dict)


class Observer(Protocol):
    """Receives the progress of the demo."""

    def step(self, text: str) -> None:
        """A step has been completed; `text` is one sentence."""

    def tick(self, phase: Phase, elapsed_s: float, total_s: float, samples: pd.DataFrame) -> None:
        """Called four times a second during the call, with the samples so far."""


def phases_of(plan: Plan, *, own_network: bool) -> tuple[Phase, ...]:
    """The phases of the call: clean, bad, clean; or a single one if the network cannot be changed."""
    if not own_network:
        return (Phase("as it is", plan.seconds, {}),)
    clean = {"loss": plan.clean_loss, "delay_ms": 0.0, "jitter_ms": 0.0}
    bad = {**BAD_NETWORK, "loss": max(plan.clean_loss, BAD_NETWORK["loss"])}
    third = plan.seconds / 3
    return (Phase("clean", third, clean), Phase("bad", third, bad), Phase("clean again", third, clean))


async def run(plan: Plan, observer: Observer) -> Outcome:
    """Run the demo, from starting the lab to writing the files. It leaves no process, also if cancelled.

    Raises:
        LabError: the lab did not start.
        LoginFailed: the server refused the login or did not answer.
        CallFailed: the call was not answered.
        OSError: `plan.out` cannot be written.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        # Importing the client and the plots takes a second of CPU time: do it while the lab's process starts,
        # not during the call.
        loading = asyncio.create_task(asyncio.to_thread(_load, "plivo_nb.client", "plivo_nb.analysis.plots"))
        lab = None
        if plan.server is None:
            lab = await stack.enter_async_context(Lab())
            observer.step(f"The lab runs: an embedded Plivo, process {lab.pid}, at {lab.url}.")
            await _wait_for_robots(lab)
        await loading
        client = await stack.enter_async_context(_client(plan, lab))
        began = time.monotonic()
        await _login(client, plan, lab)
        login_s = time.monotonic() - began
        observer.step(f"{plan.username} is logged in.")
        call = await client.call(plan.number)
        observer.step(f"{plan.number} answered.")
        call.record(plan.out / "heard.wav")
        recorded_at_s = time.monotonic()
        call.play(speech_path(), loop=True)
        measured = await _run_phases(plan, call, lab, observer)
        counters = await lab.network.counters() if lab is not None else {}
        stats = await call.stats()
        samples = call.samples
        timings = (call.post_dial_delay_s, call.media_setup_s)
        await call.hangup()
        observer.step("Hung up; comparing the received sound with the sound that was sent.")
    first = measured[0]
    window_s = (max(0.0, first.started_at_s - recorded_at_s), first.ended_at_s - recorded_at_s)
    paths = (plan.out / "samples.parquet", plan.out / "call.png", plan.out / "heard.wav")
    match = await asyncio.to_thread(_analyse, samples, measured, paths, window_s)
    return Outcome(
        login_s,
        *timings,
        codec=str(samples["codec"].iloc[-1]) if len(samples) else "none",
        packets_sent=stats.get("outbound-rtp", {}).get("packetsSent", 0),
        packets_received=stats.get("inbound-rtp", {}).get("packetsReceived", 0),
        whole=call_stats(plan.seconds, samples, counters, stats),
        phases=tuple(_stats_of(current, samples) for current in measured),
        correlation=match[0],
        coverage=match[1],
        files=paths,
    )


def _load(*modules: str) -> None:
    for module in modules:
        importlib.import_module(module)


async def _wait_for_robots(lab: Lab) -> None:
    """Wait until the first robots have registered, because a call would wait for them."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ROBOTS_TIMEOUT_S):
            status = await lab.status()
            while not status["robots"]:
                await asyncio.sleep(0.05)
                status = await lab.status()


def _client(plan: Plan, lab: Lab | None) -> Client:
    if lab is not None:
        return lab.client()
    from plivo_nb.client import Client

    server = plan.server or ""
    return Client(
        registrationDomainSocket=[server],
        loopbackCandidates=is_loopback_url(server),
        iceServers=[],
        sound="none",
    )


async def _login(client: Client, plan: Plan, lab: Lab | None) -> None:
    password = plan.password
    if password is None:
        password = lab.password(plan.username) if lab is not None else f"{plan.username}-secret"
    try:
        async with asyncio.timeout(LOGIN_TIMEOUT_S):
            await client.login(plan.username, password)
    except TimeoutError:
        raise LoginFailed("Request Timeout") from None


async def _run_phases(plan: Plan, call: Call, lab: Lab | None, observer: Observer) -> list[MeasuredPhase]:
    """Run the phases of the call one after the other.

    Raises:
        PlivoError: the call ended too early.
    """
    measured: list[MeasuredPhase] = []
    before_s = 0.0
    ended = call.ended
    for phase in phases_of(plan, own_network=lab is not None):
        counters: dict[str, Any] = {}
        if lab is not None:
            await lab.network.set(**phase.network)
            counters = await lab.network.counters()
            observer.step(f"The network is {phase.name}.")
        current = MeasuredPhase(phase, datetime.now(UTC), datetime.now(UTC), time.monotonic(), math.nan)
        until = current.started_at_s + phase.seconds
        while (left_s := until - time.monotonic()) > 0:
            await asyncio.sleep(min(_TICK_S, left_s))
            if ended.done():
                info = await ended
                raise PlivoError(f"The call ended too early: {info.reason or info.state}.")
            elapsed_s = before_s + phase.seconds - max(0.0, until - time.monotonic())
            observer.tick(phase, elapsed_s, plan.seconds, call.samples)
        before_s += phase.seconds
        current.end, current.ended_at_s = datetime.now(UTC), time.monotonic()
        if lab is not None:
            current.relay = _between(counters, await lab.network.counters())
        measured.append(current)
    return measured


def _between(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, int]]:
    names = ("rtp_seen", "rtp_dropped")
    return {
        direction: {name: after[direction][name] - before[direction][name] for name in names}
        for direction in ("to_callee", "to_caller")
    }


# ---------------------------------------------------------------- analysis after the call


def _stats_of(current: MeasuredPhase, samples: pd.DataFrame) -> PhaseStats:
    import pandas as pd

    # A sample covers the second before its time; it belongs to the phase that contains the middle of it.
    middles = pd.DatetimeIndex(samples.index) - pd.Timedelta(seconds=0.5)
    inside = (middles > pd.Timestamp(current.start)) & (middles <= pd.Timestamp(current.end))
    return phase_stats(current.phase.name, current.phase.seconds, samples[inside], current.relay)


def _analyse(
    samples: pd.DataFrame,
    measured: list[MeasuredPhase],
    paths: tuple[Path, Path, Path],
    window_s: tuple[float, float],
) -> tuple[float, float]:
    """Write the files, and compare the received sound of the clean part with the sent sound. Blocks."""
    from plivo_nb.analysis import compare, plots, store

    parquet, picture, heard_path = paths
    store.save(samples, parquet)
    spans = [
        plots.Span(current.start, current.end, network_text(current.phase.network))
        for current in measured
        if current.phase.name == "bad"
    ]
    plots.call_figure(samples, spans).savefig(picture, dpi=110)
    heard = compare.load(heard_path)
    start, end = (round(at_s * compare.RATE_HZ) for at_s in window_s)
    match = compare.match(heard[start:end], compare.load(speech_path()))
    return match.correlation, match.coverage
