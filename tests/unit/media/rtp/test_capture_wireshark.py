"""What a stream sends, as Wireshark's dissectors see it."""

import subprocess
from pathlib import Path

import pytest
from media_network import PCMU, Pair

from plivo_nb.media.audio.sources import Tone
from plivo_nb.media.rtp.capture import Capture

HERE, THERE = ("192.0.2.1", 40_000), ("192.0.2.2", 40_002)


def tshark(path: Path, *arguments: str) -> list[list[str]]:
    command = [
        "tshark",
        "-r",
        str(path),
        "-d",
        "udp.port==40000,rtp",
        "-d",
        "rtp.pt==101,rtpevent",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


def fields(path: Path, what: str, *names: str) -> list[list[str]]:
    columns = [argument for name in names for argument in ("-e", name)]
    return tshark(path, "-Y", what, "-T", "fields", *columns)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of a call with digits in it: what one side sends, and its goodbye."""
    pair = Pair(PCMU)
    for one in (pair.a, pair.b):
        one.configure(PCMU, [PCMU], {101: 8000})
        one.source = Tone(400)
    capture = Capture(tmp_path_factory.mktemp("capture") / "call.pcapng")
    send = pair.ab.send

    def captured(data: bytes, now: float) -> None:
        capture.add(now, HERE, THERE, data, True)
        send(data, now)

    pair.ab.send = captured
    pair.run(5.0)
    pair.a.send_dtmf("5#")
    pair.run(5.0)
    captured(pair.a.bye(pair.now), pair.now)
    capture.close()
    return capture.path


def test_one_stream_without_a_gap(capture: Path) -> None:
    rows = fields(capture, "rtp", "rtp.ssrc", "rtp.seq", "rtp.p_type")
    assert len(rows) == 500
    assert len({row[0] for row in rows}) == 1
    numbers = [int(row[1]) for row in rows]
    assert numbers == list(range(numbers[0], numbers[0] + 500))
    assert {row[2] for row in rows} == {"0", "101"}


def test_nothing_to_complain_of(capture: Path) -> None:
    assert tshark(capture, "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000") == []
    rows = fields(capture, "rtcp", "rtcp.pt", "rtcp.sdes.text")
    assert len(rows) > 8
    assert {row[0] for row in rows[:-1]} == {"200,202"}
    assert rows[-1][0] == "200,202,203"
    assert len({row[1] for row in rows}) == 1


def test_digits_are_well_formed_events(capture: Path) -> None:
    rows = fields(capture, "rtpevent", "rtpevent.event_id", "rtpevent.end_of_event", "rtpevent.duration")
    assert [row[0] for row in rows] == ["5"] * 7 + ["11"] * 7
    assert [row[1] in ("1", "True") for row in rows] == ([False] * 4 + [True] * 3) * 2
    assert [row[2] for row in rows[:7]] == ["160", "320", "480", "640", "800", "800", "800"]
