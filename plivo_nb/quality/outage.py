"""Whether a direction of a call is dead: packets that are due do not arrive.

Silence is not always an outage. A far end with Opus DTX, with comfort noise (RFC 3389) or on hold sends
nothing on purpose; its RTCP reports tell the two apart.
"""

from __future__ import annotations

import math
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
        self._due_from_s = connected_at_s + DUE_AFTER_S
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
            self._due_from_s = min(self._due_from_s, now)
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


class OutgoingOutage:
    pass
