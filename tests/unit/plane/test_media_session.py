"""A media session without a network: its sampler, and its encoder settings."""

from __future__ import annotations

import math
from typing import Any

import pytest
from descriptions import PLIVO_OFFER
from media_network import OPUS, Given, Pair, speech_like

from plivo_nb.audio_types import FRAME_S
from plivo_nb.media import sdp
from plivo_nb.plane.media_session import SessionSampler, _codec, _sent_codec
from plivo_nb.quality.counters import Counters
from plivo_nb.quality.sampler import ClockAnchor, SampleRow


class Stream:
    """Counters to be read."""

    def __init__(self) -> None:
        self.read = 0
        self.values = Counters()
        self.direction = "sendrecv"

    def counters(self) -> Counters:
        self.read += 1
        return self.values


def test_samples_are_due_each_interval_and_once_after_a_stall() -> None:
    stream: Any = Stream()
    sampler = SessionSampler(ClockAnchor(0, 0.0), 1.0)
    taken = [now for now in (t * FRAME_S for t in range(151)) if sampler.due(stream, now) is not None]
    assert taken == pytest.approx([1.0, 2.0, 3.0], abs=FRAME_S)
    assert sampler.due(stream, 9.5) is not None
    assert sampler.due(stream, 9.6) is None
    row = sampler.due(stream, 10.02)
    assert row is not None
    assert row.time_monotonic_s == 10.02
    assert row.time_utc_ns == pytest.approx(10.02e9)
    assert stream.read == 5


def test_the_last_partial_interval_gets_a_sample_of_its_own_length() -> None:
    stream: Any = Stream()
    sampler = SessionSampler(ClockAnchor(0, 0.0), 1.0)
    assert sampler.last(stream, 0.5) is None, "the transport was never up"
    for now in (0.0, 0.48):
        assert sampler.due(stream, now) is None
    row = sampler.last(stream, 0.5)
    assert row is not None
    assert (row.interval_s, row.time_monotonic_s) == (0.5, 0.5)
    assert sampler.due(stream, 1.0) is not None
    assert sampler.last(stream, 1.0) is None, "nothing is left"


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


def sampled(pair: Pair, seconds: int) -> list[SampleRow]:
    sampler = SessionSampler(ClockAnchor(0, 0.0), 1.0)
    rows = []
    for _ in range(seconds * 10):
        pair.run(0.1)
        row = sampler.due(pair.b, pair.now)
        rows += [row] if row is not None else []
    return rows


def test_reordered_and_recovered_packets_are_columns_of_the_samples() -> None:
    pair = Pair(OPUS, seed=3)
    pair.a.source = Given(speech_like(20.0, OPUS.clock_rate))
    pair.ab.loss, pair.ab.delay_s, pair.ab.jitter_s = 0.1, 0.1, 0.04
    rows = sampled(pair, 20)
    last = pair.b.counters()
    reordered, recovered = (
        sum(row.packets_reordered for row in rows),
        sum(row.packets_recovered for row in rows),
    )
    assert reordered > 20
    assert recovered > 20
    assert last.packets_reordered - 10 <= reordered <= last.packets_reordered
    assert last.packets_recovered - 10 <= recovered <= last.packets_recovered <= pair.ab.dropped


def test_a_clean_network_reorders_and_recovers_nothing() -> None:
    pair = Pair(OPUS)
    pair.a.source = Given(speech_like(5.0, OPUS.clock_rate))
    rows = sampled(pair, 5)
    assert {(row.packets_reordered, row.packets_recovered) for row in rows} == {(0, 0)}
    assert math.isnan(rows[0].loss_out) or rows[0].loss_out == 0


def remote(lines: str) -> sdp.SessionDescription:
    """An offer of PCMU and Opus with more attribute lines."""
    return sdp.parse(PLIVO_OFFER.replace("a=rtcp-mux", f"a=rtcp-mux\r\n{lines}".rstrip()))


@pytest.mark.parametrize(
    ("lines", "pcmu_ms", "opus_ms"),
    [
        ("", 20, 20),
        ("a=ptime:40", 40, 20),
        ("a=ptime:30", 30, 20),
        ("a=ptime:10", 10, 20),
        ("a=ptime:200", 60, 20),
        ("a=ptime:0", 20, 20),
        ("a=maxptime:10\r\na=ptime:40", 10, 10),
        ("a=maxptime:15", 10, 10),
        ("a=maxptime:5", 10, 10),
        ("a=maxptime:100", 20, 20),
    ],
)
def test_packets_have_the_length_that_the_peer_wants(lines: str, pcmu_ms: int, opus_ms: int) -> None:
    description = remote(lines)
    opus, pcmu = description.audio(["OPUS", "PCMU"])
    assert _sent_codec(pcmu, description).ptime_ms == pcmu_ms
    assert _sent_codec(opus, description).ptime_ms == opus_ms


@pytest.mark.parametrize(
    ("profile", "feedback"),
    [("UDP/TLS/RTP/SAVPF", True), ("UDP/TLS/RTP/SAVP", False), ("RTP/SAVPF", True), ("RTP/SAVP", False)],
)
def test_reports_come_more_often_where_the_profile_allows_it(profile: str, feedback: bool) -> None:
    assert sdp.parse(PLIVO_OFFER.replace("UDP/TLS/RTP/SAVPF", profile)).feedback is feedback
