"""analysis.importers.packet_capture: calls of captures, in every container and layer."""

from __future__ import annotations

from pathlib import Path

import foreign_captures
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plivo_nb.analysis.importers import packet_capture, read_foreign
from plivo_nb.analysis.importers.source import Source
from plivo_nb.media.rtp.capture import Capture

FILES = {name: make() for name, make in foreign_captures.CAPTURES.items()}


@pytest.mark.parametrize("name", FILES)
def test_every_capture_gives_the_figures_of_the_call(name: str) -> None:
    source = Source("call", FILES[name])
    assert packet_capture.recognises(source)
    frames = packet_capture.read(source)
    assert len(frames.calls) == 1
    rows = frames.samples
    assert len(rows) == 10
    assert rows["packets_out"].iloc[1:9].tolist() == [50.0] * 8
    assert rows["packets_in"].iloc[1:9].tolist() == [48.0] * 8
    assert rows["jitter_in_ms"].iloc[-1] == pytest.approx(0.0, abs=0.1)
    assert rows["bitrate_out_kbps"].iloc[5] == pytest.approx(24.0)
    assert set(rows["codec"]) == {"OPUS"}
    assert rows["loss_runs_1"].sum() == 18.0  # the last one is not settled
    call = frames.calls.iloc[0]
    assert call["loss_in"] == pytest.approx(0.04, abs=0.003)
    if name == "SRTP":
        assert rows["rtt_ms"].isna().all()
        assert "the media is SRTP" in frames.warnings[0]
    else:
        assert rows["rtt_ms"].iloc[-1] == pytest.approx(80.0, abs=0.1)
        assert rows["jitter_out_ms"].iloc[-1] == pytest.approx(4.0)
        assert rows["loss_out"].iloc[-1] == pytest.approx(0.02)
        assert rows["mos"].iloc[2:].between(3.0, 4.5).all()
        assert frames.warnings == ()
    if "only" not in name:
        assert (call["call_uuid"], call["direction"], call["state"]) == ("uuid-1", "OUTGOING", "ended")
        assert (call["src"], call["dest"], call["code"], call["originator"]) == ("alice", "bob", 200, "local")
        assert call["post_dial_delay_ms"] == pytest.approx(1000, abs=1)
        assert call["answer_delay_ms"] == pytest.approx(1900, abs=1)
        assert call["media_setup_ms"] == pytest.approx(110, abs=1)
        assert call["duration_s"] == pytest.approx(10.1, abs=0.01)


def test_a_far_end_that_sends_nothing_is_one_way_audio() -> None:
    sent = [item for item in foreign_captures.media() if item[1]]
    packets = foreign_captures.udp(foreign_captures.signalling(), port=5060) + foreign_captures.udp(sent)
    rows = packet_capture.read(Source("call", foreign_captures.saved(packets))).samples
    assert rows["loss_in"].iloc[-1] == 1.0
    assert rows["packets_in"].sum() == 0


def test_our_own_captures_are_read_and_say_which_end_they_are_of(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "x.pcapng")
    for at, sent, data in sorted(foreign_captures.media()):
        ends = (foreign_captures.THERE, foreign_captures.HERE)  # here is the public address
        capture.add(1000.0 + at, *(ends if sent else ends[::-1]), data, sent)
    capture.close()
    frames = read_foreign(tmp_path / "x.pcapng")
    assert frames.samples["packets_out"].sum() == 500
    assert frames.calls["loss_in"].iloc[0] == pytest.approx(0.04, abs=0.003)


@pytest.mark.parametrize(("there", "mux"), [(5000, True), (4001, True), (5000, False)])
@pytest.mark.parametrize("how", ["directions", "SIP", "media only"])
def test_both_ends_of_one_address_are_told_apart(tmp_path: Path, how: str, there: int, mux: bool) -> None:
    ends = (("127.0.0.1", 4000), ("127.0.0.1", there))
    messages = [(at, sent, data, 0) for at, sent, data in foreign_captures.media()]
    if not mux:
        messages = [(at, sent, data, int(data[1] >= 192)) for at, sent, data, _ in messages]
    if how == "directions":
        capture = Capture(tmp_path / "x.pcapng")
        for at, sent, data, up in sorted(messages):
            source, to = ends if sent else ends[::-1]
            capture.add(1000.0 + at, (source[0], source[1] + up), (to[0], to[1] + up), data, sent)
        capture.close()
        frames = read_foreign(tmp_path / "x.pcapng")
    else:
        packets = []
        for at, sent, data, up in messages:
            packets += foreign_captures.udp([(at, sent, data)], ends=ends, up=up)
        if how == "SIP":
            for at, sent, data in foreign_captures.signalling():
                data = data.replace(b"10.0.0.1", b"127.0.0.1").replace(b"198.51.100.2", b"127.0.0.1")
                data = data.replace(b"m=audio 5000", b"m=audio %d" % there)
                packets += foreign_captures.udp(
                    [(at, sent, data)], ends=(("127.0.0.1", 40_000), ("127.0.0.1", 5060))
                )
        frames = packet_capture.read(Source("call", foreign_captures.saved(packets)))
    assert len(frames.calls) == 1
    assert frames.samples["packets_out"].sum() == 500
    assert frames.samples["packets_in"].sum() == 480
    assert frames.samples["rtt_ms"].iloc[-1] == pytest.approx(80.0, abs=0.1)
    if how == "SIP":
        assert (frames.calls["direction"].iloc[0], frames.calls["originator"].iloc[0]) == (
            "OUTGOING",
            "local",
        )


def test_several_calls_are_told_apart() -> None:
    second = [
        (at, sent, data[:8] + b"\x00\x00\x00\x09" + data[12:]) for at, sent, data in foreign_captures.media()
    ]
    other = [(at, sent, data) for at, sent, data in second if data[1] < 192]
    packets = [*foreign_captures.media_packets(), *foreign_captures.udp(other, port=7000)]
    frames = packet_capture.read(Source("call", foreign_captures.saved(packets)))
    assert frames.calls["call_uuid"].tolist() == ["call/1", "call/2"]


@pytest.mark.parametrize("name", ["pcap, Ethernet", "pcapng, VLAN"])
def test_a_capture_that_is_cut_off_gives_what_is_left(name: str) -> None:
    data = FILES[name]
    for end in [*range(4, 200, 7), len(data) // 2 + 1, len(data) - 3]:
        frames = packet_capture.read(Source("call", data[:end]))
    assert len(frames.samples) == 10


def test_a_long_time_without_packets_is_one_row() -> None:
    late = [(at + 50_000.0 if at > 5.0 else at, sent, data) for at, sent, data in foreign_captures.media()]
    rows = packet_capture.read(Source("call", foreign_captures.saved(foreign_captures.udp(late)))).samples
    assert len(rows) <= 12
    assert rows["interval_s"].max() == pytest.approx(50_000.0, rel=0.001)
    assert rows["packets_out"].sum() == 500


def test_a_capture_without_calls_says_so() -> None:
    frames = packet_capture.read(
        Source("call", foreign_captures.saved(foreign_captures.udp([(0.0, True, b"hello")])))
    )
    assert "neither a SIP call nor an RTP stream" in frames.warnings[0]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_wrong_bytes_never_raise(data: st.DataObject) -> None:
    short = FILES["SIP over WebSocket"][:20_000]
    damaged = bytearray(short)
    for _ in range(data.draw(st.integers(1, 20))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    frames = packet_capture.read(Source("call", bytes(damaged)))
    assert frames.samples["loss_in"].dropna().between(0.0, 1.0).all()
