"""A call to go through again: from frames, files and calls; its figures, warnings and sound at a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from plivo_nb.analysis import store
from plivo_nb.engine.audio.kept_audio import Clip, KeptAudio
from plivo_nb.events import CallInfo
from plivo_nb.quality.frames import SCHEMA, build_frame
from plivo_nb.widgets.recorded_call import RecordedCall, recorded_calls

START_NS = pd.Timestamp("2026-11-25 12:00:00", tz="UTC").value
NAMES = [column.name for column in SCHEMA["samples"]]


def samples(rows: int = 10, uuid: str = "uuid-1", start_s: int = 0, **columns: Any) -> pd.DataFrame:
    """Rows of `client.samples`; the first one is a second after `start_s`."""
    values: dict[str, Any] = {name: [np.nan] * rows for name in NAMES}
    plain = {
        "call_uuid": uuid, "codec": "OPUS", "direction": "sendrecv", "interval_s": 1.0, "mos": 4.4,
        "mos_in": 4.4, "mos_out": 4.4, "loss_in": 0.0, "packets_expected_in": 50.0, "rtt_ms": 60.0,
        "rtt_age_s": 0.2, "report_age_s": 0.2, "loop_lag_ms": 1.0, "muted": False, "not_sent_in": False,
    }  # fmt: skip
    values |= {name: [value] * rows for name, value in plain.items()} | columns
    times = [START_NS + (start_s + 1 + row) * 10**9 for row in range(rows)]
    return build_frame("samples", times, values)


def metrics(uuid: str = "uuid-1") -> pd.DataFrame:
    """Loss from second 4 to second 8."""
    values = {
        "call_uuid": [uuid] * 2, "group": ["network"] * 2, "level": ["warning"] * 2, "value": [0.3, 0.0],
        "type": ["high_packetloss"] * 2, "active": [True, False], "desc": ["packetLossRemoteMeasure"] * 2,
        "stream": ["remote"] * 2,
    }  # fmt: skip
    return build_frame("media_metrics", [START_NS + 4 * 10**9, START_NS + 8 * 10**9], values)


class Ended:
    """A call as `RecordedCall` sees it."""

    info = CallInfo("uuid-1", "OUTGOING", "sip:alice@phone.plivo.com", "sip:echo@phone.plivo.com", "ended")

    def __init__(self) -> None:
        self.samples, self.media_metrics = samples(), metrics()
        self.kept = KeptAudio(60.0)
        for buffer in (self.kept, self.kept.sent):
            buffer.open(8000)
        for frame in range(10 * 50):  # a click in second 5, and one in second 8 of what is sent
            silence = np.zeros(160, np.int16)
            self.kept.write(silence + 9000 * (frame // 50 == 5))
            self.kept.sent.write(silence + 5000 * (frame // 50 == 8))

    def audio(self, t0: float | None = None, t1: float | None = None, *, sent: bool = False) -> Clip:
        return Clip(*(self.kept.sent if sent else self.kept).audio(t0, t1))


def test_a_frame_of_one_call() -> None:
    (call,) = recorded_calls(samples(), metrics())
    assert (call.name, call.seconds, str(call.began)) == ("call 1", 10.0, "2026-11-25 12:00:00+00:00")
    assert call.time(4.0) == pd.Timestamp("2026-11-25 12:00:04", tz="UTC")
    assert [len(call.warnings_at(at)) for at in (3.9, 4.0, 7.9, 8.0)] == [0, 1, 1, 0]
    assert call.summary() == "Packets lost on the way to you (4 s)."
    assert call.clip(3.0) is None


def test_the_figures_of_a_moment_are_those_a_dashboard_showed_then() -> None:
    scores = [4.4, 4.4, 4.4, 2.0, *[4.4] * 6]
    (call,) = recorded_calls(samples(mos=scores))
    shown = [call.figures(at).mos.value for at in (0.5, 3.0, 3.9, 4.0, 8.0, 9.0)]
    assert shown == ["–", "4.40", "4.40", "2.00", "2.00", "4.40"]
    assert call.figures(10.0).mos.more == "mean of the call"
    assert len(call.recent(4.0)["mos"]) == 4


def test_the_calls_of_a_frame_are_separate() -> None:
    frame = pd.concat([samples(5), samples(8, "uuid-2", 60, mos=[1.0] * 8)])
    first, second = recorded_calls(frame, metrics("uuid-2"))
    assert ([first.seconds, second.seconds], [first.name, second.name]) == ([5.0, 8.0], ["call 1", "call 2"])
    assert (len(first.warnings), len(second.warnings)) == (0, 1)
    assert second.figures(3.0).mos.value == "1.00"


def test_a_parquet_file_with_the_warnings_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "bad call.parquet"
    store.save(samples(), path)
    (call,) = recorded_calls(path)
    assert (call.name, len(call.warnings)) == ("bad call", 0)
    store.save(metrics(), tmp_path / "bad call.media_metrics.parquet", "media_metrics")
    (call,) = recorded_calls(str(path))
    assert call.summary() == "Packets lost on the way to you (4 s)."
    assert call.figures(3.0) == recorded_calls(samples())[0].figures(3.0)


def test_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "call.csv"
    samples().to_csv(path)
    (call,) = recorded_calls(path)
    assert call.figures(3.0) == recorded_calls(samples())[0].figures(3.0)
    samples().drop(columns="call_uuid").to_csv(path)
    (call,) = recorded_calls(path)
    assert (call.name, call.seconds) == ("call", 10.0)


def test_a_call_has_its_sound_at_the_moment() -> None:
    (call,) = recorded_calls(Ended())
    assert call.name == "echo"
    assert len(call.warnings) == 1
    clip = call.clip(5.5)
    assert clip is not None
    assert clip.seconds == 5.0
    loud = np.flatnonzero(clip.samples) / clip.rate
    assert (loud[0], loud[-1]) == (pytest.approx(0.5, abs=0.03), pytest.approx(1.5, abs=0.03))
    sent = call.clip(8.5, sent=True)
    assert sent is not None
    assert sent.samples.max() == 5000
    quiet, end, start = call.clip(2.0), call.clip(10.0), call.clip(0.0)
    assert quiet is not None
    assert quiet.samples.max() == 9000  # seconds 1 to 6
    assert end is not None
    assert end.seconds == 1.0
    assert start is not None
    assert start.seconds == 4.0


def test_sound_that_is_no_longer_kept_is_none() -> None:
    ended = Ended()
    ended.kept.drop(ended.kept.total_bytes - 2 * 2 * 8000 * 2)  # all but two seconds of each direction
    (call,) = recorded_calls(ended)
    assert call.clip(2.0) is None
    assert call.clip(8.0) is not None


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (42, TypeError, "A int is no recorded call; give a frame"),
        (samples(0), ValueError, "The frame has no samples"),
        (samples().reset_index(drop=True), ValueError, "no index 'time' in UTC"),
        (samples().drop(columns="mos"), ValueError, "no column 'mos'"),
        ("call.wav", ValueError, "give a .parquet or .csv file"),
        ("missing.parquet", OSError, "missing.parquet"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(
    source: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        recorded_calls(source)


def test_a_csv_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no column 'time'"):
        recorded_calls(tmp_path / "other.csv")


def test_a_call_of_rows_without_warnings() -> None:
    call = RecordedCall.of(samples(3))
    assert call.warnings_at(2.0) == []
    assert call.summary() == "No warning in this call."
