"""The sampler: from counters that only grow to the numbers of one interval.

The plane takes a `CounterSnapshot` of a session each second and hands it to the session's `Sampler`, which
remembers the one before and gives a `SampleRow`: what happened between the two. Missing is NaN, never 0.

Directions: `in` is what we receive, `out` what we send, as the far end reports it in RTCP receiver reports.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields

from plivo_nb.quality import mos

NAN = math.nan
SILENCE_DBFS = -100.0
#: RTCP reports older than this say nothing about now: jitter_out_ms and loss_out are missing then.
REPORT_VALID_S = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSnapshot:
    """What the plane knows of a session at one moment. What cannot be known is NaN (codec: ``""``).

    Attributes, cumulative since the session began:
        packets_received: RTP packets that arrived, duplicates not counted.
        packets_lost: RFC 3550 A.3, expected minus received; falls when one counted as lost comes late.
        packets_discarded: arrived, but too late (or too early) to be played.
        bytes_received: RTP payload bytes, without headers.
        packets_sent: RTP packets sent.
        bytes_sent: RTP payload bytes, without headers.
        source_bytes: those of them that were made of what the source gave: no filler, nothing while muted.
        concealed_samples: play-out samples that were made up because nothing was there to play.
        remote_packets_lost: the far end's cumulative loss of what we send (RTCP report block).
        remote_packets_expected: how many of our packets the far end expected up to its last report:
            the report's extended highest sequence number minus our first one plus 1.
    Attributes, momentary:
        jitter_s: RFC 3550 A.8 interarrival jitter of what we receive, seconds.
        remote_jitter_s: the same of what we send, from the last report block, seconds.
        remote_fraction_lost: fraction lost of the last report block, 0..1.
        remote_report_at_s: monotonic time of the last report block about what we send, seconds.
        rtt_s: round-trip time by RTCP (LSR/DLSR), seconds.
        rtt_at_s: monotonic time at which `rtt_s` was measured, seconds.
        playout_delay_s: time a packet waits in the jitter buffer now, seconds.
        sample_rate_hz: of the play-out (`concealed_samples` are counted in it).
        level_in_peak: greatest magnitude of the interval in what we play, 0..1 of full scale.
        level_out_peak: the same in what we send, before muting.
        codec: ``'OPUS'``, ``'PCMU'``, or ``""`` before one is chosen.
        muted: whether silence is sent instead of the source.
    """

    packets_received: float = NAN
    packets_lost: float = NAN
    packets_discarded: float = NAN
    bytes_received: float = NAN
    packets_sent: float = NAN
    bytes_sent: float = NAN
    source_bytes: float = NAN
    concealed_samples: float = NAN
    remote_packets_lost: float = NAN
    remote_packets_expected: float = NAN
    jitter_s: float = NAN
    remote_jitter_s: float = NAN
    remote_fraction_lost: float = NAN
    remote_report_at_s: float = NAN
    rtt_s: float = NAN
    rtt_at_s: float = NAN
    playout_delay_s: float = NAN
    sample_rate_hz: float = NAN
    level_in_peak: float = NAN
    level_out_peak: float = NAN
    codec: str = ""
    muted: bool = False


@dataclass(frozen=True, slots=True)
class SampleRow:
    """The numbers of one interval; `frames.SAMPLES` says what each means. `values` is a row of samples.

    Attributes:
        time_utc_ns: end of the interval, ns since 1970 UTC, by the monotonic clock from one anchor.
        time_monotonic_s: the same by `time.monotonic()`.
    """

    time_utc_ns: int
    time_monotonic_s: float
    codec: str
    muted: bool
    rtt_ms: float
    rtt_age_s: float
    jitter_in_ms: float
    jitter_out_ms: float
    loss_in: float
    loss_out: float
    mos: float
    mos_in: float
    mos_out: float
    r_factor: float
    mos_g107: float
    level_in_dbfs: float
    level_out_dbfs: float
    bitrate_in_kbps: float
    bitrate_out_kbps: float
    packets_in: float
    packets_out: float
    packets_lost_in: float
    packets_lost_out: float
    concealed_ms: float
    playout_delay_ms: float
    discarded: float
    source_bytes: float

    def values(self) -> dict[str, float | str | bool]:
        """Column name to value, all but the two times."""
        return {name: getattr(self, name) for name in _VALUE_NAMES}


_VALUE_NAMES = tuple(field.name for field in fields(SampleRow) if not field.name.startswith("time_"))


@dataclass(frozen=True, slots=True)
class ClockAnchor:
    """Ties the monotonic clock to UTC once, so that times of a call never jump when the wall clock is set."""

    utc_ns: int
    monotonic_s: float

    @classmethod
    def now(cls) -> ClockAnchor:
        """The two clocks, read at this moment."""
        return cls(time.time_ns(), time.monotonic())

    def utc_ns_at(self, monotonic_s: float) -> int:
        """UTC (ns since 1970) of a monotonic time in seconds."""
        return self.utc_ns + round((monotonic_s - self.monotonic_s) * 1e9)


class Sampler:
    """Makes the samples of one session.

    Args:
        started_at_s: monotonic time at which the counters began at 0; without it the first row lacks rates.
        anchor: ties monotonic time to UTC; share one among sessions. By default made now.
    """

    def __init__(self, started_at_s: float = NAN, *, anchor: ClockAnchor | None = None) -> None:
        self._anchor = anchor or ClockAnchor.now()
        self._last_at_s = started_at_s
        self._last = CounterSnapshot(
            packets_received=0,
            packets_lost=0,
            packets_discarded=0,
            bytes_received=0,
            packets_sent=0,
            bytes_sent=0,
            source_bytes=0,
            concealed_samples=0,
        )
        self._reported = (0.0, 0.0)  # lost and expected by the far end's last report
        self._report_at_s = NAN
        self._loss_out = NAN

    def sample(self, snapshot: CounterSnapshot, now: float) -> SampleRow:
        """The numbers from the last call of `sample` to this one.

        Args:
            snapshot: the counters at this moment.
            now: monotonic seconds of this moment.
        """
        last, elapsed_s = self._last, now - self._last_at_s
        received = snapshot.packets_received - last.packets_received
        lost = snapshot.packets_lost - last.packets_lost
        discarded = snapshot.packets_discarded - last.packets_discarded
        loss_in = _share(lost, received + lost)
        report_valid = now - snapshot.remote_report_at_s <= REPORT_VALID_S
        lost_out = snapshot.remote_packets_lost - self._reported[0]
        jitter_out_ms = snapshot.remote_jitter_s * 1e3 if report_valid else NAN
        loss_out = self._remote_loss(snapshot) if report_valid else NAN
        rtt_ms, jitter_in_ms, delay_ms = (
            snapshot.rtt_s * 1e3,
            snapshot.jitter_s * 1e3,
            snapshot.playout_delay_s * 1e3,
        )
        rating_in = mos.r_factor(rtt_ms, jitter_in_ms, loss_in, snapshot.codec)
        rating_out = mos.r_factor(rtt_ms, jitter_out_ms, loss_out, snapshot.codec)
        rating = _smaller(rating_in, rating_out)
        not_played = _share(max(lost, 0.0) + discarded, received + lost)
        heard_after_ms = mos.one_way_delay_ms(rtt_ms, delay_ms, snapshot.codec)
        self._last, self._last_at_s = snapshot, now
        return SampleRow(
            time_utc_ns=self._anchor.utc_ns_at(now),
            time_monotonic_s=now,
            codec=snapshot.codec,
            muted=snapshot.muted,
            rtt_ms=rtt_ms,
            rtt_age_s=now - snapshot.rtt_at_s,
            jitter_in_ms=jitter_in_ms,
            jitter_out_ms=jitter_out_ms,
            loss_in=loss_in,
            loss_out=loss_out,
            mos=_score(rating),
            mos_in=_score(rating_in),
            mos_out=_score(rating_out),
            r_factor=rating,
            mos_g107=mos.g107(heard_after_ms, not_played, snapshot.codec),
            level_in_dbfs=peak_dbfs(snapshot.level_in_peak),
            level_out_dbfs=peak_dbfs(snapshot.level_out_peak),
            bitrate_in_kbps=_rate_kbps(snapshot.bytes_received - last.bytes_received, elapsed_s),
            bitrate_out_kbps=_rate_kbps(snapshot.bytes_sent - last.bytes_sent, elapsed_s),
            packets_in=received,
            packets_out=snapshot.packets_sent - last.packets_sent,
            packets_lost_in=lost,
            packets_lost_out=lost_out,
            concealed_ms=1e3
            * (snapshot.concealed_samples - last.concealed_samples)
            / snapshot.sample_rate_hz,
            playout_delay_ms=delay_ms,
            discarded=discarded,
            source_bytes=snapshot.source_bytes - last.source_bytes,
        )

    def _remote_loss(self, snapshot: CounterSnapshot) -> float:
        """Loss between the far end's last two reports; held until the next one comes.

        By its cumulative numbers where they are known: the report's own fraction is cut to 8 bits, which
        loses up to 0.4 points.
        """
        if snapshot.remote_report_at_s == self._report_at_s:
            return self._loss_out
        lost, expected = snapshot.remote_packets_lost, snapshot.remote_packets_expected
        by_counts = _share(lost - self._reported[0], expected - self._reported[1])
        self._loss_out = snapshot.remote_fraction_lost if math.isnan(by_counts) else by_counts
        self._report_at_s = snapshot.remote_report_at_s
        self._reported = (lost, expected)
        return self._loss_out


def peak_dbfs(peak: float) -> float:
    """A peak magnitude (0..1 of full scale) in dBFS, -100 (silence) .. 0; NaN stays NaN."""
    if math.isnan(peak):
        return NAN
    return max(SILENCE_DBFS, 20.0 * math.log10(max(peak, 1e-5)))


def _share(part: float, whole: float) -> float:
    """part/whole within 0..1; NaN when nothing was there to lose."""
    if math.isnan(part) or not whole > 0.0:
        return NAN
    return min(max(part / whole, 0.0), 1.0)


def _smaller(one: float, other: float) -> float:
    """The smaller number; the known one when the other is missing."""
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    return min(one, other)


def _score(rating: float) -> float:
    return round(mos.from_rating(rating), 3)


def _rate_kbps(count_bytes: float, elapsed_s: float) -> float:
    return count_bytes * 8e-3 / elapsed_s if elapsed_s > 0.0 else NAN
