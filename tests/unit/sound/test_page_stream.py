"""The open microphone and speaker of a page."""

import threading
import time

import numpy as np
import pytest

from plivo_nb.sound import page_stream
from plivo_nb.sound.page_stream import PageInput, PageOutput, PageStream
from plivo_nb.sound.page_transport import PAGE_RATE


def ignore(_: object = None) -> None:
    """Do nothing."""


def test_a_microphone_works_while_its_page_asks_for_permission_and_while_sound_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[np.ndarray] = []
    stream = PageInput("desk", taken.append, ignore, ignore)
    monkeypatch.setattr(page_stream, "_MISSING_S", 0.0)
    assert stream.callbacks < stream.callbacks
    stream.granted()
    stopped = stream.callbacks
    assert stream.callbacks == stopped, "no sound came"
    monkeypatch.setattr(page_stream, "_MISSING_S", 60.0)
    stream.take(np.ones(3, np.int16), PAGE_RATE)
    assert stream.callbacks > stopped
    assert len(taken) == 1


def test_a_microphone_that_is_closed_passes_nothing_on() -> None:
    taken: list[np.ndarray] = []
    closed: list[PageStream] = []
    stream = PageInput("desk", taken.append, ignore, closed.append)
    stream.close()
    stream.take(np.ones(3, np.int16), PAGE_RATE)
    assert taken == []
    assert closed == [stream]
    assert stream.lost()
    count = stream.callbacks
    assert stream.callbacks == count


def test_another_device_of_the_page_is_used_without_a_new_stream() -> None:
    moved: list[None] = []
    stream = PageInput("desk", ignore, lambda: moved.append(None), ignore)
    assert stream.move("head")
    assert stream.device_id == "head"
    assert moved == [None]


def test_a_speaker_asks_for_frames_of_20_ms_at_the_pace_of_time() -> None:
    written: list[np.ndarray] = []
    enough = threading.Event()

    def fill(frame: np.ndarray) -> None:
        frame[:] = len(written)

    def write(frame: np.ndarray) -> None:
        written.append(frame)
        if len(written) == 10:
            enough.set()

    began = time.monotonic()
    stream = PageOutput("box", fill, write, ignore, ignore)
    assert enough.wait(10)
    assert time.monotonic() - began > 8 * 0.02
    stream.close()
    count = len(written)
    assert [len(frame) for frame in written[:10]] == [PAGE_RATE // 50] * 10
    assert [int(frame[0]) for frame in written[:10]] == list(range(10))
    assert len(written) == count, "the thread has ended"


def test_the_thread_of_a_punctual_speaker_asks_for_nothing() -> None:
    asked = threading.Event()
    stream = PageOutput("box", lambda frame: asked.set(), lambda frame: None, ignore, ignore)
    assert asked.wait(10)
    stream.punctual = True
    time.sleep(0.05)  # a frame that was under way
    asked.clear()
    assert not asked.wait(0.3)
    stream.punctual = False
    assert asked.wait(10)
    stream.close()
