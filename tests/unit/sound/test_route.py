"""Microphone and Speaker between two clocks, in simulated time."""

import numpy as np
import pytest

from plivo_nb.media.audio.sources import Tone
from plivo_nb.sound.clock_drift import DriftControl
from plivo_nb.sound.microphone import InputRoute, Microphone
from plivo_nb.sound.speaker import OutputRoute, Speaker
from plivo_nb.testing import FakeSound

TEN_MINUTES_S = 600.0


class Clock:
    """Simulated time."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Card:
    """A line whose device and worker take turns here, in one thread, by a clock of their own."""

    def __init__(self, line: InputRoute | OutputRoute, sound: FakeSound, ppm: float, clock: Clock) -> None:
        self.line, self.sound, self.clock = line, sound, clock
        self.stream = line._open(sound, None)
        self.block_s = 0.02 / (1 + ppm / 1e6)
        self.due = clock.now

    def run(self, until: float) -> None:
        while self.due <= until:
            self.clock.now = self.due
            self.due += self.block_s
            self.sound.step()
            self.line._working = True
            self.line._work(self.sound.rate)
        self.clock.now = until


def pitch_hz(pcm: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    index = int(spectrum.argmax())
    return index * rate / len(pcm)


@pytest.mark.parametrize("ppm", [-400, 0, 400])
@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_a_microphone_of_another_clock_does_not_drift_in_ten_minutes(ppm: int, rate: int) -> None:
    sound, clock = FakeSound(running=False), Clock()
    sound.says(Tone(440, -20))
    line = InputRoute(lambda: None)
    microphone = Microphone(line, clock)
    microphone.open(rate)
    microphone.start()
    card = Card(line, sound, ppm, clock)
    waits, missing, last = [], 0, []
    for tick in range(round(TEN_MINUTES_S * 50)):
        card.run(1000 + tick * 0.02)
        frame = microphone.read(rate // 50)
        if frame is None:
            missing += 1
        elif tick > TEN_MINUTES_S * 50 - 100:
            last.append(frame)
        if tick % 50 == 0:
            waits.append(microphone.waiting_s)
    assert missing < 5, "only while it fills up"
    assert microphone.dropped == 0
    assert np.ptp(waits[60:]) < 0.025, "a block, and a little"
    assert np.mean(waits[-60:]) == pytest.approx(np.mean(waits[60:120]), abs=0.006)
    assert (microphone.speed - 1) * 1e6 == pytest.approx(ppm, abs=120)
    assert pitch_hz(np.concatenate(last), rate) == pytest.approx(440, abs=0.6)


@pytest.mark.parametrize("ppm", [-400, 400])
def test_a_speaker_of_another_clock_does_not_drift_in_ten_minutes(ppm: int) -> None:
    sound, clock = FakeSound(running=False), Clock()
    line = OutputRoute(lambda: None)
    speaker = Speaker(line, clock)
    speaker.open(48_000)
    speaker.start()
    card = Card(line, sound, ppm, clock)
    tone = Tone(440, -20)
    tone.open(48_000)
    waits = []
    for tick in range(round(TEN_MINUTES_S * 50)):
        speaker.write(tone.read(960))
        card.run(1000 + tick * 0.02)
        if tick % 50 == 0:
            waits.append(speaker.waiting_s)
    assert speaker.dropped == 0
    assert speaker.dry <= 1
    assert np.ptp(waits[60:]) < 0.025
    assert (speaker.speed - 1) * 1e6 == pytest.approx(-ppm, abs=120)
    heard = sound.heard()[-2 * 48_000 :]
    assert pitch_hz(heard, 48_000) == pytest.approx(440, abs=0.6)


def test_a_microphone_that_was_not_read_for_long_gives_what_is_new() -> None:
    sound, clock = FakeSound(running=False), Clock()
    line = InputRoute(lambda: None)
    microphone = Microphone(line, clock)
    microphone.open(48_000)
    microphone.start()
    card = Card(line, sound, 0, clock)
    card.run(1000 + 0.3)
    assert microphone.read(960) is not None
    assert microphone.waiting_s < 0.06, "what had piled up before the call began is not played"
    card.run(1000 + 2.0)  # the plane stood still
    assert microphone.waiting_s < 0.25
    assert microphone.dropped > 0


def test_a_microphone_gives_nothing_until_it_is_live_and_nothing_old_then() -> None:
    sound, clock = FakeSound(running=False), Clock()
    sound.says(Tone(440, -20))
    line = InputRoute(lambda: None)
    microphone = Microphone(line, clock)
    microphone.live = False
    microphone.open(48_000)
    microphone.start()
    card = Card(line, sound, 0, clock)
    card.run(1000 + 0.5)
    assert microphone.read(960) is None
    assert microphone.waiting_s == 0
    microphone.live = True
    card.run(1000 + 0.6)
    assert microphone.read(960) is not None


def test_a_speaker_is_silent_until_it_is_audible() -> None:
    sound, clock = FakeSound(running=False), Clock()
    line = OutputRoute(lambda: None)
    speaker = Speaker(line, clock)
    speaker.open(8_000)
    speaker.audible = False
    speaker.start()
    card = Card(line, sound, 0, clock)
    loud = np.full(160, 9_000, np.int16)
    for tick in range(50):
        speaker.write(loud)
        card.run(1000 + tick * 0.02)
    assert not sound.heard().any()
    speaker.audible = True
    for tick in range(50, 100):
        speaker.write(loud)
        card.run(1000 + tick * 0.02)
    assert sound.heard()[-960:] == pytest.approx(np.full(960, 9_000), abs=2)


def test_voices_are_added_up_at_the_lines_volume() -> None:
    class Level:
        ended = False

        def __init__(self, level: int) -> None:
            self.level = level
            self.rates: list[int] = []
            self.closed = 0

        def open(self, rate: int) -> None:
            self.rates.append(rate)

        def read(self, samples: int) -> np.ndarray:
            return np.full(samples, self.level, np.int16)

        def close(self) -> None:
            self.closed += 1

    sound, clock = FakeSound(running=False), Clock()
    line = OutputRoute(lambda: None)
    line.volume = 0.5
    quiet, loud, late = Level(1_000), Level(30_000), Level(8_000)
    line.start(quiet)
    line.start(loud)
    line.start(quiet)
    card = Card(line, sound, 0, clock)
    card.run(1000 + 0.2)
    assert set(sound.heard()[-960:].tolist()) == {15_500}
    line.volume = 4.0
    card.run(1000 + 0.4)
    assert set(sound.heard()[-960:].tolist()) == {32_767}, "clipped, not wrapped"
    line.volume = 1.0
    line.start(late)
    assert late.rates == [48_000], "who joins later is opened too"
    loud.ended = True
    card.run(1000 + 0.6)
    assert loud.closed == 1
    assert set(sound.heard()[-960:].tolist()) == {9_000}
    line.stop(quiet)
    line.stop(quiet)
    line.stop(late)
    assert (quiet.closed, line.wanted) == (1, False)


def test_the_target_grows_when_it_ran_dry_and_shrinks_when_all_is_calm() -> None:
    drift = DriftControl(0.04)
    for _ in range(40):
        drift.ran_dry()
    assert drift.target_s == 0.160
    for _ in range(50 * 60 * 8):
        drift.observe(drift.target_s, 0.02)
    assert drift.target_s == pytest.approx(0.04)


def test_the_correction_is_never_more_than_half_a_percent() -> None:
    drift = DriftControl(0.04)
    for _ in range(2_000):
        fast = drift.observe(0.5, 0.02)
    for _ in range(2_000):
        slow = drift.observe(0.0, 0.02)
    assert fast == 1.005
    assert slow == pytest.approx(0.996)
