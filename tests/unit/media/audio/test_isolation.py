"""Users' own sources and sinks: they wait, fail and return anything in their worker, and nowhere else."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from waiting import wait_until

from plivo_nb.audio_types import Pcm, is_nonblocking
from plivo_nb.media.audio.isolation import IsolatedSink, IsolatedSource, _Guarded


class Ramp:
    """Frames numbered from 1; keeps what was done to it, and by which threads."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.threads: set[str] = set()
        self.count = 0

    def _note(self, what: object) -> None:
        self.done.append(what)
        self.threads.add(threading.current_thread().name)

    def open(self, rate: int) -> None:
        self._note(rate)

    def read(self, samples: int) -> Any:
        self._note("read")
        self.count += 1
        return np.full(samples, self.count, np.int16)

    def write(self, frame: Pcm) -> None:
        self._note(int(frame[0]))
        frame[:] = -1

    def close(self) -> None:
        self._note("close")


class Untold(Exception):
    """An exception whose text fails too."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def read(source: IsolatedSource, frames: int, samples: int = 160) -> NDArray[np.int16]:
    heard: list[NDArray[np.int16]] = []

    def more() -> bool:
        frame = source.read(samples)
        if frame is not None:
            heard.append(frame)
        return len(heard) >= frames

    wait_until(more, interval_s=0.001)
    return np.concatenate(heard)


def all_released() -> None:
    wait_until(lambda: not _Guarded._all)


def test_a_users_source_is_read_ahead_in_its_worker_and_closed_there() -> None:
    mine = Ramp()
    source = IsolatedSource(mine)
    assert is_nonblocking(source)
    assert source.read(160) is None
    source.open(8000)
    assert read(source, 10)[::160].tolist() == list(range(1, 11))
    wait_until(lambda: mine.count > 10)
    time.sleep(0.05)
    assert mine.count <= 18, "0.1 s ahead, and no more"
    assert not source.ended
    source.close()
    all_released()
    assert mine.done[0] == 8000
    assert mine.done.count("close") == 1
    assert mine.done[-1] == "close"
    assert all("Ramp" in name for name in mine.threads)


def test_a_source_that_sleeps_keeps_nobody_waiting() -> None:
    class Sleepy(Ramp):
        def read(self, samples: int) -> Any:
            time.sleep(0.5)
            return super().read(samples)

    source = IsolatedSource(Sleepy())
    begun = time.monotonic()
    source.open(8000)
    for _ in range(10):
        source.read(160)
    source.close()
    assert time.monotonic() - begun < 0.3
    all_released()


def test_a_source_that_has_nothing_is_asked_again() -> None:
    class Live(Ramp):
        def read(self, samples: int) -> Any:
            self.count += 1
            return np.ones(samples, np.int16) if self.count % 3 == 0 else None

    source = IsolatedSource(Live())
    source.open(8000)
    assert read(source, 5).tolist() == [1] * 800
    source.close()
    all_released()


def test_a_source_that_says_that_it_has_ended_ends() -> None:
    class Short(Ramp):
        ended = False

        def read(self, samples: int) -> Any:
            self.ended = self.count == 3
            return None if self.ended else super().read(samples)

    source = IsolatedSource(Short())
    source.open(8000)
    assert read(source, 3)[::160].tolist() == [1, 2, 3]
    wait_until(lambda: source.read(160) is None and source.ended)
    all_released()


@pytest.mark.parametrize(
    ("returned", "heard"),
    [
        ([0.5] * 160, 16384),
        (np.full((160, 2), [0.5, 0.0]), 8192),
        (np.full(160, np.nan), 0),
        (np.full(160, np.inf), 32767),
        (np.full(160, 70_000, np.int64), 32767),
        (np.full(3_000_000, 7, np.int16), 7),
    ],
)
def test_what_can_be_understood_as_samples_is_sent(returned: object, heard: int) -> None:
    mine = Ramp()
    mine.read = lambda samples: returned  # type: ignore[method-assign]
    source = IsolatedSource(mine)
    source.open(8000)
    assert set(read(source, 5).tolist()) == {heard}
    source.close()
    all_released()


@pytest.mark.parametrize(
    "returned",
    ["text" * 40, b"bytes" * 40, 7, {1: 2}, np.zeros((2, 2, 2)), object(), ["a"], np.zeros(3, "M8[s]")],
)
def test_what_cannot_ends_the_source_with_a_sentence(
    returned: object, caplog: pytest.LogCaptureFixture
) -> None:
    mine = Ramp()
    mine.read = lambda samples: returned  # type: ignore[method-assign]
    sentences: list[str] = []
    source = IsolatedSource(mine, sentences.append)
    source.open(8000)
    wait_until(lambda: source.read(160) is None and source.ended)
    assert "The source source Ramp" not in sentences[0]
    assert sentences[0].startswith("The source Ramp failed (")
    assert sentences[0].endswith("silence follows, and the call goes on.")
    assert [record.message for record in caplog.records] == sentences
    all_released()
    assert mine.done[-1] == "close"


@pytest.mark.parametrize("method", ["open", "read", "close"])
@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(1), Untold()])
def test_a_source_that_raises_ends_whichever_method_it_was(
    method: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(*arguments: object) -> None:
        raise error

    mine = Ramp()
    setattr(mine, method, raises)
    sentences: list[str] = []
    source = IsolatedSource(mine, sentences.append)
    source.open(8000)
    if method == "close":
        read(source, 1)
        source.close()
    else:
        wait_until(lambda: source.ended)
        assert len(sentences) == 1
    all_released()
    wait_until(lambda: caplog.records)
    assert type(error).__name__ in caplog.text


def test_another_rate_opens_the_source_again_without_closing_it() -> None:
    mine = Ramp()
    source = IsolatedSource(mine)
    source.open(8000)
    read(source, 3)
    source.open(48_000)
    source.open(48_000)
    read(source, 3, 960)
    source.close()
    all_released()
    assert [item for item in mine.done if item != "read"] == [8000, 48_000, "close"]


def test_a_source_in_two_calls_is_used_by_one_thread_at_a_time_and_closed_after_both() -> None:
    busy = threading.Lock()
    overlaps: list[bool] = []

    class Alone(Ramp):
        def read(self, samples: int) -> Any:
            overlaps.append(not busy.acquire(blocking=False))
            time.sleep(0.001)
            busy.release()
            return super().read(samples)

    mine = Alone()
    one, other = IsolatedSource(mine), IsolatedSource(mine)
    one.open(8000)
    other.open(8000)
    read(one, 20)
    read(other, 20)
    one.close()
    read(other, 20)
    assert "close" not in mine.done
    other.close()
    all_released()
    assert mine.done.count("close") == 1
    assert not any(overlaps)


def test_a_users_sink_is_written_in_its_worker_with_frames_of_its_own() -> None:
    mine = Ramp()
    sink = IsolatedSink(mine)
    assert sink.wraps(mine)
    assert sink.sent is None
    sink.open(8000)
    frames = [np.full(160, number, np.int16) for number in range(20)]
    for frame in frames:
        sink.write(frame)
    sink.close()
    sink.write(frames[0])
    assert mine.done == [8000, *range(20), "close"]
    assert mine.threads == {"plivo_nb sink"}
    assert [int(frame[0]) for frame in frames] == list(range(20)), "others hold these frames too"
    all_released()


def test_a_sink_that_was_never_opened_is_not_closed() -> None:
    mine = Ramp()
    IsolatedSink(mine).close()
    assert mine.done == []


def test_both_directions_come_in_order() -> None:
    class Both(Ramp):
        def __init__(self) -> None:
            super().__init__()
            self.sent = Ramp()
            self.sent.done = self.done

    mine = Both()
    sink = IsolatedSink(mine)
    assert sink.sent is not None
    sink.open(8000)
    sink.sent.open(48_000)
    for number in range(5):
        sink.write(np.full(160, number, np.int16))
        sink.sent.write(np.full(960, 100 + number, np.int16))
    sink.sent.close()
    sink.close()
    assert mine.done == [8000, 48_000, 0, 100, 1, 101, 2, 102, 3, 103, 4, 104, "close"]


@pytest.mark.parametrize("method", ["open", "write", "close"])
@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(1), Untold()])
def test_a_sink_that_raises_is_closed_and_left_alone(
    method: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(*arguments: object) -> None:
        mine.done.append(method)
        raise error

    mine = Ramp()
    setattr(mine, method, raises)
    sentences: list[str] = []
    sink = IsolatedSink(mine, sentences.append)
    sink.open(8000)
    for number in range(5):
        sink.write(np.full(160, number, np.int16))
    sink.close()
    all_released()
    assert mine.done.count(method) == 1
    assert mine.done[-1] == "close"
    assert type(error).__name__ in caplog.text
    if method != "close":
        assert sentences[0].startswith("The sink Ramp failed (")
        assert [record.message for record in caplog.records] == sentences


def test_a_sink_that_hangs_loses_frames_and_keeps_nobody_waiting() -> None:
    gate = threading.Event()
    mine = Ramp()
    mine.write = lambda frame: gate.wait(30)  # type: ignore[method-assign,assignment,return-value]
    sink = IsolatedSink(mine)
    sink.open(8000)
    begun = time.monotonic()
    for _ in range(400):
        sink.write(np.zeros(160, np.int16))
    sink.stop()
    assert time.monotonic() - begun < 2
    assert 140 <= sink.dropped <= 151
    gate.set()
    sink.close()
    all_released()
