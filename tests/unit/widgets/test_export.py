"""Export to files: what is in them, and that no file is overwritten."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from plivo_nb.engine.audio.kept_audio import Clip
from plivo_nb.errors import InvalidState
from plivo_nb.widgets.export import default_name, export, stereo_wav, unused
from plivo_nb.widgets.recorded_call import RecordedCall, recorded_calls

INDEX = pd.date_range("2026-11-25 12:00:01", periods=3, freq="s", tz="UTC", name="time")
SAMPLES = pd.DataFrame({"mos": [4.4, 4.3, 4.2]}, index=INDEX)
METRICS = pd.DataFrame(
    {"type": "high_rtt", "stream": "None", "desc": "high latency", "value": [500.0], "active": [True]},
    index=INDEX[:1],
)


async def draw(call: RecordedCall, format_: str) -> bytes:
    return f"{format_} of {call.name}".encode()


def clip(*values: int) -> Clip:
    return Clip(8000, np.array(values, np.int16))


def with_sound(received: Clip, sent: Clip) -> RecordedCall:
    return RecordedCall.of(
        SAMPLES, name="echo", audio=lambda *_, sent=False, both=(received, sent): both[sent]
    )


@pytest.mark.parametrize("format_", ["png", "svg"])
async def test_pictures_are_drawn_and_never_overwritten(tmp_path: Path, format_: str) -> None:
    call = RecordedCall.of(SAMPLES, name="echo")
    paths = [await export(call, tmp_path / f"call.{format_}", draw) for _ in range(3)]
    assert [path.name for path in paths] == [f"call.{format_}", f"call-2.{format_}", f"call-3.{format_}"]
    assert {path.read_text() for path in paths} == {f"{format_} of echo"}


async def test_a_relative_path_is_one_of_the_kernels_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = await export(RecordedCall.of(SAMPLES), "call.PNG", draw)
    assert path == tmp_path / "call.PNG"
    assert path.read_bytes() == b"png of "


async def test_parquet_has_the_samples_and_the_warnings(tmp_path: Path) -> None:
    call = RecordedCall.of(SAMPLES, METRICS)
    first = await export(call, tmp_path / "call.parquet", draw)
    second = await export(call, tmp_path / "call.parquet", draw)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "call-2.media_metrics.parquet", "call-2.parquet", "call.media_metrics.parquet", "call.parquet",
    ]  # fmt: skip
    for path in (first, second):
        (again,) = recorded_calls(path)
        assert (again.seconds, again.summary()) == (3.0, "Long round trip (2 s).")
    await export(RecordedCall.of(SAMPLES), tmp_path / "plain.parquet", draw)
    assert not (tmp_path / "plain.media_metrics.parquet").exists()


async def test_wav_has_both_directions(tmp_path: Path) -> None:
    path = await export(with_sound(clip(1, 2, 3), clip(7, 8)), tmp_path / "call.wav", draw)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 3)
        assert np.frombuffer(file.readframes(3), "<i2").reshape(-1, 2).tolist() == [[1, 0], [2, 7], [3, 8]]
    with wave.open(io.BytesIO(stereo_wav(clip(), clip(5)))) as file:
        assert file.getnframes() == 1


async def test_without_sound_there_is_no_file(tmp_path: Path) -> None:
    for call in (RecordedCall.of(SAMPLES), with_sound(clip(), clip())):
        with pytest.raises(InvalidState, match="keepAudio"):
            await export(call, tmp_path / "call.wav", draw)
    assert list(tmp_path.iterdir()) == []


async def test_another_extension_is_refused(tmp_path: Path) -> None:
    for name in ("call.mp4", "call"):
        with pytest.raises(ValueError, match=r"must be one of \.png, \.svg, \.parquet, \.wav"):
            await export(RecordedCall.of(SAMPLES), tmp_path / name, draw)


def test_names() -> None:
    assert default_name(RecordedCall.of(SAMPLES, name="sip:../bob smith"), "png") == (
        "sip-bob-smith-2026-11-25-120000.png"
    )
    assert default_name(RecordedCall.of(SAMPLES), "wav") == "call-2026-11-25-120000.wav"
    assert unused(Path("nothing", "here.png")) == Path("nothing", "here.png")
