"""RTP packets, and the counters of senders and receivers (RFC 3550 section 5.1, appendices A.1, A.3, A.8)."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from plivo_nb.audio_types import FRAMES_PER_S
from plivo_nb.quality.counters import LOSS_RUN_LENGTHS

_HEADER = struct.Struct("!BBHII")
_CLOCK_STEP_S = 0.2  # a change of the transit time by more, with an RTP time that leaps, is the clock's
_LONGEST_FRAME_S = 0.12
_UNSETTLED = 32  # of so many of the newest packets, one that is missing may still come
_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_SEEN_BITS = 256  # how many packets back duplicates are distinguished from late packets
_SEEN_MASK = (1 << _SEEN_BITS) - 1
_OLDEST_UNSETTLED = 1 << (_UNSETTLED - 1)  # of the bits of packets that were received


class RtpPacket(NamedTuple):
    """One RTP packet (RFC 3550 section 5.1). Header extensions are kept as bytes; padding is dropped."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    header_size: int = 12

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Parse a packet.

        Raises:
            ValueError: it is not an RTP packet, or is truncated.
        """
        if len(data) < 12:
            raise ValueError("shorter than an RTP header")
        first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
        if first >> 6 != 2:
            raise ValueError("not RTP version 2")
        if first == 0x80:  # the usual packet: no padding, extension or contributing sources
            return cls(second & 0x7F, sequence_number, timestamp, ssrc, data[12:], second > 127)
        position = 12 + 4 * (first & 0x0F)
        if len(data) < position:
            raise ValueError("cut off in the list of contributing sources")
        csrcs = struct.unpack_from(f"!{first & 0x0F}I", data, 12)
        extension = None
        if first & 0x10:
            if len(data) < position + 4:
                raise ValueError("cut off in the header extension")
            profile, words = struct.unpack_from("!HH", data, position)
            position += 4
            if len(data) < position + 4 * words:
                raise ValueError("cut off in the header extension")
            extension = (profile, data[position : position + 4 * words])
            position += 4 * words
        end = len(data)
        if first & 0x20:
            padding = data[-1]
            if not 0 < padding <= end - position:
                raise ValueError("impossible padding")
            end -= padding
        payload = data[position:end]
        marker = second > 127
        return cls(
            second & 0x7F, sequence_number, timestamp, ssrc, payload, marker, csrcs, extension, position
        )

    def serialize(self) -> bytes:
        """Return the packet's bytes. Raises struct.error where a field is out of its range."""
        first = 0x80 | len(self.csrcs) | (0x10 if self.extension is not None else 0)
        second = self.payload_type | (0x80 if self.marker else 0)
        header = _HEADER.pack(first, second, self.sequence_number, self.timestamp, self.ssrc)
        if self.csrcs:
            header += struct.pack(f"!{len(self.csrcs)}I", *self.csrcs)
        if self.extension is not None:
            profile, content = self.extension
            content += bytes(-len(content) % 4)
            header += struct.pack("!HH", profile, len(content) // 4) + content
        return header + self.payload


class RtpSender:
    """Numbers the packets of one stream and counts them.

    Args:
        ssrc: synchronisation source, 32 bits.
        sequence_number: the first one; random, as RFC 3550 section 5.1 recommends.
        timestamp: RTP time of the first sample; random too.
    """

    def __init__(self, ssrc: int, sequence_number: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self.sequence_number = self.first_sequence_number = sequence_number & 0xFFFF
        self.timestamp = timestamp & 0xFFFFFFFF
        self.packets = 0
        self.bytes = 0
        self.header_bytes = 0

    def send(
        self, payload_type: int, payload: bytes, marker: bool = False, timestamp: int | None = None
    ) -> bytes:
        """Build the next packet.

        Args:
            payload_type: 0..127.
            payload: the codec's bytes.
            marker: first packet after a pause in sending (RFC 3551 section 4.1).
            timestamp: RTP time, if not the present one (RFC 4733: an event keeps its first).
        """
        time = self.timestamp if timestamp is None else timestamp & 0xFFFFFFFF
        second = payload_type | 0x80 if marker else payload_type
        header = _HEADER.pack(0x80, second, self.sequence_number, time, self.ssrc)
        self.sequence_number = (self.sequence_number + 1) & 0xFFFF
        self.packets += 1
        self.bytes += len(payload)
        self.header_bytes += 12
        return header + payload

    def advance(self, samples: int) -> None:
        """Advance RTP time by that many clock units."""
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF


def _loss_runs_of(packets: int) -> str:
    """The counter of loss runs of this length."""
    return next(name for name, (least, most) in LOSS_RUN_LENGTHS.items() if least <= packets <= most)


class Placed(NamedTuple):
    """The extended sequence number and RTP time of a received packet, without wrap-around."""

    sequence: int
    timestamp: int
    duplicate: bool = False
    restarted: bool = False


class RtpReceiver:
    """Counts the packets received from one source.

    There is no probation (RFC 3550 A.1): packets are authenticated by SRTP, and the first contains speech.

    Args:
        ssrc: the source.
        clock_rate: RTP clock in Hz.
    """

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.received = 0
        self.duplicates = 0
        self.reordered = 0
        self._started = False
        self._base = self._max = 0  # extended sequence numbers
        self._bad = -1
        self._seen = 0  # bit i: packet max - i was received
        self._loss_runs: dict[str, Any] = dict.fromkeys(LOSS_RUN_LENGTHS, 0)
        self._run = 0  # settled packets that are lost, without one that arrived after them
        self._expected_before = 0  # of the sequence spaces before a restart of the source
        self._timestamp: int | None = None
        self._transit: float | None = None
        self._measured: tuple[int, int] = (0, 0)  # sequence number and RTP time of the packet of `_transit`
        self._frame = clock_rate // FRAMES_PER_S  # RTP time from one packet to the next
        self._jitter = 0.0
        self._expected_prior = self._received_prior = 0

    @property
    def expected(self) -> int:
        """Number of packets that the source has sent, by its sequence numbers."""
        return self._expected_before + (self._max - self._base + 1 if self._started else 0)

    @property
    def lost(self) -> int:
        """Cumulative number of packets lost (A.3); duplicates can make it negative."""
        return self.expected - self.received

    @property
    def highest_sequence(self) -> int:
        """Extended highest sequence number received, modulo 2^32."""
        return self._max & 0xFFFFFFFF

    @property
    def jitter(self) -> float:
        """Interarrival jitter in clock units (A.8)."""
        return self._jitter

    @property
    def jitter_s(self) -> float:
        """Interarrival jitter in seconds."""
        return self._jitter / self.clock_rate

    def unsettled(self) -> tuple[int, int]:
        """How many of the newest packets are unsettled, and how many of these are missing."""
        count = min(_UNSETTLED, self._max - self._base + 1) if self._started else 0
        return count, count - (self._seen & ((1 << count) - 1)).bit_count()

    def counts(self) -> dict[str, float]:
        """The counts of this source, by the names of `Counters`."""
        return {
            "packets_received": self.received,
            "packets_expected": self.expected,
            "packets_lost": self.lost,
            "packets_reordered": self.reordered,
            "packets_duplicated": self.duplicates,
            **self._loss_runs,
        }

    def receive(
        self, sequence_number: int, timestamp: int, arrival_s: float, timed: bool = True
    ) -> Placed | None:
        """Count a packet and return its place.

        Args:
            sequence_number: as in the packet, 16 bits.
            timestamp: as in the packet, 32 bits.
            arrival_s: monotonic time of arrival.
            timed: False where the arrival says nothing about the network: DTMF repeats its RTP time, and
                what waited while our own loop stood still was not late.

        Returns:
            Its place, or None for one far out of sequence that no second one has confirmed yet.
        """
        restarted = duplicate = False
        if not self._started:
            self._start(sequence_number)
        delta = (sequence_number - self._max) & 0xFFFF
        if delta == 1 and not self._run and self._seen & _OLDEST_UNSETTLED:
            # the usual packet: the next one, and the one that is settled by it was received
            sequence = self._max = self._max + 1
            self._seen = (self._seen << 1 | 1) & _SEEN_MASK
        else:
            if delta < _MAX_DROPOUT:
                sequence = self._max + delta
            elif delta >= 0x10000 - _MAX_MISORDER:
                sequence = self._max + delta - 0x10000
            elif self._restart(sequence_number):
                sequence, restarted = self._max, True
            else:
                return None
            duplicate = self._mark(sequence)
        self.received += 1
        self.duplicates += duplicate
        place = self._timestamp
        if place is None or restarted:
            place = self._begin_time(timestamp)
        else:
            place += ((timestamp - place + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        self._timestamp = place
        if timed and not duplicate:
            self._measure(sequence, place, arrival_s)
        return Placed(sequence, place, duplicate, restarted)

    def _start(self, sequence_number: int, cycles: int = 0) -> None:
        self._started = True
        self._base = self._max = (cycles << 16) + sequence_number
        self._seen = self._run = 0
        self._bad = -1

    def _restart(self, sequence_number: int) -> bool:
        """Start again at a number far out of sequence, if a second packet confirms it (RFC 3550, A.1)."""
        if sequence_number != self._bad:
            self._bad = (sequence_number + 1) & 0xFFFF
            return False
        self._expected_before = self.expected
        self._start(sequence_number, cycles=(self._max >> 16) + 1)
        return True

    def _mark(self, sequence: int) -> bool:
        """Note that a packet was received; return whether it is a duplicate."""
        ahead = sequence - self._max
        if ahead > 0:
            self._settle(sequence)
            self._seen = ((self._seen << ahead) | 1) & _SEEN_MASK
            self._max = sequence
            return False
        bit = 1 << -ahead
        if self._seen & bit:
            return True
        self._seen |= bit
        self.reordered += ahead < 0
        self._base = min(self._base, sequence)
        return False

    def _settle(self, newest: int) -> None:
        """Take the packets that are settled once `newest` is received into the count of loss runs."""
        for sequence in range(max(self._base, self._max - _UNSETTLED + 1), newest - _UNSETTLED + 1):
            if sequence > self._max or not self._seen >> (self._max - sequence) & 1:
                self._run += 1
            elif self._run:
                self._loss_runs[_loss_runs_of(self._run)] += 1
                self._run = 0

    def _begin_time(self, timestamp: int) -> int:
        """Return the extended RTP time of the first packet, or of the first after the source restarted."""
        if self._timestamp is None:
            return timestamp
        # a source that restarts its numbers may restart its clock: continue upwards, the buffer restarts
        self._transit = None
        return (((self._timestamp >> 32) + 1) << 32) + timestamp

    def _measure(self, sequence: int, timestamp: int, arrival_s: float) -> None:
        """Update the jitter; a step of the sender's RTP clock, which is not the network's, is left out."""
        transit = arrival_s * self.clock_rate - timestamp
        if self._transit is not None:
            difference = abs(transit - self._transit)
            last_sequence, last_timestamp = self._measured
            packets, elapsed = sequence - last_sequence, timestamp - last_timestamp
            if packets == 1 and elapsed == self._frame:  # the usual packet: no step
                self._jitter += (difference - self._jitter) / 16
            else:
                leap = abs(elapsed - packets * self._frame)
                if difference <= _CLOCK_STEP_S * self.clock_rate or leap < difference / 2:
                    self._jitter += (difference - self._jitter) / 16
                if packets == 1 and 0 < elapsed <= _LONGEST_FRAME_S * self.clock_rate:
                    self._frame = elapsed
        self._transit = transit
        self._measured = (sequence, timestamp)

    def take_fraction_lost(self) -> float:
        """Return the fraction lost since the last call (A.3), 0..1, for the next report block."""
        expected, received = self.expected, self.received
        interval = expected - self._expected_prior
        lost = interval - (received - self._received_prior)
        self._expected_prior, self._received_prior = expected, received
        return lost / interval if interval > 0 and lost > 0 else 0.0
