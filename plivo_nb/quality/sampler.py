"""The sampler: from counters that only grow to the numbers of one interval.

Each second the I/O plane reads the `Counters` of a media session and gives them to the session's `Sampler`,
which keeps the reading before and returns a `SampleRow`: what happened between the two. Missing is NaN,
never 0.

Directions: `in` is what is received, `out` what is sent, as the far end reports it in RTCP receiver reports.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from plivo_nb.codec_table import CODECS
from plivo_nb.quality import mos
from plivo_nb.quality.columns import column, columns_of
from plivo_nb.quality.counters import NAN, Counters

#: RTCP reports older than this say nothing about now: jitter_out_ms and loss_out are missing then.
REPORT_VALID_S = 12.0


_PEAK = "-100 (silence) .. 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """The numbers of one interval. Each field with a `column` is a column of `samples`, by the same name.

    Attributes:
        time_utc_ns: end of the interval, ns since 1970 UTC, by the monotonic clock from one anchor.
        time_monotonic_s: the same by `time.monotonic()`.
    """

    time_utc_ns: int
    time_monotonic_s: float
    codec: str = column(
        "", f"Codec that is sent: {', '.join(CODECS)}; missing before one is chosen", "SDP", kind="category"
    )
    rtt_ms: float = column("ms", "Round-trip time on the media path", "RTCP LSR/DLSR, RFC 3550 6.4.1")
    rtt_age_s: float = column("s", "Age of rtt_ms: RTCP comes every few seconds only", "monotonic clock")
    jitter_in_ms: float = column("ms", "Interarrival jitter of what is received", "RFC 3550 A.8")
    jitter_out_ms: float = column("ms", "Interarrival jitter of what is sent", "RTCP report of the far end")
    loss_in: float = column("0..1", "Share of the interval's packets that did not arrive", "RFC 3550 A.3")
    loss_out: float = column(
        "0..1",
        "Share of the packets sent that did not arrive, between two reports",
        "RTCP report of the far end",
    )
    mos: float = column("1..4.5", "Score of the call: the smaller one of both directions", "SDK formula")
    mos_in: float = column("1..4.5", "Score of what is received", "SDK formula")
    mos_out: float = column("1..4.5", "Score of what is sent", "SDK formula")
    r_factor: float = column("R", "Transmission rating behind mos", "SDK formula")
    mos_g107: float = column("1..4.5", "Score of what is received by the E-model", "ITU-T G.107 and G.113")
    level_in_dbfs: float = column("dBFS", f"Peak level of what is played, {_PEAK}", "play-out")
    level_out_dbfs: float = column("dBFS", f"Peak level of the source, before muting, {_PEAK}", "source")
    bitrate_in_kbps: float = column("kbit/s", "RTP payload received in the interval", "RTP")
    bitrate_out_kbps: float = column("kbit/s", "RTP payload sent in the interval", "RTP")
    packets_in: float = column(
        "packets", "RTP packets that arrived in the interval", "RTP", growth_of="packets_received"
    )
    packets_out: float = column(
        "packets", "RTP packets sent in the interval", "RTP", growth_of="packets_sent"
    )
    packets_lost_in: float = column(
        "packets",
        "Packets missed in the interval; negative when packets counted as lost came late",
        "RFC 3550 A.3",
        growth_of="packets_lost",
    )
    packets_lost_out: float = column(
        "packets", "New losses that the far end reported in the interval", "RTCP report of the far end"
    )
    packets_reordered: float = column(
        "packets",
        "Packets that arrived in the interval after one with a higher sequence number",
        "RFC 4737 section 3.3",
        growth_of="packets_reordered",
    )
    packets_recovered: float = column(
        "packets",
        "Lost packets decoded in the interval from the redundancy in the next packet (Opus in-band FEC)",
        "RFC 6716 section 2.1.7",
        growth_of="packets_recovered",
    )
    concealed_ms: float = column(
        "ms", "Sound made up in the interval because its packet was not there", "play-out"
    )
    playout_delay_ms: float = column("ms", "Time a packet waits in the jitter buffer", "jitter buffer")
    discarded: float = column(
        "packets",
        "Packets that arrived too late to be played",
        "jitter buffer",
        growth_of="packets_discarded",
    )
    source_bytes: float = column(
        "bytes",
        "RTP payload sent in the interval that was encoded from the source",
        "RTP",
        growth_of="source_bytes",
    )
    muted: bool = column("", "Whether silence is sent instead of the source", "mute()", kind="bool")

    def values(self) -> dict[str, float | str | bool]:
        """Column name to value."""
        return {name: getattr(self, name) for name in _NAMES}


#: The columns that a sample has.
COLUMNS = columns_of(SampleRow)
_NAMES = tuple(item.name for item in COLUMNS)
_GROWTHS = tuple((item.name, item.growth_of) for item in COLUMNS if item.growth_of)


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
        self._last = Counters()
        self._reported = (0.0, 0.0)  # lost and expected by the far end's last report
        self._report_at_s = NAN
        self._loss_out = NAN

    def sample(self, counters: Counters, now: float) -> SampleRow:
        """The numbers from the last call of `sample` to this one.

        Args:
            counters: the session's counters at this moment.
            now: monotonic seconds of this moment.
        """
        last, elapsed_s = self._last, now - self._last_at_s
        grown = {name: getattr(counters, source) - getattr(last, source) for name, source in _GROWTHS}
        lost, discarded = grown["packets_lost_in"], grown["discarded"]
        expected = grown["packets_in"] + lost
        loss_in = _share(lost, expected)
        report_valid = now - counters.remote_report_at_s <= REPORT_VALID_S
        lost_out = counters.remote_packets_lost - self._reported[0]
        jitter_out_ms = counters.jitter_out_s * 1e3 if report_valid else NAN
        loss_out = self._remote_loss(counters) if report_valid else NAN
        rtt_ms, jitter_in_ms, delay_ms = (
            1e3 * seconds for seconds in (counters.rtt_s, counters.jitter_in_s, counters.playout_delay_s)
        )
        rating_in = mos.r_factor(rtt_ms, jitter_in_ms, loss_in, counters.codec)
        rating_out = mos.r_factor(rtt_ms, jitter_out_ms, loss_out, counters.codec)
        rating = _smaller(rating_in, rating_out)
        not_played = _share(max(lost, 0.0) + discarded, expected)
        heard_after_ms = mos.one_way_delay_ms(rtt_ms, delay_ms, counters.codec)
        concealed = counters.concealed_samples - last.concealed_samples
        self._last, self._last_at_s = counters, now
        return SampleRow(
            time_utc_ns=self._anchor.utc_ns_at(now),
            time_monotonic_s=now,
            codec=counters.codec,
            muted=counters.muted,
            rtt_ms=rtt_ms,
            rtt_age_s=now - counters.rtt_at_s,
            jitter_in_ms=jitter_in_ms,
            jitter_out_ms=jitter_out_ms,
            loss_in=loss_in,
            loss_out=loss_out,
            mos=_score(rating),
            mos_in=_score(rating_in),
            mos_out=_score(rating_out),
            r_factor=rating,
            mos_g107=mos.g107(heard_after_ms, not_played, counters.codec),
            level_in_dbfs=counters.level_in_dbfs,
            level_out_dbfs=counters.level_out_dbfs,
            bitrate_in_kbps=_rate_kbps(counters.bytes_received - last.bytes_received, elapsed_s),
            bitrate_out_kbps=_rate_kbps(counters.bytes_sent - last.bytes_sent, elapsed_s),
            packets_lost_out=lost_out,
            concealed_ms=1e3 * concealed / counters.sample_rate_hz,
            playout_delay_ms=delay_ms,
            **grown,
        )

    def _remote_loss(self, counters: Counters) -> float:
        """Loss between the far end's last two reports; held until the next one comes.

        By its cumulative numbers where they are known: the report's own fraction is cut to 8 bits, which
        loses up to 0.4 points.
        """
        if counters.remote_report_at_s == self._report_at_s:
            return self._loss_out
        lost, expected = counters.remote_packets_lost, counters.remote_packets_expected
        by_counts = _share(lost - self._reported[0], expected - self._reported[1])
        self._loss_out = counters.remote_fraction_lost if math.isnan(by_counts) else by_counts
        self._report_at_s = counters.remote_report_at_s
        self._reported = (lost, expected)
        return self._loss_out


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
