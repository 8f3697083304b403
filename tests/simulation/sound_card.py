"""A sound card with a clock of its own, in simulated time and one thread."""

import numpy as np

from plivo_nb.sound.microphone import InputRoute
from plivo_nb.sound.speaker import OutputRoute
from plivo_nb.testing import FakeSound


class Clock:
    """Simulated time."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Card:
    """A route whose device and worker take turns here, in one thread, by a clock of their own."""

    def __init__(self, route: InputRoute | OutputRoute, sound: FakeSound, ppm: float, clock: Clock) -> None:
        self.route, self.sound, self.clock = route, sound, clock
        self.stream = route._open(sound, None)
        self.block_s = 0.02 / (1 + ppm / 1e6)
        self.due = clock.now

    def run(self, until: float) -> None:
        while self.due <= until:
            self.clock.now = self.due
            self.due += self.block_s
            self.sound.step()
            self.route._working = True
            self.route._convert(self.sound.rate)
        self.clock.now = until


def pitch_hz(pcm: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    index = int(spectrum.argmax())
    return index * rate / len(pcm)
