"""What the far end reports by RTCP: how our stream arrives there, and what it sends itself."""

from __future__ import annotations

import statistics
from collections import deque
from typing import TYPE_CHECKING

from plivo_nb.quality.counters import NAN

if TYPE_CHECKING:
    from plivo_nb.media.rtp.rtcp import ReportBlock, SenderReport
    from plivo_nb.media.rtp.rtp import RtpSender


class Gaps:
    """The usual time between events: the median of the last five gaps; 5 s until there are three."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=5)
        self._last: float | None = None

    def add(self, now: float) -> None:
        """Note an event."""
        if self._last is not None:
            self._gaps.append(now - self._last)
        self._last = now

    @property
    def median_s(self) -> float:
        """The median in seconds."""
        return statistics.median(self._gaps) if len(self._gaps) >= 3 else 5.0


class RemoteView:
    """The contents of the far end's RTCP: its reports about our stream, and its sender reports."""

    def __init__(self) -> None:
        self.received = 0  # RTCP packets
        self.malformed = 0
        # report blocks about us
        self.reports = 0
        self.report_at = NAN
        self.fraction_lost = NAN
        self.packets_lost = 0
        self.packets_expected = 0
        self.jitter = 0
        self.rtt_s = NAN
        self.rtt_at = NAN
        self.rtt_sum_s = 0.0
        self.rtt_count = 0
        self.report_packets_sent = NAN  # packets that we had sent when the last one came
        self.report_gaps = Gaps()
        self.heard_at = NAN  # the last report of either kind, also without a block about us
        # its sender reports
        self.sr_gaps = Gaps()
        self.sr_at: float | None = None
        self.sr_ssrc = 0
        self.sr_ntp = 0
        self.sr_packets = 0
        self.sr_bytes = 0
        self.sr_count = 0

    def sender_report(self, report: SenderReport, now: float) -> None:
        """Store a sender report."""
        self.sr_gaps.add(now)
        self.sr_at, self.sr_ssrc, self.sr_ntp = now, report.ssrc, report.ntp_time
        self.sr_packets, self.sr_bytes = report.packet_count, report.octet_count
        self.sr_count += 1

    def report_block(self, block: ReportBlock, rtt_s: float | None, now: float, rtp: RtpSender) -> None:
        """Store a report block about our stream.

        Its highest sequence number is taken modulo 2^16, as the latest such number that we have sent: some
        receivers do not count its cycles.
        """
        self.reports += 1
        self.report_at = now
        self.report_gaps.add(now)
        self.report_packets_sent = rtp.packets
        self.fraction_lost = block.fraction_lost
        self.packets_lost = block.packets_lost
        behind = (rtp.sequence_number - 1 - block.highest_sequence) & 0xFFFF
        self.packets_expected = max(self.packets_expected, rtp.packets - behind)
        self.jitter = block.jitter
        if rtt_s is not None:
            self.rtt_s, self.rtt_at = rtt_s, now
            self.rtt_sum_s += rtt_s
            self.rtt_count += 1
