"""analysis.importers.plivo_statistics: messages of the statistics service, the SDK's and our own."""

from __future__ import annotations

import json

import foreign_dumps
import pytest

from plivo_nb.analysis.importers import plivo_statistics
from plivo_nb.analysis.importers.source import Source
from plivo_nb.insights.messages import Subject, call_stats


def test_a_call_has_its_times_its_feedback_and_when_it_was_muted() -> None:
    frames = plivo_statistics.read(Source("f", foreign_dumps.plivo(20)))
    call = frames.calls.iloc[0]
    assert (call["call_uuid"], call["direction"], call["state"]) == ("uuid-1", "OUTGOING", "ended")
    assert (call["post_dial_delay_ms"], call["answer_delay_ms"], call["media_setup_ms"]) == (1000, 1900, 150)
    assert (call["duration_s"], call["originator"], call["feedback_score"]) == (20, "local", 2)
    assert call["ice_ms"] == 60
    assert frames.samples["interval_s"].tolist() == [5.0] * 4
    assert frames.samples["muted"].tolist() == [False, True, False, False]
    assert frames.samples["level_in_dbfs"].iloc[0] == pytest.approx(-20.0)


def test_both_ends_of_a_call_are_two_calls() -> None:
    lines = foreign_dumps.plivo(10).decode()
    both = lines + lines.replace('"alice"', '"bob"')
    frames = plivo_statistics.read(Source("f", both.encode()))
    assert sorted(frames.calls["call_uuid"]) == ["uuid-1/alice", "uuid-1/bob"]


def test_the_messages_of_this_kit_are_read() -> None:
    stats = {
        "outbound-rtp": {"packetsSent": 250, "ssrc": 1},
        "inbound-rtp": {"packetsReceived": 249, "ssrc": 2},
    }
    sample = {"rtt_ms": 40.0, "jitter_in_ms": 3.0, "mos": 4.3, "codec": "PCMU"}
    message = call_stats(Subject("c", "x", "alice", "d"), stats, sample, pdd_ms=100.0, media_setup_ms=50.0)
    source = Source("f", json.dumps([message]).encode())
    assert plivo_statistics.recognises(source)
    row = plivo_statistics.read(source).samples.iloc[0]
    assert (row["rtt_ms"], row["jitter_in_ms"], row["codec"], row["mos"]) == (40.0, 3.0, "PCMU", 4.3)


def test_a_call_that_failed_says_why_and_a_message_of_no_call_is_named() -> None:
    lines = [
        {"msg": "ICE_FAILURE", "info": "No route.", "callUUID": "u", "timeStamp": foreign_dumps.START_MS},
        {"msg": "CALL_STATS"},
    ]
    frames = plivo_statistics.read(Source("f", "\n".join(map(json.dumps, lines)).encode()))
    assert frames.calls[["state", "reason"]].iloc[0].tolist() == ["failed", "No route."]
    assert "which call" in frames.warnings[0]
