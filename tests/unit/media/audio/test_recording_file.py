"""Audio files that are good at every moment: while they are written, killed, and on a full disk."""

from __future__ import annotations

import os
import shutil
import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from small_disk import small_disk

from plivo_nb.media.audio import recording_file
from plivo_nb.media.audio.recording_file import FORMATS, EncodedFile, WaveFile
from plivo_nb.media.audio.tones import tone

RATE = 48_000
EXTENSIONS = [extension for extension in FORMATS if extension != ".opus"]


def decoded_s(path: Path) -> float:
    """Seconds of sound in a file, decoded without an error."""
    with av.open(str(path)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def blocks(seconds: float, channels: int = 1) -> list[NDArray[np.int16]]:
    """Noise, which no codec makes small, in blocks of 0.2 s."""
    noise = np.random.default_rng(1).normal(0, 3000, (round(seconds * RATE), channels)).astype(np.int16)
    return [noise[at : at + RATE // 5] for at in range(0, len(noise), RATE // 5)]


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_at_every_moment_the_file_contains_what_it_says_and_lags_less_than_a_second(
    tmp_path: Path, extension: str
) -> None:
    path, seen = tmp_path / f"x{extension}", tmp_path / f"seen{extension}"
    file = recording_file.create(path, RATE, 1)
    for number, block in enumerate(blocks(4.0), 1):
        file.write(block)
        shutil.copy(path, seen)  # what is left when the process is killed now
        if file.seconds:
            assert decoded_s(seen) >= file.seconds - 0.05, number
        assert file.seconds > number * 0.2 - 1.0, number
    file.close()
    assert file.seconds == pytest.approx(4.0)
    assert decoded_s(path) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_full_disk_costs_the_end_and_not_the_file(tmp_path: Path, extension: str) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        file = recording_file.create(disk / f"x{extension}", RATE, 2)
        written = 0

        def write() -> None:
            nonlocal written
            for block in blocks(60.0, 2):
                file.write(block)
                written += 1

        with pytest.raises(OSError, match="No space left"):
            write()
        assert file.seconds > written * 0.2 - 1.5
        seconds = file.seconds
        with pytest.raises(OSError, match="No space left") if extension != ".wav" else open(os.devnull):
            file.close()
        assert file.seconds == seconds
        assert decoded_s(disk / f"x{extension}") >= seconds - 0.05


def test_a_disk_that_is_full_at_the_end_keeps_what_was_there(tmp_path: Path) -> None:
    """The last fragment and the index of an MP4 file find no place."""
    with small_disk(tmp_path / "disk", 256) as disk:
        path = disk / "x.m4a"
        file = recording_file.create(path, RATE, 1)
        for block in blocks(12.0):
            file.write(block)
            if file.seconds > 1 and -path.stat().st_size % 4096 < 1000:
                break  # the last page that the file has is nearly full
        with pytest.raises(OSError, match="No space left"), (disk / "other").open("wb", buffering=0) as other:
            while True:
                other.write(bytes(1024))
        seconds = file.seconds
        with pytest.raises(OSError, match="No space left"):
            file.close()
        assert decoded_s(path) >= seconds - 0.05


def test_a_disk_that_is_full_from_the_beginning_is_an_error_at_once(tmp_path: Path) -> None:
    full = tmp_path / "x.wav"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        recording_file.create(full, RATE, 1)
    (tmp_path / "x.flac").symlink_to("/dev/full")
    file = recording_file.create(tmp_path / "x.flac", RATE, 1)
    with pytest.raises(OSError, match="No space left"):
        file.write(blocks(0.4)[0])
    with pytest.raises(OSError, match="No space left"):
        file.close()


def test_an_encoder_that_is_not_there_leaves_no_open_file(tmp_path: Path) -> None:
    with pytest.raises((av.FFmpegError, ValueError)):
        EncodedFile(tmp_path / "x.ogg", 44_100, 1, recording_file.Format("no-such-format", "libopus"))
    with pytest.raises((av.FFmpegError, ValueError)):
        EncodedFile(tmp_path / "x.ogg", RATE, 1, recording_file.Format("ogg", "no-such-codec"))


def test_a_wave_file_over_4_gb_is_rf64(tmp_path: Path) -> None:
    """With a lower limit; Python's own `wave` does not read RF64 (EBU Tech 3306), FFmpeg does."""
    path = tmp_path / "long.wav"
    file = WaveFile(path, RATE, 1, riff_limit=100_000)
    sound = tone((440.0,), 2.0, RATE).reshape(-1, 1)
    file.write(sound[: RATE // 2])
    with wave.open(str(path)) as reader:
        assert reader.getnframes() == RATE // 2
    file.write(sound[RATE // 2 :])
    file.close()
    data = path.read_bytes()
    assert data[:4] == b"RF64"
    assert data[12:16] == b"ds64"
    riff, size, frames = struct.unpack_from("<QQQ", data, 20)
    assert (riff, size, frames) == (len(data) - 8, len(sound) * 2, len(sound))
    assert decoded_s(path) == pytest.approx(2.0)


def test_an_empty_block_changes_nothing(tmp_path: Path) -> None:
    file = recording_file.create(tmp_path / "x.mp3", RATE, 1)
    file.write(np.zeros((0, 1), np.int16))
    assert file.seconds == 0.0
    file.close()
