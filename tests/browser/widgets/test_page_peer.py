"""The page's end of WebRTC in Chromium, with its fake microphone, against the kernel's end in this process.

The kernel's end returns what it takes. The page records its microphone and what it plays in one graph, so
that the delay between the two is the round trip.
"""

from __future__ import annotations

import asyncio
import base64
import time
import wave
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Page, async_playwright
from waiting import stays, until

import plivo_nb
from plivo_nb.analysis import compare
from plivo_nb.audio_types import Pcm
from plivo_nb.engine.audio.webrtc_transport import WebRtcTransport
from plivo_nb.engine.engine import Engine
from plivo_nb.media.audio.sources import AudioFile
from plivo_nb.options import read_options
from plivo_nb.ring_buffer import RingBuffer
from plivo_nb.sound.page_transport import PAGE_RATE

SCRIPT = Path(plivo_nb.__file__).with_name("widgets") / "page_peer.js"
ADDRESS = "http://localhost:9/"  # a secure context; nothing is loaded from there
BUSY_S = 3.0
RECORDER = """
registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length) {
      this.port.postMessage(channels.map((samples) => samples.slice()));
    }
    return true;
  }
});"""
PAGE = """async ({recorder, rate}) => {
  const context = new AudioContext({sampleRate: rate});
  const url = (text) => URL.createObjectURL(new Blob([text], {type: "text/javascript"}));
  await context.audioWorklet.addModule(url(recorder));
  const output = new GainNode(context);
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
  const merger = new ChannelMergerNode(context, {numberOfInputs: 2});
  context.createMediaStreamSource(stream).connect(merger, 0, 0);
  output.connect(merger, 0, 1);
  const node = new AudioWorkletNode(context, "recorder", {channelCount: 2, channelCountMode: "explicit"});
  window.recorded = [[], []];
  node.port.onmessage = ({data}) => data.forEach((samples, at) => window.recorded[at].push(samples));
  merger.connect(node);
  window.sound = {context, output, stream, audio: async () => context, changed: () => {}};
  window.peer = new PagePeer(window.sound, (message) => window.toKernel(message));
}"""
TAKE = """at => {
  const samples = window.recorded[at].flatMap((part) => Array.from(part, (value) => 32767 * value));
  const bytes = new Uint8Array(new Int16Array(samples).buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}"""


def speech(seconds: float) -> Pcm:
    source = AudioFile(plivo_nb.speech_path())
    source.open(48_000)
    frames: list[Pcm] = []
    deadline = time.monotonic() + 20
    while len(frames) < seconds * 50 and time.monotonic() < deadline:
        frame = source.read(960)
        if frame is None:
            time.sleep(0.01)
        else:
            frames.append(frame)
    source.close()
    return np.concatenate(frames)


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Chromium's fake microphone plays: a second of a tone, then speech, again and again."""
    tone = (8000 * np.sin(2 * np.pi * 800 * np.arange(48_000) / 48_000)).astype(np.int16)
    path = tmp_path_factory.mktemp("sound") / "microphone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(np.concatenate([tone, speech(9)]).tobytes())
    return path


class Kernel:
    """The kernel's end, and the link to the page; it returns what it takes."""

    def __init__(self, page: Page) -> None:
        self.engine = Engine()
        self.states: list[str] = []
        self.transport = WebRtcTransport(self.engine, read_options(None, {"strict": True}), self, "page")
        self._page = page
        self._ring = RingBuffer(self.transport.rate)
        self._sending: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        await self._page.expose_function("toKernel", lambda message: self.transport.receive(message, ()))
        await self._page.evaluate(PAGE, {"recorder": RECORDER, "rate": PAGE_RATE})
        self.transport.start(self._ring.write, self._fill, lambda: self.states.append(self.transport.state))

    def send(self, page: str, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        self.engine.loop.call_soon_threadsafe(self._send, dict(message))

    def _send(self, message: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._page.evaluate("message => peer.receive(message)", message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def listen(self, receive: Any) -> None: ...

    def _fill(self, out: Pcm) -> None:
        """Play what came in, as `BrowserSound` does for an open speaker."""
        frame = self._ring.read(len(out))
        out[: len(frame)] = frame
        out[len(frame) :] = 0

    async def recorded(self) -> tuple[Pcm, Pcm]:
        """What the page's microphone recorded, and what the page played, in step."""
        sounds = [
            np.frombuffer(base64.b64decode(await self._page.evaluate(TAKE, at)), "<i2") for at in (0, 1)
        ]
        return sounds[0], sounds[1]

    async def close(self) -> None:
        self.transport.stop()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self.engine.close()


@pytest.fixture
async def page(microphone: Path) -> AsyncIterator[Page]:
    arguments = [
        "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required",
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]  # fmt: skip
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        opened = await browser.new_page()
        script = SCRIPT.read_text("utf-8").replace("export class", "window.PagePeer = class")
        body = f"<!doctype html><script>{script}</script>"
        await opened.route(ADDRESS, lambda route: route.fulfill(body=body, content_type="text/html"))
        await opened.goto(ADDRESS)
        yield opened
        await browser.close()


@pytest.fixture
async def kernel(page: Page) -> AsyncIterator[Kernel]:
    made = Kernel(page)
    await made.start()
    yield made
    await made.close()


def delay_ms(sent: Pcm, heard: Pcm) -> float:
    """By how much `heard` is later than `sent`."""
    size = 2 ** int(np.ceil(np.log2(len(sent) + len(heard))))
    spectrum = np.fft.rfft(heard.astype(float), size) * np.conj(np.fft.rfft(sent.astype(float), size))
    product = np.fft.irfft(spectrum, size)
    return 1000 * float(product[: PAGE_RATE * 2].argmax()) / PAGE_RATE


async def test_speech_goes_to_the_kernel_and_back_also_while_it_is_busy(
    kernel: Kernel, record_property: Any
) -> None:
    await until(lambda: kernel.transport.state == "open", 30)
    kernel.transport.use(True)
    await asyncio.sleep(2)
    time.sleep(BUSY_S)
    await asyncio.sleep(4)
    await until(lambda: kernel.transport.rtt_ms < 300 and kernel.transport.state == "open", 15)

    sent, heard = await kernel.recorded()
    tail = round(8 * PAGE_RATE)
    sent, heard = sent[-tail:], heard[-tail:]
    found = compare.match(heard.astype(float), sent.astype(float), window_s=0.25, rate_hz=PAGE_RATE)
    assert (found.correlations > 0.8).mean() > 0.3  # alone the machine reaches nearly all windows
    assert found.coverage > 0.5
    delay = delay_ms(sent, heard)
    record_property("round_trip_ms", round(delay))
    assert 0 < delay < 750  # three times the aim, which has a call in between
    loud = [np.abs(heard[at : at + PAGE_RATE].astype(int)).max() > 1000 for at in range(0, tail, PAGE_RATE)]
    assert all(loud)  # no second is lost


async def test_a_page_that_udp_does_not_reach_is_never_open(page: Page) -> None:
    await page.evaluate(
        """() => { const Original = RTCPeerConnection;
          window.RTCPeerConnection = class extends Original {
            constructor() { super({iceTransportPolicy: "relay", iceServers: []}); } }; }"""
    )
    kernel = Kernel(page)
    try:
        await kernel.start()
        await stays(lambda: kernel.states == [], 3)
        assert kernel.transport.state == "connecting"
    finally:
        await kernel.close()


async def test_a_connection_that_ends_in_the_page_is_left_at_once(kernel: Kernel, page: Page) -> None:
    await until(lambda: kernel.transport.state == "open", 30)
    await page.evaluate("peer.close()")
    await until(lambda: kernel.states == ["open", "connecting"], 20)
