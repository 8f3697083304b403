"""Stock aiortc in the rows of loss and echo: RTCPeerConnection and tracks, as its examples use them.

    PEERS-PYTHON -m bench.peers.stock_aiortc loss '{"codec": "OPUS", ...}'

Frames of a received track are played by a clock of 20 ms: the oldest that waits, or silence. It runs in the
peers' environment, so it imports nothing of this package.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from av import AudioFrame

from bench.peers import speech
from bench.peers.dropper import Dropper
from bench.peers.rows import RATES

FRAME_S = 0.02


class Said(AudioStreamTrack):
    """A track of silence, then of given samples; `frames` has them with the times of asking."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        self._rate, self._size = rate, rate // 50
        self._pcm = np.zeros(0, np.int16)
        self._count, self._began = 0, 0.0
        self.frames: list[tuple[float, speech.Pcm]] = []

    def say(self, pcm: speech.Pcm) -> None:
        self._pcm = pcm

    async def recv(self) -> AudioFrame:
        self._began = self._began or time.monotonic()
        await asyncio.sleep(max(0.0, self._began + self._count * FRAME_S - time.monotonic()))
        part, self._pcm = self._pcm[: self._size], self._pcm[self._size :]
        if len(part) == self._size:
            self.frames.append((time.monotonic(), part))
        else:
            part = np.zeros(self._size, np.int16)
        frame = AudioFrame.from_ndarray(part[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = self._rate, fractions.Fraction(1, self._rate)
        frame.pts = self._count * self._size
        self._count += 1
        return frame


class Heard:
    """What a received track gives, played by a clock."""

    def __init__(self, rate: int) -> None:
        self._size = rate // 50
        self._waiting: deque[speech.Pcm] = deque()
        self.taken: list[tuple[float, speech.Pcm]] = []  # as the track gave them
        self.frames: list[tuple[float, speech.Pcm]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def attach(self, track: Any) -> None:
        self.tasks = [asyncio.create_task(self._take(track)), asyncio.create_task(self._play())]

    async def _take(self, track: Any) -> None:
        while True:
            frame = await track.recv()
            pcm = frame.to_ndarray()[0][:: len(frame.layout.channels)]  # interleaved
            self._waiting.append(pcm.astype(np.int16))
            self.taken.append((time.monotonic(), self._waiting[-1]))

    async def _play(self) -> None:
        due = time.monotonic()
        while True:
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            frame = self._waiting.popleft() if self._waiting else np.zeros(self._size, np.int16)
            self.frames.append((time.monotonic(), frame))

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()


async def connect(codec: str, line: Dropper | None = None, mirror: bool = False) -> tuple[Any, Said, Heard]:
    """A call; the speaker's track, and what the listener (or, by echo, the speaker) hears."""
    rate = RATES[codec]
    speaker, listener = (RTCPeerConnection(RTCConfiguration([])) for _ in range(2))
    said, heard = Said(rate), Heard(rate)
    kinds = [c for c in RTCRtpSender.getCapabilities("audio").codecs if c.mimeType.upper().endswith(codec)]
    (speaker if mirror else listener).on("track", heard.attach)
    received: list[Any] = []
    if mirror:
        listener.on("track", received.append)
    speaker.addTransceiver(said).setCodecPreferences(kinds)
    await speaker.setLocalDescription(await speaker.createOffer())

    def through(party: str, peer: Any) -> RTCSessionDescription:
        here = peer.localDescription
        sdp = line.reroute(party, here.sdp) if line else here.sdp
        return RTCSessionDescription(sdp, here.type)

    await listener.setRemoteDescription(through("speaker", speaker))
    listener.addTrack(received[0] if mirror else Said(rate))
    await listener.setLocalDescription(await listener.createAnswer())
    await speaker.setRemoteDescription(through("listener", listener))
    return (speaker, listener), said, heard


async def loss(codec: str, shares: list[float], seed: int, said: str, folder: str) -> dict[str, Any]:
    """Calls at the same time, one for each share of loss: what was not played, files of what was heard."""
    rate, pcm = RATES[codec], speech.read(Path(said))
    lines = [Dropper(seed) for _ in shares]
    calls = [await connect(codec, line) for line in lines]
    await asyncio.sleep(3)
    for share, line, (_, track, heard) in zip(shares, lines, calls, strict=True):
        line.loss = share
        line.count_from_here()
        heard.taken.clear()
        heard.frames.clear()
        track.say(pcm)
    await asyncio.sleep(len(pcm) / rate)
    played = [(len(heard.taken), line.sent) for line, (_, _, heard) in zip(lines, calls, strict=True)]
    await asyncio.sleep(0.5)
    found: dict[str, Any] = {}
    for share, (decoded, sent), (_, _, heard) in zip(shares, played, calls, strict=True):
        file = Path(folder, f"aiortc-{codec}-{share}.wav")
        speech.write(file, np.concatenate([frame for _, frame in heard.frames]), rate)
        found[str(share)] = {"unplayed": max(0.0, 1 - decoded / sent), "heard": str(file)}
    await close([pair for pair, _, _ in calls], [heard for _, _, heard in calls])
    for line in lines:
        line.close()
    return found


async def close(pairs: list[Any], heard: list[Heard]) -> None:
    for one in heard:
        one.close()
    await asyncio.gather(*(peer.close() for pair in pairs for peer in pair))


async def echo(codec: str, seconds: float) -> dict[str, float]:
    """Through a far end that sends the track it receives, until the track here gives the sound, ms."""
    rate = RATES[codec]
    pair, said, heard = await connect(codec, mirror=True)
    await asyncio.sleep(3)
    said.say(speech.bursts(rate, seconds))
    await asyncio.sleep(seconds + 0.5)

    def began(frames: list[tuple[float, speech.Pcm]]) -> list[float]:
        loud = [at for at, frame in frames if np.abs(frame.astype(np.int32)).max() > speech.LOUD]
        return [t for n, t in enumerate(loud) if n == 0 or t - loud[n - 1] > speech.BURST_EVERY_S / 3]

    delays = speech.delays_ms(began(said.frames), began(heard.taken))
    await close([pair], [heard])
    return {"delay_ms": float(np.median(delays)), "bursts": len(delays)}


if __name__ == "__main__":
    run = {"loss": loss, "echo": echo}[sys.argv[1]]
    print(json.dumps(asyncio.run(run(**json.loads(sys.argv[2])))))
