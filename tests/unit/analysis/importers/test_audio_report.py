"""analysis.importers.audio_report: today's and older names of getStats() in Chrome, Firefox and Safari."""

from __future__ import annotations

import math

import foreign_dumps
import pytest

from plivo_nb.analysis.importers.audio_report import audio_report, stats_type


def test_a_report_of_chrome() -> None:
    found = audio_report(foreign_dumps.report(10))
    assert found.inbound["1"]["packetsReceived"] == 500
    assert found.outbound["2"]["packetsSent"] == 500
    assert found.remote_inbound["2"]["roundTripTime"] == 0.08
    assert found.remote_outbound["1"]["reportsSent"] == 10
    assert (found.codec, found.codec_in, found.clock_rate_hz) == ("OPUS", "OPUS", 48_000)
    assert (found.pair_rtt_s, found.source_level, found.video) == (0.07, 0.1, 1)


@pytest.mark.parametrize("old", [False, True])
def test_firefox_of_today_and_before(old: bool) -> None:
    found = audio_report(foreign_dumps.firefox_report(10, old=old))
    assert found.inbound["1"]["packetsDiscarded"] == 10
    assert found.remote_inbound["2"]["roundTripTime"] == pytest.approx(0.08)
    assert found.outbound.keys() == {"2"}


def test_tracks_complete_the_streams_of_chrome_before_112_and_of_safari() -> None:
    report = {
        "in": {"type": "inbound-rtp", "mediaType": "audio", "ssrc": 1, "trackId": "t", "packetsReceived": 5},
        "t": {"type": "track", "audioLevel": 0.5, "concealedSamples": 7, "frameWidth": 1},
    }
    assert audio_report(report).inbound["1"] == {
        "ssrc": 1, "packetsReceived": 5, "audioLevel": 0.5, "concealedSamples": 7
    }  # fmt: skip


def test_what_a_stream_is_can_be_told_by_its_codec_its_id_or_its_keys() -> None:
    report = {
        "a": {"type": "inbound-rtp", "codecId": "c", "packetsReceived": 1},
        "c": {"type": "codec", "mimeType": "audio/PCMU", "clockRate": 8000},
        "RTCInboundRTPAudioStream_7": {"packetsReceived": 2},
        "b": {"type": "inbound-rtp", "concealedSamples": 0},
        "v": {"type": "inbound-rtp", "framesDecoded": 3},
        "x": {"type": "inbound-rtp", "packetsReceived": 4},
    }
    found = audio_report(report)
    assert found.inbound.keys() == {"a", "RTCInboundRTPAudioStream_7", "b"}
    assert (found.codec_in, found.video) == ("PCMU", 1)


def test_only_the_selected_pair_tells_the_round_trip() -> None:
    pairs = {
        "p": {"type": "candidate-pair", "selected": True, "currentRoundTripTime": 0.1},
        "q": {"type": "candidate-pair", "selected": False, "currentRoundTripTime": 0.9},
    }
    assert audio_report(pairs).pair_rtt_s == 0.1
    assert math.isnan(audio_report({"q": pairs["q"]}).pair_rtt_s)


def test_the_type_is_known_by_the_beginning_of_the_id() -> None:
    assert stats_type("RTCRemoteInboundRtpAudioStream_1", {}) == "remote-inbound-rtp"
    assert stats_type("ssrc_1_send", {}) == "ssrc"
    assert stats_type("?", {"type": 5}) == ""


def test_before_the_first_report_the_old_statistics_say_minus_one() -> None:
    sent = {"type": "ssrc", "mediaType": "audio", "ssrc": "2", "packetsSent": "50", "packetsLost": "-1"}
    before = audio_report({"ssrc_2_send": {**sent, "googRtt": "-1", "googJitterReceived": "-1"}})
    assert before.remote_inbound == {}
    after = audio_report({"ssrc_2_send": {**sent, "packetsLost": "0", "googRtt": "80"}})
    assert after.remote_inbound == {"2": {"packetsLost": 0.0, "roundTripTime": pytest.approx(0.08)}}
