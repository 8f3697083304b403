"""Impairment of packets in one direction of a call's media path. No I/O: the time is an argument.

Loss, bursts and duplication apply to RTP and RTCP only, so that a bad network does not prevent call setup.
Delay, jitter, rate and the black hole apply to every packet, STUN and DTLS included, so that the round trips
of ICE and DTLS are as long as those of the media.

Every packet draws four random numbers from the stream of its kind, whatever the settings are. So the n-th RTP
packet of a direction has the same fate in every run with the same seed and the same settings.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from random import Random
from statistics import NormalDist
from typing import Any, Literal

from plivo_nb.lab.network.knobs import KNOBS, JitterShape

Kind = Literal["rtp", "rtcp", "other"]
Fate = Literal["forwarded", "lost", "queue-full", "black-hole", "no-address"]

IP_UDP_OVERHEAD_BYTES = 28
_NORMAL = NormalDist()


def kind_of(data: bytes) -> Kind:
    """Classify a packet by its first bytes (RFC 7983, RFC 5761 section 4); STUN and DTLS are ``other``.

    Example:
        >>> kind_of(bytes([0x80, 0])), kind_of(bytes([0x80, 200])), kind_of(bytes([22]))
        ('rtp', 'rtcp', 'other')
    """
    if len(data) < 2 or not 128 <= data[0] <= 191:
        return "other"
    return "rtcp" if 192 <= data[1] <= 223 else "rtp"


@dataclass(frozen=True, slots=True)
class Impairment:
    """The knobs of one direction: see `KNOBS` for units, ranges and meanings.

    A delay that jitter would make negative is zero.

    Raises:
        ValueError: a value is out of its range; the message names the knob.
    """

    loss: float = KNOBS["loss"].default
    burst_packets: float = KNOBS["burst_packets"].default
    burst_loss: float = KNOBS["burst_loss"].default
    delay_ms: float = KNOBS["delay_ms"].default
    jitter_ms: float = KNOBS["jitter_ms"].default
    jitter_shape: JitterShape = KNOBS["jitter_shape"].default
    reorder: bool = KNOBS["reorder"].default
    duplicate: float = KNOBS["duplicate"].default
    rate_kbps: float | None = KNOBS["rate_kbps"].default
    queue_ms: float = KNOBS["queue_ms"].default
    black_hole: bool = KNOBS["black_hole"].default

    def __post_init__(self) -> None:
        for name, knob in KNOBS.items():
            knob.check(name, getattr(self, name))
        if self.burst_packets > 1 and self.loss > self.burst_loss:
            raise ValueError(f"burst_loss ({self.burst_loss}) must be at least loss ({self.loss}).")

    def to_dict(self) -> dict[str, Any]:
        """The knobs by name."""
        return asdict(self)


@dataclass(slots=True)
class PathCounters:
    """Packets of one direction since the start of its call.

    Seen + duplicated = forwarded + dropped + in transit.
    """

    rtp_seen: int = 0
    rtp_dropped: int = 0
    rtp_forwarded: int = 0
    rtcp_seen: int = 0
    rtcp_dropped: int = 0
    rtcp_forwarded: int = 0
    other_seen: int = 0
    other_dropped: int = 0
    other_forwarded: int = 0
    duplicated: int = 0
    dropped_lost: int = 0
    dropped_queue_full: int = 0
    dropped_black_hole: int = 0
    dropped_no_address: int = 0
    bytes_forwarded: int = 0

    def to_dict(self) -> dict[str, int]:
        """The counters by name."""
        return asdict(self)


class Path:
    """One direction of one call: decides the fate of each packet and counts it.

    Args:
        impairment: the knobs; the attribute may be set at any time.
        seed: any text or number; the same seed gives the same fates.

    Example:
        >>> path = Path(Impairment(delay_ms=100), seed=1)
        >>> path.schedule("rtp", 172, now=5.0)
        ([5.1], 'forwarded')
    """

    def __init__(self, impairment: Impairment, seed: str | int) -> None:
        self.impairment = impairment
        self.counters = PathCounters()
        self.reseed(seed)
        self._last_due = -math.inf
        self._bottleneck_free_at = -math.inf

    def reseed(self, seed: str | int) -> None:
        """Restart the random number streams."""
        self._random: dict[Kind, Random] = {
            "rtp": Random(f"{seed}/rtp"),
            "rtcp": Random(f"{seed}/rtcp"),
            "other": Random(f"{seed}/other"),
        }
        self._in_bad_period = False

    def schedule(self, kind: Kind, size: int, now: float) -> tuple[list[float], Fate]:
        """Decide what happens to a packet of `size` bytes that arrives at `now` (seconds).

        Returns:
            The times at which to forward it (two for a duplicate, none if it is dropped), and its fate.
        """
        counters = self.counters
        setattr(counters, f"{kind}_seen", getattr(counters, f"{kind}_seen") + 1)
        stream = self._random[kind]
        draws = (stream.random(), stream.random(), stream.random(), stream.random())
        media = kind != "other"
        if self.impairment.black_hole:
            return [], self._drop(kind, "black-hole")
        if media and self._is_lost(draws[0], draws[1], advance=kind == "rtp"):
            return [], self._drop(kind, "lost")
        due = now + self._delay_s(draws[2])
        waiting = self._wait_at_bottleneck(size, now)
        if waiting is None:
            return [], self._drop(kind, "queue-full")
        due = max(due + waiting, now)
        if not self.impairment.reorder:
            due = max(due, self._last_due)
        self._last_due = max(self._last_due, due)
        if media and draws[3] < self.impairment.duplicate:
            counters.duplicated += 1
            return [due, due], "forwarded"
        return [due], "forwarded"

    def forwarded(self, kind: Kind, size: int) -> None:
        """Count a packet that was forwarded."""
        counters = self.counters
        setattr(counters, f"{kind}_forwarded", getattr(counters, f"{kind}_forwarded") + 1)
        counters.bytes_forwarded += size

    def undeliverable(self, kind: Kind) -> None:
        """Count a packet that was dropped because the address of the receiver is unknown."""
        self._drop(kind, "no-address")

    def _drop(self, kind: Kind, fate: Fate) -> Fate:
        counters = self.counters
        setattr(counters, f"{kind}_dropped", getattr(counters, f"{kind}_dropped") + 1)
        reason = f"dropped_{fate.replace('-', '_')}"
        setattr(counters, reason, getattr(counters, reason) + 1)
        return fate

    def _is_lost(self, first: float, second: float, *, advance: bool) -> bool:
        """Random loss, or the two-state Gilbert-Elliott model. Only RTP packets change the state."""
        knobs = self.impairment
        if knobs.burst_packets <= 1 or knobs.loss <= 0:
            return first < knobs.loss
        share_bad = knobs.loss / knobs.burst_loss
        if share_bad >= 1:
            return second < knobs.burst_loss
        leave_bad = 1 / knobs.burst_packets
        enter_bad = leave_bad * share_bad / (1 - share_bad)
        if enter_bad > 1:  # this much loss needs longer bad periods than set
            enter_bad, leave_bad = 1.0, (1 - share_bad) / share_bad
        if advance:
            self._in_bad_period = first >= leave_bad if self._in_bad_period else first < enter_bad
        return self._in_bad_period and second < knobs.burst_loss

    def _delay_s(self, draw: float) -> float:
        knobs = self.impairment
        variation = 0.0
        if knobs.jitter_ms and knobs.jitter_shape == "uniform":
            variation = (2 * draw - 1) * knobs.jitter_ms
        elif knobs.jitter_ms:
            variation = _NORMAL.inv_cdf(min(max(draw, 1e-9), 1 - 1e-9)) * knobs.jitter_ms
        return (knobs.delay_ms + variation) / 1000

    def _wait_at_bottleneck(self, size: int, now: float) -> float | None:
        """Seconds until the packet has passed the bottleneck; None if the queue is full."""
        if self.impairment.rate_kbps is None:
            return 0.0
        start = max(now, self._bottleneck_free_at)
        if start - now > self.impairment.queue_ms / 1000:
            return None
        self._bottleneck_free_at = start + (size + IP_UDP_OVERHEAD_BYTES) * 8 / (
            self.impairment.rate_kbps * 1000
        )
        return self._bottleneck_free_at - now
