"""The last seconds of a call's audio, and clips of it."""

import gc
import io
import logging
import wave
from pathlib import Path

import numpy as np
import pytest

from plivo_nb.call import Call
from plivo_nb.engine.audio.kept_audio import MAX_BYTES, Clip, KeptAudio, KeptAudioLimit
from plivo_nb.options import Options

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


SECOND_BYTES = 16_000  # of one direction at 8 kHz


def speak(kept: KeptAudio, seconds: int, value: int = 1) -> None:
    for buffer in (kept, kept.sent):
        buffer.open(8_000)
    for _ in range(50 * seconds):
        kept.write(np.full(160, value, np.int16))
        kept.sent.write(np.full(160, -value, np.int16))


def test_all_calls_together_keep_no_more_than_the_limit_and_the_oldest_call_loses_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    limit = KeptAudioLimit(6 * SECOND_BYTES)
    first, second, third = (KeptAudio(10.0, limit) for _ in range(3))
    speak(first, 2)
    speak(second, 1)
    assert [kept.total_bytes // SECOND_BYTES for kept in (first, second, third)] == [4, 2, 0]
    speak(third, 1)
    assert [kept.total_bytes // SECOND_BYTES for kept in (first, second, third)] == [2, 2, 2]
    assert (first.span_s, first.sent.span_s) == ((1.0, 2.0), (1.0, 2.0))
    speak(third, 3)
    assert [kept.total_bytes // SECOND_BYTES for kept in (first, second, third)] == [0, 0, 6]
    assert first.audio()[1].size == 0
    assert third.span_s == (1.0, 4.0)
    assert caplog.text.count("that of the oldest calls is dropped") == 1


def test_calls_that_are_deleted_take_nothing_of_the_limit() -> None:
    limit = KeptAudioLimit(4 * SECOND_BYTES)
    first, second = (KeptAudio(10.0, limit) for _ in range(2))
    speak(first, 2)
    del first
    gc.collect()
    speak(second, 2)
    assert second.total_bytes == 4 * SECOND_BYTES


def test_one_call_that_keeps_an_hour_is_bounded_too() -> None:
    limit = KeptAudioLimit(4 * SECOND_BYTES)
    kept = KeptAudio(3600.0, limit)
    speak(kept, 10)
    assert kept.total_bytes <= 4 * SECOND_BYTES
    assert kept.span_s == (8.0, 10.0)


def test_the_limit_is_what_the_help_says() -> None:
    megabytes = f"{MAX_BYTES // 1_000_000} MB"
    for documented in (Call.audio, Options):
        assert megabytes in " ".join((documented.__doc__ or "").split())
