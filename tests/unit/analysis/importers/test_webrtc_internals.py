"""analysis.importers.webrtc_internals: dumps of Chrome, today's form and the ones before."""

from __future__ import annotations

import json

import foreign_dumps

from plivo_nb.analysis.importers import webrtc_internals
from plivo_nb.analysis.importers.source import Source


def test_a_call_begins_when_it_is_connected_and_is_named_after_the_connection() -> None:
    frames = webrtc_internals.read(Source("dump", foreign_dumps.internals(5)))
    assert frames.calls["call_uuid"].tolist() == ["dump/7-1"]
    assert len(frames.samples) == 5
    assert frames.samples["level_out_dbfs"].notna().all()
    assert frames.warnings == ()


def test_damaged_series_are_counted() -> None:
    document = json.loads(foreign_dumps.internals(5))
    stats = document["PeerConnections"]["7-1"]["stats"]
    stats["IT01A1-jitter"]["values"] = "[0.1, "
    del stats["IT01A1-timestamp"]
    del stats["IT01A1-bytesReceived"]["startTime"]
    frames = webrtc_internals.read(Source("dump", json.dumps(document).encode()))
    assert frames.warnings == ("dump/7-1: 2 series of statistics are damaged and were left out.",)
    assert frames.samples["jitter_in_ms"].isna().all()
    assert frames.samples["packets_in"].sum() == 250


def test_a_dump_without_connections_says_so() -> None:
    source = Source("dump", b'{"getUserMedia": [], "PeerConnections": {}, "UserAgent": "Chrome"}')
    assert webrtc_internals.recognises(source)
    assert webrtc_internals.read(source).warnings == ("There is no peer connection in the dump.",)


def test_the_connections_may_stand_at_the_end() -> None:
    document = json.loads(foreign_dumps.internals(2))
    late = {"padding": "x" * 70_000, "PeerConnections": document["PeerConnections"]}
    assert webrtc_internals.recognises(Source("dump", json.dumps(late).encode()))
