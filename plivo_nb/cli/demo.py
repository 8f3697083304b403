"""The story of `plivo-nb demo`: one call to the echo robot, on a network that gets worse and better.

Nothing is printed here: a `Watcher` is told what happens, and `run` gives the `Outcome`.
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
from plivo_nb.cli.outcome import Outcome, Score, knobs_text, score, whole_score
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
    """What the demo is to do.

    Attributes:
        seconds: length of the call.
        out: directory of what it leaves; made when missing.
        server: WebSocket URL of a lab that runs already; None: start one. Its network is then not touched.
        username, password: who logs in; without a password, the lab's for that user.
        number: whom to call.
        clean_loss: loss while the network is called clean, 0..1; for tests.
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
    """A stretch of the call with one kind of network; `knobs` is empty when the network is not ours."""

    name: str
    seconds: float
    knobs: dict[str, Any]


@dataclass(slots=True)
class Passage:
    """A phase as it went: when, and what the relay counted in it, by direction."""

    phase: Phase
    start: datetime
    end: datetime
    started_at_s: float
    ended_at_s: float
    relay: dict[str, dict[str, int]] = field(default_factory=dict)


class Watcher(Protocol):
    """Is told what happens, as it happens."""

    def step(self, text: str) -> None:
        """Something is done now."""

    def tick(self, phase: Phase, elapsed_s: float, total_s: float, samples: pd.DataFrame) -> None:
        """A quarter of a second of the call has passed; `samples` are those so far."""


def phases_of(plan: Plan, *, own_network: bool) -> tuple[Phase, ...]:
    """Clean, bad, clean; or one phase where the network is somebody else's."""
    if not own_network:
        return (Phase("as it is", plan.seconds, {}),)
    clean = {"loss": plan.clean_loss, "delay_ms": 0.0, "jitter_ms": 0.0}
    bad = {**BAD_NETWORK, "loss": max(plan.clean_loss, BAD_NETWORK["loss"])}
    third = plan.seconds / 3
    return (Phase("clean", third, clean), Phase("bad", third, bad), Phase("clean again", third, clean))


async def run(plan: Plan, watcher: Watcher) -> Outcome:
    """Do it, from starting the lab to writing the files. Leaves no process behind, also when cancelled.

    Raises:
        LabError, LoginFailed, CallFailed: as their sentences say. OSError: `plan.out` cannot be written.
    """
    plan.out.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        # Loading the client and the plots takes a second of computing: now, while the lab's process does the
        # same, and not while the call is up.
        loading = asyncio.create_task(asyncio.to_thread(_load, "plivo_nb.client", "plivo_nb.analysis.plots"))
        lab = None
        if plan.server is None:
            lab = await stack.enter_async_context(Lab())
            watcher.step(f"The lab runs: an embedded Plivo, process {lab.pid}, at {lab.url}.")
            await _robots_awake(lab)
        await loading
        client = await stack.enter_async_context(_client(plan, lab))
        began = time.monotonic()
        await _login(client, plan, lab)
        login_s = time.monotonic() - began
        watcher.step(f"{plan.username} is logged in.")
        call = await client.call(plan.number)
        watcher.step(f"{plan.number} answered.")
        call.record(plan.out / "heard.wav")
        recorded_at_s = time.monotonic()
        call.play(speech_path(), loop=True)
        passages = await _talk(plan, call, lab, watcher)
        counters = await lab.network.counters() if lab is not None else {}
        stats = await call.stats()
        samples = call.samples
        timings = (call.post_dial_delay_s, call.media_setup_s)
        await call.hangup()
        watcher.step("Hung up; looking at what was heard.")
    first = passages[0]
    window_s = (max(0.0, first.started_at_s - recorded_at_s), first.ended_at_s - recorded_at_s)
    paths = (plan.out / "samples.parquet", plan.out / "call.png", plan.out / "heard.wav")
    match = await asyncio.to_thread(_look_back, samples, passages, paths, window_s)
    return Outcome(
        login_s,
        *timings,
        codec=str(samples["codec"].iloc[-1]) if len(samples) else "none",
        packets_sent=stats.get("outbound-rtp", {}).get("packetsSent", 0),
        packets_received=stats.get("inbound-rtp", {}).get("packetsReceived", 0),
        whole=whole_score(plan.seconds, samples, counters, stats),
        phases=tuple(_score_of(passage, samples) for passage in passages),
        correlation=match[0],
        coverage=match[1],
        files=paths,
    )


def _load(*modules: str) -> None:
    for module in modules:
        importlib.import_module(module)


async def _robots_awake(lab: Lab) -> None:
    """Wait until the first robots have registered: a call would wait for them, and seem slow."""
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


async def _talk(plan: Plan, call: Call, lab: Lab | None, watcher: Watcher) -> list[Passage]:
    """Let the call go on through its phases.

    Raises:
        PlivoError: it ended before its time.
    """
    passages: list[Passage] = []
    before_s = 0.0
    ended = call.ended
    for phase in phases_of(plan, own_network=lab is not None):
        counters: dict[str, Any] = {}
        if lab is not None:
            await lab.network.set(**phase.knobs)
            counters = await lab.network.counters()
            watcher.step(f"The network is {phase.name}.")
        passage = Passage(phase, datetime.now(UTC), datetime.now(UTC), time.monotonic(), math.nan)
        until = passage.started_at_s + phase.seconds
        while (left_s := until - time.monotonic()) > 0:
            await asyncio.sleep(min(_TICK_S, left_s))
            if ended.done():
                info = await ended
                raise PlivoError(f"The call ended before its time: {info.reason or info.state}.")
            elapsed_s = before_s + phase.seconds - max(0.0, until - time.monotonic())
            watcher.tick(phase, elapsed_s, plan.seconds, call.samples)
        before_s += phase.seconds
        passage.end, passage.ended_at_s = datetime.now(UTC), time.monotonic()
        if lab is not None:
            passage.relay = _between(counters, await lab.network.counters())
        passages.append(passage)
    return passages


def _between(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, int]]:
    names = ("rtp_seen", "rtp_dropped")
    return {
        direction: {name: after[direction][name] - before[direction][name] for name in names}
        for direction in ("to_callee", "to_caller")
    }


# ---------------------------------------------------------------- looking back


def _score_of(passage: Passage, samples: pd.DataFrame) -> Score:
    import pandas as pd

    # A sample is of the second before it; it belongs to the phase in which its middle lies.
    middles = pd.DatetimeIndex(samples.index) - pd.Timedelta(seconds=0.5)
    inside = (middles > pd.Timestamp(passage.start)) & (middles <= pd.Timestamp(passage.end))
    return score(passage.phase.name, passage.phase.seconds, samples[inside], passage.relay)


def _look_back(
    samples: pd.DataFrame,
    passages: list[Passage],
    paths: tuple[Path, Path, Path],
    window_s: tuple[float, float],
) -> tuple[float, float]:
    """Write the files and compare the clean part of what was heard with what was sent; runs in a thread."""
    from plivo_nb.analysis import compare, plots, store

    parquet, picture, heard_path = paths
    store.save(samples, parquet)
    spans = [
        plots.Span(passage.start, passage.end, knobs_text(passage.phase.knobs))
        for passage in passages
        if passage.phase.name == "bad"
    ]
    plots.call_figure(samples, spans).savefig(picture, dpi=110)
    heard = compare.load(heard_path)
    start, end = (round(at_s * compare.RATE_HZ) for at_s in window_s)
    match = compare.match(heard[start:end], compare.load(speech_path()))
    return match.correlation, match.coverage
