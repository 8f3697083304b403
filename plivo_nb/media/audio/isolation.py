"""Users' own sources and sinks, used in worker threads, so that they can wait, fail and return anything.

A media session reads a source and writes a sink in a thread in which all calls have their deadlines. What is
not `nonblocking` is wrapped here: a worker thread calls the user's object, and a ring buffer or a queue lies
between.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from plivo_nb.audio_types import FRAME_S, FRAMES_PER_S, nonblocking
from plivo_nb.media.audio.frames import FrameSource, to_pieces
from plivo_nb.media.audio.pump import described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plivo_nb.audio_types import Pcm, Sink, Source

_log = logging.getLogger(__name__)
_WAITING_FRAMES = 250  # 5 s
_AHEAD_S = 0.1


class _Guarded:
    """An object of a user, with the lock under which its methods are called, however many calls use it.

    Args:
        thing: the object.

    Attributes:
        users: how many workers have it open; the last one closes it.
    """

    _all: ClassVar[dict[int, _Guarded]] = {}
    _all_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, thing: Source | Sink) -> None:
        self.thing = thing
        self.lock = threading.RLock()
        self.users = 0

    @classmethod
    def acquire(cls, thing: Source | Sink) -> _Guarded:
        """Return the one guard of this object, for a worker that will `release` it. Returns at once."""
        with cls._all_lock:
            guarded = cls._all.setdefault(id(thing), _Guarded(thing))
            guarded.users += 1
            return guarded

    def release(self) -> None:
        """Close the object, if no other worker uses it."""
        with self.lock:
            with self._all_lock:
                self.users -= 1
                last = not self.users
            try:
                if last:
                    self.thing.close()
            finally:
                with self._all_lock:
                    if not self.users:
                        self._all.pop(id(self.thing), None)


@nonblocking
class IsolatedSource(FrameSource):
    """A source of a user's own source, which is read in a worker thread, 0.1 s ahead.

    An exception, which is logged, ends it.

    Args:
        source: the user's source. It is closed when no call uses it any more.
        on_error: called in the worker thread with a sentence when the source failed.
    """

    _AHEAD_S = _AHEAD_S

    def __init__(self, source: Source, on_error: Callable[[str], None] | None = None) -> None:
        super().__init__((), on_error=on_error, name=type(source).__name__)
        self._source = source
        self._reading: object = None  # the reader of the present rate; older ones end

    def wraps(self, source: object) -> bool:
        """Whether this is the source that is read."""
        return self._source is source

    def close(self) -> None:
        """Stop the worker, which closes the user's source."""
        self._reading = None
        super().close()

    def _begin(self, rate: int) -> Iterator[Pcm]:
        self._reading = reader = object()
        return self._read(reader, rate, _Guarded.acquire(self._source))

    def _read(self, reader: object, rate: int, guarded: _Guarded) -> Iterator[Pcm]:
        pause = threading.Event()
        try:
            with guarded.lock:
                self._source.open(rate)
            while self._reading is reader:
                with guarded.lock:
                    samples = self._source.read(rate // FRAMES_PER_S)
                    ended = bool(getattr(self._source, "ended", False))
                if samples is not None and len(samples):
                    yield from to_pieces(samples)
                elif ended:
                    return
                else:
                    pause.wait(FRAME_S / 2)
        finally:
            guarded.release()


@nonblocking
class IsolatedSink:
    """A sink of a user's own sink, which is written in a worker thread.

    Frames that wait longer than 5 s are dropped. After an exception, which is logged, the user's sink is
    closed and not written again. Each frame is a copy, which may be changed.

    Args:
        sink: the user's sink, and its attribute `sent`. It is closed when no call uses it any more.
        on_error: called in the worker thread with a sentence when the sink failed.
        name: for the log.

    Attributes:
        dropped: number of frames dropped.
        sent: takes what is sent, where the user's sink has such an attribute.
    """

    def __init__(
        self, sink: Sink, on_error: Callable[[str], None] | None = None, name: str | None = None
    ) -> None:
        self.dropped = 0
        self._name = name or f"sink {type(sink).__name__}"
        self._sink = sink
        self._sent_sink: Sink | None = getattr(sink, "sent", None)
        self.sent: Sink | None = None if self._sent_sink is None else _SentSide(self)
        self._on_error = on_error
        self._items: deque[tuple[bool, int | Pcm] | None] = deque()  # of the sent direction? rate or frame
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._context = contextvars.copy_context()  # the cell's, to which the sink's output belongs

    def wraps(self, sink: object) -> bool:
        """Whether this is the sink that is written."""
        return self._sink is sink

    def open(self, rate: int) -> None:
        """Start the worker, or note a new rate."""
        self.put(False, rate)

    def write(self, frame: Pcm) -> None:
        """Queue a frame."""
        self.put(False, frame)

    def put(self, sent: bool, item: int | Pcm) -> None:
        """Queue a rate or a frame of one direction."""
        if self._closed:
            return
        if not isinstance(item, int) and len(self._items) >= _WAITING_FRAMES:
            self.dropped += 1
            return
        self._items.append((sent, item))
        self._ready.set()
        if self._thread is None:
            run = self._context.copy().run
            work = self._run, _Guarded.acquire(self._sink)
            self._thread = threading.Thread(target=run, args=work, name="plivo_nb sink", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Take no more frames; return at once."""
        if not self._closed:
            self._closed = True
            self._items.append(None)
            self._ready.set()

    def close(self) -> None:
        """Wait until the sink has taken the queued frames, 1 s at most."""
        self.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _run(self, guarded: _Guarded) -> None:
        try:
            self._write_all(guarded)
        except BaseException as error:
            self._failed(error)
        try:
            guarded.release()
        except BaseException as error:
            _log.warning("Closing the %s failed (%s).", self._name, described(error))

    def _write_all(self, guarded: _Guarded) -> None:
        while True:
            self._ready.wait()
            self._ready.clear()
            while self._items:
                item = self._items.popleft()
                if item is None:
                    return
                sent, value = item
                sink = self._sent_sink if sent and self._sent_sink is not None else self._sink
                with guarded.lock:
                    if isinstance(value, int):
                        sink.open(value)
                    else:
                        sink.write(value.copy())

    def _failed(self, error: BaseException) -> None:
        self._closed = True
        self._items.clear()
        sentence = (
            f"The {self._name} failed ({described(error)}); it receives nothing more, and the call goes on."
        )
        _log.error(sentence, exc_info=error)
        if self._on_error is not None:
            self._on_error(sentence)


@nonblocking
class _SentSide:
    """The sink of an isolated sink for sent sound."""

    def __init__(self, whole: IsolatedSink) -> None:
        self._whole = whole

    def open(self, rate: int) -> None:
        self._whole.put(True, rate)

    def write(self, frame: Pcm) -> None:
        self._whole.put(True, frame)

    def close(self) -> None:
        """Do nothing: the isolated sink itself is closed."""
