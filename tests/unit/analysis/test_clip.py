"""Clips: what a moment means, packets in their place, players, files."""

import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from simulation.media_network import speech_like

from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.call_set import CallSet
from plivo_nb.analysis.clip import CallClip, span_of
from plivo_nb.media.audio.recorder import Recorder

BEGAN = pd.Timestamp("2026-11-25 14:00:00", tz="UTC")
SAMPLES = pd.DataFrame(
    {"mos": [4.4, 1.2, 4.0], "interval_s": [1.0, 1.0, 0.5]},
    index=pd.date_range(BEGAN, periods=3, freq="s", name="time"),
)


def at(seconds: float) -> pd.Timestamp:
    return BEGAN + pd.Timedelta(seconds=seconds)


def fates(*rows: tuple[float, str]) -> pd.DataFrame:
    index = pd.DatetimeIndex([at(seconds) for seconds, _ in rows], tz="UTC", name="time")
    return pd.DataFrame({"fate": pd.Categorical([fate for _, fate in rows])}, index=index)


def clip(seconds: float = 1.0, rate: int = 8_000, *rows: tuple[float, str], sent: bool = False) -> CallClip:
    times = [at(0.02 * number) for number in range(round(50 * seconds))]
    return CallClip.of_frames(
        rate, speech_like(seconds, rate), times, fates(*rows) if rows else None, sent=sent
    )


@pytest.mark.parametrize(
    ("t0", "t1", "seconds"),
    [
        (at(10), at(12), (10, 12)),
        (at(10), None, (8, 12)),
        ("2026-11-25 14:00:10", None, (8, 12)),
        (datetime(2026, 11, 25, 14, 0, 10), np.datetime64("2026-11-25T14:00:12"), (10, 12)),
        (SAMPLES.index[1], None, (-1, 3)),
        (SAMPLES.iloc[1], None, (0, 1)),
        (SAMPLES.iloc[2], None, (1.5, 2)),
        (SAMPLES, None, (-1, 2)),
        (SAMPLES.index, None, (-1, 2)),
        (SimpleNamespace(since=at(10), until=at(20)), None, (9.5, 20.5)),
    ],
)
def test_a_time_in_utc(t0: object, t1: object, seconds: tuple[float, float]) -> None:
    span = span_of(t0, t1)
    assert not span.in_seconds
    assert (span.start, span.end) == (at(seconds[0]), at(seconds[1]))


@pytest.mark.parametrize(("t0", "t1"), [(None, None), (3, None), (-5.0, None), (0, 2.5), (np.float64(1), 2)])
def test_a_time_in_seconds(t0: float | None, t1: float | None) -> None:
    span = span_of(t0, t1)
    assert (span.start, span.end, span.in_seconds) == (t0, t1, True)


@pytest.mark.parametrize(
    ("t0", "t1", "sentence"),
    [
        (3.0, at(4), "both times in seconds"),
        (at(4), 5.0, "both times in seconds"),
        ([1, 2], None, "a list is no time"),
        (True, None, "a bool is no time"),
    ],
)
def test_what_is_no_time_is_refused(t0: object, t1: object, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        span_of(t0, t1)


def test_an_end_before_the_beginning_is_refused() -> None:
    with pytest.raises(ValueError, match="is not after the beginning"):
        span_of(at(4), at(3))
    with pytest.raises(ValueError, match="no rows at all"):
        span_of(SAMPLES[:0])


def test_packets_are_marked_where_their_sound_would_be() -> None:
    made = clip(
        1.0, 8_000, (-0.5, "missing"), (0.1, "missing"), (0.405, "recovered"), (0.9, "late"), (1.5, "missing")
    )
    assert made.fates["at_s"].tolist() == [0.1, 0.4, 0.9]
    assert made.fate_counts() == {"missing": 1, "late": 1, "recovered": 1, "concealed": 0}
    assert repr(made) == (
        "<CallClip: 1.00 s of sound received from 14:00:00 UTC; packets: 1 missing, 1 late, 1 recovered>"
    )


def test_time_that_the_plane_skipped_is_no_part_of_the_sound() -> None:
    times = [at(0.0), at(0.02), at(3.0), at(3.02)]
    made = CallClip.of_frames(8_000, np.zeros(640, np.int16), times, fates((3.005, "missing")))
    assert (made.seconds, made.fates["at_s"].tolist()) == (0.08, [0.04])


def test_a_clip_is_a_rate_and_samples() -> None:
    rate, samples = made = clip()
    assert (rate, len(samples), made.seconds, made.began) == (8_000, 8_000, 1.0, BEGAN)
    assert clip(sent=True).describe() == "1.00 s of sound sent from 14:00:00 UTC"
    assert CallClip(0, samples[:0], BEGAN).seconds == 0.0


@pytest.mark.parametrize(("seconds", "kind"), [(1.0, "audio/wav"), (120.0, "audio/ogg")])
def test_a_cell_has_a_waveform_and_a_player_of_less_than_a_megabyte(seconds: float, kind: str) -> None:
    shown = clip(seconds, 8_000, (0.1, "missing"))._repr_html_()
    assert f"src='data:{kind};base64," in shown
    assert "alt='Waveform: " in shown
    assert "1 missing" in shown
    assert len(shown) < 1_000_000


def test_a_clip_that_is_too_long_for_a_player_says_so() -> None:
    made = clip(10.0)
    assert made.player_sound(limit_bytes=5_000) is None
    assert re.search("too long for a player", made.player_html(5_000))
    assert len((made.player_sound(limit_bytes=20_000) or ("", b""))[1]) < 20_000


def test_a_clip_is_saved_by_its_extension(tmp_path: Path) -> None:
    made = clip()
    made.save(tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == made.wav()
    made.save(tmp_path / "a.opus")
    assert (tmp_path / "a.opus").read_bytes().startswith(b"OggS")
    with pytest.raises(ValueError, match=r"must be \.wav or \.opus"):
        made.save(tmp_path / "a.mp3")


# ---------------------------------------------------------------- of a stored call


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> CallSet:
    """A call whose recording of 3 s has speech left and silence right."""
    path = tmp_path_factory.mktemp("recording") / "call.opus"
    recorder = Recorder(path, both=True)
    sides = (recorder, recorder.sent)
    for side in sides:
        side.open(48_000)
    speech = speech_like(3.0, 48_000)
    for start in range(0, len(speech), 960):
        recorder.write(speech[start : start + 960])
        recorder.sent.write(np.zeros(960, np.int16))
    recorder.close()
    row = {"call_uuid": "a", "sound": str(path), "sound_began": BEGAN}
    return CallSet(CallFrames.of(pd.DataFrame([row], index=SAMPLES.index[:1]), SAMPLES.assign(call_uuid="a")))


@pytest.mark.parametrize(
    ("t0", "t1", "began", "seconds"),
    [
        (None, None, 0.0, 3.0),
        (1.0, 2.5, 1.0, 1.5),
        (-1.0, None, 2.0, 1.0),
        (at(2), None, 0.0, 3.0),
        (at(1), at(2), 1.0, 1.0),
        (SAMPLES.iloc[1], None, 0.0, 1.0),
    ],
)
def test_a_recording_is_cut_by_the_same_times(
    t0: object, t1: object, began: float, seconds: float, recorded: CallSet
) -> None:
    made = recorded.clip(t0, t1)
    assert made.seconds == pytest.approx(seconds, abs=0.05)
    assert abs((made.began - at(began)).total_seconds()) < 0.05
    assert np.abs(made.samples).max() > 1000


def test_of_a_recording_the_sent_side_is_the_right_one(recorded: CallSet) -> None:
    made = recorded.clip(sent=True)
    assert (made.sent, np.abs(made.samples).max() < 10) == (True, True)


def test_without_a_recording_a_sentence_says_so(recorded: CallSet) -> None:
    with pytest.raises(ValueError, match=r"it lasts 3\.0 s from 14:00:00 UTC"):
        recorded.clip(at(100), at(101))
    silent = CallSet.of(SAMPLES.assign(call_uuid="a"))
    with pytest.raises(ValueError, match="no sound is stored of this call"):
        silent.clip()
    with pytest.raises(ValueError, match="the set has 0 calls"):
        silent[:0].clip()


def test_a_report_has_the_recording_if_asked_for(recorded: CallSet, tmp_path: Path) -> None:
    recorded.report(tmp_path / "call.html", sound=True)
    text = (tmp_path / "call.html").read_text("utf-8")
    assert "data:audio/" in text
    assert "3.00 s of sound received" in text
