"""Users' generators and functions as sources."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from media_network import aligned_correlation, speech_like
from numpy.typing import NDArray
from source_reader import read_all
from waiting import wait_until

from plivo_nb.media.audio.frames import CallableSource, FrameSource, to_pcm, to_pieces


def workers(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == f"plivo_nb {name}"]


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


def test_a_long_array_is_converted_piece_by_piece_as_it_is_needed() -> None:
    converted: list[int] = []

    class Long(list):  # type: ignore[type-arg]
        def __getitem__(self, part: object) -> object:
            taken = super().__getitem__(part)  # type: ignore[index]
            converted.append(len(taken))
            return taken

    source = FrameSource([Long([0.5] * 1_000_000)], rate=8000)
    source.open(8000)
    assert read_all(source, 160, at_most=10).tolist() == [16384] * 1600
    source.close()
    assert 0 < sum(converted) <= 3 * 48_000


@pytest.mark.parametrize("samples", [[0.5] * 3, (1, 2, 3), np.float32(0.5), np.zeros((100_000, 2)), []])
def test_pieces_are_what_the_whole_is(samples: object) -> None:
    pieces = list(to_pieces(samples))  # type: ignore[arg-type]
    whole = to_pcm(samples)  # type: ignore[arg-type]
    assert all(len(piece) <= 48_000 for piece in pieces)
    assert np.array_equal(np.concatenate([np.zeros(0, np.int16), *pieces]), whole)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError("all of it")])
def test_whatever_a_generator_raises_ends_only_the_source(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Iterator[NDArray[np.int16]]:
        yield np.ones(160, np.int16)
        raise error

    sentences: list[str] = []
    ended = threading.Event()
    source = FrameSource(broken(), rate=8000, on_end=ended.set, on_error=sentences.append)
    source.open(8000)
    assert read_all(source, 160).tolist() == [1] * 160
    assert ended.wait(5)
    assert source.ended
    assert type(error).__name__ in sentences[0]
    assert len(caplog.records) == len(sentences) == 1
