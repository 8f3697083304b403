"""Users' generators and functions as sources and sinks."""

import contextvars
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from media_network import aligned_correlation, speech_like
from numpy.typing import NDArray
from waiting import wait_until

from plivo_nb.audio_types import Source
from plivo_nb.errors import SourceError
from plivo_nb.media.audio.adapters import (
    CallableSink,
    CallableSource,
    FrameSource,
    as_sink,
    as_source,
    to_pcm,
)
from plivo_nb.media.audio.sinks import Null
from plivo_nb.media.audio.sources import AudioFile, Tone


def workers(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == f"plivo_nb {name}"]


def read_all(source: Source, samples: int, at_most: int = 100_000) -> NDArray[np.int16]:
    frames: list[NDArray[np.int16]] = []
    quiet_since = time.monotonic()
    while len(frames) < at_most and time.monotonic() - quiet_since < (0.7 if frames else 5.0):
        frame = source.read(samples)
        if frame is None:
            time.sleep(0.002)
            continue
        assert len(frame) == samples
        quiet_since = time.monotonic()
        frames.append(frame)
    return np.concatenate(frames)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_generator_of_pieces_of_any_length_is_sent(rate: int) -> None:
    pcm = speech_like(2.0, 16_000)
    ended = threading.Event()

    def pieces() -> Iterator[NDArray[np.int16]]:
        at = 0
        for length in (1, 500, 0, 7, 4000, 100_000):
            yield pcm[at : at + length]
            at += length

    source = FrameSource(pieces(), rate=16_000, on_end=ended.set)
    assert source.read(rate // 50) is None
    source.open(rate)
    heard = read_all(source, rate // 50)
    assert len(heard) == pytest.approx(2 * rate, abs=rate // 25)
    assert aligned_correlation(speech_like(2.0, rate), heard) > 0.95
    assert ended.wait(2)
    wait_until(lambda: not workers("frames"))


def test_floats_in_stereo_become_mono_integers() -> None:
    stereo = np.stack([np.full(10, 0.5), np.full(10, -0.25)], axis=1)
    assert to_pcm(stereo).tolist() == [4096] * 10
    assert to_pcm([1.5, -1.5]).tolist() == [32767, -32767]
    assert to_pcm(np.array([70_000, -70_000])).tolist() == [32767, -32768]
    for wrong in (np.zeros((2, 2, 2)), np.array(["a"])):
        with pytest.raises(ValueError, match="not an array of samples"):
            to_pcm(wrong)


@given(hnp.arrays(hnp.integer_dtypes() | hnp.floating_dtypes(), hnp.array_shapes(max_dims=2, max_side=20)))
def test_any_numbers_become_samples(array: NDArray[np.generic]) -> None:
    pcm = to_pcm(array)
    assert pcm.dtype == np.int16
    assert len(pcm) == array.shape[0]


def test_a_function_is_asked_a_little_ahead_and_no_more() -> None:
    asked: list[int] = []

    def noise(samples: int, rate: int) -> NDArray[np.float64]:
        asked.append(samples)
        assert rate == 8000
        return np.zeros(samples)

    source = CallableSource(noise)
    source.open(8000)
    wait_until(lambda: len(asked) >= 10)
    time.sleep(0.1)
    assert len(asked) <= 12
    assert read_all(source, 160, at_most=5).tolist() == [0] * 800
    source.close()
    wait_until(lambda: not workers("frames"))


def test_a_function_that_says_none_ends(caplog: pytest.LogCaptureFixture) -> None:
    left = iter(range(5))
    source = CallableSource(
        lambda samples, rate: None if next(left, None) is None else np.ones(samples, np.int16)
    )
    source.open(8000)
    assert len(read_all(source, 160)) == 800
    wait_until(lambda: not workers("frames"))
    assert not caplog.records


def test_a_generator_that_raises_is_logged_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[NDArray[np.int16]]:
        yield np.ones(160, np.int16)
        raise RuntimeError("mine")

    source = FrameSource(broken(), rate=8000)
    source.open(8000)
    assert read_all(source, 160).tolist() == [1] * 160
    wait_until(lambda: "mine" in caplog.text)
    wait_until(lambda: not workers("frames"))


def test_another_rate_goes_on_with_the_same_generator() -> None:
    def endless() -> Iterator[NDArray[np.int16]]:
        while True:
            yield np.full(800, 1000, np.int16)

    source = FrameSource(endless(), rate=8000)
    source.open(8000)
    read_all(source, 160, at_most=20)
    source.open(48_000)
    heard = read_all(source, 960, at_most=20)
    assert np.median(heard) == pytest.approx(1000, abs=5)
    source.close()
    wait_until(lambda: not workers("frames"))


def test_a_function_hears_every_frame() -> None:
    heard: list[tuple[int, int]] = []
    sink = CallableSink(lambda frame, rate: heard.append((int(frame[0]), rate)))
    sink.open(8000)
    for n in range(100):
        sink.write(np.full(160, n, np.int16))
    sink.close()
    sink.close()
    assert heard == [(n, 8000) for n in range(100)]
    assert not workers("sink")


def test_a_function_that_falls_behind_loses_frames_and_holds_nobody_up() -> None:
    gate = threading.Event()
    sink = CallableSink(lambda frame, rate: gate.wait(5))
    sink.open(8000)
    started = time.monotonic()
    for _ in range(400):
        sink.write(np.zeros(160, np.int16))
    assert time.monotonic() - started < 3  # the gate holds each for 5 s
    assert 140 <= sink.dropped <= 151
    gate.set()
    sink.close()
    assert not workers("sink")


def test_a_function_that_raises_is_logged_once_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    def broken(frame: NDArray[np.int16], rate: int) -> None:
        raise RuntimeError("mine")

    sink = CallableSink(broken)
    sink.open(8000)
    for _ in range(10):
        sink.write(np.zeros(160, np.int16))
        time.sleep(0.002)
    wait_until(lambda: not workers("sink"))
    assert len(caplog.records) == 1
    sink.close()


def test_what_users_have_becomes_a_source_or_a_sink(tmp_path: Path) -> None:
    tone = Tone(440)
    assert as_source(tone) is tone
    assert isinstance(as_source(np.zeros(10)), FrameSource)
    assert isinstance(as_source([np.zeros(10)]), FrameSource)
    assert isinstance(as_source(lambda samples, rate: None), CallableSource)
    data = Path(__file__).parents[4] / "plivo_nb" / "data" / "speech.opus"
    assert isinstance(as_source(data, loop=True), AudioFile)
    with pytest.raises(SourceError):
        as_source(str(tmp_path / "missing.wav"))
    with pytest.raises(TypeError, match="pass an instance"):
        as_source(Tone)
    with pytest.raises(TypeError, match="cannot be played"):
        as_source(7)
    null = Null()
    assert as_sink(null) is null
    assert isinstance(as_sink(print), CallableSink)
    with pytest.raises(TypeError, match="is not a sink"):
        as_sink(7)


CELL: contextvars.ContextVar[str] = contextvars.ContextVar("CELL", default="none")


def test_users_functions_run_in_the_context_in_which_they_were_given() -> None:
    """In a notebook the context says which cell shows what they print."""
    seen: list[str] = []

    def make(samples: int, rate: int) -> None:
        seen.append(CELL.get())

    CELL.set("1")
    source, sink = CallableSource(make), CallableSink(lambda pcm, rate: seen.append(CELL.get()))
    CELL.set("2")
    contextvars.Context().run(source.open, 8_000)
    contextvars.Context().run(sink.open, 8_000)
    sink.write(np.zeros(160, np.int16))
    wait_until(lambda: len(seen) == 2)
    source.close()
    sink.close()
    assert seen == ["1", "1"]
