"""The jitter buffer: takes packets in any order, and returns what to play next. It has a clock and no codec.

Play-out is at an RTP time. Each step looks up that time; then the time advances, whether or not a packet was
there, so that a lost packet costs its own length only. The play-out delay is the time that a packet of an
undisturbed network waits here, at a punctual tick. It is corrected only when it is below the target
(`delay_estimator`) or more than two frames above it: without jitter, sound is played as it was sent.

    step     condition                                        what play-out does
    IDLE     no packet yet, or not yet time to start          silence; RTP time stops
    PACKET   the packet for this time is there                decode it
    LOST     this packet is missing, a later one is there     conceal; RTP time advances
    GAP      the sender sent no audio here (DTX, DTMF)        comfort noise; RTP time advances
    EMPTY    no packet is there                               conceal; RTP time advances
    WAIT     no packet is there, and the delay is too short   conceal; RTP time stops: the delay grows
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from plivo_nb.audio_types import FRAMES_PER_S
from plivo_nb.media.playout.delay_estimator import DelayEstimator

_ROOM_S = 0.037  # how far the delay may exceed its target
_START_ROOM_S = 0.016  # how far it exceeds the target at the start at least, and a tick more at most
_AIM_S = 0.010  # by how much it exceeds the target after a correction
_GROW_S = 0.005  # smaller shortages are not corrected
_JUMP_S = 0.300  # a larger excess is dropped, not played faster
_DISCONTINUITY_S = 2.0  # RTP time so far ahead of its clock means another clock
_LATE_RUN = 15  # so many late packets in a row with an empty buffer mean another clock
_AGEING = 0.01  # per tick; clocks drift by less
_CAPACITY = 512  # packets


class Step(Enum):
    """What play-out does next; see the table in the module's docstring."""

    IDLE = "idle"
    PACKET = "packet"
    LOST = "lost"
    GAP = "gap"
    EMPTY = "empty"
    WAIT = "wait"


@dataclass(slots=True)
class Entry:
    """A waiting packet: extended sequence number and RTP time, length in samples, monotonic arrival."""

    sequence: int
    timestamp: int
    payload: bytes
    samples: int
    arrival_s: float
    quiet_after: bool = False  # the sender may send nothing after it (an Opus packet of DTX)


class Next(NamedTuple):
    """The result of `JitterBuffer.next`; for LOST, `entry` is the next packet if it has arrived."""

    step: Step
    samples: int
    entry: Entry | None = None


class JitterBuffer:
    """Sorts the packets of one source and plays them out by a clock.

    Args:
        rate: RTP clock rate in Hz.
        minimum_s: shortest target of the play-out delay.
        maximum_s: longest target.
    """

    def __init__(self, rate: int, minimum_s: float, maximum_s: float) -> None:
        self.rate = rate
        self._frame = rate // FRAMES_PER_S
        self._delay = DelayEstimator(minimum_s, maximum_s)
        self.late = 0
        self.dropped = 0  # thrown away by the buffer itself: a jump after a stall, or no room
        self._entries: dict[int, Entry] = {}
        self._next: int | None = None  # RTP time of the next sample for the decoder
        self._last_sequence = 0
        self._silent: set[int] = set()  # sequence numbers that carried no audio
        self._quiet = False
        self._late_run = 0
        self._now = 0.0
        # monotonic time minus RTP time of what is played, in seconds, at ticks that come in time
        self._offset_s = math.inf

    @property
    def target_s(self) -> float:
        """The target of the play-out delay in seconds."""
        return self._delay.target_s

    @property
    def playing(self) -> bool:
        """Whether play-out has started."""
        return self._next is not None

    def __len__(self) -> int:
        return len(self._entries)

    def reset(self) -> None:
        """Drop all packets and the clock, for another source."""
        self.dropped += len(self._entries)
        self._restart()
        self._delay.reset()

    def _restart(self) -> None:
        self._entries.clear()
        self._silent.clear()
        self._next = None
        self._offset_s = math.inf
        self._quiet = False
        self._late_run = 0

    @property
    def delay_s(self) -> float:
        """The present play-out delay in seconds; NaN while nothing is played or measured."""
        if self._next is None or not self._delay.measured:
            return math.nan
        return self._offset_s - self._delay.base_s

    def tick(self, now: float, queued: int = 0) -> None:
        """Start a tick, to which the following calls of `next` and `correction` belong.

        Args:
            now: monotonic seconds.
            queued: decoded samples that wait to be played.
        """
        self._now = now
        if self._next is None:
            return
        offset_s = now - (self._next - queued) / self.rate
        behind_s = offset_s - self._offset_s
        # a late tick looks like a longer delay: the shortest value is kept, and grows slowly
        self._offset_s = offset_s if not 0 < behind_s < _JUMP_S else self._offset_s + behind_s * _AGEING

    def moved(self, samples: int) -> None:
        """Note that the delay grew by so many samples, or shrank if negative."""
        self._offset_s += samples / self.rate

    def insert(self, entry: Entry, timed: bool = True) -> bool:
        """Add a packet. The caller drops duplicates.

        Args:
            entry: the packet.
            timed: whether its arrival time is used to measure the jitter.

        Returns:
            False if it was too late and was dropped.
        """
        transit = entry.arrival_s - entry.timestamp / self.rate
        delay = self._delay
        if transit < delay.base_s - _DISCONTINUITY_S and delay.measured:
            self.reset()
        if timed:
            delay.add(transit)
        if self._next is not None and entry.timestamp + entry.samples <= self._next:
            self.late += 1
            self._late_run += timed
            if self._late_run >= _LATE_RUN and not self._entries:
                self.reset()
            return False
        self._late_run = 0
        if len(self._entries) >= _CAPACITY:
            del self._entries[min(self._entries)]
            self.dropped += 1
        self._entries[entry.timestamp] = entry
        return True

    def skip_sequence(self, sequence: int) -> None:
        """Note that this packet arrived without audio (DTMF, comfort noise), so its time is not lost.

        It may come before play-out has started. One whose time has been played tells nothing about the
        packets after it.
        """
        if self._next is not None and sequence <= self._last_sequence:
            return
        self._silent.add(sequence)
        self._quiet = not self._entries
        if len(self._silent) > _CAPACITY:
            self._silent = {number for number in self._silent if number > sequence - _CAPACITY // 2}

    def next(self) -> Next:
        """Return the next step, and advance the play-out by it."""
        if self._next is None and not self._start():
            return Next(Step.IDLE, self._frame)
        assert self._next is not None
        entry = self._entries.pop(self._next, None)
        if entry is not None:
            return self._play(entry, 0)
        if not self._entries:
            return self._underrun()
        entry = self._entries[min(self._entries)]
        if entry.timestamp < self._next:  # play-out is in the middle of a packet
            del self._entries[entry.timestamp]
            if entry.timestamp + entry.samples <= self._next:
                self.dropped += 1
                return self.next()
            return self._play(entry, self._next - entry.timestamp)
        gap = entry.timestamp - self._next
        lost = self._missing(entry) > 0
        # the lost packet is assumed as long as the next one: redundancy covers whole packets only
        samples = min(gap, max(self._frame, entry.samples) if lost else self._frame)
        self._next += samples
        if not lost:
            return Next(Step.GAP, samples)
        return Next(Step.LOST, samples, entry if samples == gap else None)

    def _start(self) -> bool:
        if not self._entries:
            return False
        first = self._entries[min(self._entries)]
        waited_s = self._now - first.arrival_s
        if waited_s < self.target_s + _START_ROOM_S and len(self._entries) < _CAPACITY // 2:
            return False
        self._next = first.timestamp
        self._offset_s = self._now - first.timestamp / self.rate
        self._last_sequence = first.sequence - 1
        self._silent = {number for number in self._silent if number >= first.sequence}
        return True

    def _play(self, entry: Entry, offset: int) -> Next:
        self._next = entry.timestamp + entry.samples
        if entry.sequence > self._last_sequence:
            self._last_sequence = entry.sequence
        self._quiet = entry.quiet_after
        if self._silent:
            self._quiet |= self._last_sequence + 1 in self._silent
            self._silent = {number for number in self._silent if number > self._last_sequence}
        return Next(Step.PACKET, entry.samples - offset, entry)

    def _missing(self, entry: Entry) -> int:
        """Count the packets that are missing before this one."""
        silent = sum(1 for number in self._silent if number < entry.sequence) if self._silent else 0
        return entry.sequence - self._last_sequence - 1 - silent

    def _underrun(self) -> Next:
        assert self._next is not None
        if self._quiet:
            self._next += self._frame
            return Next(Step.GAP, self._frame)
        if self.target_s - self.delay_s >= _GROW_S:
            self.moved(self._frame)
            return Next(Step.WAIT, self._frame)
        self._next += self._frame
        return Next(Step.EMPTY, self._frame)

    def correction(self) -> int:
        """Return by how many samples the delay should change now: more than 0 to grow, less to shrink.

        An excess of more than 300 ms is removed here, by dropping packets.
        """
        delay = self._delay
        excess = self._offset_s - delay.base_s - delay.target_s
        if -_GROW_S < excess <= _ROOM_S or self._next is None or not delay.measured:
            return 0
        if excess > _JUMP_S:
            cut = int((excess - _AIM_S) * self.rate)
            self._next += cut
            self.moved(-cut)
            for timestamp in [t for t, e in self._entries.items() if t + e.samples <= self._next]:
                self._last_sequence = max(self._last_sequence, self._entries.pop(timestamp).sequence)
                self.dropped += 1
            return 0
        return -int((excess - _AIM_S) * self.rate)
