"""This package, in the rows that a peer's program measures too: loss and echo, on its I/O plane.

python -m bench.peers.ours loss '{"codec": "OPUS", ...}'
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.call_cost import Plane
from bench.peers import speech
from bench.peers.dropper import Dropper
from bench.peers.rows import RATES
from plivo_nb.media.audio.sources import Loopback, Silence


class Said:
    """A source of given samples; `at` is when each frame was asked for."""

    def __init__(self, pcm: speech.Pcm) -> None:
        self._pcm, self._next = pcm, 0
        self.frames: list[tuple[float, speech.Pcm]] = []

    def open(self, rate: int) -> None:
        pass

    def read(self, samples: int) -> Any:
        part = self._pcm[self._next : self._next + samples]
        self._next += samples
        if len(part) < samples:
            return np.zeros(samples, np.int16)
        self.frames.append((time.monotonic(), part))
        return part

    def close(self) -> None:
        pass


class Heard:
    """A sink that keeps each frame with its time."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, speech.Pcm]] = []

    def open(self, rate: int) -> None:
        pass

    def write(self, frame: speech.Pcm) -> None:
        self.frames.append((time.monotonic(), frame.copy()))

    def close(self) -> None:
        pass


def first_loud(frames: list[tuple[float, speech.Pcm]]) -> list[float]:
    """When each burst began, by the times of the frames."""
    loud = [at for at, frame in frames if np.abs(frame.astype(np.int32)).max() > speech.LOUD]
    return [at for n, at in enumerate(loud) if n == 0 or at - loud[n - 1] > speech.BURST_EVERY_S / 3]


class Call:
    """Sessions of a call on the plane, with or without a line between them."""

    def __init__(self, bench: Plane, codec: str, line: Dropper | None = None) -> None:
        self._bench, wire = bench, bench._wire
        config = wire.SessionConfig(codecs=(codec,), loopback_candidates=True)
        self.speaker, self.listener = next(bench._sessions), next(bench._sessions)
        for session in (self.speaker, self.listener):
            bench._ask(wire.OpenSession, session=session, config=config)
            self.send(session, Silence())

        def through(party: str, sdp: str) -> str:
            return line.reroute(party, sdp) if line else sdp

        offer = bench._ask(wire.CreateOffer, session=self.speaker)
        bench._ask(wire.SetRemote, session=self.listener, type="offer", sdp=through("speaker", offer))
        answer = bench._ask(wire.CreateAnswer, session=self.listener)
        bench._ask(wire.SetRemote, session=self.speaker, type="answer", sdp=through("listener", answer))

    def send(self, session: int, source: Any) -> None:
        self._bench._ask(self._bench._wire.SetSource, session=session, source=source)

    def hear(self, session: int, sink: Any) -> None:
        self._bench._ask(self._bench._wire.SetSink, session=session, sink=sink)

    def counts(self) -> tuple[int, int]:
        """Samples that the listener concealed, and all that it played."""
        report = self._bench._ask(self._bench._wire.GetStats, session=self.listener)["inbound-rtp"]
        return report["concealedSamples"], report["totalSamplesReceived"]


def loss(codec: str, shares: list[float], seed: int, said: str, folder: str) -> dict[str, Any]:
    """Calls at the same time, one for each share of loss: what was not played, files of what was heard."""
    pcm, bench = speech.read(Path(said)), Plane(codec)
    lines = [Dropper(seed) for _ in shares]
    calls = [Call(bench, codec, line) for line in lines]
    time.sleep(2)
    heard = [Heard() for _ in shares]
    before = [call.counts() for call in calls]
    for share, line, call, sink in zip(shares, lines, calls, heard, strict=True):
        line.loss = share
        call.hear(call.listener, sink)
        call.send(call.speaker, Said(pcm))
    time.sleep(len(pcm) / RATES[codec] + 0.5)
    found: dict[str, Any] = {}
    for n, (share, call) in enumerate(zip(shares, calls, strict=True)):
        concealed, all_ = (now - then for now, then in zip(call.counts(), before[n], strict=True))
        file = Path(folder, f"ours-{codec}-{share}.wav")
        speech.write(file, np.concatenate([frame for _, frame in heard[n].frames]), RATES[codec])
        found[str(share)] = {"unplayed": concealed / all_, "heard": str(file)}
    bench.plane.stop()
    for line in lines:
        line.close()
    return found


def echo(codec: str, seconds: float) -> dict[str, float]:
    """Mouth to ear through a far end that sends what it hears, ms."""
    bench = Plane(codec)
    call = Call(bench, codec)
    mirror = Loopback()
    call.hear(call.listener, mirror)
    call.send(call.listener, mirror)
    time.sleep(2)
    said, heard = Said(speech.bursts(RATES[codec], seconds)), Heard()
    call.hear(call.speaker, heard)
    call.send(call.speaker, said)
    time.sleep(seconds + 0.5)
    bench.plane.stop()
    delays = speech.delays_ms(first_loud(said.frames), first_loud(heard.frames))
    return {"delay_ms": float(np.median(delays)), "bursts": len(delays)}


if __name__ == "__main__":
    print(json.dumps({"loss": loss, "echo": echo}[sys.argv[1]](**json.loads(sys.argv[2]))))
