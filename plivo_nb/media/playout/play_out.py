"""Play-out: 20 ms per tick from the jitter buffer through the decoder, with gaps concealed."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAMES_PER_S, Pcm
from plivo_nb.media.codecs import Codec, Decoder, make_decoder, opus_has_fec
from plivo_nb.media.playout.concealment import Concealer
from plivo_nb.media.playout.jitter_buffer import Entry, JitterBuffer, Step
from plivo_nb.media.playout.packet_fates import PacketFates
from plivo_nb.media.playout.time_stretch import lengthen, shorten

if TYPE_CHECKING:
    from plivo_nb.media.playout.packet_fates import PacketFate
    from plivo_nb.media.rtp.rtp import Placed

_FORCE_S = 0.060  # a larger excess of delay is cut even where the cut may be audible
DTX_BYTES = 2  # Opus packets of so few bytes start a pause (DTX; RFC 6716 section 2.1.9)


class PlayOut:
    """Plays out a received stream of one codec.

    The counters are cumulative, in samples at the codec's rate.

    Args:
        codec: the codec received.
        minimum_s: shortest target of the play-out delay.
        maximum_s: longest target.
        fates: where packets are noted that are not simply played; by default nowhere.
    """

    def __init__(
        self, codec: Codec, minimum_s: float, maximum_s: float, fates: PacketFates | None = None
    ) -> None:
        self.codec = codec
        self.rate = codec.clock_rate
        self.frame = codec.clock_rate // FRAMES_PER_S
        self.buffer = JitterBuffer(codec.clock_rate, minimum_s, maximum_s)
        self._fates = fates or PacketFates()
        self._opus = codec.name == "OPUS"
        self._decoder: Decoder = make_decoder(codec)
        self._redundant = self._opus and self._decoder.conceals  # in-band FEC can be used
        self._concealer = Concealer(self._decoder, codec.clock_rate)
        self._rest: Pcm = np.zeros(0, np.int16)  # decoded samples that wait for the next tick
        self._queued = 0  # their number
        self.concealing = False  # the last frame contained sound that is made up
        self.silent = False  # the last frame contained comfort noise
        self.payload: bytes | None = None  # of the packet that is the last frame, whole and unchanged
        self.malformed = 0
        self.total = 0
        self.concealed = 0
        self.silent_concealed = 0
        self.concealment_events = 0
        self.inserted = 0
        self.removed = 0
        self.fec_received = 0
        self.recovered = 0
        self.delay_s = math.nan  # smoothed waiting time of packets
        self.delay_sum_s = 0.0
        self.target_sum_s = 0.0
        self.emitted = 0

    @property
    def queued(self) -> int:
        """Decoded samples that wait for the next tick."""
        return self._queued

    def counts(self) -> dict[str, float]:
        """The counts of this play-out, by the names of `Counters`."""
        return {
            "packets_late": self.buffer.late,
            "packets_discarded": self.buffer.late + self.buffer.dropped,
            "packets_recovered": self.recovered,
            "fec_packets_received": self.fec_received,
            "total_samples": self.total,
            "concealed_samples": self.concealed,
            "silent_concealed_samples": self.silent_concealed,
            "concealment_events": self.concealment_events,
            "inserted_samples": self.inserted,
            "removed_samples": self.removed,
            "jitter_buffer_delay_s": self.delay_sum_s,
            "jitter_buffer_target_delay_s": self.target_sum_s,
            "jitter_buffer_emitted_samples": self.emitted,
        }

    def insert(self, payload: bytes, place: Placed, arrival_s: float, timed: bool) -> bool:
        """Add a packet's payload. Return False if it is late or malformed."""
        try:
            samples = self._decoder.samples(payload)
        except ValueError:
            self.malformed += 1
            self.buffer.skip_sequence(place.sequence)
            return False
        quiet = False
        if self._opus:
            self.fec_received += opus_has_fec(payload)
            quiet = len(payload) <= DTX_BYTES
        entry = Entry(place.sequence, place.timestamp, payload, samples, arrival_s, quiet)
        if self.buffer.insert(entry, timed):
            return True
        self._fates.add(arrival_s, "late")
        return False

    def restart(self) -> None:
        """Drop the waiting packets and reset the decoder, for another source."""
        self.buffer.reset()
        self._decoder = make_decoder(self.codec)
        floor = self._concealer.floor
        self._concealer = Concealer(self._decoder, self.rate)
        self._concealer.floor = floor

    def learn(self, levels: list[float]) -> None:
        """Update the comfort noise's level with the RMS of frames that were received and played, 0..1."""
        self._concealer.learn(levels)

    def pull(self, now: float) -> Pcm:
        """Return the frame to play in this tick; always 20 ms."""
        self.buffer.tick(now, self._queued)
        self.payload = None
        if not self._queued:
            pcm = self._step(now)
            if len(pcm) == self.frame:  # the packet is a frame, until the play-out delay was corrected
                return pcm
            self._rest, self._queued = pcm, len(pcm)
        parts, frame = [self._rest], self.frame
        while self._queued < frame:
            pcm = self._step(now)
            parts.append(pcm)
            self._queued += len(pcm)
        self.payload = None
        joined = np.concatenate(parts)
        self._rest = joined[frame:]
        self._queued -= frame
        return joined[:frame]

    def _step(self, now: float) -> Pcm:
        buffer = self.buffer
        correction = buffer.correction()
        kind, samples, entry = buffer.next()
        if kind is Step.PACKET and entry is not None:
            return self._decode(entry, samples, now, correction)
        if kind is Step.IDLE:
            self.silent = True
            return np.zeros(samples, np.int16) if not self.total else self._concealer.comfort(samples)
        self.total += samples
        if kind is Step.GAP:
            self.silent = True
            self.concealing = True  # the comfort noise must not set the background's level
            return self._concealer.comfort(samples)
        return self._conceal(now, samples, entry, "missing" if kind is Step.LOST else "concealed")

    def _decode(self, entry: Entry, samples: int, now: float, correction: int) -> Pcm:
        try:
            pcm = self._decoder.decode(entry.payload)
        except ValueError:
            self.malformed += 1
            self.total += samples
            return self._conceal(now, samples, None, "concealed")
        length = len(pcm)
        whole = length <= samples
        if not whole:
            pcm, length = pcm[-samples:], samples
        self.total += length
        self.emitted += length
        wait_s = now - entry.arrival_s + self._queued / self.rate
        self.delay_sum_s += length * wait_s
        self.delay_s = wait_s if math.isnan(self.delay_s) else self.delay_s + (wait_s - self.delay_s) / 16
        self.target_sum_s += length * self.buffer.target_s
        self.concealing = self.silent = False
        pcm = self._concealer.good(pcm)
        if correction:
            return self._correct(pcm, correction)
        self.payload = entry.payload if whole else None
        return pcm

    def _conceal(self, now: float, samples: int, following: Entry | None, fate: PacketFate) -> Pcm:
        """Replace a lost packet: by the redundancy in the packet after it, or by sound that is made up."""
        if following is not None and self._redundant and opus_has_fec(following.payload):
            with contextlib.suppress(ValueError):
                pcm, self.silent = self._concealer.lost(samples, following.payload)
                self.recovered += 1
                self._fates.add(now, "recovered")
                return pcm
        self._fates.add(now, fate)
        if not self.concealing:
            self.concealing = True
            self.concealment_events += 1
        try:
            pcm, silent = self._concealer.lost(samples, None)
        except ValueError:
            pcm, silent = np.zeros(samples, np.int16), True
        self.concealed += samples
        self.silent = silent
        if silent:
            self.silent_concealed += samples
        return pcm

    def _correct(self, pcm: Pcm, correction: int) -> Pcm:
        """Change the delay by lengthening or shortening this packet."""
        if correction > 0:
            longer = lengthen(pcm, self.rate, correction)
            self.inserted += len(longer) - len(pcm)
            self.buffer.moved(len(longer) - len(pcm))
            return longer
        shorter = shorten(pcm, self.rate, -correction, force=-correction > _FORCE_S * self.rate)
        self.removed += len(pcm) - len(shorter)
        self.buffer.moved(len(shorter) - len(pcm))
        return shorter
