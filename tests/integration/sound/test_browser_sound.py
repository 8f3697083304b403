"""A call with the sound of a page by messages: its speech goes through the lab's echo robot and back."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from page_world import FakeLink
from waiting import until

from plivo_nb.analysis.compare import RATE_HZ, load, match
from plivo_nb.data import speech_path
from plivo_nb.sound.page_transport import PAGE_RATE

if TYPE_CHECKING:
    from plivo_nb.lab import Lab

MESSAGE = round(0.04 * PAGE_RATE)
SECONDS = 8.0
CORRELATION, SHARE = 0.8, 0.2  # of the windows; alone the machine reaches most of them
ROUND_TRIP_S = 3 * 0.4


class SpeakingPage(FakeLink):
    """A page that speaks in messages of 40 ms and keeps what it is sent.

    Attributes:
        heard: what was sent to it, as int16.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[np.ndarray] = []
        self._speech = (load(speech_path(), PAGE_RATE) * 32767).astype("<i2")

    def send(self, page: str, message: Any, buffers: Any = ()) -> None:
        if message["type"] == "sound":
            self.heard.append(np.frombuffer(buffers[0], "<i2"))
        else:
            super().send(page, message, buffers)

    async def speak(self, seconds: float) -> None:
        """Speak for so long, at the pace of time."""
        began = time.monotonic()
        for number in range(round(seconds / 0.04)):
            start = number * MESSAGE % (len(self._speech) - MESSAGE)
            data = self._speech[start : start + MESSAGE].tobytes()
            self.say("one", {"type": "sound", "transport": "comm", "at": 40.0 * number}, data)
            await asyncio.sleep(max(0.0, began + 0.04 * (number + 1) - time.monotonic()))

    def recognised(self, seconds: float) -> tuple[float, float]:
        """The share of what was heard that is the speech, and its delay in seconds."""
        heard, spoken = (_at_8_khz(sound) for sound in (np.concatenate(self.heard), self._speech))
        found = match(heard, spoken[: round(seconds * RATE_HZ)], window_s=0.25)
        good = found.correlations > CORRELATION
        return float(good.mean()), float(np.median((found.at_s - found.offsets_s)[good]))


def _at_8_khz(sound: np.ndarray) -> np.ndarray:
    ratio = PAGE_RATE // RATE_HZ
    whole = sound[: len(sound) // (2 * ratio) * 2 * ratio] / 32768
    return np.fft.irfft(np.fft.rfft(whole)[: len(whole) // (2 * ratio) + 1]) / ratio


async def test_speech_comes_back_to_the_page(lab: Lab) -> None:
    link = SpeakingPage()
    async with lab.client(sound="browser") as client:
        await client.login("alice", lab.password("alice"))
        client.audio.connect_page(link)
        link.hello()
        call = await client.call("echo")
        await until(lambda: link.of("microphone") and link.of("speaker"))
        link.say("one", {"type": "microphone", "error": ""})
        link.say("one", {"type": "stats", "transport": "comm", "rtt_ms": 30.0, "underruns": 1})
        for _ in range(2):  # a machine with much other work may need another try
            link.heard.clear()
            await link.speak(SECONDS)
            share, delay_s = link.recognised(SECONDS)
            if share > SHARE:
                break
        assert share > SHARE
        assert 0 < delay_s < ROUND_TRIP_S
        assert len(link.heard) * 0.04 > 0.9 * SECONDS
        await until(lambda: client.samples.page_rtt_ms.iloc[-1] == 30.0)
        assert client.samples.page_underruns.sum() >= 0
        assert client.audio.transport == "comm"
        assert call.phase == "answered"
