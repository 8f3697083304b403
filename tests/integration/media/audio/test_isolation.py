"""Two clients in one process: whatever the sources and sinks of one do, the other's packets leave evenly."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from waiting import until

from plivo_nb import Call, Client, Lab, Tone
from plivo_nb.errors import SourceError

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]

MAX_GAP_S = 3 * 0.060  # three times the aim: other work on the machine delays packets too
RELEASE = threading.Event()


class Own:
    """A source and sink of a user, which calls a function for each frame."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.work = work

    def open(self, rate: int) -> None: ...

    def read(self, samples: int) -> Any:
        return self.work(samples)

    def write(self, frame: Any) -> None:
        self.work(frame)

    def close(self) -> None: ...


class Plain(Tone):
    """For comparison."""

    def write(self, frame: Any) -> None: ...


class SleepyTone(Tone):
    """A subclass of one of ours."""

    def read(self, samples: int) -> Any:
        time.sleep(0.5)
        return super().read(samples)

    def write(self, frame: Any) -> None:
        time.sleep(0.5)


def huge(sound: Any) -> Callable[[], Own]:
    return lambda: Own(lambda _: sound)


def in_c() -> Own:
    """The methods are C code that waits: the interpreter runs no byte code of the user."""
    lock = threading.Lock()
    lock.acquire()
    mine = Own(lambda _: None)
    mine.read = mine.write = lambda _: lock.acquire(timeout=3)  # type: ignore[method-assign]
    mine.open = lambda rate: lock.acquire(timeout=0.3)  # type: ignore[method-assign,assignment]
    return mine


def raises(_: object) -> None:
    raise ValueError("mine")


def exits(_: object) -> None:
    raise SystemExit(1)


CASES: dict[str, Callable[[], Any]] = {
    "nothing special": lambda: Plain(440),
    "sleeps": lambda: Own(lambda _: time.sleep(0.5)),
    "sleeps, and is a subclass": lambda: SleepyTone(440),
    "waits in C": in_c,
    "raises": lambda: Own(raises),
    "exits": lambda: Own(exits),
    "blocks": lambda: Own(lambda _: RELEASE.wait(30)),
    "returns a text": lambda: Own(lambda _: "text"),
    "returns NaN": lambda: Own(lambda _: np.full(960, np.nan)),
    "returns a huge array": huge(np.zeros((5_000_000, 2))),
    "returns a huge list": huge([0.5] * 3_000_000),
    "computes": lambda: Own(lambda _: [number**2 for number in range(20_000)] and None),
}


async def packet_times(lab: Lab, call: Call) -> list[float]:
    """When the lab's relay passed on this call's packets to the far end, in seconds since 1970."""
    log = await lab.network.log()
    mine = log[
        (log["call_uuid"] == call.call_uuid) & (log["direction"] == "to_callee") & (log["kind"] == "rtp")
    ]
    return [float(at) / 1e9 for at in mine.index.as_unit("ns").asi8]


def worst_gap_s(times: list[float], begun: float, end: float) -> float:
    pairs = itertools.pairwise(times)
    return max(later - earlier for earlier, later in pairs if begun <= later and earlier <= end)


async def test_the_sources_and_sinks_of_one_client_never_delay_another(
    lab: Lab, alice: Client, bob: Client
) -> None:
    theirs = await bob.call("echo")
    theirs.play(Tone(440.0))
    mine = await alice.call("echo")
    errors: list[tuple[Any, Any]] = []
    alice.on("onMediaError", lambda *arguments: errors.append(arguments))
    spans: dict[str, tuple[float, float]] = {}
    RELEASE.clear()
    for name, make in CASES.items():
        source, sink = make(), make()
        begun = time.time()
        mine.play(source)
        mine.add_sink(sink)
        await asyncio.sleep(1.2)
        mine.remove_sink(sink)
        spans[name] = begun, time.time()
    RELEASE.set()
    mine.play(Tone(1000.0))
    await asyncio.sleep(0.3)
    times = await packet_times(lab, theirs)
    worst_ms = {name: round(1000 * worst_gap_s(times, *span)) for name, span in spans.items()}
    late = {name: gap for name, gap in worst_ms.items() if gap >= 1000 * MAX_GAP_S}
    assert late == {}, f"load average {os.getloadavg()}"
    assert mine.info.state == "answered"
    own = await packet_times(lab, mine)
    assert worst_gap_s(own, spans["raises"][0], spans["blocks"][1]) < MAX_GAP_S, "silence is sent"
    assert {error["what"] for error, _ in errors} == {"source", "sink"}
    assert all(info.callUUID == mine.call_uuid for _, info in errors)
    assert any("ValueError: mine" in error["message"] for error, _ in errors)
    log = alice.log
    assert (log["event"] == "onMediaError").sum() == len(errors)
    assert bob.log["event"].ne("onMediaError").all()
    await mine.hangup()
    await theirs.hangup()


async def test_a_generator_that_raises_fails_the_operation_and_not_the_call(alice: Client) -> None:
    call = await alice.call("echo")

    def broken() -> Any:
        yield np.zeros(9600)
        raise ValueError("mine")

    heard = alice.wait_for("onMediaError")
    with pytest.raises(SourceError, match="ValueError: mine"):
        await call.play(broken())
    error, info = await heard
    assert (error["what"], error["path"], info.state) == ("source", None, "answered")
    await call.hangup()


async def test_an_own_sink_is_closed_when_it_is_removed_or_the_call_ends(alice: Client) -> None:
    class Ear(Own):
        def __init__(self) -> None:
            super().__init__(lambda _: None)
            self.frames = self.closed = 0

        def write(self, frame: Any) -> None:
            self.frames += 1

        def close(self) -> None:
            self.closed += 1

    call = await alice.call("echo")
    removed, kept = Ear(), Ear()
    call.add_sink(removed)
    call.add_sink(kept)
    await until(lambda: removed.frames and kept.frames)
    call.remove_sink(removed)
    call.remove_sink(removed)
    await until(lambda: removed.closed)
    assert not kept.closed
    await call.hangup()
    await until(lambda: kept.closed)
    assert (removed.closed, kept.closed) == (1, 1)


async def test_the_same_source_played_again_goes_on(alice: Client) -> None:
    count = itertools.count()

    def ramp(samples: int) -> Any:
        next(count)
        return np.full(samples, 1000, np.int16)

    call = await alice.call("echo")
    source = Own(ramp)
    await call.play(source)
    playing = call._session.media.source
    await call.play(source)
    assert call._session.media.source is playing
    await until(lambda: next(count) > 20)
    source.work = raises
    await alice.wait_for("onMediaError")
    await until(lambda: playing.ended)
    source.work = ramp
    await call.play(source)
    assert call._session.media.source is not playing, "it had failed, and begins again"
    await call.hangup()
