"""CPU seconds that one endpoint-minute of AudioStream alone costs: no sockets, ICE or SRTP.

    cd tests && python -m bench.media_cost [--seconds 30] [--calls 10]

Both ends of each call run in this process and exchange packets directly; time is simulated, CPU time is real.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from plivo_nb.media.audio.sinks import Null
from plivo_nb.media.audio.sources import Silence, Tone
from plivo_nb.media.codecs import Codec
from plivo_nb.media.rtp.audio_stream import AudioStream


class Noise(Silence):
    """A second of noise, over and over: as costly to encode as speech, and free to read."""

    def open(self, rate: int) -> None:
        generator = np.random.default_rng(1)
        self.frames = (generator.standard_normal((50, rate // 50)) * 3000).astype(np.int16)
        self.at = 0

    def read(self, samples: int) -> np.ndarray:
        self.at = (self.at + 1) % 50
        return self.frames[self.at]


def cost(codec: Codec, calls: int, seconds: float, source: type[Noise] | None = Noise) -> float:
    """Return CPU seconds per endpoint-minute."""
    streams = [AudioStream() for _ in range(2 * calls)]
    for stream in streams:
        stream.source = source() if source else Tone(440)
        stream.sink = Null()
        stream.configure(codec, [codec], {})
    others = [streams[i ^ 1] for i in range(len(streams))]
    now = 1000.0
    ticks = round(seconds * 50)
    started = time.process_time()
    for _ in range(ticks):
        now += 0.02
        for stream, other in zip(streams, others, strict=True):
            for packet in stream.tick(now):
                if 192 <= packet[1] <= 223:
                    other.receive_rtcp(packet, now)
                else:
                    other.receive_rtp(packet, now)
    spent = time.process_time() - started
    return spent / (len(streams) * seconds / 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="simulated length of each run")
    parser.add_argument("--calls", type=int, default=10, help="calls in the second run of each codec")
    options = parser.parse_args()
    for codec in (Codec("OPUS", 111, 48_000), Codec("PCMU", 0, 8_000)):
        for calls in (1, options.calls):
            seconds = cost(codec, calls, options.seconds)
            tick_us = seconds / 3000 * 1e6
            figures = f"{seconds:.3f} CPU s an endpoint-minute, {tick_us:.0f} us a tick"
            sys.stdout.write(f"{codec.name} {calls:3d} calls: {figures}\n")


if __name__ == "__main__":
    main()
