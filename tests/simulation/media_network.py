"""A network of two audio streams in simulated time: seeded loss, delay, jitter and reordering."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from plivo_nb.audio_types import FRAME_S
from plivo_nb.media.codecs import Codec
from plivo_nb.media.rtp.audio_stream import AudioStream
from plivo_nb.media.rtp.rtp import RtpPacket

OPUS = Codec("OPUS", 111, 48_000)
PCMU = Codec("PCMU", 0, 8_000)


class Collector:
    """A sink that keeps all frames."""

    def __init__(self) -> None:
        self.rate = 0
        self.sent: Collector | None = None
        self.frames: list[NDArray[np.int16]] = []

    def open(self, rate: int) -> None:
        self.rate = rate

    def write(self, frame: NDArray[np.int16]) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        pass

    def pcm(self) -> NDArray[np.int16]:
        return np.concatenate(self.frames)


class Given:
    """A source of given samples, then nothing."""

    def __init__(self, pcm: NDArray[np.int16]) -> None:
        self.data = pcm
        self.at = 0

    def open(self, rate: int) -> None:
        pass

    def read(self, samples: int) -> NDArray[np.int16] | None:
        part = self.data[self.at : self.at + samples]
        self.at += samples
        return part if len(part) == samples else None

    def close(self) -> None:
        pass


class Link:
    """One direction of the network."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.loss = 0.0
        self.delay_s = 0.03
        self.jitter_s = 0.0  # uniform, plus and minus
        self.duplicate = 0.0
        self.drop_next = 0
        self.decide: Callable[[], bool] | None = None
        self.dropped = self.forwarded = 0
        self._flying: list[tuple[float, int, bytes]] = []
        self._number = 0

    def send(self, data: bytes, now: float) -> None:
        is_rtcp = 192 <= data[1] <= 223
        if not is_rtcp:
            lost = self.random.random() < self.loss if self.decide is None else self.decide()
            if self.drop_next:
                self.drop_next -= 1
                lost = True
            if lost:
                self.dropped += 1
                return
            self.forwarded += 1
        for _ in range(1 + (self.random.random() < self.duplicate)):
            delay = self.delay_s + self.random.uniform(-self.jitter_s, self.jitter_s)
            self._number += 1
            heapq.heappush(self._flying, (now + max(0.0, delay), self._number, data))

    def arrived(self, now: float) -> list[tuple[float, bytes]]:
        out = []
        while self._flying and self._flying[0][0] <= now:
            at, _, data = heapq.heappop(self._flying)
            out.append((at, data))
        return out


class Pair:
    """Two streams and the network between them, on one simulated clock."""

    def __init__(self, codec: Codec = OPUS, seed: int = 1, **options: float) -> None:
        self.now = 1000.0
        self.a, self.b = (
            AudioStream(random=random.Random(seed + i), utc_offset_s=1.7e9, **options) for i in range(2)
        )
        self.ab, self.ba = Link(seed + 10), Link(seed + 20)
        self.heard_a, self.heard_b = Collector(), Collector()
        self.a.sink, self.b.sink = self.heard_a, self.heard_b
        for stream in (self.a, self.b):
            stream.configure(codec, [codec], {})

    def run(self, seconds: float, each_tick: Callable[[], None] | None = None) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.now += FRAME_S
            if each_tick is not None:
                each_tick()
            # the two ends tick half a frame apart, as two machines do
            for link, to in ((self.ab, self.b), (self.ba, self.a)):
                for at, data in link.arrived(self.now):
                    if 192 <= data[1] <= 223:
                        to.receive_rtcp(data, at)
                    else:
                        to.receive_rtp(data, at)
            for packet in self.a.tick(self.now):
                self.ab.send(packet, self.now)
            for packet in self.b.tick(self.now):
                self.ba.send(packet, self.now)


def speech_like(seconds: float, rate: int, seed: int = 3) -> NDArray[np.int16]:
    """Make voiced syllables with pauses: a gliding pitch with formants, so that codecs take it for speech."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    # the integral of a pitch of 120 Hz that swings by 30 Hz and 10 Hz: the same at every rate
    phase = (
        2 * np.pi * 120 * time
        - 30 / 0.7 * np.cos(2 * np.pi * 0.7 * time)
        - 10 / 2.3 * np.cos(2 * np.pi * 2.3 * time)
    )
    wave = np.zeros_like(time)
    for harmonic in range(1, 22):
        frequency = harmonic * 125
        gain = sum(1 / (1 + ((frequency - centre) / 120) ** 2) for centre in (500, 1500, 2500)) + 0.02
        wave += gain * np.sin(harmonic * phase + generator.uniform(0, 6.28))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time + 0.3 * np.sin(time)), 0, 1) ** 0.5
    pauses = (np.sin(2 * np.pi * 0.4 * time) > -0.6).astype(float)
    wave = wave * syllables * pauses + generator.standard_normal(len(time)) * 0.01
    return (wave / np.abs(wave).max() * 12000).astype(np.int16)


def aligned_correlation(sent: NDArray[np.int16], heard: NDArray[np.int16], step: int = 1) -> float:
    """Return the highest normalised correlation over all shifts."""
    x, y = sent[::step].astype(np.float64), heard[::step].astype(np.float64)
    size = 1 << (len(x) + len(y)).bit_length()
    product = np.fft.irfft(np.conj(np.fft.rfft(x, size)) * np.fft.rfft(y, size), size)
    shift = int(np.argmax(product[: len(y)]))
    part = y[shift : shift + len(x)]
    x = x[: len(part)]
    return float(np.dot(x, part) / np.sqrt(np.dot(x, x) * np.dot(part, part) + 1e-9))


def is_rtcp(packet: bytes) -> bool:
    return 192 <= packet[1] <= 223


def stream(codec: Codec = PCMU, events: dict[int, int] | None = None, seed: int = 1) -> AudioStream:
    made = AudioStream(random=random.Random(seed), utc_offset_s=1.7e9)
    made.configure(codec, [codec], events or {})
    return made


def rtp_of(packets: list[bytes]) -> list[RtpPacket]:
    return [RtpPacket.parse(packet) for packet in packets if not is_rtcp(packet)]


def ticks(one: AudioStream, count: int, start_s: float = 0.0) -> list[RtpPacket]:
    return [p for i in range(count) for p in rtp_of(one.tick(start_s + 0.02 * i))]
