"""DTMF as RTP telephone-events (RFC 4733): sending with redundancy, receiving without repeats."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from plivo_nb.audio_types import FRAME_S
from plivo_nb.dtmf_table import DTMF_DIGITS

_FRAME_MS = round(1000 * FRAME_S)
_VOLUME = 10  # -dBm0
_ENDS = 3  # end packets, RFC 4733 section 2.5.1.4
_EVENT = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class EventPacket:
    """One telephone-event payload (RFC 4733 section 2.3). `duration` is in RTP clock units."""

    event: int
    end: bool
    volume: int
    duration: int

    @classmethod
    def parse(cls, payload: bytes) -> EventPacket:
        """Parse the first event of a payload. Raises ValueError if it is truncated."""
        if len(payload) < 4:
            raise ValueError("a telephone-event cut off")
        event, flags, duration = _EVENT.unpack_from(payload)
        return cls(event, bool(flags & 0x80), flags & 0x3F, duration)

    def serialize(self) -> bytes:
        """Return the payload."""
        return _EVENT.pack(self.event, (0x80 if self.end else 0) | self.volume, min(self.duration, 0xFFFF))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A telephone-event packet to send: payload, RTP time of the event, marker of the event's first."""

    payload: bytes
    timestamp: int
    marker: bool


class DtmfSender:
    """Queues digits and returns in each tick what to send instead of audio.

    A digit lasts `duration_ms`, in updates of 20 ms; its end is sent three times; `gap_ms` of audio follow.
    """

    def __init__(self) -> None:
        self._queue: deque[tuple[int, int, int]] = deque()  # event, duration and gap in ms
        self._event: tuple[int, int, int] | None = None
        self._timestamp = 0
        self._elapsed_ms = 0
        self._ends = 0

    @property
    def pending(self) -> int:
        """Number of digits not completely sent, including their end packets and the gap after them."""
        return len(self._queue) + (self._event is not None)

    def queue(self, digits: str, duration_ms: int = 100, gap_ms: int = 70) -> None:
        """Append digits.

        Args:
            digits: of ``0123456789*#ABCD``.
            duration_ms: of each, 40 to 6000.
            gap_ms: between two, at least 30.

        Raises:
            ValueError: a character is not a digit, or a length is out of range; nothing is queued.
        """
        events = [DTMF_DIGITS.find(digit) for digit in digits.upper()]
        if not events or -1 in events:
            raise ValueError(f"{digits!r} contains a character that is not a DTMF digit; use {DTMF_DIGITS}")
        if not 40 <= duration_ms <= 6000 or not 30 <= gap_ms <= 6000:
            raise ValueError("a DTMF digit lasts 40 to 6000 ms, the gap after it 30 to 6000 ms")
        self._queue.extend((event, duration_ms, gap_ms) for event in events)

    def abort(self) -> None:
        """Drop all digits, also the one that is being sent: telephone-event is no longer negotiated."""
        self._queue.clear()
        self._event = None

    def tick(self, timestamp: int, rate: int) -> Outgoing | None:
        """Return what this tick sends instead of audio.

        Args:
            timestamp: the RTP time now.
            rate: the telephone-event's clock in Hz.

        Returns:
            The packet, or None: audio goes out.
        """
        if self._event is None:
            if not self._queue:
                return None
            self._event = self._queue.popleft()
            self._timestamp, self._elapsed_ms, self._ends = timestamp, 0, 0
        event, duration_ms, gap_ms = self._event
        self._elapsed_ms += _FRAME_MS
        first = self._elapsed_ms == _FRAME_MS
        if self._elapsed_ms >= duration_ms and self._ends < _ENDS:
            self._ends += 1
            return self._packet(event, True, duration_ms, rate, first)
        if self._elapsed_ms < duration_ms:
            return self._packet(event, False, self._elapsed_ms, rate, first)
        if self._elapsed_ms >= duration_ms + gap_ms:
            self._event = None
        return None

    def _packet(self, event: int, end: bool, elapsed_ms: int, rate: int, marker: bool) -> Outgoing:
        packet = EventPacket(event, end, _VOLUME, elapsed_ms * rate // 1000)
        return Outgoing(packet.serialize(), self._timestamp, marker)


class DtmfReceiver:
    """Converts telephone-event packets, which may be repeated, lost or reordered, to one digit each."""

    def __init__(self) -> None:
        #: The digit that is being received: RTP time, event, longest duration.
        self.unfinished: tuple[int, int, int] | None = None
        self._updated_s = 0.0
        self._done: deque[int] = deque(maxlen=16)  # RTP times of events already returned

    def receive(self, payload: bytes, timestamp: int, rate: int, now: float) -> list[tuple[str, int]]:
        """Process a packet.

        Args:
            payload: of the RTP packet.
            timestamp: of the RTP packet: the event's beginning.
            rate: the telephone-event's clock in Hz.
            now: monotonic seconds.

        Returns:
            The digits that have ended, each with its duration in ms.
        """
        try:
            packet = EventPacket.parse(payload)
        except ValueError:
            return []
        if packet.event >= len(DTMF_DIGITS) or timestamp in self._done:
            return []
        ended: list[tuple[str, int]] = []
        if self.unfinished is not None and self.unfinished[0] != timestamp:
            ended += self._finish(rate)  # the end of the event before was lost
        longest = packet.duration
        if self.unfinished is not None:
            longest = max(longest, self.unfinished[2])
        self.unfinished = (timestamp, packet.event, longest)
        self._updated_s = now
        if packet.end:
            ended += self._finish(rate)
        return ended

    def expire(self, rate: int, now: float, after_s: float = 0.2) -> list[tuple[str, int]]:
        """Return a digit whose end was lost, `after_s` seconds after its last packet."""
        if self.unfinished is None or now - self._updated_s < after_s:
            return []
        return self._finish(rate)

    def _finish(self, rate: int) -> list[tuple[str, int]]:
        if self.unfinished is None:
            return []
        timestamp, event, duration = self.unfinished
        self.unfinished = None
        self._done.append(timestamp)
        return [(DTMF_DIGITS[event], round(duration * 1000 / rate))]
