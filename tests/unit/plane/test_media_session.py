"""A media session without a network: its sampler, and its encoder settings."""

from __future__ import annotations

from typing import Any

import pytest

from plivo_nb.media import sdp
from plivo_nb.plane.media_session import SessionSampler, _codec
from plivo_nb.plane.plane import TICK_S
from plivo_nb.quality.counters import Counters
from plivo_nb.quality.sampler import ClockAnchor


class Stream:
    """Counters to be read."""

    def __init__(self) -> None:
        self.read = 0
        self.values = Counters()

    def counters(self) -> Counters:
        self.read += 1
        return self.values


def test_samples_are_due_each_interval_and_once_after_a_stall() -> None:
    stream: Any = Stream()
    sampler = SessionSampler(ClockAnchor(0, 0.0), 1.0)
    taken = [now for now in (t * TICK_S for t in range(151)) if sampler.due(stream, now) is not None]
    assert taken == pytest.approx([1.0, 2.0, 3.0], abs=TICK_S)
    assert sampler.due(stream, 9.5) is not None
    assert sampler.due(stream, 9.6) is None
    row = sampler.due(stream, 10.02)
    assert row is not None
    assert row.time_monotonic_s == 10.02
    assert row.time_utc_ns == pytest.approx(10.02e9)
    assert stream.read == 5


@pytest.mark.parametrize(
    ("parameters", "fec", "dtx", "bitrate_bps"),
    [
        ("", True, False, 32_000),
        ("useinbandfec=1;usedtx=1", True, True, 32_000),
        ("minptime=10; useinbandfec=0; maxaveragebitrate=20000", False, False, 20_000),
    ],
)
def test_the_encoder_minds_the_peers_wishes(parameters: str, fec: bool, dtx: bool, bitrate_bps: int) -> None:
    codec = _codec(sdp.Format(111, "opus", 48_000, 2, parameters))
    assert (codec.fec, codec.dtx, codec.bitrate_bps) == (fec, dtx, bitrate_bps)
