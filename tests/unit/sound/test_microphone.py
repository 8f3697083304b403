"""A microphone whose clock differs from the call's, in simulated time."""

import numpy as np
import pytest
from sound_card import Card, Clock, pitch_hz

from plivo_nb.media.audio.sources import Tone
from plivo_nb.sound.microphone import InputRoute, Microphone
from plivo_nb.testing import FakeSound

TEN_MINUTES_S = 600.0


@pytest.mark.parametrize(("rate", "ppm"), [(48_000, -400), (48_000, 400), (8_000, 0), (8_000, 400)])
def test_a_microphone_of_another_clock_does_not_drift_in_ten_minutes(ppm: int, rate: int) -> None:
    sound, clock = FakeSound(running=False), Clock()
    sound.says(Tone(440, -20))
    route = InputRoute(lambda: None)
    microphone = Microphone(route, clock)
    microphone.open(rate)
    microphone.start()
    card = Card(route, sound, ppm, clock)
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


def test_a_microphone_that_was_not_read_for_long_gives_what_is_new() -> None:
    sound, clock = FakeSound(running=False), Clock()
    route = InputRoute(lambda: None)
    microphone = Microphone(route, clock)
    microphone.open(48_000)
    microphone.start()
    card = Card(route, sound, 0, clock)
    card.run(1000 + 0.3)
    assert microphone.read(960) is not None
    assert microphone.waiting_s < 0.06, "what had piled up before the call began is not played"
    card.run(1000 + 2.0)  # the plane stood still
    assert microphone.waiting_s < 0.25
    assert microphone.dropped > 0


def test_a_microphone_gives_nothing_until_it_is_live_and_nothing_old_then() -> None:
    sound, clock = FakeSound(running=False), Clock()
    sound.says(Tone(440, -20))
    route = InputRoute(lambda: None)
    microphone = Microphone(route, clock)
    microphone.live = False
    microphone.open(48_000)
    microphone.start()
    card = Card(route, sound, 0, clock)
    card.run(1000 + 0.5)
    assert microphone.read(960) is None
    assert microphone.waiting_s == 0
    microphone.live = True
    card.run(1000 + 0.6)
    assert microphone.read(960) is not None
