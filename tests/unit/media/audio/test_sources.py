"""Sources: files through a worker and a ring, tones, feeds, loopback."""

import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_network import aligned_correlation, speech_like
from numpy.typing import NDArray
from source_reader import read_all
from waiting import wait_until

from plivo_nb.errors import SourceError
from plivo_nb.media.audio import sources
from plivo_nb.media.audio.sources import AudioFile, Loopback, Silence, Tone
from plivo_nb.media.playout.concealment import rms
from plivo_nb.ring_buffer import RingBuffer


def write_wav(path: Path, pcm: NDArray[np.int16], rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return path


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "speech.wav", speech_like(3.0, 16_000), 16_000)


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("plivo_nb file")]


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_a_file_comes_out_at_the_rate_asked_for(speech: Path, rate: int) -> None:
    ended = threading.Event()
    source = AudioFile(speech, on_end=ended.set)
    assert source.duration_s == pytest.approx(3.0, abs=0.01)
    source.open(rate)
    heard = read_all(source, rate // 50)
    assert len(heard) == pytest.approx(3.0 * rate, abs=rate // 20)
    assert aligned_correlation(speech_like(3.0, rate), heard) > 0.95
    assert ended.wait(2)
    assert source.ended
    wait_until(lambda: not workers())
    source.close()


def test_a_loop_has_no_gap_and_ends_when_closed(speech: Path) -> None:
    source = AudioFile(speech, loop=True)
    source.open(16_000)
    heard = read_all(source, 320, at_most=470)  # three times around
    once = speech_like(3.0, 16_000)
    assert (heard[: len(once)] == once).mean() > 0.99
    assert (heard[len(once) : 2 * len(once)] == once).mean() > 0.99
    assert not source.ended
    source.close()
    wait_until(lambda: not workers())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded, in order."""
    made: list[str] = []
    decode = sources._decode

    def noted(path: Path, rate: int) -> Iterator[NDArray[np.int16]]:
        made.append(path.name)
        return decode(path, rate)

    monkeypatch.setattr(sources, "_decode", noted)
    return made


def test_a_file_that_many_calls_play_is_decoded_once(speech: Path, decoded: list[str]) -> None:
    looped = AudioFile(speech, loop=True)
    looped.open(16_000)
    heard = read_all(looped, 320, at_most=470)
    other = AudioFile(speech)
    other.open(16_000)
    assert (read_all(other, 320)[: 2 * 16_000] == heard[: 2 * 16_000]).all()
    assert decoded == ["speech.wav"]
    third = AudioFile(speech)
    third.open(8000)
    read_all(third, 160)
    assert decoded == ["speech.wav"] * 2, "another rate is another sound"
    for source in (looped, other, third):
        source.close()


def test_a_short_file_is_kept_before_it_has_been_played(speech: Path, decoded: list[str]) -> None:
    sources_ = [AudioFile(speech, loop=True) for _ in range(3)]
    for source in sources_:
        source.open(16_000)
        wait_until(lambda: any(key[0] == speech for key in sources._DECODED._kept))
    assert decoded == ["speech.wav"]
    for source in sources_:
        source.close()


def test_a_file_that_has_changed_is_decoded_again(speech: Path, decoded: list[str]) -> None:
    for seconds in (3.0, 2.0):
        write_wav(speech, speech_like(seconds, 16_000), 16_000)
        source = AudioFile(speech)
        source.open(16_000)
        assert len(read_all(source, 320)) == pytest.approx(seconds * 16_000, abs=320)
        source.close()
    assert len(decoded) == 2


def test_few_and_short_files_are_kept(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_KEPT_S", 1.5)
    monkeypatch.setattr(sources, "_KEPT_FILES", 2)
    for name, seconds in (("long", 2.0), ("one", 1.0), ("two", 1.0), ("three", 1.0)):
        write_wav(tmp_path / name, speech_like(seconds, 8000), 8000)
    for name in ("long", "long", "one", "two", "two", "three", "one"):
        parts = list(sources._DECODED.parts(tmp_path / name, 8000))
        assert sum(map(len, parts)) == pytest.approx(16_000 if name == "long" else 8000, abs=50)
    assert decoded == ["long", "long", "one", "two", "three", "one"]


def test_another_rate_goes_on_where_it_was(speech: Path) -> None:
    source = AudioFile(speech)
    source.open(48_000)
    first = read_all(source, 960, at_most=50)
    source.open(8000)
    second = read_all(source, 160)
    assert len(first) / 48_000 + len(second) / 8000 == pytest.approx(3.0, abs=0.05)
    assert source.position_s == pytest.approx(3.0, abs=0.05)
    expected = speech_like(3.0, 8000)[8000:]
    assert aligned_correlation(expected, second) > 0.9
    source.close()


def test_reading_before_anything_is_there_gives_nothing_at_once(speech: Path) -> None:
    source = AudioFile(speech)
    assert source.read(960) is None
    source.open(48_000)
    started = time.monotonic()
    source.read(960)
    assert time.monotonic() - started < 2
    source.close()
    assert source.read(960) is None
    wait_until(lambda: not workers())


def test_a_raising_on_end_is_logged_and_the_thread_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("mine")

    source = AudioFile(write_wav(tmp_path / "short.wav", np.ones(800, np.int16), 8000), on_end=fail)
    source.open(8000)
    read_all(source, 160)
    wait_until(lambda: "on_end" in caplog.text)
    wait_until(lambda: not workers())


def test_the_package_speech_can_be_played() -> None:
    import plivo_nb.media.audio.sources as module

    path = Path(module.__file__).parents[2] / "data" / "speech.opus"
    source = AudioFile(path)
    source.open(48_000)
    heard = read_all(source, 960, at_most=200)
    assert rms(heard) > 0.01
    source.close()


@pytest.mark.parametrize("name", ["missing.wav", "folder", "text.wav", "empty.wav"])
def test_what_cannot_be_played_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.wav").write_text("this is no audio at all, only words " * 30)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(SourceError, match=name) as refused:
        AudioFile(tmp_path / name)
    assert "Errno" not in str(refused.value)


def test_a_tone_has_its_frequency_and_level_across_frames() -> None:
    tone = Tone(1000, level_dbfs=-20)
    tone.open(8000)
    frames = [tone.read(160) for _ in range(50)]
    pcm = np.concatenate([frame for frame in frames if frame is not None])
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    assert np.argmax(spectrum) == 1000
    assert 20 * np.log10(rms(pcm)) == pytest.approx(-20, abs=0.1)
    with pytest.raises(ValueError, match="frequency"):
        Tone(0)


def test_silence_gives_nothing() -> None:
    silence = Silence()
    silence.open(8000)
    assert silence.read(160) is None
    silence.close()


def test_a_loopback_gives_back_after_its_delay() -> None:
    echo = Loopback(delay_s=0.06)
    echo.open(8000)
    got = []
    for n in range(10):
        echo.write(np.full(160, n, np.int16))
        frame = echo.read(160)
        got.append(None if frame is None else int(frame[0]))
    assert got == [None, None, None, 0, 1, 2, 3, 4, 5, 6]
    direct = Loopback()
    direct.write(np.full(160, 7, np.int16))
    frame = direct.read(960)
    assert frame is not None
    assert len(frame) == 960
    direct.close()
    assert direct.read(160) is None


def test_a_loopback_nobody_reads_does_not_grow() -> None:
    echo = Loopback()
    for n in range(1000):
        echo.write(np.full(160, n, np.int16))
    frame = echo.read(160)
    assert frame is not None
    assert frame[0] >= 995


def test_a_ring_between_two_threads_loses_and_mixes_nothing() -> None:
    ring = RingBuffer(1000)
    total = 60_000
    numbers = (np.arange(total) % 30_000).astype(np.int16)

    def write() -> None:
        at = 0
        while at < total:
            at += ring.write(numbers[at : at + 137])

    writer = threading.Thread(target=write)
    writer.start()
    read: list[NDArray[np.int16]] = []
    count = 0
    until = time.monotonic() + 20
    while count < total and time.monotonic() < until:
        read.append(ring.read(160))
        count += len(read[-1])
    writer.join(5)
    assert (np.concatenate(read) == numbers).all()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=60))
def test_a_ring_is_a_bounded_queue(steps: list[tuple[bool, int]]) -> None:
    ring, model = RingBuffer(64), []
    number = 0
    for writing, count in steps:
        if writing:
            samples = np.arange(number, number + count).astype(np.int16)
            taken = ring.write(samples)
            assert taken == min(count, 64 - len(model))
            model += samples[:taken].tolist()
            number += count
        else:
            assert ring.read(count).tolist() == model[:count]
            model = model[count:]
        assert len(ring) == len(model)
        assert ring.free == 64 - len(model)
    ring.clear()
    assert len(ring) == 0
