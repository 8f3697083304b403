"""The sampler: from counters that only grow to the numbers of one interval.

Each second the I/O plane reads the `Counters` of a media session and gives them to the session's `Sampler`,
which keeps the reading before and returns a `SampleRow`: what happened between the two. Missing is NaN,
never 0.

Directions: `in` is what is received, `out` what is sent, as the far end reports it in RTCP. What comes from
the far end's reports moves at their pace (1 to 7.5 s): it is held until the next one, has its age in a column
of its own, and is missing after 2.5 report intervals.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plivo_nb.codec_table import CODECS
from plivo_nb.quality import mos
from plivo_nb.quality.columns import column, columns_of
from plivo_nb.quality.counters import NAN, Counters
from plivo_nb.quality.outage import IncomingOutage, OutgoingOutage, Reception, is_current

if TYPE_CHECKING:
    from collections.abc import Mapping

_PEAK = "-100 (silence) .. 0"
_REPORT = "RTCP report of the far end"


def _loss_runs(counter: str, length: str) -> Any:
    meaning = f"Runs of {length} lost one after the other, of which it was settled in the interval"
    return column("runs", meaning, "RTP", growth_of=counter)


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
    direction: str = column(
        "",
        "Direction of the SDP as seen from here: sendrecv, sendonly, recvonly or inactive (on hold)",
        "SDP, RFC 3264",
        kind="category",
    )
    interval_s: float = column(
        "s", "Length of the interval; the last one of a call is shorter", "monotonic clock"
    )
    rtt_ms: float = column(
        "ms", "Round-trip time on the media path", "RTCP LSR/DLSR, RFC 3550 6.4.1", age="rtt_age_s"
    )
    rtt_age_s: float = column("s", "Age of rtt_ms; less than interval_s: it is new", "monotonic clock")
    report_age_s: float = column(
        "s",
        "Age of the far end's last report about what is sent: of jitter_out_ms, loss_out and mos_out; "
        "less than interval_s: it is new",
        "monotonic clock",
    )
    jitter_in_ms: float = column("ms", "Interarrival jitter of what is received", "RFC 3550 A.8")
    jitter_out_ms: float = column("ms", "Interarrival jitter of what is sent", _REPORT, age="report_age_s")
    loss_in: float = column(
        "0..1",
        "Share of packets_expected_in that did not arrive on the network; 1 while packets are due and none "
        "arrives; missing while none is due",
        "RFC 3550 A.3",
    )
    loss_out: float = column(
        "0..1",
        "Share of packets_expected_out that did not arrive, between two reports; 1 when none of them did",
        _REPORT,
        age="report_age_s",
    )
    not_sent_in: bool = column(
        "",
        "Whether nothing arrived because nothing was sent: after a comfort-noise or Opus DTX packet, or by "
        "the packet count of the far end's sender reports",
        "RFC 3389, RFC 7587 3.1.3, RTCP",
        kind="bool",
    )
    mos: float = column("1..4.5", "Score of the call: the smaller one of both directions", "SDK formula")
    mos_in: float = column("1..4.5", "Score of what is received; 1 when loss_in is 1", "SDK formula")
    mos_out: float = column(
        "1..4.5", "Score of what is sent; 1 when loss_out is 1", "SDK formula", age="report_age_s"
    )
    r_factor: float = column("R", "Transmission rating behind mos", "SDK formula")
    mos_g107: float = column(
        "1..4.5",
        "Score of what is heard, on the scale of telephony: by the delay, and the sound missing after FEC",
        "ITU-T G.107; Ie and Bpl fitted to PESQ",
    )
    mos_fb: float = column(
        "1..4.5",
        "The same on the scale of full-bandwidth sound, where G.711 reaches 3.2; compare with itself only",
        "ITU-T G.107.2; Bpl fitted to ViSQOL",
    )
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
    packets_expected_in: float = column(
        "packets",
        "Packets of which it was settled in the interval whether they arrive: all but the newest 32, of "
        "which one that is missing may still come. loss_in weighted by it gives the call's loss",
        "RFC 3550 A.3",
    )
    packets_lost_out: float = column(
        "packets", "New losses that the far end reported in the interval", _REPORT
    )
    packets_expected_out: float = column(
        "packets", "Packets sent that the reports of the interval are about", _REPORT
    )
    packets_reordered: float = column(
        "packets",
        "Packets that arrived in the interval after one with a higher sequence number",
        "RFC 4737 section 3.3",
        growth_of="packets_reordered",
    )
    packets_discarded: float = column(
        "packets",
        "Packets that arrived in the interval and were not played: too late, or too many in the buffer",
        "W3C packetsDiscarded",
        growth_of="packets_discarded",
    )
    packets_recovered: float = column(
        "packets",
        "Lost packets decoded in the interval from the redundancy in the next packet (Opus in-band FEC)",
        "RFC 6716 section 2.1.7",
        growth_of="packets_recovered",
    )
    loss_runs_1: float = _loss_runs("loss_runs_1", "1 packet")
    loss_runs_2: float = _loss_runs("loss_runs_2", "2 packets")
    loss_runs_3_4: float = _loss_runs("loss_runs_3_4", "3 or 4 packets")
    loss_runs_5_9: float = _loss_runs("loss_runs_5_9", "5 to 9 packets")
    loss_runs_10_up: float = _loss_runs("loss_runs_10_up", "10 packets or more")
    concealed_ms: float = column(
        "ms",
        "Sound played in the interval that the decoder made up, with no packet nor redundancy for it",
        "W3C concealedSamples",
    )
    playout_delay_ms: float = column("ms", "Time a packet waits in the jitter buffer", "jitter buffer")
    source_bytes: float = column(
        "bytes",
        "RTP payload sent in the interval that was encoded from the source",
        "RTP",
        growth_of="source_bytes",
    )
    late_ticks: float = column(
        "ticks",
        "Ticks of 20 ms in which sound was played and sent 20 ms too late or not at all: this process could "
        "not keep up, or another thread held the interpreter's lock",
        "I/O plane",
        growth_of="late_ticks",
    )
    page_rtt_ms: float = column(
        "ms",
        "Round-trip time between the kernel and the browser page whose microphone and speaker are used; "
        "missing without a page",
        "messages or RTCP between page and kernel",
    )
    page_underruns: float = column(
        "",
        "How many times in the interval the page, or what the kernel plays of it, had no sound to go on with",
        "play-out of the page",
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
        started_at_s: monotonic time at which the transport was up and the counters began at 0; without it
            the first row lacks rates, and an outage before the first packet is not seen.
        anchor: ties monotonic time to UTC; share one among sessions. By default made now.
    """

    def __init__(self, started_at_s: float = NAN, *, anchor: ClockAnchor | None = None) -> None:
        self._anchor = anchor or ClockAnchor.now()
        self._last_at_s = started_at_s
        self._last = Counters()
        self._settled = (0.0, 0.0)  # packets of which it is settled whether they arrive; those that did not
        self._in = IncomingOutage(started_at_s)
        self._out = OutgoingOutage()

    def sample(
        self, counters: Counters, now: float, *, direction: str = "sendrecv", last: bool = False
    ) -> SampleRow:
        """The numbers from the last call of `sample` to this one.

        Args:
            counters: the session's counters at this moment.
            now: monotonic seconds of this moment.
            direction: of the SDP as seen from here (RFC 3264); it tells what is due.
            last: the session ends: no packet that is missing will come.
        """
        before, interval_s = self._last, now - self._last_at_s
        grown = {name: getattr(counters, source) - getattr(before, source) for name, source in _GROWTHS}
        reception = self._in.reception(counters, now, direction in ("sendrecv", "recvonly"))
        expected_in, lost_in = self._settle(counters, last and reception != "lost")
        loss_in = _loss_in(reception, expected_in, lost_in, grown)
        report = self._out.report(counters, now)
        rtt_ms = _if_current(counters.rtt_s * 1e3, counters.rtt_at_s, counters, now)
        jitter_out_ms = _if_current(counters.jitter_out_s * 1e3, counters.remote_report_at_s, counters, now)
        jitter_in_ms, delay_ms = counters.jitter_in_s * 1e3, counters.playout_delay_s * 1e3
        rating_in = rating(rtt_ms, jitter_in_ms, loss_in, counters.codec)
        rating_out = rating(rtt_ms, jitter_out_ms, report.loss, counters.codec)
        rating_of_both = smaller(rating_in, rating_out)
        concealed = counters.concealed_samples - before.concealed_samples
        concealed_ms = 1e3 * concealed / counters.sample_rate_hz
        share = mos.concealed_share(concealed_ms, interval_s)
        heard, heard_fullband = _heard(rtt_ms, delay_ms, loss_in, share, counters.codec)
        self._last, self._last_at_s = counters, now
        return SampleRow(
            time_utc_ns=self._anchor.utc_ns_at(now),
            time_monotonic_s=now,
            codec=counters.codec,
            direction=direction,
            interval_s=interval_s,
            muted=counters.muted,
            rtt_ms=rtt_ms,
            rtt_age_s=now - counters.rtt_at_s,
            report_age_s=now - report.at_s,
            jitter_in_ms=jitter_in_ms,
            jitter_out_ms=jitter_out_ms,
            loss_in=loss_in,
            loss_out=report.loss,
            not_sent_in=reception == "not sent",
            mos=score(rating_of_both),
            mos_in=score(rating_in),
            mos_out=score(rating_out),
            r_factor=rating_of_both,
            mos_g107=heard,
            mos_fb=heard_fullband,
            level_in_dbfs=counters.level_in_dbfs,
            level_out_dbfs=counters.level_out_dbfs,
            bitrate_in_kbps=_rate_kbps(counters.bytes_received - before.bytes_received, interval_s),
            bitrate_out_kbps=_rate_kbps(counters.bytes_sent - before.bytes_sent, interval_s),
            packets_expected_in=expected_in,
            packets_lost_out=report.lost,
            packets_expected_out=report.expected,
            concealed_ms=concealed_ms,
            playout_delay_ms=delay_ms,
            **grown,
        )

    def _settle(self, counters: Counters, last: bool) -> tuple[float, float]:
        """How many packets were settled since the last reading, and how many of them did not arrive.

        One that comes after it was settled as lost is taken back from later losses, so that the sum stays
        right and no share is below 0.
        """
        unsettled = 0.0 if last else counters.packets_unsettled
        missing = 0.0 if last else counters.packets_missing
        expected = counters.packets_expected - unsettled
        arrived = counters.packets_received - counters.packets_duplicated
        lost = max(counters.packets_expected - arrived - missing, self._settled[1])
        before, self._settled = self._settled, (expected, lost)
        return expected - before[0], lost - before[1]


def rating(rtt_ms: float, jitter_ms: float, loss: float, codec: str) -> float:
    """The transmission rating R of one direction by the SDK's formula.

    Returns:
        0 (MOS 1) where nothing arrives at all (a loss of 1), with or without a round-trip time. NaN where a
        number is missing.
    """
    return 0.0 if loss == 1.0 else mos.r_factor(rtt_ms, jitter_ms, loss, codec)


def score(rating: float) -> float:
    """MOS of a rating R, to 3 decimals."""
    return round(mos.from_rating(rating), 3)


def _if_current(value: float, at_s: float, counters: Counters, now: float) -> float:
    """A value of a report that came at `at_s`; missing when that says nothing about now."""
    return value if is_current(at_s, counters.remote_report_interval_s, now) else NAN


def _loss_in(reception: Reception, expected: float, lost: float, grown: Mapping[str, float]) -> float:
    if reception == "lost":
        return 1.0
    if expected > 0.0:
        return _share(lost, expected)
    if reception != "received":
        return NAN
    # nothing is settled yet: the first packets of the call
    return _share(grown["packets_lost_in"], grown["packets_in"] + grown["packets_lost_in"])


def _share(part: float, whole: float) -> float:
    """part/whole within 0..1; NaN when nothing was there to lose."""
    if math.isnan(part) or not whole > 0.0:
        return NAN
    return min(max(part / whole, 0.0), 1.0)


def smaller(one: float, other: float) -> float:
    """The smaller number; the known one when the other is missing."""
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    return min(one, other)


def _heard(
    rtt_ms: float, playout_delay_ms: float, loss_in: float, concealed: float, codec: str
) -> tuple[float, float]:
    """MOS of what is heard, by ITU-T G.107 and by G.107.2; missing where nothing was due.

    Args:
        concealed: share of the interval's sound that was concealed.
    """
    if math.isnan(loss_in):
        return NAN, NAN
    if loss_in == 1.0:
        return 1.0, 1.0
    delay_ms: float = mos.one_way_delay_ms(rtt_ms, playout_delay_ms, codec)
    return mos.g107(delay_ms, concealed, codec), mos.g107_fb(delay_ms, concealed, codec)


def _rate_kbps(count_bytes: float, elapsed_s: float) -> float:
    return count_bytes * 8e-3 / elapsed_s if elapsed_s > 0.0 else NAN
