"""One direction of a call in simulated time, and a player of one or two voices, for the notebooks.

Encoder, jitter buffer, FEC and concealment are the package's own, the same as in a real call; clock and
network are simulated, and the network is told what to do with each packet. So a minute of speech takes a
second, and the same seed gives the same packets.
"""

from __future__ import annotations

import base64
import heapq
import html
import io
import random
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pandas as pd
from IPython.display import HTML

import plivo_nb
from plivo_nb.analysis import compare
from plivo_nb.analysis.clip import CallClip
from plivo_nb.codec_table import CODECS, CodecName
from plivo_nb.media.codecs import Codec
from plivo_nb.media.rtp.audio_stream import AudioStream
from plivo_nb.media.rtp.rtp import RtpPacket
from plivo_nb.quality.frames import build_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from plivo_nb.media.playout.packet_fates import PacketFate

    Pcm = npt.NDArray[np.int16]

FRAME_MS = 20
PLAYER_BYTES = 36_000  # of a player, so that a notebook with ten of them stays smaller than 1 MB
BEGAN = pd.Timestamp("2026-01-01", tz="UTC")
_REPORTS_MS = 20  # one way, of the reports from the receiver to the sender


@dataclass(frozen=True, repr=False)
class Received:
    """What arrived at the other end; a cell shows its waveform, the marked packets and a player.

    Attributes:
        clip: the sound as it is played.
        packets: a row for each packet sent: its sequence number and timestamp, bytes, when it was sent and
            when it arrived (ms from the start; NaN: lost).
        first_packet: the bytes of the first one.
        playout_delay_ms: for each second how long the jitter buffer kept sound before it was played, in ms.
        concealed: share of the sound that was made up, 0..1.
    """

    clip: CallClip
    packets: pd.DataFrame
    first_packet: bytes
    playout_delay_ms: list[float]
    concealed: float

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.clip.figure()._repr_png_()).decode()
        words = (
            self.clip.describe().partition(" received ")[0] + "; " + self.clip.describe().partition("; ")[2]
        )
        player = self.clip.player_html(PLAYER_BYTES)
        shown = f"<img alt='Waveform: {words}' src='data:image/png;base64,{picture}'>"
        return f"<div>{shown}<br>{player} {words}</div>"

    def __repr__(self) -> str:
        return repr(self.clip)

    def fates(self) -> dict[str, int]:
        """How many packets were missing, late, recovered and concealed."""
        return self.clip.fate_counts()


def speech(seconds: float, codec: CodecName = "OPUS") -> Pcm:
    """The spoken sample of the package, repeated if need be, at the rate of the codec."""
    rate = CODECS[codec].clock_rate_hz
    whole = np.round(compare.load(plivo_nb.speech_path(), rate) * 32767).astype(np.int16)
    return np.resize(whole, round(seconds * rate))


def player(words: str, rate: int, left: npt.ArrayLike, right: npt.ArrayLike | None = None) -> HTML:
    """A player and its words: one voice for both ears, or two voices, one for each.

    Args:
        words: what is heard.
        rate: sample rate in Hz, one that Opus has.
        left: samples between -1 and 1; what is beyond is clipped.
        right: samples of the other voice, as many. None: both ears hear `left`.
    """
    voices = np.atleast_2d(left) if right is None else np.stack([np.asarray(left), np.asarray(right)])
    pcm = np.round(np.clip(voices, -1, 1) * 32767).astype(np.int16)
    layout = "mono" if len(pcm) == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate, layout=layout)
        stream.bit_rate = 24_000 * len(pcm)
        whole = np.ascontiguousarray(pcm.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = base64.b64encode(file.getvalue()).decode()
    said = html.escape(words, quote=True)
    return HTML(f"<audio controls aria-label='{said}' src='data:audio/ogg;base64,{data}'></audio> {said}")


def no_loss(seconds: float) -> list[bool]:
    """All packets arrive."""
    return [False] * round(seconds * 1000 / FRAME_MS)


def single_losses(seconds: float, loss: float, seed: int) -> list[bool]:
    """Each packet is lost with the probability `loss`, whatever becomes of the others."""
    decide = random.Random(seed)
    return [decide.random() < loss for _ in no_loss(seconds)]


def bursts(seconds: float, loss: float, mean: float, seed: int) -> list[bool]:
    """Losses in bursts of `mean` packets on average, by Gilbert's model; `loss`: share of all."""
    decide = random.Random(seed)
    lost: list[bool] = []
    bad = False
    for _ in no_loss(seconds):
        bad = decide.random() >= 1 / mean if bad else decide.random() < loss / (mean * (1 - loss))
        lost.append(bad)
    return lost


def jitter(seconds: float, delay_ms: float, most_ms: float, seed: int) -> list[float]:
    """One-way delays in ms: uniform between `delay_ms` and `delay_ms` + `most_ms`."""
    decide = random.Random(seed)
    return [delay_ms + most_ms * decide.random() for _ in no_loss(seconds)]


def send(
    said: Pcm,
    codec: CodecName = "OPUS",
    *,
    lost: Sequence[bool] = (),
    delays_ms: Sequence[float] = (),
    fec: bool = True,
    jitter_min_ms: float = 20.0,
    jitter_max_ms: float = 200.0,
) -> Received:
    """Send speech through a network and return what is played at the other end.

    Args:
        said: samples at the rate of the codec, mono, int16.
        codec: OPUS, PCMU or PCMA.
        lost: for each packet whether the network loses it; those beyond the end arrive.
        delays_ms: for each packet its one-way delay in ms; 30 where none is given.
        fec: whether Opus packets carry a coarse copy of the packet before (in-band FEC).
        jitter_min_ms: shortest target of the jitter buffer's delay.
        jitter_max_ms: longest target.
    """
    row = CODECS[codec]
    coded = Codec(row.name, row.payload_type, row.clock_rate_hz)
    near, far = (
        AudioStream(
            random=random.Random(seed),
            utc_offset_s=0.0,
            jitter_min_ms=jitter_min_ms,
            jitter_max_ms=jitter_max_ms,
        )
        for seed in (1, 2)
    )
    near.configure(replace(coded, fec=fec), [coded])
    far.configure(coded, [coded])
    near.source, far.sink = _Speech(said), (sink := _Kept())
    totals = [0.0, 0.0]
    network = _Network(lost, delays_ms)
    times: list[pd.Timestamp] = []
    fates: list[tuple[float, PacketFate]] = []
    playout_ms: list[float] = []
    for tick in range(len(said) * 50 // row.clock_rate_hz):
        now = (tick + 1) * FRAME_MS / 1000
        for at_s, packet in network.arrived(now):
            if 192 <= packet[1] <= 223:
                far.receive_rtcp(packet, at_s)
            else:
                far.receive_rtp(packet, at_s)
        times.append(BEGAN + pd.Timedelta(seconds=now))
        reports = far.tick(now)
        network.send(near.tick(now), now)
        for report in (one for one in reports if 192 <= one[1] <= 223):
            near.receive_rtcp(report, now + _REPORTS_MS / 1000)
        fates += far.take_fates()
        if (tick + 1) % 50 == 0:
            playout_ms.append(_delay_ms(far, now, totals))
    counters = far.counters()
    frame = build_frame(
        "packet_fates",
        [BEGAN.value + round(at_s * 1e9) for at_s, _ in fates],
        {"call_uuid": [None] * len(fates), "fate": [fate for _, fate in fates]},
    )
    clip = CallClip.of_frames(row.clock_rate_hz, np.concatenate(sink.frames), times, frame)
    return Received(
        clip,
        network.frame(),
        network.first_packet,
        playout_ms,
        float(counters.concealed_samples / counters.total_samples),
    )


def _delay_ms(stream: AudioStream, now: float, totals: list[float]) -> float:
    """The mean time in the jitter buffer since the last reading (webrtc-stats: two totals)."""
    inbound = stream.stats(now)["inbound-rtp"]
    before, totals[:] = tuple(totals), (inbound["jitterBufferDelay"], inbound["jitterBufferEmittedCount"])
    return 1000 * (totals[0] - before[0]) / (totals[1] - before[1]) if totals[1] > before[1] else float("nan")


class _Speech:
    """A source of given samples."""

    def __init__(self, pcm: Pcm) -> None:
        self._pcm, self._at = pcm, 0

    def open(self, rate: int) -> None:
        pass

    def read(self, samples: int) -> Pcm:
        self._at += samples
        return self._pcm[self._at - samples : self._at]

    def close(self) -> None:
        pass


class _Kept:
    """A sink that keeps all frames."""

    def __init__(self) -> None:
        self.frames: list[Pcm] = []

    def open(self, rate: int) -> None:
        pass

    def write(self, frame: Pcm) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        pass


class _Network:
    """Loses and delays RTP packets as it is told; RTCP always arrives, after 30 ms."""

    def __init__(self, lost: Sequence[bool], delays_ms: Sequence[float]) -> None:
        self._lost, self._delays_ms = lost, delays_ms
        self._flying: list[tuple[float, int, bytes]] = []
        self._rows: list[tuple[int, int, int, float, float]] = []
        self.first_packet = b""
        self._sent = 0

    def send(self, packets: Sequence[bytes], now: float) -> None:
        for packet in packets:
            self._sent += 1
            delay_ms = 30.0
            if not 192 <= packet[1] <= 223:
                number = len(self._rows)
                delay_ms = self._delays_ms[number] if number < len(self._delays_ms) else 30.0
                if number < len(self._lost) and self._lost[number]:
                    delay_ms = float("nan")
                self.first_packet = self.first_packet or packet
                rtp = RtpPacket.parse(packet)
                sent_ms = 1000 * now
                self._rows.append(
                    (rtp.sequence_number, rtp.timestamp, len(packet), sent_ms, sent_ms + delay_ms)
                )
            if delay_ms == delay_ms:
                heapq.heappush(self._flying, (now + delay_ms / 1000, self._sent, packet))

    def arrived(self, now: float) -> list[tuple[float, bytes]]:
        arrived = []
        while self._flying and self._flying[0][0] <= now:
            at_s, _, packet = heapq.heappop(self._flying)
            arrived.append((at_s, packet))
        return arrived

    def frame(self) -> pd.DataFrame:
        names = ["sequence_number", "timestamp", "bytes", "sent_ms", "arrived_ms"]
        return pd.DataFrame(self._rows, columns=names).rename_axis("packet")
