"""The sound of a page: a microphone that speaks a file, through page, kernel, robot and back to the page."""

from __future__ import annotations

import base64
import re
import wave
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from plivo_nb.analysis.compare import RATE_HZ, load, match
from plivo_nb.data import speech_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TONE_HZ, TONE_S = 1000.0, 1.5
START = """
import plivo_nb
lab = plivo_nb.Lab()
await lab.start()
client = lab.client(sound="browser")
metrics, permissions, changes = [], [], []
client.on("mediaMetrics", metrics.append)
client.on("onMediaPermission", permissions.append)
client.on("onAudioDeviceChange", changes.append)
await client.login("alice", lab.password("alice"))
phone = plivo_nb.Phone(client, dial="echo")
"""
CLOSE = "await client.close()\nawait lab.close()"
#: Records what goes to the speaker and what comes from the microphone, both by the clock of the page.
RECORD = """
(() => {
    const taps = (window.taps = {});
    const tap = (name, node) => {
        const { context } = node;
        const recorder = context.createScriptProcessor(1024, 1, 1);
        const parts = (taps[name] ??= { rate: context.sampleRate, parts: [], starts: [] });
        recorder.onaudioprocess = ({ inputBuffer }) => {
            parts.starts.push(performance.now());
            parts.parts.push(new Float32Array(inputBuffer.getChannelData(0)));
        };
        original.call(node, recorder);
        original.call(recorder, context.destination);
    };
    const original = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (target, ...more) {
        if (target instanceof AudioDestinationNode) {
            tap("speaker", this);
        }
        return original.call(this, target, ...more);
    };
    const create = AudioContext.prototype.createMediaStreamSource;
    AudioContext.prototype.createMediaStreamSource = function (stream) {
        const source = create.call(this, stream);
        tap("microphone", source);
        return source;
    };
})();
"""
READ = """name => {
    const { rate, parts } = window.taps[name];
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) { all.set(part, at); at += part.length; }
    const bytes = new Uint8Array(all.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) {
        text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    }
    return [rate, btoa(text)]; }"""


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file: a tone, then speech. The fake microphone repeats it."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    rate = 48_000
    tone = 0.3 * np.sin(2 * np.pi * TONE_HZ * np.arange(round(TONE_S * rate)) / rate)
    sound = np.concatenate([tone, load(speech_path(), rate)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture
def context(spoken: Path) -> Iterator[Any]:
    """Pages whose microphone speaks the file; both the speaker and the microphone are recorded."""
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *arguments,
                  f"--use-file-for-fake-audio-capture={spoken}"],
        )  # fmt: skip
        context = browser.new_context(permissions=["microphone"], viewport={"width": 1360, "height": 900})
        context.set_default_timeout(30_000)
        context.add_init_script(RECORD)
        yield context
        browser.close()


@pytest.fixture
def page(context: Any) -> Any:
    return context.new_page()


def heard(page: Any, name: str, rate_hz: int = RATE_HZ) -> np.ndarray:
    """What the speaker or the microphone of the page has had so far, at 8 kHz."""
    rate, text = page.evaluate(READ, name)
    sound = np.frombuffer(base64.b64decode(text), np.float32).astype(float)
    at = np.arange(0, len(sound) - 1, rate / rate_hz)
    return np.interp(at, np.arange(len(sound)), sound)


def delay_s(microphone: np.ndarray, speaker: np.ndarray) -> np.ndarray:
    """How much later each half second of the speaker was at the microphone; both begin together."""
    found = match(speaker, microphone)
    good = found.correlations > 0.8
    return (found.at_s - found.offsets_s)[good]


def test_speech_goes_through_the_kernel_and_back(jupyter, open_notebook, phone, page, shoot) -> None:
    notebook = open_notebook(jupyter.notebook("sound.ipynb", [START, "phone", CLOSE]))
    notebook.run(0)
    notebook.run(1)
    panel = phone.box.locator(".plivo-page-sound")
    expect(panel).to_contain_text("Calls use this page")
    phone.click("Call")
    phone.expect_state("In call")
    expect(panel).to_contain_text(re.compile("round trip to the kernel [0-9]+ ms"))
    page.wait_for_timeout(20_000)
    microphone, speaker = heard(page, "microphone"), heard(page, "speaker")
    np.savez("/tmp/15a-heard.npz", microphone=microphone, speaker=speaker)
    print(
        notebook.evaluate("repr(client.audio)"),
        notebook.evaluate("(client.audio.page_rtt_ms, client.audio.page_underruns)"),
    )
    print(
        notebook.evaluate("str(metrics)"),
        notebook.evaluate("str(permissions)"),
        notebook.evaluate("str(changes)"),
    )
    shoot("in-call", phone.box)
