"""analysis.importers.webrtc_internals: dumps of Chrome, today's form and the ones before."""

from __future__ import annotations

import json

import foreign_dumps
import pytest

from plivo_nb.analysis import diagnose
from plivo_nb.analysis.importers import webrtc_internals
from plivo_nb.analysis.importers.source import Source


def test_a_call_begins_when_it_is_connected_and_is_named_after_the_connection() -> None:
    frames = webrtc_internals.read(Source("dump", foreign_dumps.internals(5)))
    assert frames.calls["call_uuid"].tolist() == ["dump/7-1"]
    assert len(frames.samples) == 5
    assert frames.samples["level_out_dbfs"].notna().all()
    assert frames.warnings == ("dump/7-1: 1 video streams were left out; only audio is read.",)


def test_damaged_series_are_counted() -> None:
    document = json.loads(foreign_dumps.internals(5))
    stats = document["PeerConnections"]["7-1"]["stats"]
    stats["IT01A1-jitter"]["values"] = "[0.1, "
    del stats["IT01A1-timestamp"]
    del stats["IT01A1-bytesReceived"]["startTime"]
    frames = webrtc_internals.read(Source("dump", json.dumps(document).encode()))
    assert frames.warnings[1:] == ("dump/7-1: 2 series of statistics are damaged and were left out.",)
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


def steady(seconds: int, dies_at: int, *, stamps: bool) -> bytes:
    """A dump in which the far end's reports say the same again; nothing arrives at all from `dies_at` on."""
    document = json.loads(foreign_dumps.internals(seconds, stamps=stamps))
    stats = document["PeerConnections"]["7-1"]["stats"]
    about = {key: stats["RIA2-jitter"][key] for key in ("startTime", "endTime")}
    every = range(seconds + 1)

    def put(name: str, kind: str, values: list[float]) -> None:
        stats[name] = {**about, "statsType": kind, "values": json.dumps(values)}

    alive = [min(n, dies_at) for n in every]
    put("RIA2-packetsLost", "remote-inbound-rtp", [0.0 for _ in every])
    put("RIA2-fractionLost", "remote-inbound-rtp", [0.0 for _ in every])
    put("RIA2-roundTripTimeMeasurements", "remote-inbound-rtp", [n // 5 for n in alive])
    put("CP1-responsesReceived", "candidate-pair", [n // 2 for n in alive])
    put("IT01A1-packetsReceived", "inbound-rtp", [50 * n for n in alive])
    put("IT01A1-packetsLost", "inbound-rtp", [0 for _ in every])
    put("ROA1-packetsSent", "remote-outbound-rtp", [50 * n for n in alive])
    put("ROA1-reportsSent", "remote-outbound-rtp", alive)
    start_ms = foreign_dumps.START_MS
    put("ROA1-remoteTimestamp", "remote-outbound-rtp", [start_ms + 1000 * n for n in alive])
    if stamps:
        put("RIA2-timestamp", "remote-inbound-rtp", [start_ms + 5000 * (n // 5) for n in alive])
        put("ROA1-timestamp", "remote-outbound-rtp", [start_ms + 1000 * n for n in alive])
    return json.dumps(document).encode()


@pytest.mark.parametrize("stamps", [True, False])
def test_a_clean_call_whose_reports_say_the_same_again_is_clean(stamps: bool) -> None:
    frames = webrtc_internals.read(Source("d", steady(60, 60, stamps=stamps)))
    assert frames.samples["loss_out"].iloc[10:].tolist() == [0.0] * len(frames.samples.iloc[10:])
    assert frames.samples["mos"].min() > 4.0
    assert len(diagnose(frames.samples, calls=frames.calls)) == 0


@pytest.mark.parametrize("stamps", [True, False])
def test_what_was_measured_before_the_line_died_does_not_stay(stamps: bool) -> None:
    last = webrtc_internals.read(Source("d", steady(90, 30, stamps=stamps))).samples.iloc[-30:]
    assert set(last["loss_in"]) == {1.0}
    assert last[["rtt_ms", "loss_out", "jitter_out_ms"]].isna().all(axis=None)
    assert set(last["mos"]) == {1.0}


@pytest.mark.parametrize("back_ms", [2_000, 3_600_000])
def test_rows_go_on_where_the_clock_was_set_back(back_ms: int) -> None:
    document = json.loads(foreign_dumps.internals(60))
    stats = document["PeerConnections"]["7-1"]["stats"]
    for name, entry in stats.items():
        values = json.loads(entry["values"])
        if name.endswith("-timestamp"):
            values = [at - back_ms * (n >= 30) for n, at in enumerate(values)]
        if name.startswith("OT01A2-"):  # came after it
            values = values[40:]
        entry["values"] = json.dumps(values)
    frames = webrtc_internals.read(Source("d", json.dumps(document).encode()))
    assert frames.warnings[1:] == (
        "d/7-1: the clock was set back 1 times; the rows after it go on from there.",
    )
    rows = frames.samples
    assert rows["packets_in"].tolist() == [50.0] * 60
    assert rows["interval_s"].between(0.99, 1.03).all()
    assert rows["packets_out"].iloc[-15:].tolist() == [50.0] * 15
    assert set(rows["loss_out"].iloc[-10:].round(3)) == {0.02}
