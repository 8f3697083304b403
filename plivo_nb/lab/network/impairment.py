"""What one direction of a call's media path does to packets. Pure: time and randomness come from the caller.

Loss, bursts and duplication touch RTP and RTCP only, so that a bad network is heard and measured but does not
keep a call from being set up. Delay, jitter, rate and the black hole touch every packet, STUN and DTLS
included, so that the round trips of ICE and DTLS are as long as those of the media.

Every packet draws the same four random numbers whatever is set, from a stream of its own kind. So the n-th
RTP packet of a direction has the same fate in every run with the same seed and the same settings.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from random import Random
from statistics import NormalDist
from typing import Any, Literal

Kind = Literal["rtp", "rtcp", "other"]
Fate = Literal["forwarded", "lost", "queue-full", "black-hole", "no-address"]

IP_UDP_OVERHEAD_BYTES = 28
_NORMAL = NormalDist()
_MAX_DELAY_MS = 60_000.0


def kind_of(data: bytes) -> Kind:
    """Tell RTP from RTCP from the rest (STUN, DTLS) by the first bytes: RFC 7983, RFC 5761 section 4."""
    if len(data) < 2 or not 128 <= data[0] <= 191:
        return "other"
    return "rtcp" if 192 <= data[1] <= 223 else "rtp"


@dataclass(frozen=True, slots=True)
class Impairment:
    """The knobs of one direction.

    Args:
        loss: fraction of the RTP and RTCP packets that is dropped, 0..1.
        burst_packets: mean length of a bad period in packets; above 1 the loss comes in bursts
            (Gilbert-Elliott).
        burst_loss: fraction dropped within a bad period, 0..1; at least `loss`.
        delay_ms: added one-way delay.
        jitter_ms: half width (uniform) or standard deviation (normal) of the delay's variation. What would be
            less than no delay is no delay.
        jitter_shape: ``uniform`` or ``normal``.
        reorder: False keeps the order, as one queue does; True lets jitter overtake.
        duplicate: fraction of the RTP and RTCP packets that is sent twice, 0..1.
        rate_kbps: the bottleneck's rate with IP and UDP headers; None: no bottleneck.
        queue_ms: what the bottleneck's queue holds; what does not fit is dropped.
        black_hole: True drops everything, as a dead network does.

    Raises:
        ValueError: a value is out of its range; the sentence names it.
    """

    loss: float = 0.0
    burst_packets: float = 1.0
    burst_loss: float = 1.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    jitter_shape: Literal["uniform", "normal"] = "uniform"
    reorder: bool = True
    duplicate: float = 0.0
    rate_kbps: float | None = None
    queue_ms: float = 500.0
    black_hole: bool = False

    def __post_init__(self) -> None:
        for name in ("loss", "burst_loss", "duplicate"):
            _check_number(name, getattr(self, name), 0.0, 1.0)
        for name in ("delay_ms", "jitter_ms", "queue_ms"):
            _check_number(name, getattr(self, name), 0.0, _MAX_DELAY_MS)
        _check_number("burst_packets", self.burst_packets, 1.0, 1e6)
        if self.rate_kbps is not None:
            _check_number("rate_kbps", self.rate_kbps, 0.1, 1e9)
        if self.burst_packets > 1 and self.loss > self.burst_loss:
            raise ValueError(f"burst_loss ({self.burst_loss}) must be at least loss ({self.loss}).")
        if self.jitter_shape not in ("uniform", "normal"):
            raise ValueError(f"jitter_shape must be 'uniform' or 'normal', not {self.jitter_shape!r}.")
        for name in ("reorder", "black_hole"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, not {getattr(self, name)!r}.")

    def to_dict(self) -> dict[str, Any]:
        """The knobs by name."""
        return asdict(self)


KNOBS: tuple[str, ...] = tuple(field.name for field in fields(Impairment))


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    wrong = isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
    if wrong or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}.")


@dataclass(slots=True)
class PathCounters:
    """What one direction did, in packets, since its call began.

    Seen + duplicated = forwarded + dropped + still under way.
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
        impairment: the knobs to begin with; `impairment` may be set anew at any time.
        seed: any text or number; the same seed gives the same fates.
    """

    def __init__(self, impairment: Impairment, seed: str | int) -> None:
        self.impairment = impairment
        self.counters = PathCounters()
        self.reseed(seed)
        self._last_due = -math.inf
        self._bottleneck_free_at = -math.inf

    def reseed(self, seed: str | int) -> None:
        """Begin the random streams anew."""
        self._random: dict[Kind, Random] = {
            "rtp": Random(f"{seed}/rtp"),
            "rtcp": Random(f"{seed}/rtcp"),
            "other": Random(f"{seed}/other"),
        }
        self._in_bad_period = False

    def schedule(self, kind: Kind, size: int, now: float) -> tuple[list[float], Fate]:
        """Decide what happens to a packet of `size` bytes that arrives at `now` (seconds).

        Returns:
            The times at which it is to be forwarded, none when it is dropped, and its fate.
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
        """Count a packet that has left."""
        counters = self.counters
        setattr(counters, f"{kind}_forwarded", getattr(counters, f"{kind}_forwarded") + 1)
        counters.bytes_forwarded += size

    def undeliverable(self, kind: Kind) -> None:
        """Count a packet for which no address of the other side is known."""
        self._drop(kind, "no-address")

    def _drop(self, kind: Kind, fate: Fate) -> Fate:
        counters = self.counters
        setattr(counters, f"{kind}_dropped", getattr(counters, f"{kind}_dropped") + 1)
        reason = f"dropped_{fate.replace('-', '_')}"
        setattr(counters, reason, getattr(counters, reason) + 1)
        return fate

    def _is_lost(self, first: float, second: float, *, advance: bool) -> bool:
        """Random loss, or the two-state model of Gilbert and Elliott. RTCP sees the state that RTP is in."""
        knobs = self.impairment
        if knobs.burst_packets <= 1 or knobs.loss <= 0:
            return first < knobs.loss
        share_bad = knobs.loss / knobs.burst_loss
        if share_bad >= 1:
            return second < knobs.burst_loss
        leave_bad = 1 / knobs.burst_packets
        enter_bad = leave_bad * share_bad / (1 - share_bad)
        if enter_bad > 1:  # so much loss needs longer bad periods than were asked for
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
        """Seconds until the packet has passed the bottleneck; None when its queue is full."""
        if self.impairment.rate_kbps is None:
            return 0.0
        start = max(now, self._bottleneck_free_at)
        if start - now > self.impairment.queue_ms / 1000:
            return None
        self._bottleneck_free_at = start + (size + IP_UDP_OVERHEAD_BYTES) * 8 / (
            self.impairment.rate_kbps * 1000
        )
        return self._bottleneck_free_at - now
