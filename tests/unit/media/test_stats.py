"""Level meters and the W3C statistics of a stream."""

import math

import numpy as np
import pytest
from media_network import OPUS, PCMU, Pair, stream, ticks

from plivo_nb.media.audio.sources import Tone
from plivo_nb.media.stats import Gaps, LevelMeter, settle

BOTH = pytest.mark.parametrize("codec", [OPUS, PCMU], ids=["opus", "pcmu"])


def test_the_statistics_have_w3c_names_and_units() -> None:
    pair = Pair(OPUS)
    pair.ab.loss = 0.05
    pair.a.source, pair.b.source = Tone(300), Tone(500)
    pair.run(10.0)
    report = pair.b.stats(pair.now)
    assert set(report) == {
        "codec", "codec-inbound", "media-source", "outbound-rtp", "inbound-rtp", "media-playout",
        "remote-inbound-rtp", "remote-outbound-rtp",
    }  # fmt: skip
    for key, values in report.items():
        assert values["id"] == key
        assert values["timestamp"] == pytest.approx((pair.now + 1.7e9) * 1000)
    inbound = report["inbound-rtp"]
    assert inbound["packetsReceived"] + inbound["packetsLost"] == pytest.approx(499, abs=2)
    assert inbound["headerBytesReceived"] == 12 * inbound["packetsReceived"]
    assert inbound["jitter"] < 0.001
    assert inbound["jitterBufferDelay"] / inbound["jitterBufferEmittedCount"] == pytest.approx(
        0.045, abs=0.011
    )
    recovered = inbound["fecPacketsReceived"] - inbound["fecPacketsDiscarded"]
    assert inbound["concealedSamples"] == pytest.approx(960 * (pair.ab.dropped - recovered), abs=3 * 960)
    assert inbound["totalSamplesReceived"] == pytest.approx(48_000 * 9.9, rel=0.01)
    assert inbound["totalSamplesDuration"] == pytest.approx(9.9, abs=0.1)
    power = inbound["totalAudioEnergy"] / inbound["totalSamplesDuration"]
    assert 10 * math.log10(power) == pytest.approx(-20, abs=1)
    assert inbound["lastPacketReceivedTimestamp"] <= inbound["timestamp"]
    assert report["media-source"]["audioLevel"] == pytest.approx(0.1, rel=0.05)
    assert report["outbound-rtp"]["packetsSent"] == 500
    remote = report["remote-inbound-rtp"]
    assert remote["roundTripTime"] == pytest.approx(0.06, abs=0.003)
    assert remote["totalRoundTripTime"] / remote["roundTripTimeMeasurements"] == pytest.approx(
        0.06, abs=0.003
    )
    assert remote["fractionLost"] == 0
    assert report["remote-outbound-rtp"]["packetsSent"] == pytest.approx(500, abs=80)
    assert report["codec"]["mimeType"] == "audio/opus"
    assert (report["codec"]["clockRate"], report["codec"]["channels"]) == (48_000, 2)


def test_levels_are_peaks_since_the_last_reading() -> None:
    one = stream(PCMU)
    one.source = Tone(500, level_dbfs=-20)
    ticks(one, 10)
    assert one.take_levels()[1] == pytest.approx(-17, abs=0.2)
    one.muted = True
    ticks(one, 10)
    assert one.take_levels()[1] == -100
    assert one.counters().level_out_dbfs == pytest.approx(-17, abs=0.2)


def test_samples_received_are_before_and_samples_played_after_a_change_of_speed() -> None:
    pair = Pair(PCMU)
    pair.ab.delay_s, pair.ab.jitter_s = 0.1, 0.06
    pair.a.source = Tone(300)
    pair.run(20.0)
    pair.ab.jitter_s = 0.0
    pair.run(20.0)
    report = pair.b.stats(pair.now)
    inbound, playout = report["inbound-rtp"], report["media-playout"]
    inserted, removed = inbound["insertedSamplesForDeceleration"], inbound["removedSamplesForAcceleration"]
    assert inserted + removed > 0
    assert playout["totalSamplesCount"] == inbound["totalSamplesReceived"] + inserted - removed
    played = sum(len(frame) for frame in pair.heard_b.frames)
    assert playout["totalSamplesCount"] == pytest.approx(played, abs=8000 * 0.4)  # the wait before the first


def test_the_usual_gap_is_the_median_of_the_last_five() -> None:
    gaps = Gaps()
    for at in (0.0, 1.0, 2.0):
        gaps.add(at)
    assert gaps.median_s == 5.0
    for at in (3.0, 10.0, 17.0, 24.0):
        gaps.add(at)
    assert gaps.median_s == 7.0


def test_a_peak_is_missing_where_no_frame_was_measured_since_the_last_reading() -> None:
    meter = LevelMeter()
    assert math.isnan(meter.take_peak_dbfs(0))
    meter.measure(np.full(960, 16384, np.int16), 48000)
    assert meter.take_peak_dbfs(0) == pytest.approx(-6.02, abs=0.01)
    assert math.isnan(meter.take_peak_dbfs(0))
    meter.silence(0.02)
    assert meter.take_peak_dbfs(0) == -100.0
    assert meter.take_peak_dbfs(1) == pytest.approx(-6.02, abs=0.01), "each reader has its own peak"


def test_frames_measured_together_give_what_each_gives_alone() -> None:
    told: list[float] = []
    meter = LevelMeter(told.extend)
    noise = np.random.default_rng(1).integers(-20000, 20000, (13, 160)).astype(np.int16)
    frame = np.zeros(160, np.int16)
    for values in noise:
        frame[:] = values  # a source may give the same array each time
        meter.measure(frame, 8000)
    power = np.mean((noise / 32768) ** 2, axis=1)
    assert meter.energy == pytest.approx(power.sum() * 0.02, rel=1e-4)
    assert meter.duration_s == pytest.approx(0.26)
    assert meter.level == pytest.approx(math.sqrt(power[-1]), rel=1e-4)
    assert told == pytest.approx(np.sqrt(power), rel=1e-4)
    assert meter.take_peak_dbfs(0) == pytest.approx(20 * math.log10(np.abs(noise).max() / 32768), abs=1e-3)
    meter.measure(np.full(960, 8192, np.int16), 48000)
    meter.settle(tell=False)
    assert meter.level == pytest.approx(0.25)
    assert len(told) == 13, "not told"


def test_meters_settled_together_give_what_each_gives_alone() -> None:
    together: list[LevelMeter] = []
    alone: list[LevelMeter] = []
    told: list[list[float]] = [[] for _ in range(14)]
    random = np.random.default_rng(2)
    for number, (samples, frames) in enumerate(
        [(160, 5), (960, 5), (160, 3), (160, 0), (960, 8), (960, 1), (960, 2)]
    ):
        pair = LevelMeter(told[number].extend), LevelMeter(told[7 + number].extend)
        for _ in range(frames):
            noise = random.integers(-32768, 32768, samples).astype(np.int16)
            for meter in pair:
                meter.measure(noise, samples * 50)
        together.append(pair[0])
        alone.append(pair[1])
    settle(together)
    assert [len(levels) for levels in told[:7]] == [5, 5, 3, 0, 8, 1, 2]
    for one, other in zip(together, alone, strict=True):
        assert one.energy == pytest.approx(other.energy)
        assert one.duration_s == other.duration_s
        assert one.level == pytest.approx(other.level)
        assert one.take_peak_dbfs(1) == pytest.approx(other.take_peak_dbfs(1), nan_ok=True)
    assert told[:7] == [pytest.approx(levels) for levels in told[7:]]
