"""The last seconds of a call's audio, and clips of it."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from plivo_nb.engine.audio.kept_audio import Clip, KeptAudio

RAMP = np.arange(-400, 400, dtype=np.int16)


def test_both_directions_are_kept_apart() -> None:
    kept = KeptAudio(1.0)
    for buffer, value in ((kept, 7), (kept.sent, -7)):
        buffer.open(8_000)
        buffer.write(np.full(160, value, np.int16))
    assert set(kept.audio()[1]) == {7}
    assert set(kept.sent.audio()[1]) == {-7}


def test_a_clip_is_a_rate_and_samples() -> None:
    rate, samples = clip = Clip(8_000, RAMP)
    assert (rate, clip.seconds) == (8_000, 0.1)
    assert samples is RAMP
    assert repr(clip) == "<Clip of 0.10 s at 8000 Hz>"


@pytest.mark.parametrize("clip", [Clip(8_000, RAMP), Clip(0, RAMP[:0])], ids=["sound", "none"])
def test_a_clip_is_a_wav_file_with_the_same_samples(clip: Clip, tmp_path: Path) -> None:
    clip.save(tmp_path / "clip.wav")
    assert (tmp_path / "clip.wav").read_bytes() == clip.wav()
    with wave.open(io.BytesIO(clip.wav())) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getframerate() == (clip.rate or 48_000)
        assert np.array_equal(np.frombuffer(file.readframes(-1), "<i2"), clip.samples)


def test_a_clip_without_audio_lasts_no_time() -> None:
    assert Clip(0, RAMP[:0]).seconds == 0


def test_a_notebook_shows_a_player() -> None:
    shown = Clip(8_000, RAMP)._repr_html_()
    assert shown.startswith("<audio controls src='data:audio/wav;base64,UklGR")
    assert shown.endswith("0.10 s")
