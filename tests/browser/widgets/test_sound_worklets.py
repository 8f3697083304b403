"""The play-out and the recording of a page, run by Node with a clock that the test drives."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import numpy as np
import pytest

RATE = 24_000
BLOCK = 128
FRAME = 960  # 40 ms
HARNESS = """
const { readFileSync } = require("fs");
const { script, sampleRate, events, blocks } = JSON.parse(readFileSync(0, "utf-8"));
const made = {};
const scope = {
    sampleRate, currentTime: 0,
    AudioWorkletProcessor: class { port = { postMessage: (data) => posted.push(data) }; },
    registerProcessor: (name, kind) => { made[name] = kind; },
};
Object.assign(globalThis, scope);
const posted = [];
new Function(script)();
const rate = 24000;
if (events) {
    const player = new made["plivo-player"]({ processorOptions: { rate } });
    const played = [];
    let next = 0;
    for (let block = 0; block < blocks; block++) {
        globalThis.currentTime = (block * 128) / sampleRate;
        while (next < events.length && events[next][0] <= globalThis.currentTime) {
            player.port.onmessage({ data: new Int16Array(events[next++][1]).buffer });
        }
        const output = new Float32Array(128);
        player.process([], [[output]]);
        played.push(...output);
    }
    player.port.onmessage({ data: "stats" });
    console.log(JSON.stringify({ played: played.map((v) => Math.round(v * 32768)), stats: posted[0] }));
} else {
    const recorder = new made["plivo-recorder"]({ processorOptions: { rate, samples: 480 } });
    for (let block = 0; block < blocks; block++) {
        const input = Float32Array.from({ length: 128 }, (_, i) =>
            0.5 * Math.sin((2 * Math.PI * 440 * (block * 128 + i)) / sampleRate));
        recorder.process([[input]]);
    }
    console.log(JSON.stringify(posted.map((buffer) => [...new Int16Array(buffer)])));
}
"""


@pytest.fixture
def run(repository) -> Any:
    script = (repository / "plivo_nb/widgets/sound_worklets.js").read_text("utf-8")

    def node(**values: Any) -> Any:
        text = json.dumps({"script": script, "sampleRate": RATE, **values})
        done = subprocess.run(
            ["node", "-e", HARNESS], input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return node


def sent(seconds: float, level: float = 8000.0, speed: float = 1.0) -> list[tuple[float, list[int]]]:
    """A tone of 440 Hz in frames, at the times of sending; `speed` is that of the sender's clock."""
    tone = level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE / FRAME) * FRAME) / RATE)
    frames = tone.astype(int).reshape(-1, FRAME)
    return [(number * 0.04 / speed, frame.tolist()) for number, frame in enumerate(frames)]


def play(run: Any, events: list[tuple[float, list[int]]], seconds: float) -> tuple[np.ndarray, Any]:
    found = run(events=sorted(events, key=lambda event: event[0]), blocks=round(seconds * RATE / BLOCK))
    return np.array(found["played"]), found["stats"]


def test_regular_frames_are_played_without_a_change_after_60_to_70_ms(run) -> None:
    played, stats = play(run, sent(4), 3.5)
    start = int(np.flatnonzero(played)[0])
    assert 0.03 < start / RATE < 0.1
    assert stats["underruns"] == 0
    strength = np.abs(np.fft.rfft(played[start : start + RATE] * np.hanning(RATE)))
    assert abs(int(strength.argmax()) - 440) <= 1
    assert abs(np.sqrt(np.mean(played[start : start + RATE].astype(float) ** 2)) - 8000 / 2**0.5) < 100


@pytest.mark.parametrize("speed", [1 + 3e-4, 1 - 3e-4])
def test_clocks_that_differ_neither_fill_nor_drain_the_buffer(run, speed: float) -> None:
    played, stats = play(run, sent(65, speed=speed), 60)
    assert stats["underruns"] <= 1
    assert stats["waitingMs"] < 100
    assert len(played) == 60 * RATE // BLOCK * BLOCK


def test_frames_that_come_irregularly_are_played_without_gaps_once_the_reserve_is_large_enough(run) -> None:
    random = np.random.default_rng(15)
    events, last = [], 0.0
    for at, frame in sent(30):
        last = max(last, at + float(random.uniform(0, 0.12)))  # in order, as a WebSocket delivers
        events.append((last, frame))
    played, stats = play(run, events, 29)
    assert stats["underruns"] <= 6
    late = played[10 * RATE :]
    gaps = np.abs(late).reshape(-1, BLOCK).max(axis=1) == 0
    assert gaps.mean() < 0.01


def test_what_waited_behind_a_pause_is_dropped_so_that_the_delay_stays_small(run) -> None:
    events = [(at if not 2 < at < 5 else 5.0, frame) for at, frame in sent(10)]
    _, stats = play(run, events, 9)
    assert stats["dropped"] > 60
    assert stats["waitingMs"] < 350


def test_after_a_bad_time_the_delay_shrinks_in_quiet_moments(run) -> None:
    events = [(at if not 1 < at < 1.25 else 1.25, frame) for at, frame in sent(40, level=100.0)]
    _, stats = play(run, events, 39)
    assert stats["waitingMs"] < 120


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000])
def test_the_microphone_is_recorded_at_the_rate_of_the_frames(run, rate: int) -> None:
    frames = run(sampleRate=rate, blocks=round(rate / BLOCK))
    assert {len(frame) for frame in frames} == {480}
    assert len(frames) in (49, 50), "a second of 20 ms"
    sound = np.concatenate(frames)
    strength = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert abs(strength.argmax() * RATE / len(sound) - 440) < 3
    assert abs(np.abs(sound).max() - 16384) < 400
