"""The W3C statistics of a stream."""

import math

import pytest
from media_network import OPUS, PCMU, Pair

from plivo_nb.media.audio.sources import Tone


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
