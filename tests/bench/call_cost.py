"""CPU that calls cost, sockets, ICE, DTLS-SRTP and all: our plane beside stock aiortc and headless Chromium.

    cd tests && python -m bench.call_cost [--seconds 20] [--calls 1 10] [--no-capacity]

Both ends of each call live in the measured process (Chromium: in one page), a tone goes both ways. It prints
CPU seconds per endpoint-minute, and for the plane how late its ticks were; then how many Opus endpoints one
process holds, adding calls until the ticker's 99th percentile passes 10 ms three times in a row. Each
engine runs in a process of its own. On a busy machine seconds grow for all, and ratios wander: look at
`uptime` first.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import threading
import time
from typing import Any

import numpy as np

from bench.peers import environment
from bench.peers.rows import CODECS, RATES

LATE_LIMIT_S = 0.010


def tone(rate: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A second of what all engines but Chromium send, made beforehand: 50 frames."""
    return (3000 * np.sin(np.arange(rate) * 2 * np.pi * 440 / rate)).astype(np.int16).reshape(50, -1)


class Wave:
    """The tone as a source of ours."""

    def open(self, rate: int) -> None:
        self.frames, self.at = tone(rate), 0

    def read(self, samples: int) -> Any:
        self.at = (self.at + 1) % 50
        return self.frames[self.at]

    def close(self) -> None:
        pass


class Plane:
    """Our calls: `add` connects one more, `late` gives how late ticks were since the last call."""

    def __init__(self, codec: str) -> None:
        from plivo_nb.plane import plane, wire

        self._wire, self._codec = wire, codec
        self._answers: dict[int, Any] = {}
        self._news = threading.Condition()
        self._ids, self._sessions = itertools.count(1), itertools.count(1)
        self._late: list[float] = []
        tick = plane.Plane._tick

        def timed(this: plane.Plane) -> None:
            self._late.append(time.monotonic() - this._due)
            tick(this)

        plane.Plane._tick = timed  # type: ignore[method-assign]  # the bench watches the ticker
        self.plane = plane.Plane()
        self.plane.start(self._take)

    def _take(self, batch: list[Any]) -> None:
        with self._news:
            self._answers.update({r.id: r for r in batch if hasattr(r, "id")})
            self._news.notify_all()

    def _ask(self, command: Any, **values: Any) -> Any:
        number = next(self._ids)
        self.plane.post(command(id=number, **values))
        with self._news:
            self._news.wait_for(lambda: number in self._answers, 10)
        return self._answers.pop(number).value

    def add(self) -> None:
        wire = self._wire
        config = wire.SessionConfig(codecs=(self._codec,), loopback_candidates=True)
        caller, callee = next(self._sessions), next(self._sessions)
        for session in (caller, callee):
            self._ask(wire.OpenSession, session=session, config=config)
            self._ask(wire.SetSource, session=session, source=Wave())
        offer = self._ask(wire.CreateOffer, session=caller)
        self._ask(wire.SetRemote, session=callee, type="offer", sdp=offer)
        answer = self._ask(wire.CreateAnswer, session=callee)
        self._ask(wire.SetRemote, session=caller, type="answer", sdp=answer)

    def late(self) -> list[float]:
        late, self._late = self._late, []
        return late or [0.0]


def run_plane(codec: str, calls: int, seconds: float) -> dict[str, float]:
    bench = Plane(codec)
    for _ in range(calls):
        bench.add()
    time.sleep(2)
    bench.late()
    used = measure(lambda: time.sleep(seconds))
    ticks = bench.late()
    late = np.percentile(ticks, [50, 99]) * 1000
    memory = memory_mb()
    bench.plane.stop()
    return {
        "cpu": used * 60 / seconds / (2 * calls), "late_p50_ms": late[0], "late_p99_ms": late[1],
        "carried": len(ticks) / (50 * seconds), "memory_mb": memory,
    }  # fmt: skip


def memory_mb(name: str = "") -> float:
    """Memory of this process alone, or of its descendants of that name; what they share is not counted."""
    import psutil

    here = psutil.Process()
    family = [p for p in here.children(recursive=True) if name in p.name()] if name else [here]
    return float(sum(p.memory_full_info().uss for p in family)) / 1e6


def run_capacity(codec: str, calls: int, seconds: float) -> dict[str, float]:
    """The most endpoints with ticks no later than the limit; `calls` more in each step."""
    bench, endpoints, cores = Plane(codec), 0, 0.0
    while endpoints < 400:
        for _ in range(calls):
            bench.add()
        for _ in range(3):  # other processes of the machine may be what makes ticks late
            time.sleep(1.5)
            bench.late()
            used = measure(lambda: time.sleep(seconds))
            punctual = bool(np.percentile(bench.late(), 99) <= LATE_LIMIT_S)
            if punctual:
                break
        if not punctual:
            break
        endpoints, cores = endpoints + 2 * calls, used / seconds
    bench.plane.stop()
    return {"endpoints": endpoints, "cores": cores}


def measure(wait: Any) -> float:
    before = time.process_time()
    wait()
    return time.process_time() - before


def run_stock(codec: str, calls: int, seconds: float) -> dict[str, float]:
    """aiortc's own peer connections, with its own jitter buffer, codecs and tracks."""
    import fractions

    from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
    from aiortc.contrib.media import MediaBlackhole
    from aiortc.mediastreams import AudioStreamTrack
    from av import AudioFrame

    rate = RATES[codec]
    wave = tone(rate)
    sent = itertools.count()

    class Tone(AudioStreamTrack):
        count, began = 0, 0.0

        async def recv(self) -> AudioFrame:
            self.began = self.began or time.monotonic()
            await asyncio.sleep(max(0.0, self.began + self.count * 0.02 - time.monotonic()))
            frame = AudioFrame.from_ndarray(wave[self.count % 50][None, :], format="s16", layout="mono")
            frame.sample_rate, frame.time_base = rate, fractions.Fraction(1, rate)
            frame.pts = self.count * rate // 50
            self.count += 1
            next(sent)
            return frame

    async def connect() -> tuple[Any, Any]:
        pair = RTCPeerConnection(RTCConfiguration([])), RTCPeerConnection(RTCConfiguration([]))
        kinds = [
            c for c in RTCRtpSender.getCapabilities("audio").codecs if c.mimeType.upper().endswith(codec)
        ]
        for peer in pair:
            sink = MediaBlackhole()
            peer.on(
                "track", lambda track, sink=sink: (sink.addTrack(track), asyncio.ensure_future(sink.start()))
            )
        pair[0].addTransceiver(Tone()).setCodecPreferences(kinds)
        await pair[0].setLocalDescription(await pair[0].createOffer())
        await pair[1].setRemoteDescription(pair[0].localDescription)
        pair[1].addTrack(Tone())
        await pair[1].setLocalDescription(await pair[1].createAnswer())
        await pair[0].setRemoteDescription(pair[1].localDescription)
        return pair

    async def main() -> dict[str, float]:
        pairs = [await connect() for _ in range(calls)]
        await asyncio.sleep(3)
        before, first = time.process_time(), next(sent)
        await asyncio.sleep(seconds)
        used, frames = time.process_time() - before, next(sent) - first
        memory = memory_mb()
        await asyncio.gather(*(peer.close() for pair in pairs for peer in pair))
        return {
            "cpu": used * 60 / seconds / (2 * calls), "memory_mb": memory,
            "carried": frames / (50 * seconds * 2 * calls),
        }  # fmt: skip

    return asyncio.run(main())


CONNECT = """async ([codec, calls]) => {
    const context = new AudioContext();
    const oscillator = new OscillatorNode(context, {frequency: 440});
    const out = context.createMediaStreamDestination();
    oscillator.connect(out); oscillator.start();
    window.kept = [];
    const all = RTCRtpSender.getCapabilities('audio').codecs;
    const kinds = all.filter(c => c.mimeType.toUpperCase().endsWith(codec));
    for (let i = 0; i < calls; i++) {
        const pair = [new RTCPeerConnection(), new RTCPeerConnection()];
        pair.forEach((pc, n) => {
            pc.onicecandidate = event => pair[1 - n].addIceCandidate(event.candidate);
            pc.ontrack = event => {
                const element = new Audio();
                element.srcObject = event.streams[0];
                element.muted = true;
                element.play();
                kept.push(element);
            };
            pc.addTrack(out.stream.getAudioTracks()[0], out.stream);
        });
        pair[0].getTransceivers()[0].setCodecPreferences(kinds);
        await pair[0].setLocalDescription(await pair[0].createOffer());
        await pair[1].setRemoteDescription(pair[0].localDescription);
        await pair[1].setLocalDescription(await pair[1].createAnswer());
        await pair[0].setRemoteDescription(pair[1].localDescription);
        kept.push(...pair);
    }
}"""


SENT = """async () => {
    let sum = 0;
    for (const one of kept) {
        if (!(one instanceof RTCPeerConnection)) continue;
        for (const report of (await one.getStats()).values())
            if (report.type === 'outbound-rtp') sum += report.packetsSent;
    }
    return sum;
}"""


def run_chromium(codec: str, calls: int, seconds: float) -> dict[str, float]:
    """All of Chromium's processes, less what they use without calls."""
    import psutil
    from playwright.sync_api import sync_playwright

    from bench.peers.chromium import ARGUMENTS

    def used() -> float:
        family = psutil.Process().children(recursive=True)
        times = [p.cpu_times() for p in family if "chrom" in p.name()]
        return sum(t.user + t.system for t in times)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=environment.CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        time.sleep(2)
        idle = used()
        time.sleep(seconds / 2)
        idle = (used() - idle) * 2
        page.evaluate(CONNECT, [codec, calls])
        time.sleep(3)
        packets, before = page.evaluate(SENT), used()
        time.sleep(seconds)
        cost, carried = used() - before - idle, page.evaluate(SENT) - packets
        memory = memory_mb("chrom")
        browser.close()
    return {
        "cpu": cost * 60 / seconds / (2 * calls), "memory_mb": memory,
        "carried": carried / (50 * seconds * 2 * calls),
    }  # fmt: skip


ENGINES = {"plane": run_plane, "aiortc": run_stock, "chromium": run_chromium, "capacity": run_capacity}


def apart(
    engine: str, codec: str, calls: int, seconds: float, python: str = sys.executable
) -> dict[str, float]:
    """Run one measurement in a process of its own, by this interpreter or another."""
    command = [python, __file__, "--one", engine, codec, str(calls), str(seconds)]
    steps = 40 if engine == "capacity" else 2  # it adds calls until they are too many
    found: dict[str, float] = environment.result(command, timeout_s=120 + steps * seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--engines", nargs="+", default=["plane", "aiortc", "chromium"])
    parser.add_argument("--capacity", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        engine, codec, calls, seconds = options.one
        print(json.dumps(ENGINES[engine](codec, int(calls), float(seconds))))
        return
    print(f"{'codec':6}{'calls':>6}" + "".join(f"{name:>12}" for name in options.engines) + "   plane/aiortc")
    for codec, calls in itertools.product(CODECS, options.calls):
        results = {name: apart(name, codec, calls, options.seconds) for name in options.engines}
        ratio = results["plane"]["cpu"] / results["aiortc"]["cpu"] if "aiortc" in results else float("nan")
        cells = "".join(f"{results[name]['cpu']:12.3f}" for name in options.engines)
        median, worst = results["plane"]["late_p50_ms"], results["plane"]["late_p99_ms"]
        late = f"ticks late: median {median:.1f}, p99 {worst:.1f} ms"
        print(f"{codec:6}{calls:6}{cells}{ratio:15.2f}   {late}", flush=True)
    if options.capacity:
        most = apart("capacity", "OPUS", 10, 4.0)
        held = f"{most['endpoints']:.0f} Opus endpoints on {most['cores']:.2f} cores"
        print(f"{held} with ticks late by p99 < 10 ms")


if __name__ == "__main__":
    main()
