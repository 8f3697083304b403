"""analysis.importers.rtcstats: differences between reports, in the forms of several versions."""

from __future__ import annotations

import json

import foreign_dumps
import pytest

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
    before = {"a": stream(), "b": {}}
    assert list(rtcstats._restored(before, {"b": {"timestamp": 0}}, names_gone=False)) == ["b"]
    assert list(rtcstats._restored(before, {"b": {"x": 1}}, names_gone=False)) == ["a", "b"]
    assert list(rtcstats._restored(before, {"a": None}, names_gone=False)) == ["b"]
    assert rtcstats.recognises(jitsi)


@pytest.mark.parametrize("method", ["g", 1])
def test_file_format_3_keeps_a_stream_in_which_nothing_changed_beside_a_later_time(method: str | int) -> None:
    """A stream that stands still is left out, also where a report of the far end has a time of its own."""
    began = {
        "0": {"type": 1, "11": "audio", "10": 7, "14": 50, "15": 0},
        "1": {"type": 4, "11": "audio", "10": 7, "79": 50, "103": 1},
    }
    values: list[dict[str, object]] = [{**began, "t": START_MS}]
    values += [
        {"0": {"14": 50 * n}, "1": {"79": 50 * n, "103": n}, "t": START_MS + 1000 * n} for n in range(2, 6)
    ]
    values += [
        {"1": {"t": START_MS + 1000 * n - 1}, "2": {"57": n}, "t": START_MS + 1000 * n} for n in range(6, 18)
    ]
    lines = [[method, "PC_0", value, START_MS if n == 0 else 1000] for n, value in enumerate(values)]
    text = "RTCStatsDump\n" + "".join(json.dumps(line) + "\n" for line in [{"fileFormat": 3}, *lines])
    rows = rtcstats.read(Source("d", text.encode())).samples
    assert rows["packets_in"].iloc[-5:].tolist() == [0.0] * 5
    assert rows["loss_in"].iloc[-1] == 1.0


EVENTS = [json.loads(line) for line in foreign_dumps.rtcstats(5).splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(EVENTS),
        *(
            "\n".join(
                json.dumps({"type": "stats-entry", "statsSessionId": "s", "data": pack(e)}) for e in EVENTS
            )
            for pack in (list, json.dumps)
        ),
        "\n".join(
            json.dumps([e[0], e[1], json.dumps(e[2]) if e[0] == "getstats" else e[2], e[3]]) for e in EVENTS
        ),
    ],
    ids=["one array", "messages", "messages as text", "reports as text"],
)
def test_the_lines_may_be_wrapped(text: str) -> None:
    source = Source("d", text.encode())
    assert rtcstats.recognises(source)
    assert rtcstats.read(source).samples["packets_in"].tolist() == [50.0] * 5


def test_the_first_line_of_file_format_3_is_no_damage() -> None:
    frames = rtcstats.read(Source("d", foreign_dumps.rtcstats_3(3)))
    assert not [warning for warning in frames.warnings if "lines" in warning]
    cut = rtcstats.read(Source("d", foreign_dumps.rtcstats_3(3)[:-9]))
    assert [warning for warning in cut.warnings if warning.startswith("1 of 7 lines")]


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
