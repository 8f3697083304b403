"""PESQ (ITU-T P.862) of speech after loss: this package's receiver and aiortc's on the same packets.

    pip install plivo-nb[listen]; cd tests && python -m bench.media_quality

The shipped speech goes through the encoder, a simulated network and each receiver. Time is simulated, so the
figures are the same in every run. aiortc's receiver is its jitter buffer and decoder on a 20 ms clock.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from simulation.media_network import OPUS, PCMU, Given, Pair

from plivo_nb.audio_types import Pcm
from plivo_nb.media.codecs import Codec

SPEECH = Path(__file__).parents[2] / "plivo_nb" / "data" / "speech.opus"


def speech(rate: int) -> Pcm:
    with av.open(str(SPEECH)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        parts = [p.to_ndarray()[0] for frame in container.decode(audio=0) for p in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.int16)


def narrowed(pcm: Pcm, rate: int) -> Pcm:
    """Bring Opus to the 16 kHz of wideband PESQ."""
    if rate == 8000:
        return pcm
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([p.to_ndarray()[0] for p in parts]).astype(np.int16)


def ours(codec: Codec, pcm: Pcm, loss: float, jitter_s: float, seed: int) -> tuple[Pcm, list[bytes | None]]:
    """Return what was heard, and the packets in the order of sending, None where one was lost."""
    pair = Pair(codec, seed=seed)
    pair.ab.loss, pair.ab.jitter_s, pair.ab.delay_s = loss, jitter_s, 0.1
    pair.a.source = Given(pcm)
    packets: list[bytes | None] = []
    send = pair.ab.send

    def kept(data: bytes, now: float) -> None:
        dropped = pair.ab.dropped
        send(data, now)
        if not 192 <= data[1] <= 223:
            packets.append(None if pair.ab.dropped > dropped else data)

    pair.ab.send = kept
    pair.run(len(pcm) / codec.clock_rate + 0.5)
    return pair.heard_b.pcm(), packets


def aiortcs(packets: list[bytes | None]) -> Pcm:
    buffer, decoder = JitterBuffer(capacity=16, prefetch=4), OpusDecoder()
    waiting: list[Pcm] = []
    heard: list[Pcm] = []
    for data in packets:
        if data is not None:
            packet = RtpPacket.parse(data)
            packet._data = packet.payload
            _, encoded = buffer.add(packet)
            if encoded is not None:
                waiting += [f.to_ndarray()[0][::2].astype(np.int16) for f in decoder.decode(encoded)]
        heard.append(waiting.pop(0) if waiting else np.zeros(960, np.int16))
    return np.concatenate(heard + waiting)


def main() -> None:
    try:
        from pesq import pesq
    except ImportError:
        sys.exit(
            "This bench needs one more package, and a C compiler to build it: pip install plivo-nb[listen]"
        )
    for codec in (OPUS, PCMU):
        rate = codec.clock_rate
        pcm = speech(rate)
        reference = narrowed(pcm, rate)
        scale = (8000, "nb") if codec is PCMU else (16_000, "wb")
        for loss, jitter_s in ((0, 0), (0.05, 0), (0.1, 0), (0.2, 0), (0, 0.02), (0, 0.04), (0.05, 0.04)):
            scores, stock = [], []
            for seed in range(3):
                heard, packets = ours(codec, pcm, loss, jitter_s, seed)
                scores.append(pesq(scale[0], reference, narrowed(heard, rate), scale[1]))
                if codec is OPUS and not jitter_s:
                    stock.append(pesq(scale[0], reference, narrowed(aiortcs(packets), rate), scale[1]))
            network = f"loss {loss:4.0%}, jitter +-{jitter_s * 1000:2.0f} ms"
            other = f", aiortc {np.mean(stock):.2f}" if stock else ""
            print(f"{codec.name} {network}: PESQ {np.mean(scores):.2f}{other}")


if __name__ == "__main__":
    main()
