"""Our media session and Chromium's WebRTC: calls both ways, DTMF, ICE restarts, hidden addresses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, async_playwright
from waiting import until

from plivo_nb.media.audio.sources import Tone
from plivo_nb.plane import wire
from plivo_nb.plane.media_session import MediaSession
from plivo_nb.quality.sampler import ClockAnchor

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
]
PEER = """() => {
    const context = new AudioContext();
    const oscillator = new OscillatorNode(context, {frequency: 700});
    const out = context.createMediaStreamDestination();
    oscillator.connect(out);
    oscillator.start();
    const pc = window.pc = new RTCPeerConnection();
    window.sender = pc.addTrack(out.stream.getAudioTracks()[0], out.stream);
    pc.ontrack = event => {
        const element = window.element = new Audio();
        element.srcObject = event.streams[0];
        element.muted = true;
        element.play();
        window.analyser = new AnalyserNode(context, {fftSize: 8192});
        context.createMediaStreamSource(event.streams[0]).connect(window.analyser);
        window.context = context;
    };
    window.gathered = () => new Promise(done => {
        const check = () => pc.iceGatheringState == 'complete' && done(pc.localDescription.sdp);
        pc.addEventListener('icegatheringstatechange', check);
        check();
    });
}"""
OFFER = "async restart => { await pc.setLocalDescription(await pc.createOffer({iceRestart: restart}));"
OFFER += " return await gathered(); }"
TAKE_ANSWER = "async sdp => await pc.setRemoteDescription({type: 'answer', sdp})"
ANSWER = "async sdp => { await pc.setRemoteDescription({type: 'offer', sdp});"
ANSWER += " await pc.setLocalDescription(await pc.createAnswer()); return await gathered(); }"
HEARD = """() => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const best = bins.indexOf(Math.max(...bins));
    return best * context.sampleRate / analyser.fftSize;
}"""
STATS = """async () => {
    const all = {};
    (await pc.getStats()).forEach(entry => { if (entry.type == 'inbound-rtp') Object.assign(all, entry); });
    return all;
}"""


class Kept:
    """A sink that keeps the received sound."""

    def __init__(self) -> None:
        self.frames: list[Any] = []

    def open(self, rate: int) -> None:
        self.rate = rate

    def write(self, frame: Any) -> None:
        self.frames.append(frame.copy())

    def close(self) -> None:
        pass

    def frequency(self) -> float:
        heard = np.concatenate(self.frames[-25:]).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        return float(np.argmax(spectrum)) * self.rate / len(heard)


class Here:
    """Our media session, and its ticker."""

    def __init__(self) -> None:
        self.reports: list[wire.Report] = []
        config = wire.SessionConfig(loopback_candidates=True)
        self.session = MediaSession(1, config, self.reports.append, ClockAnchor.now())
        self.heard = Kept()
        self.session.set_source(Tone(1000, -10))
        self.session.set_sink(self.heard)

    async def tick(self) -> None:
        due = time.monotonic()
        while True:
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.session.tick(time.monotonic())

    def states(self, what: str) -> list[str]:
        return [r.state for r in self.reports if isinstance(r, wire.SessionState) and r.what == what]

    def restarts(self) -> int:
        return sum(isinstance(r, wire.SessionState) and r.detail == "ICE restarted" for r in self.reports)


@pytest.fixture
async def here() -> AsyncIterator[Here]:
    made = Here()
    ticking = asyncio.create_task(made.tick())
    yield made
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    await made.session.close()


@pytest.fixture(params=["plain", "hidden addresses"])
async def chromium(request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page with a peer connection; its addresses in the clear, or behind mDNS names."""
    hiding = "enable" if request.param == "hidden addresses" else "disable"
    arguments = [*ARGUMENTS, f"--{hiding}-features=WebRtcHideLocalIpsWithMdns"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        page = await browser.new_page()
        await page.evaluate(PEER)
        yield page
        await browser.close()


async def both_hear(here: Here, page: Page) -> None:
    """Each side hears the other's tone: 1000 Hz there, 700 Hz here."""
    await until(lambda: len(here.heard.frames) > 60)

    async def tones() -> bool:
        return bool(abs(await page.evaluate(HEARD) - 1000) <= 30 and abs(here.heard.frequency() - 700) <= 10)

    await until(tones, timeout_s=15, describe=here.heard.frequency, interval_s=0.2)


async def test_chromium_calls_restarts_and_sends_digits(here: Here, chromium: Page) -> None:
    session = here.session
    session.set_remote("offer", await chromium.evaluate(OFFER, False))
    answer = await session.create_answer()
    assert "telephone-event/48000" in answer
    await chromium.evaluate(TAKE_ANSWER, answer)
    await both_hear(here, chromium)

    await chromium.evaluate("() => sender.dtmf.insertDTMF('159#', 100, 70)")
    await until(lambda: sum(isinstance(r, wire.Digit) for r in here.reports) == 4)
    assert "".join(r.digit for r in here.reports if isinstance(r, wire.Digit)) == "159#"

    for count, by_us in ((1, False), (2, True)):
        if by_us:
            answered = await chromium.evaluate(ANSWER, await session.create_offer(ice_restart=True))
            session.set_remote("answer", answered)
        else:
            session.set_remote("offer", await chromium.evaluate(OFFER, True))
            await chromium.evaluate(TAKE_ANSWER, await session.create_answer())
        await until(lambda count=count: here.restarts() == count)
        await asyncio.sleep(1.5)  # longer than the old path is kept
        await both_hear(here, chromium)
    assert here.states("dtls") == ["connecting", "connected"]
    assert await chromium.evaluate("() => pc.iceConnectionState") in ("connected", "completed")
    there = await chromium.evaluate(STATS)
    assert there["packetsLost"] == 0
    assert session.stats()["inbound-rtp"]["packetsLost"] == 0


async def test_we_call_chromium_and_hang_up(here: Here, chromium: Page) -> None:
    session = here.session
    session.set_remote("answer", await chromium.evaluate(ANSWER, await session.create_offer()))
    await both_hear(here, chromium)
    there = await chromium.evaluate(STATS)
    assert there["packetsLost"] == 0
    assert there["jitter"] < 0.02
    await chromium.evaluate("() => pc.close()")
    await until(lambda: here.states("dtls")[-1] == "closed")
