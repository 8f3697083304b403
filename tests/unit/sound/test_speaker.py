"""A speaker whose clock differs from the call's, in simulated time; the mix of sources."""

import numpy as np
import pytest
from sound_card import Card, Clock, pitch_hz

from plivo_nb.media.audio.sources import Tone
from plivo_nb.sound.speaker import OutputRoute, Speaker
from plivo_nb.testing import FakeSound
from plivo_nb.testing.sound import FakeStream

TEN_MINUTES_S = 600.0


@pytest.mark.parametrize("ppm", [-400, 400])
def test_a_speaker_of_another_clock_does_not_drift_in_ten_minutes(ppm: int) -> None:
    sound, clock = FakeSound(running=False), Clock()
    route = OutputRoute(lambda: None)
    speaker = Speaker(route, clock)
    speaker.open(48_000)
    speaker.start()
    card = Card(route, sound, ppm, clock)
    tone = Tone(440, -20)
    tone.open(48_000)
    waits = []
    for tick in range(round(TEN_MINUTES_S * 50)):
        speaker.write(tone.read(960))
        card.run(1000 + tick * 0.02)
        if tick % 50 == 0:
            waits.append(speaker.waiting_s)
    assert speaker.dropped == 0
    assert speaker.underruns <= 1
    assert np.ptp(waits[60:]) < 0.025
    assert (speaker.speed - 1) * 1e6 == pytest.approx(-ppm, abs=120)
    heard = sound.heard()[-2 * 48_000 :]
    assert pitch_hz(heard, 48_000) == pytest.approx(440, abs=0.6)


def test_a_speaker_is_silent_until_it_is_audible() -> None:
    sound, clock = FakeSound(running=False), Clock()
    route = OutputRoute(lambda: None)
    speaker = Speaker(route, clock)
    speaker.open(8_000)
    speaker.audible = False
    speaker.start()
    card = Card(route, sound, 0, clock)
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


def test_a_direct_speaker_is_mixed_in_its_callback_at_the_rate_that_it_has_then() -> None:
    sound, clock = FakeSound(running=False), Clock()
    route = OutputRoute(lambda: None)
    speaker = Speaker(route, clock)
    speaker.open(48_000)
    speaker.start()
    stream = Card(route, sound, 0, clock).stream
    assert isinstance(stream, FakeStream)
    route.stream = stream
    stream.direct = stream.punctual = True
    tone, heard = Tone(440, -20), []
    tone.open(48_000)
    for tick in range(150):
        clock.now = 1000 + tick * 0.02
        stream.rate = 48_000 if tick < 75 else 24_000  # the way to the page has changed
        speaker.write(tone.read(960))
        out = np.zeros(stream.rate // 50, np.int16)
        stream.work(out)
        heard.append(out)
    assert speaker.waiting_s < 0.02
    assert speaker.underruns == 0
    assert pitch_hz(np.concatenate(heard[25:75]), 48_000) == pytest.approx(440, abs=1.0)
    assert pitch_hz(np.concatenate(heard[100:]), 24_000) == pytest.approx(440, abs=1.0)
    route.close()


def test_sources_are_added_up_at_the_volume_of_the_route() -> None:
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
    route = OutputRoute(lambda: None)
    route.volume = 0.5
    quiet, loud, late = Level(1_000), Level(30_000), Level(8_000)
    route.start(quiet)
    route.start(loud)
    route.start(quiet)
    card = Card(route, sound, 0, clock)
    card.run(1000 + 0.2)
    assert set(sound.heard()[-960:].tolist()) == {15_500}
    route.volume = 4.0
    card.run(1000 + 0.4)
    assert set(sound.heard()[-960:].tolist()) == {32_767}, "clipped, not wrapped"
    route.volume = 1.0
    route.start(late)
    assert late.rates == [48_000], "who joins later is opened too"
    loud.ended = True
    card.run(1000 + 0.6)
    assert loud.closed == 1
    assert set(sound.heard()[-960:].tolist()) == {9_000}
    route.stop(quiet)
    route.stop(quiet)
    route.stop(late)
    assert (quiet.closed, route.wanted) == (1, False)
