"""Our media session against stock aiortc's RTCPeerConnection: a WebRTC implementation that is not ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aioice.ice
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack

from plivo_nb.media.audio.sources import Tone
from plivo_nb.plane import wire
from plivo_nb.plane.media_session import MediaSession
from plivo_nb.quality.sampler import ClockAnchor


class Listener(MediaBlackhole):
    """Takes the remote track's frames and keeps their loudness."""

    def __init__(self) -> None:
        super().__init__()
        self.peaks: list[int] = []

    async def listen(self, track: AudioStreamTrack) -> None:
        while True:
            frame = await track.recv()
            self.peaks.append(int(np.abs(frame.to_ndarray().astype(np.int32)).max()))


@pytest.fixture
async def session(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MediaSession]:
    # Stock aiortc offers no loopback candidate; on a machine without another interface it would have none.
    addresses = aioice.ice.get_host_addresses
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **which: [*addresses(**which), "127.0.0.1"])
    made = MediaSession(1, wire.SessionConfig(), lambda report: None, ClockAnchor.now())
    made.set_source(Tone(440, -10))
    ticking = asyncio.create_task(tick(made))
    yield made
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    await made.close()


async def tick(session: MediaSession) -> None:
    due = time.monotonic()
    while True:
        due += 0.02
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        session.tick(time.monotonic())


async def talk(session: MediaSession, listener: Listener) -> None:
    async with asyncio.timeout(10):
        while (
            len(listener.peaks) < 50 or session.stats().get("inbound-rtp", {}).get("packetsReceived", 0) < 50
        ):
            await asyncio.sleep(0.05)
    assert max(listener.peaks[-10:]) > 5000
    stats = session.stats()
    assert stats["transport"]["dtlsState"] == "connected"
    assert stats["inbound-rtp"]["packetsLost"] == 0


async def test_we_call_stock_aiortc(session: MediaSession) -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    listener, tasks = Listener(), []
    peer.on("track", lambda track: tasks.append(asyncio.ensure_future(listener.listen(track))))
    peer.addTrack(AudioStreamTrack())
    await peer.setRemoteDescription(RTCSessionDescription(await session.create_offer(), "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    session.set_remote("answer", peer.localDescription.sdp)
    await talk(session, listener)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await peer.close()


async def test_stock_aiortc_calls_us(session: MediaSession) -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    listener, tasks = Listener(), []
    peer.on("track", lambda track: tasks.append(asyncio.ensure_future(listener.listen(track))))
    peer.addTrack(AudioStreamTrack())
    await peer.setLocalDescription(await peer.createOffer())
    session.set_remote("offer", peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(await session.create_answer(), "answer"))
    await talk(session, listener)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await peer.close()
    async with asyncio.timeout(3):
        while session.transport.dtls_state != "closed":  # the peer's goodbye is heard
            await asyncio.sleep(0.02)
