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
CORRELATION = 0.8
ROUND_TRIP_S = 3 * 0.4  # three times the aim, for a machine with other work
QUIET = 0.003
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
#: A page without WebRTC: its sound goes by messages.
NO_WEBRTC = "delete window.RTCPeerConnection;"
#: Records what goes to the speaker and what comes from the microphone, both by the clock of the page.
RECORD = """
(() => {
    const taps = (window.taps = {});
    const original = AudioNode.prototype.connect;
    const tap = (name, node) => {
        const { context } = node;
        const recorder = context.createScriptProcessor(1024, 1, 1);
        const tapped = (taps[name] ??= { rate: context.sampleRate, parts: [] });
        recorder.onaudioprocess = ({ inputBuffer }) =>
            tapped.parts.push(new Float32Array(inputBuffer.getChannelData(0)));
        original.call(node, recorder);
        original.call(recorder, context.destination);
    };
    AudioNode.prototype.connect = function (target, ...more) {
        if (target instanceof AudioDestinationNode) {
            tap("speaker", this);
        }
        return original.call(this, target, ...more);
    };
    const getUserMedia = MediaDevices.prototype.getUserMedia;
    MediaDevices.prototype.getUserMedia = async function (constraints) {
        const stream = await getUserMedia.call(this, constraints);
        const context = new AudioContext({ sampleRate: 24000 });
        tap("microphone", context.createMediaStreamSource(stream.clone()));
        return stream;
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

BUSY = """() => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    kernel.requestExecute({ code: "import time; time.sleep(3)", store_history: false }); }"""


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
def context(spoken: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Pages whose microphone speaks the file; both the speaker and the microphone are recorded.

    They have no WebRTC, so that their sound goes by messages, unless a test gives another script.
    """
    script = getattr(request, "param", NO_WEBRTC)
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *arguments,
                  f"--use-file-for-fake-audio-capture={spoken}"],
        )  # fmt: skip
        context = browser.new_context(permissions=["microphone"], viewport={"width": 1360, "height": 900})
        context.set_default_timeout(30_000)
        context.add_init_script(RECORD + script)
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


def round_trips_s(microphone: np.ndarray, speaker: np.ndarray) -> np.ndarray:
    """The delay of each half second of speech from the microphone to the speaker, in seconds.

    Both records begin when their device is opened, at almost the same time, and end together: the end counts.
    """
    length = min(len(microphone), len(speaker))
    found = match(speaker[-length:], microphone[-length:])
    delays = (found.at_s - found.offsets_s) % (length / RATE_HZ)
    return delays[(found.correlations > CORRELATION) & (delays < 3)]


def seconds_with_sound(sound: np.ndarray) -> np.ndarray:
    """Whether each whole second has sound."""
    whole = sound[: len(sound) // RATE_HZ * RATE_HZ].reshape(-1, RATE_HZ)
    return np.abs(whole).max(axis=1) > QUIET


def forget(page: Any) -> None:
    """Record anew."""
    page.evaluate("for (const tap of Object.values(window.taps)) { tap.parts.length = 0; } null")


def panel_of(page: Any) -> Any:
    return page.locator(".plivo-phone").last.locator(".plivo-page-sound")


@pytest.fixture
def call(jupyter, open_notebook, phone, page) -> Any:
    """A call to the echo robot with the sound of the page; gives the notebook."""
    notebook = open_notebook(jupyter.notebook("sound.ipynb", [START, "phone", CLOSE]))
    notebook.run(0)
    notebook.run(1)
    expect(panel_of(page)).to_contain_text("Calls use this page")
    notebook.saved()
    phone.click("Call")
    phone.expect_state("In call")
    expect(panel_of(page)).to_contain_text(re.compile("round trip to the kernel [0-9]+ ms"))
    return notebook


def test_speech_goes_through_the_kernel_and_back(call, phone, page, shoot) -> None:
    page.wait_for_timeout(2_000)
    forget(page)
    page.wait_for_timeout(20_000)
    microphone, speaker = heard(page, "microphone"), heard(page, "speaker")
    shoot("in-call", phone.box)
    found = match(speaker, microphone)
    assert found.correlation > CORRELATION
    assert np.median(round_trips_s(microphone, speaker)) < ROUND_TRIP_S
    spectrum = np.abs(np.fft.rfft(speaker * np.hanning(len(speaker))))
    assert abs(spectrum.argmax() * RATE_HZ / len(speaker) - TONE_HZ) < 5
    loudness = [np.sqrt(np.mean(sound**2)) for sound in (microphone, speaker)]
    assert 0.5 < loudness[1] / loudness[0] < 2
    assert seconds_with_sound(speaker).all()
    assert call.evaluate("permissions") == [{"status": "success", "stream": True}]
    rows = call.evaluate("client.samples[['page_rtt_ms', 'page_underruns']].iloc[-5:].values.tolist()")
    assert all(0 < rtt_ms < 1000 * ROUND_TRIP_S and gaps >= 0 for rtt_ms, gaps in rows)

    # a kernel that is busy: the delay does not grow
    call.page.evaluate(BUSY)
    page.wait_for_timeout(3_000)
    forget(page)
    page.wait_for_timeout(8_000)
    assert np.median(round_trips_s(heard(page, "microphone"), heard(page, "speaker"))) < ROUND_TRIP_S


def test_the_call_goes_on_without_its_page_and_in_another_one(call, context, phone, page) -> None:
    lost = "[m['active'] for m in metrics if m['type'] == 'no_microphone_access'][-1:]"
    second = context.new_page()
    second.goto(page.url.replace("?reset", ""))
    other = panel_of(second)
    expect(other).to_contain_text("Another page has the sound", timeout=60_000)
    other.get_by_role("button").click()
    expect(other).to_contain_text("Sound of this page")
    expect(panel_of(page)).to_contain_text("Another page has the sound")
    second.close()
    expect(panel_of(page)).to_contain_text("Sound of this page", timeout=60_000)
    page.goto("about:blank")
    other_kernel_view = context.request
    assert other_kernel_view is not None
    page.wait_for_timeout(4_000)
    page.go_back()
    expect(panel_of(page)).to_contain_text("Sound of this page", timeout=60_000)
    phone.expect_state("In call")
    call.wait_for(lost, [False], 30)
    assert call.evaluate("[m['active'] for m in metrics if m['type'] == 'no_microphone_access'].count(True)")
    page.wait_for_timeout(3_000)
    assert np.abs(heard(page, "speaker")[-2 * RATE_HZ :]).max() > QUIET


@pytest.mark.parametrize("context", [""], indirect=True, ids=["webrtc"])
def test_webrtc_carries_the_sound_past_a_busy_kernel_and_messages_do_when_it_fails(call, page) -> None:
    call.wait_for("client.audio.transport", "webrtc", 30)
    expect(panel_of(page)).to_contain_text("Sound of this page by WebRTC")
    page.wait_for_timeout(2_000)
    forget(page)
    call.page.evaluate(BUSY)
    page.wait_for_timeout(8_000)
    microphone, speaker = heard(page, "microphone"), heard(page, "speaker")
    print("TRIP", np.median(round_trips_s(microphone, speaker)), match(speaker, microphone).correlation,
          round_trips_s(microphone, speaker))
    print(call.evaluate("client.samples[['page_rtt_ms', 'page_underruns']].values.tolist()"))
    assert match(speaker, microphone).correlation > CORRELATION
    assert np.median(round_trips_s(microphone, speaker)) < ROUND_TRIP_S
    assert seconds_with_sound(speaker).all()
    assert call.evaluate("client.audio.transport") == "webrtc"
