"""The bridge between a stream's counters and the sampler of the quality room."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from plivo_nb.quality.sampler import ClockAnchor, CounterSnapshot, Sampler, SampleRow

if TYPE_CHECKING:
    from plivo_nb.media.rtp.audio_stream import AudioStream
    from plivo_nb.media.stats import StreamCounters


class SessionSampler:
    """Takes a sample of a stream each interval, from the first tick of a connected transport on.

    Args:
        anchor: ties the plane's clock to UTC; shared by all sessions.
        interval_s: seconds between samples.
    """

    def __init__(self, anchor: ClockAnchor, interval_s: float) -> None:
        self._anchor = anchor
        self._interval_s = max(interval_s, 0.02)
        self._sampler: Sampler | None = None
        self._due_at = math.inf

    def due(self, stream: AudioStream, now: float) -> SampleRow | None:
        """The sample that is due at `now` (monotonic seconds), if one is. A stall gives one late sample."""
        if self._sampler is None:
            self._sampler = Sampler(now, anchor=self._anchor)
            self._due_at = now + self._interval_s
        if now < self._due_at:
            return None
        missed = int((now - self._due_at) / self._interval_s)
        self._due_at += (missed + 1) * self._interval_s
        return self._sampler.sample(snapshot(stream.counters()), now)

    def utc_ms(self, now: float) -> float:
        """Milliseconds since 1970 of a monotonic time, for W3C timestamps."""
        return self._anchor.utc_ns_at(now) / 1e6


def snapshot(counters: StreamCounters) -> CounterSnapshot:
    """A stream's counters in the sampler's words."""
    reported = not math.isnan(counters.remote_report_at)
    return CounterSnapshot(
        packets_received=counters.packets_received,
        packets_lost=counters.packets_lost,
        packets_discarded=counters.packets_discarded,
        bytes_received=counters.bytes_received,
        packets_sent=counters.packets_sent,
        bytes_sent=counters.bytes_sent,
        source_bytes=counters.source_bytes,
        concealed_samples=counters.concealed_samples,
        remote_packets_lost=counters.remote_packets_lost if reported else math.nan,
        remote_packets_expected=counters.remote_packets_expected if reported else math.nan,
        jitter_s=counters.jitter_in_s,
        remote_jitter_s=counters.jitter_out_s,
        remote_fraction_lost=counters.remote_fraction_lost,
        remote_report_at_s=counters.remote_report_at,
        rtt_s=counters.rtt_s,
        rtt_at_s=counters.rtt_at,
        playout_delay_s=counters.playout_delay_s,
        sample_rate_hz=counters.sample_rate or math.nan,
        level_in_peak=10 ** (counters.level_in_dbfs / 20),
        level_out_peak=10 ** (counters.level_out_dbfs / 20),
        codec=counters.codec,
        muted=counters.muted,
    )
