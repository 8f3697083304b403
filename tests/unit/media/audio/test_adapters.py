"""Sources and sinks for what users have."""

import contextvars
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from waiting import wait_until

from plivo_nb.errors import SourceError
from plivo_nb.media.audio.adapters import CallableSink, as_sink, as_source
from plivo_nb.media.audio.frames import CallableSource, FrameSource
from plivo_nb.media.audio.isolation import IsolatedSink, IsolatedSource
from plivo_nb.media.audio.sinks import Null, Tee
from plivo_nb.media.audio.sources import AudioFile, Tone


def workers(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == f"plivo_nb {name}"]


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
    assert isinstance(as_source([0.5, 0.25]), FrameSource)
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

    class Quiet(Tone, Null): ...

    assert isinstance(as_source(Quiet(440)), IsolatedSource), "a subclass is the user's own"
    assert isinstance(as_sink(Quiet(440)), IsolatedSink)
    assert isinstance(as_sink(Tee(null)), IsolatedSink), "it may hold a sink of the user"
    patched = Tone(440)
    patched.read = lambda samples: None  # type: ignore[method-assign]
    assert isinstance(as_source(patched), IsolatedSource)
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
