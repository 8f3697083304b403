"""The recorder: its file and its thread."""

import os
import threading
import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from small_disk import killed, small_disk
from waiting import wait_until

from plivo_nb.errors import MediaError
from plivo_nb.media.audio.sinks import Null, Recorder, Tee
from plivo_nb.media.audio.tones import tone


def read_wav(path: Path) -> tuple[int, NDArray[np.int16]]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)


def threads(path: Path) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if path.name in thread.name]


def test_a_recording_is_exactly_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "heard.wav"
    recorder = Recorder(path)
    recorder.open(8000)
    frames = [np.full(160, n, np.int16) for n in range(137)]
    for frame in frames:
        recorder.write(frame)
    recorder.close()
    recorder.close()
    assert recorder.seconds == pytest.approx(2.74)
    assert not threads(path)
    rate, pcm = read_wav(path)
    assert rate == 8000
    assert (pcm == np.concatenate(frames)).all()
    recorder.write(frames[0])
    assert recorder.dropped == 0
    assert "heard.wav" in repr(recorder)


def test_another_rate_is_resampled_to_the_first(tmp_path: Path) -> None:
    path = tmp_path / "both.wav"
    recorder = Recorder(path)
    recorder.open(48_000)
    for _ in range(50):
        recorder.write(np.full(960, 1000, np.int16))
    recorder.open(8000)
    for _ in range(50):
        recorder.write(np.full(160, 1000, np.int16))
    recorder.close()
    rate, pcm = read_wav(path)
    assert rate == 48_000
    assert len(pcm) == pytest.approx(96_000, abs=1500)
    assert np.median(pcm[60_000:]) == pytest.approx(1000, abs=5)


def test_both_directions_are_recorded_in_stereo(tmp_path: Path) -> None:
    path = tmp_path / "both.wav"
    recorder = Recorder(path, both=True)
    tee = Tee(recorder, Null())
    sent = tee.sent
    assert sent is not None
    tee.open(8000)
    sent.open(8000)
    for n in range(50):
        tee.write(np.full(160, n, np.int16))
        if n % 10:
            sent.write(np.full(160, -n, np.int16))
    tee.close()
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    assert pcm[::160, 0].tolist() == list(range(50))
    assert pcm[::160, 1].tolist() == [-n if n % 10 else 0 for n in range(50)]


def test_two_rates_are_brought_together(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "two.wav", both=True)
    assert recorder.sent is not None
    recorder.open(48_000)
    recorder.sent.open(8000)
    for _ in range(100):
        recorder.write(np.full(960, 500, np.int16))
        recorder.sent.write(np.full(160, -500, np.int16))
    recorder.close()
    with wave.open(str(recorder.path), "rb") as file:
        assert file.getframerate() == 48_000
        assert file.getnframes() == pytest.approx(96_000, abs=2000)


@pytest.mark.parametrize("extension", ["flac", "mp3", "ogg", "opus", "m4a", "MP3"])
@pytest.mark.parametrize("both", [False, True])
def test_the_extension_says_the_format(tmp_path: Path, extension: str, both: bool) -> None:
    path = tmp_path / f"heard.{extension}"
    recorder = Recorder(path, both)
    recorder.open(48_000)
    for frame in np.split(tone((440.0,), 2.0, 48_000), 100):
        recorder.write(frame)
        if recorder.sent is not None:
            recorder.sent.open(48_000)
            recorder.sent.write(frame)
    recorder.close()
    assert recorder.error is None
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.channels == (2 if both else 1)
        parts = [frame.to_ndarray() for frame in container.decode(stream)]
    samples = sum(part.shape[-1] // (2 if both and part.shape[0] == 1 else 1) for part in parts)
    assert samples == pytest.approx(96_000, abs=4000)


def test_another_extension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"\.wav"):
        Recorder(tmp_path / "heard.xyz")


def test_a_recorder_that_heard_nothing_leaves_an_empty_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "empty.wav")
    recorder.close()
    assert len(read_wav(tmp_path / "empty.wav")[1]) == 0


def test_impossible_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="folder that exists"):
        Recorder(tmp_path / "no" / "such.wav")
    with pytest.raises(MediaError):
        Recorder(tmp_path)


def test_a_place_that_takes_no_files_is_refused_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="in which you may write"):
        Recorder("/proc/heard.wav")
    Recorder(tmp_path / "never-begun.wav")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fails_is_told_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    recorder = Recorder(folder / "x.wav")
    folder.rmdir()
    recorder.open(8000)
    recorder.write(np.zeros(160, np.int16))
    recorder.close()
    assert recorder.error is not None
    assert "stopped" in caplog.text


def test_close_waits_until_an_error_of_the_disk_has_been_reported(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    reported: list[str] = []

    def report(sentence: str) -> None:
        time.sleep(0.2)
        reported.append(sentence)

    recorder = Recorder(folder / "x.wav", on_error=report)
    folder.rmdir()
    recorder.open(8000)
    wait_until(lambda: recorder.error is not None)
    recorder.close()
    assert len(reported) == 1


RECORD = """
import sys, time, numpy as np
from plivo_nb.media.audio.recorder import Recorder
recorder = Recorder(sys.argv[1])
recorder.open(48000)
noise = np.random.default_rng(1).normal(0, 3000, 960).astype(np.int16)
begun = time.monotonic()
for number in range(100000):
    recorder.write(noise)
    time.sleep(max(0, begun + 0.02 * number - time.monotonic()))
    if number == 150:
        print("now", 3.0, flush=True)
"""


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "ogg", "m4a"])
def test_a_process_that_is_killed_leaves_its_recording(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"heard.{extension}"
    recorded_s = killed(RECORD, str(path))
    with av.open(str(path)) as container:
        left_s = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert left_s > recorded_s - 1.5
    if extension == "wav":
        assert len(read_wav(path)[1]) == pytest.approx(left_s * 48_000)


@pytest.mark.parametrize("extension", ["wav", "ogg"])
def test_a_full_disk_ends_the_recording_with_a_sentence(
    tmp_path: Path, extension: str, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", 256) as disk:
        path = disk / f"heard.{extension}"
        sentences: list[str] = []
        recorder = Recorder(path, on_error=sentences.append)
        recorder.open(48_000)
        noise = np.random.default_rng(1).normal(0, 3000, 960).astype(np.int16)
        for _ in range(2000):
            recorder.write(noise)
        wait_until(lambda: sentences)
        recorder.write(noise)
        recorder.close()
        with av.open(str(path)) as container:
            left_s = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
        assert 0 < recorder.seconds <= left_s + 0.05
        assert recorder.dropped == 0
    assert sentences == [recorder.error]
    assert f"{path}' stopped (No space left on device); the file contains the first" in sentences[0]
    assert sentences[0] in caplog.text
    assert not threads(path)


def test_a_limit_on_the_size_of_files_ends_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "heard.wav"
    full = RECORD.replace("if number == 150:", "if recorder.error:").replace("3.0", "recorder.seconds")
    seconds = killed(full, str(path), limit_bytes=150_000)
    assert len(read_wav(path)[1]) == pytest.approx(seconds * 48_000)
    assert seconds == pytest.approx(1.56, abs=0.5)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(MediaError, match="it is a pipe"):
        Recorder(tmp_path / "pipe.wav")


def test_frames_that_the_disk_was_too_slow_for_are_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plivo_nb.media.audio.recorder._WAITING_FRAMES", 5)
    recorder = Recorder(tmp_path / "heard.wav")
    recorder._rate = 8000  # as `open` does, without the writer's thread
    for _ in range(8):
        recorder.write(np.zeros(160, np.int16))
    recorder.close()
    assert recorder.dropped == 3
    assert "3 frames are missing" in caplog.text
