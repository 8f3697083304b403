"""analysis.importers.rtcstats: differences between reports, in the forms of several versions."""

from __future__ import annotations

import json

import foreign_dumps

from plivo_nb.analysis.importers import rtcstats
from plivo_nb.analysis.importers.source import Source

START_MS = foreign_dumps.START_MS


def dump(*deltas: object) -> Source:
    lines = [["getstats", "PC_0", delta, START_MS + 1000 * n] for n, delta in enumerate(deltas)]
    return Source("d", "".join(json.dumps(line) + "\n" for line in lines).encode())


def stream(**numbers: object) -> dict[str, object]:
    return {"type": "inbound-rtp", "kind": "audio", "ssrc": 1, **numbers}


def test_what_did_not_change_is_taken_from_the_report_before() -> None:
    source = dump(
        {"a": stream(packetsReceived=1, packetsLost=0, jitter=0.01)},
        {"a": {"packetsReceived": 50}},
        {"a": {"packetsReceived": 99, "jitter": 0.02}},
    )
    rows = rtcstats.read(source).samples
    assert rows["packets_in"].tolist() == [49.0, 49.0]
    assert rows["jitter_in_ms"].tolist() == [10.0, 20.0]


def test_an_object_that_is_gone_is_left_out_or_null() -> None:
    jitsi = dump(
        {"a": stream(packetsReceived=1, timestamp=0), "b": {"type": "codec", "timestamp": 0}},
        {"b": {"timestamp": 0}},
    )
    assert list(rtcstats._restored({"a": stream(), "b": {}}, {"b": {"timestamp": 0}})) == ["b"]
    assert list(rtcstats._restored({"a": stream(), "b": {}}, {"b": {"x": 1}})) == ["a", "b"]
    assert list(rtcstats._restored({"a": stream(), "b": {}}, {"a": None})) == ["b"]
    assert rtcstats.recognises(jitsi)


def test_the_first_form_was_one_document() -> None:
    events = [
        {"time": foreign_dumps.iso(START_MS + 1000 * n), "type": "getStats", "value": list(report.values())}
        for n, report in enumerate(foreign_dumps.reports(3))
    ]
    source = Source("d", json.dumps({"peerConnections": {"PC_0": events}}).encode())
    assert rtcstats.recognises(source)
    assert rtcstats.read(source).samples["packets_in"].tolist() == [50.0, 50.0, 50.0]


def test_a_dump_of_a_server_has_no_peer_connection() -> None:
    source = Source(
        "d", json.dumps(["identity", None, {"applicationName": "JVB"}, START_MS]).encode() + b"\n"
    )
    assert rtcstats.recognises(source)
    assert rtcstats.read(source).warnings == ("There is no peer connection in the dump.",)
