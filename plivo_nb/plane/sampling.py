"""When a media session's next sample is due."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from plivo_nb.quality.sampler import ClockAnchor, Sampler, SampleRow

if TYPE_CHECKING:
    from plivo_nb.media.rtp.audio_stream import AudioStream


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
        return self._sampler.sample(stream.counters(), now)

    def utc_ms(self, now: float) -> float:
        """Milliseconds since 1970 of a monotonic time, for W3C timestamps."""
        return self._anchor.utc_ns_at(now) / 1e6
