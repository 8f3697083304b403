"""Whether a direction of a call is dead: packets that are due do not arrive.

Silence is not always an outage. A far end with Opus DTX, with comfort noise (RFC 3389) or on hold sends
nothing on purpose; its RTCP reports tell the two apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from plivo_nb.quality.counters import NAN, Counters

#: Packets are due from so long after the transport is up, if none has come before.
DUE_AFTER_S = 2.0
#: A shorter silence says nothing: a packet holds up to 120 ms of Opus (RFC 6716), and comes with jitter.
SHORTEST_SILENCE_S = 0.2
#: A report says nothing about now when it is older than so many report intervals.
VALID_INTERVALS = 2.5

Reception = Literal["received", "not due", "not sent", "lost"]


def is_current(at_s: float, interval_s: float, now: float) -> bool:
    """Whether a report from the monotonic time `at_s` says anything about `now`; NaN: there was none."""
    return now - at_s <= VALID_INTERVALS * interval_s


class IncomingOutage:
    """Follows what is received from reading to reading.

    Args:
        connected_at_s: monotonic time at which the transport was up.
    """

    def __init__(self, connected_at_s: float) -> None:
        self._due_from_s = math.inf if math.isnan(connected_at_s) else connected_at_s + DUE_AFTER_S
        self._receives = True
        self._packets = 0.0
        # of the far end's last two sender reports: arrival, packet count
        self._report = self._report_before = (NAN, NAN)

    def reception(self, counters: Counters, now: float, receives: bool) -> Reception:
        """What became of the packets that were due since the last reading.

        Args:
            counters: of the stream, at this moment.
            now: monotonic seconds of this moment.
            receives: whether the SDP direction includes receiving; on hold nothing is due.
        """
        self._take_sender_report(counters)
        arrived, self._packets = counters.packets_received > self._packets, counters.packets_received
        resumed, self._receives = receives and not self._receives, receives
        if resumed:
            self._due_from_s = now + DUE_AFTER_S
        if arrived:
            self._due_from_s = -math.inf
            return "received"
        if not receives:
            return "not due"
        due_from_s = self._due_from_s
        if counters.last_rtp_at_s > due_from_s:
            due_from_s = counters.last_rtp_at_s
        if not now - due_from_s >= SHORTEST_SILENCE_S:
            return "not due"
        return "not sent" if self._is_intended(counters, now) else "lost"

    def _take_sender_report(self, counters: Counters) -> None:
        report = (counters.sender_report_at_s, counters.sender_report_packets)
        if report[0] > self._report[0] or math.isnan(self._report[0]):
            self._report_before, self._report = self._report, report

    def _is_intended(self, counters: Counters, now: float) -> bool:
        """Whether the far end is silent by its own account."""
        last_at_s = counters.last_rtp_at_s
        (at_s, packets), (before_at_s, packets_before) = self._report, self._report_before
        alive_at_s = last_at_s if math.isnan(at_s) else at_s
        if not is_current(alive_at_s, counters.sender_report_interval_s, now):
            return False
        if packets > packets_before and before_at_s > last_at_s:
            return False  # it has sent more since the silence began
        stands_still = packets == packets_before and at_s > last_at_s
        return stands_still or counters.last_rtp_was_pause


@dataclass(frozen=True, slots=True)
class SentReport:
    """What the far end says about what is sent, at one reading.

    Attributes:
        at_s: monotonic time of the report; NaN before the first one.
        loss: share lost between the last two reports, 0..1; 1 when nothing arrived of what was sent; missing
            when the report is too old to say anything about now.
        lost: packets newly lost since the last reading; 0 without a new report, NaN before the first one.
        expected: packets of which the new reports tell, likewise.
    """

    at_s: float
    loss: float
    lost: float
    expected: float


class OutgoingOutage:
    """Follows the far end's reports about what is sent, from reading to reading."""

    def __init__(self) -> None:
        self._at_s = NAN
        self._expected = self._lost = self._settled_lost = 0.0
        self._sent = NAN  # packets sent when the last report came
        self._loss = NAN
        self._sends_since_s = NAN  # the first reading after a packet was sent

    def report(self, counters: Counters, now: float) -> SentReport:
        """The far end's last report.

        Args:
            counters: of the stream, at this moment.
            now: monotonic seconds of this moment.
        """
        if counters.packets_sent > 0 and math.isnan(self._sends_since_s):
            self._sends_since_s = now
        interval_s = counters.remote_report_interval_s
        lost = expected = NAN if math.isnan(counters.remote_packets_expected) else 0.0
        if counters.remote_report_at_s != self._at_s and not math.isnan(counters.remote_report_at_s):
            lost = counters.remote_packets_lost - self._lost
            expected = counters.remote_packets_expected - self._expected
            self._take(counters)
        if is_current(self._at_s, interval_s, now):
            return SentReport(self._at_s, self._loss, lost, expected)
        if self._is_unheard(counters, now):
            return SentReport(counters.rtcp_at_s, 1.0, lost, expected)
        return SentReport(self._at_s, NAN, lost, expected)

    def _take(self, counters: Counters) -> None:
        """Work out the loss between the last two reports, by their counts where they are known.

        A report's own fraction is cut to 8 bits, which loses up to 0.4 points. A packet that came after it
        was reported as lost is taken back from later losses.
        """
        expected = counters.remote_packets_expected - self._expected
        settled_lost = max(counters.remote_packets_lost, self._settled_lost)
        if math.isnan(expected):
            self._loss = counters.remote_fraction_lost
        elif expected > 0.0:
            self._loss = min((settled_lost - self._settled_lost) / expected, 1.0)
        else:
            self._loss = 1.0 if self._nothing_arrived(counters) else NAN
        if not math.isnan(expected):
            self._expected, self._lost = counters.remote_packets_expected, counters.remote_packets_lost
            self._settled_lost = settled_lost
        self._at_s, self._sent = counters.remote_report_at_s, counters.remote_report_packets_sent

    def _nothing_arrived(self, counters: Counters) -> bool:
        """Whether the highest sequence number stands still while packets are sent.

        Packets sent before the report before this one have had the time to arrive.
        """
        return counters.remote_report_packets_sent > self._sent > self._expected

    def _is_unheard(self, counters: Counters, now: float) -> bool:
        """Whether the far end's reports no longer have a block about what is sent.

        A block is about packets received since the last report only (RFC 3550 section 6.4), so that some far
        ends leave it out when nothing arrives. One that has never had any is unheard from the first report on
        that came a whole interval after the first packet was sent.
        """
        if not is_current(counters.rtcp_at_s, counters.remote_report_interval_s, now):
            return False
        if math.isnan(self._at_s):
            return counters.rtcp_at_s - self._sends_since_s >= counters.remote_report_interval_s
        return counters.rtcp_at_s > self._at_s and counters.packets_sent > self._sent
