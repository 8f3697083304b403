"""What the microphone and the speaker of a page have, recorded in the page and compared.

The fake microphone of Chromium repeats a file; what the speaker plays after a call to an echo robot is
searched for in what the microphone had in the same seconds.
"""

from __future__ import annotations

import base64
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.analysis.compare import RATE_HZ, load, match
from plivo_nb.data import speech_path

if TYPE_CHECKING:
    from pathlib import Path

TONE_HZ, TONE_S = 1000.0, 1.5
CORRELATION = 0.8
WINDOW_S = 0.25
QUIET = 0.003
#: Records what goes to the speaker and what comes from the microphone, both by the clock of the page.
RECORD = """
(() => {
    const taps = (window.taps = {});
    const original = AudioNode.prototype.connect;
    const tap = (name, node) => {
        const { context } = node;
        const recorder = context.createScriptProcessor(1024, 1, 1);
        const tapped = (taps[name] ??= { rate: context.sampleRate, parts: [], ends: [] });
        recorder.onaudioprocess = ({ inputBuffer }) => {
            tapped.parts.push(new Float32Array(inputBuffer.getChannelData(0)));
            tapped.ends.push(performance.now() / 1000);
        };
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
    const { rate, parts, ends } = window.kept[name];
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) { all.set(part, at); at += part.length; }
    const bytes = new Uint8Array(all.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 32768) {
        text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    }
    return [rate, btoa(text), ends, parts.map((part) => part.length)]; }"""

CLEAR = "for (const tap of Object.values(window.taps)) { tap.parts = []; tap.ends = []; } null"
#: What is recorded while the one is read does not belong to the other.
KEEP = """window.kept = Object.fromEntries(
    Object.entries(window.taps).map(([name, { rate, parts, ends }]) =>
        [name, { rate, parts: [...parts], ends: [...ends] }])), null"""

LOUDEST = """name => {
    const parts = window.taps?.[name]?.parts.slice(-24) ?? [];
    return Math.max(0, ...parts.map((part) => Math.max(...part)));
}"""


def write_spoken(path: Path) -> Path:
    """Write a WAV file for the fake microphone: a tone, then speech."""
    rate = 48_000
    tone = 0.3 * np.sin(2 * np.pi * TONE_HZ * np.arange(round(TONE_S * rate)) / rate)
    sound = np.concatenate([tone, load(speech_path(), rate)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def heard(page: Any, name: str) -> tuple[np.ndarray, float]:
    """What the speaker or the microphone of the page had, at 8 kHz, and when it began, in s of the page."""
    rate, text, ends, lengths = page.evaluate(READ, name)
    sound = np.frombuffer(base64.b64decode(text), np.float32).astype(float)
    ratio = round(rate / RATE_HZ)
    assert ratio * RATE_HZ == rate
    began_s = float(np.median(np.array(ends) - np.cumsum(lengths) / rate))
    sound = sound[: len(sound) // (2 * ratio) * 2 * ratio]
    spectrum = np.fft.rfft(sound)[: len(sound) // (2 * ratio) + 1]
    return np.fft.irfft(spectrum) / ratio, began_s


@dataclass(frozen=True)
class Piece:
    """What microphone and speaker had in the same seconds."""

    microphone: np.ndarray
    speaker: np.ndarray

    def correlation(self) -> float:
        """The median correlation of the speaker's windows with the microphone."""
        return match(self.speaker, self.microphone, window_s=WINDOW_S).correlation

    def recognised(self) -> tuple[float, float]:
        """The share of the speaker's windows that are sound of the microphone, and its delay in seconds.

        The delay is the median of those windows.
        """
        found = match(self.speaker, self.microphone, window_s=WINDOW_S)
        good = found.correlations > CORRELATION
        delays = (found.at_s - found.offsets_s) % (len(self.microphone) / RATE_HZ)
        return float(good.mean()), float(np.median(delays[good])) if good.any() else float("inf")


def record(page: Any, seconds: float) -> Piece:
    """Record both for so long."""
    page.evaluate(CLEAR)
    page.wait_for_timeout(1000 * seconds)
    page.evaluate(KEEP)
    microphone, microphone_s = heard(page, "microphone")
    speaker, speaker_s = heard(page, "speaker")
    began_s = max(microphone_s, speaker_s)
    microphone = microphone[round((began_s - microphone_s) * RATE_HZ) :]
    speaker = speaker[round((began_s - speaker_s) * RATE_HZ) :]
    length = min(len(microphone), len(speaker))
    return Piece(microphone[:length], speaker[:length])


def longest_pause_s(sound: np.ndarray) -> float:
    """How long the longest pause in it is, in steps of 50 ms."""
    step = RATE_HZ // 20
    quiet = np.abs(sound[: len(sound) // step * step]).reshape(-1, step).max(axis=1) < QUIET
    runs = "".join("q" if one else " " for one in quiet).split()
    return max(map(len, runs), default=0) / 20
