"""A page's sound by WebRTC: the page is stock aiortc on a loop of its own, the kernel's loop may be busy."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import aioice.ice
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from waiting import until

from plivo_nb.audio_types import Pcm
from plivo_nb.engine.audio.webrtc_transport import WebRtcTransport
from plivo_nb.engine.engine import Engine
from plivo_nb.options import read_options

MICROPHONE_HZ, SPEAKER_HZ = 440, 1000
RATE_HZ = 48_000
BUSY_S = 3.0


class ToneTrack(AudioStreamTrack):
    """The page's microphone: a tone."""

    async def recv(self) -> Any:
        frame = await super().recv()
        at = (frame.pts + np.arange(frame.samples)) / frame.sample_rate
        samples = (10_000 * np.sin(2 * np.pi * MICROPHONE_HZ * at)).astype(np.int16)
        frame.planes[0].update(samples.tobytes())
        return frame


class Page:
    """The page, and the link to it: an aiortc peer on a thread of its own."""

    def __init__(self) -> None:
        self.heard: list[Pcm] = []
        self.transport: WebRtcTransport | None = None
        self._peer: RTCPeerConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def send(self, page: str, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        if message["type"] == "start":
            asyncio.run_coroutine_threadsafe(self._offer(message["attempt"]), self._loop)
        elif message["type"] == "answer":
            asyncio.run_coroutine_threadsafe(self._answered(message["sdp"]), self._loop)

    def listen(self, receive: Any) -> None: ...

    async def _offer(self, attempt: int) -> None:
        peer = self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.on("track", lambda track: self._spawn(self._listen(track)))
        peer.addTrack(ToneTrack())
        await peer.setLocalDescription(await peer.createOffer())
        self._tell({"type": "offer", "attempt": attempt, "sdp": peer.localDescription.sdp})
        self._spawn(self._measure(peer, attempt))

    async def _answered(self, sdp: str) -> None:
        assert self._peer is not None
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def _listen(self, track: Any) -> None:
        while True:
            frame = await track.recv()
            self.heard.append(frame.to_ndarray()[0, :: len(frame.layout.channels)].copy())

    async def _measure(self, peer: RTCPeerConnection, attempt: int) -> None:
        while True:
            await asyncio.sleep(0.3)
            entries = (await peer.getStats()).values()
            packets = sum(entry.packetsReceived for entry in entries if entry.type == "inbound-rtp")
            self._tell({"type": "stats", "attempt": attempt, "packets_received": packets, "microphone": True})

    def _tell(self, message: dict[str, Any]) -> None:
        assert self.transport is not None
        self.transport.receive(message, ())

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def block_udp(self) -> None:
        """Send nothing any more, as behind a firewall that was just closed."""

        async def nothing(_data: bytes) -> None: ...

        assert self._peer is not None
        self._peer.getSenders()[0].transport.transport._send = nothing

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._peer is not None:
            await self._peer.close()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


class Speaker:
    """Plays a tone to the transport, as `BrowserSound` does for an open speaker."""

    def __init__(self) -> None:
        self._count = 0

    def fill(self, out: Pcm) -> None:
        at = (self._count + np.arange(len(out))) / RATE_HZ
        out[:] = (10_000 * np.sin(2 * np.pi * SPEAKER_HZ * at)).astype(np.int16)
        self._count += len(out)


class Rig:
    """A transport that carries sound between this loop and a page."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.page = Page()
        self.taken: list[Pcm] = []
        options = read_options(None, {"strict": True})
        self.transport = self.page.transport = WebRtcTransport(self.engine, options, self.page, "page")

    async def open(self) -> None:
        self.transport.start(self.taken.append, Speaker().fill, lambda: None)
        await until(lambda: self.transport.state == "open", 15)
        self.transport.use(True)
        await until(
            lambda: len(self.taken) > 100 and self._has_tone(self.page.heard, RATE_HZ, SPEAKER_HZ), 15
        )

    def _has_tone(self, frames: list[Pcm], rate: int, hz: float) -> bool:
        heard = np.concatenate(frames[-25:] or [np.zeros(1, np.int16)]).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        return abs(spectrum.argmax() * rate / len(heard) - hz) < 10 and np.abs(heard).max() > 5000

    def both_hear(self) -> bool:
        return self._has_tone(self.taken, RATE_HZ, MICROPHONE_HZ) and self._has_tone(
            self.page.heard, RATE_HZ, SPEAKER_HZ
        )

    async def close(self) -> None:
        self.transport.stop()
        await asyncio.sleep(0)
        await self.engine.close()
        await asyncio.to_thread(self.page.close)


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    # Stock aiortc offers no loopback candidate; on a machine without another interface it would have none.
    addresses = aioice.ice.get_host_addresses
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **which: [*addresses(**which), "127.0.0.1"])
    made = Rig()
    await made.open()
    yield made
    with contextlib.suppress(TimeoutError):
        await made.close()


def audible(frames: Sequence[Pcm], since: int) -> int:
    """How many of the frames after the first `since` are not silent."""
    return sum(int(np.abs(frame.astype(np.int32)).max()) > 3000 for frame in frames[since:])


async def test_both_hear_each_other_also_while_the_kernel_is_busy_until_udp_is_blocked(rig: Rig) -> None:
    assert rig.both_hear()
    await until(lambda: 0 <= rig.transport.rtt_ms < 1000, 15)

    taken, heard = len(rig.taken), len(rig.page.heard)
    time.sleep(BUSY_S)  # a cell blocks the kernel's loop
    frames = BUSY_S / 0.020
    assert audible(rig.taken, taken) > 0.6 * frames
    assert audible(rig.page.heard, heard) > 0.6 * frames
    await until(lambda: rig.transport.state == "open" and rig.both_hear())

    rig.page.block_udp()
    await until(lambda: rig.transport.state == "connecting", 10)
