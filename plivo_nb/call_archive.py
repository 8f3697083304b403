"""Calls stored in a folder while they go on: what `Client.record_to` starts.

Samples come from the I/O plane, so that they are stored while a cell blocks the kernel's loop as well. One
thread writes all files; nothing waits for the disk but `await call.ended`, and that for a second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plivo_nb.analysis import call_file, call_folder
from plivo_nb.analysis.call_details import CallDetails
from plivo_nb.analysis.call_file import CallData
from plivo_nb.audio_types import nonblocking
from plivo_nb.engine.fate_record import FateRecord
from plivo_nb.errors import MediaError
from plivo_nb.media.audio.sinks import Recorder
from plivo_nb.plane import wire

if TYPE_CHECKING:
    from plivo_nb.audio_types import Pcm
    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.endpoint import Endpoint
    from plivo_nb.engine.sip_trace import SipMessage
    from plivo_nb.quality.sampler import SampleRow

_logger = logging.getLogger("plivo_nb.call_archive")

#: How often what is new is written, in seconds.
FLUSH_S = 2.0
#: How many bytes of a call wait for a disk that takes none; then its file goes without the newest samples.
WAITING_BYTES = 4_000_000
_END_S = 1.0
_ANSWER_S = 0.5
_CLOSE_S = 5.0

_Work = Callable[[], None]


class CallArchive:
    """The folder to which a client's calls are written; `Client.record_to` makes it.

    While a call goes on, its file is an Arrow IPC stream, to which new samples are added every two seconds;
    after its end it is a Parquet file. `plivo_nb.read` reads the folder at any time.

    Args:
        endpoint: its calls are written, those that go on as well.
        path: the folder; it is created.
        sound: record the sound of answered calls beside their files, received left and sent right (Opus).
        keep_days: delete calls that began more than so many days ago; None: keep all.

    Attributes:
        path: the folder.
        error: why calls are not being stored now, a sentence; None while they are.
        closed: whether it stores no further calls.

    Raises:
        MediaError: the folder cannot be created or written.
        ValueError: keep_days is negative.
    """

    def __init__(
        self, endpoint: Endpoint, path: str | os.PathLike[str], *, sound: bool, keep_days: int | None
    ) -> None:
        self.path = Path(path).absolute()
        self.error: str | None = None
        self._endpoint = endpoint
        self._writer = _Writer(self)
        self._calls: list[_StoredCall] = []
        self.closed = False
        self.change(sound=sound, keep_days=keep_days)
        _check_writable(self.path)
        endpoint.followers.append(self._follow)
        endpoint.feedback_listeners.append(self._rated)
        for session in endpoint.call_manager.sessions:
            self._follow(session)
        self._writer.put(self._delete_old)

    def change(self, *, sound: bool, keep_days: int | None) -> None:
        """Record sound, and delete old calls, from now on as given."""
        if keep_days is not None and keep_days < 0:
            raise ValueError(f"keep_days is {keep_days}; give a number of days, or None to keep all calls.")
        self._sound, self._keep_days = sound, keep_days

    async def close(self) -> None:
        """Store no further calls; wait until what goes on is written, five seconds at most."""
        if self.closed:
            return
        self.closed = True
        self._endpoint.followers.remove(self._follow)
        self._endpoint.feedback_listeners.remove(self._rated)
        for call in list(self._calls):
            await call.end()
        try:
            await asyncio.to_thread(self._writer.close, _CLOSE_S)
        except RuntimeError:  # the interpreter is shutting down and starts no more threads
            self._writer.close(_CLOSE_S)

    def __repr__(self) -> str:
        return f"<CallArchive {str(self.path)!r}: {self.error or 'stores calls'}>"

    # ------------------------------------------------------------ the kernel's loop

    def _follow(self, session: CallSession) -> None:
        self._calls.append(_StoredCall(session, self._endpoint, self._writer, self._sound, self._forget))

    def _rated(self, call_uuid: str) -> None:
        """Write the feedback into the file of its call, which has ended in most cases."""
        score, comment = self._endpoint.records.feedback[call_uuid]
        self._writer.put(functools.partial(self._writer.rate, call_uuid, score, comment))

    def _forget(self, call: _StoredCall) -> None:
        self._calls.remove(call)
        self._writer.put(self._delete_old)

    # ------------------------------------------------------------ the writer's thread

    def _delete_old(self) -> None:
        if self._keep_days is None:
            return
        before = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=self._keep_days)
        try:
            deleted = call_folder.delete_old(self.path, before)
        except OSError as error:
            _logger.warning("Calls of before %s cannot be deleted in %s: %s", before, self.path, error)
        else:
            if deleted:
                _logger.info("%d files of calls of before %s were deleted.", len(deleted), before)

    def tell(self, error: OSError | None) -> None:
        """The disk refused to write, or takes what is written again; it is logged when that changes."""
        if error is None:
            if self.error is not None:
                _logger.info("Calls are stored in %s again.", self.path)
            self.error = None
            return
        first = self.error is None
        self.error = (
            f"Calls cannot be stored in {str(self.path)!r} ({error.strerror or error}); they go on, and "
            f"storing them is tried again every {FLUSH_S:g} s."
        )
        if first:
            _logger.warning(self.error)


class _StoredCall:
    """One call as it is stored: what the kernel's loop and the I/O plane give to the writer."""

    def __init__(
        self,
        session: CallSession,
        endpoint: Endpoint,
        writer: _Writer,
        sound: bool,
        on_end: Callable[[_StoredCall], None],
    ) -> None:
        self._session = session
        self._records = endpoint.records
        self._trace = endpoint.trace
        self._fates = FateRecord(endpoint.records.utc_ns_at)
        self._writer = writer
        self._on_end = on_end
        self._sound = sound
        self._recorder: _Recording | None = None
        self._event = 0
        self._ended = False
        self._file = _CallWriter(writer)
        writer.add(self._file)
        if session.phase == "answered":  # it goes on already: its samples until now
            for at_ns, values in self._records.samples_of(session):
                self._file.count(at_ns, values)
        session.media.add_sample_sink(self._sampled)
        session.media.listeners.append(self._report)
        session.watchers.append(self._watch)
        session.at_end.append(self.end)
        self._timer: asyncio.TimerHandle | None = None
        self._update()
        if session.phase == "answered":
            self._record()

    # ------------------------------------------------------------ the plane's thread

    def _sampled(self, row: SampleRow) -> None:
        self._writer.put(functools.partial(self._file.add, row.time_utc_ns, row.values()))

    # ------------------------------------------------------------ the kernel's loop

    def _report(self, report: wire.Report) -> None:
        if isinstance(report, wire.Sample):
            self._fates.add(report.fates)
            last = self._records.last_sample(self._session)
            counted = self._session.answered.done() and self._session.answered.exception() is None
            if counted and last is not None:
                work = functools.partial(self._file.count, report.row.time_utc_ns, last)
                self._writer.put(work)

    def _watch(self, what: str) -> None:
        self._update()
        if what == "connected":
            self._record()

    def _update(self) -> None:
        """Tell the writer every two seconds, and when the call's state changes, what is known of the call."""
        if self._timer is not None:
            self._timer.cancel()
        if self._ended:
            return
        self._writer.put(functools.partial(self._file.update, self._data()))
        self._timer = self._session.over.get_loop().call_later(FLUSH_S, self._update)

    def _data(self) -> CallData:
        self._event, events = self._records.media_metrics_since(self._session, self._event)
        row = {"time": self._session.started_utc_s, **self._records.row_so_far(self._session)}
        began_at_s = None if self._recorder is None else self._recorder.began_at_s
        began_ns = None if began_at_s is None else self._records.utc_ns_at(began_at_s)
        return CallData(
            row=row,
            tags=dict(self._session.tags),
            events=events,
            ended=self._session.over.done(),
            sound_began_s=None if began_ns is None else began_ns / 1e9,
        )

    def _details(self) -> CallDetails:
        """What is stored once, at the end."""
        return CallDetails(
            self._fates.rows(),
            tuple(self._trace.of(self._session.key)),
            {**self._session.account.timings, **self._session.timings},
        )

    async def _last_answer(self) -> None:
        """Wait for the answer to our BYE, half a second at most, so that it is stored with the others."""
        messages = self._trace.of(self._session.key)
        if not messages or messages[-1].direction != "out" or messages[-1].start != "BYE":
            return
        arrived = asyncio.Event()

        def listen(message: SipMessage) -> None:
            if message.call == self._session.key:
                arrived.set()

        self._trace.listeners.append(listen)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(arrived.wait(), _ANSWER_S)
        finally:
            self._trace.listeners.remove(listen)

    def _record(self) -> None:
        """Record the sound beside the file, once that has a name."""
        if self._sound and self._recorder is None and not self._ended:
            loop = self._session.over.get_loop()
            self._writer.put(functools.partial(self._file.open_sound, loop, self._recorded))

    def _recorded(self, recorder: _Recording) -> None:
        if self._ended:  # nothing was written: a recorder creates its file with the first frame
            return
        self._recorder = recorder
        self._session.media.add_sink(recorder)

    async def end(self) -> None:
        """Complete the file; wait for that for a second at most."""
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if self._recorder is not None:
            self._session.media.remove_sink(self._recorder)
        self._session.watchers.remove(self._watch)
        self._session.media.listeners.remove(self._report)
        await self._last_answer()
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def written() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(done.set)

        self._writer.put(
            functools.partial(self._file.finish, self._data(), self._details(), self._recorder, written)
        )
        self._on_end(self)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), _END_S)


@nonblocking
class _Recording(Recorder):
    """A recorder that knows when its sound begins.

    Attributes:
        began_at_s: `time.monotonic()` seconds of the first frame; None before it.
    """

    began_at_s: float | None = None

    def write(self, frame: Pcm) -> None:
        """Take a received frame."""
        if self.began_at_s is None:
            self.began_at_s = time.monotonic()
        super().write(frame)


# ---------------------------------------------------------------- the writer's thread


class _Writer:
    """The thread that writes the files of all calls: does what it is given in order, and flushes."""

    def __init__(self, archive: CallArchive) -> None:
        self.archive = archive
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._files: list[_CallWriter] = []
        self._finished: dict[str, Path] = {}
        self._thread = threading.Thread(target=self._run, name="plivo_nb calls", daemon=True)
        self._thread.start()

    def put(self, work: _Work) -> None:
        """Do this in the thread. Does not wait."""
        self._work.put(work)

    def add(self, file: _CallWriter) -> None:
        """Flush this file from now on, until it is finished."""
        self.put(functools.partial(self._files.append, file))

    def remove(self, file: _CallWriter, call_uuid: str | None = None, path: Path | None = None) -> None:
        """Flush this file no more; in the thread. `path`: the file that has taken its place."""
        self._files.remove(file)
        if call_uuid is not None and path is not None:
            self._finished[call_uuid] = path

    def rate(self, call_uuid: str, score: int, comment: str) -> None:
        """Write feedback into the file of a call that has ended; a call that goes on gets it at its end."""
        path = self._finished.get(call_uuid)
        if path is None:
            return
        try:
            call_file.add_feedback(path, score, comment)
        except (OSError, ValueError) as error:
            _logger.warning("The feedback on a call cannot be stored in %s: %s", path, error)

    def close(self, timeout_s: float) -> None:
        """End the thread when it has done what it was given; wait for so long at most."""
        self._work.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        due_at = time.monotonic() + FLUSH_S
        while True:
            try:
                work = self._work.get(timeout=max(0.0, due_at - time.monotonic()))
            except queue.Empty:
                due_at = time.monotonic() + FLUSH_S
                for file in self._files:
                    self._guard(file.flush)
                continue
            if work is None:
                return
            self._guard(work)

    def _guard(self, work: _Work) -> None:
        try:
            work()
        except Exception:  # a fault of this package: the other files are still written
            _logger.exception("A step of storing a call failed; the call goes on.")


class _CallWriter:
    """The file of one call, in the writer's thread. Nothing here raises for the disk."""

    def __init__(self, writer: _Writer) -> None:
        self._writer = writer
        self._path: Path | None = None
        self._parquet: Path | None = None  # the file that has taken its place
        self._encoder = call_file.StreamEncoder()
        self._data = CallData()
        self._changed = False
        self._samples: list[tuple[int, dict[str, Any]]] = []
        self._added: set[int] = set()  # samples that the loop has not counted yet
        self._counted: list[tuple[int, float]] = []
        self._waiting = b""  # bytes that the disk has not taken
        self._written = 0  # bytes

    def add(self, at_ns: int, values: dict[str, Any]) -> None:
        """A sample of the I/O plane."""
        self._added.add(at_ns)
        self._samples.append((at_ns, values))

    def count(self, at_ns: int, values: dict[str, Any]) -> None:
        """The kernel's loop has counted a sample; it is added if the plane did not give it."""
        if at_ns in self._added:
            self._added.discard(at_ns)
        else:
            self._samples.append((at_ns, values))
        self._counted.append((at_ns, float(values["loop_lag_ms"])))

    def update(self, data: CallData) -> None:
        """What is known of the call now; a change of its state is written at once."""
        events = self._data.events + data.events
        changed = data.row.get("state") != self._data.row.get("state") or self._path is None
        self._data = data
        self._data.events = events
        self._changed = True
        if changed:
            self.flush()

    def flush(self) -> None:
        """Write what is new."""
        call_id = self._data.row.get("call_uuid")
        if not (self._samples or self._counted or self._changed or self._waiting):
            return
        if self._path is None and not call_id and not self._data.ended:
            return  # it has no name yet
        self._encode()
        error = self._write(str(call_id or "call"))
        self._writer.archive.tell(error)

    def _encode(self) -> None:
        if not (self._samples or self._counted or self._changed):
            return
        call_id = self._data.row.get("call_uuid")
        samples = [(at_ns, {**values, "call_uuid": call_id}) for at_ns, values in self._samples]
        batch = self._encoder.batch(samples, self._data, self._counted)
        self._samples, self._counted, self._changed, self._data.events = [], [], False, []
        if len(self._waiting) + len(batch) <= WAITING_BYTES:
            self._waiting += batch

    def _write(self, call_id: str) -> OSError | None:
        """Append what waits to the file; after an error the file is as long as before."""
        try:
            if self._path is None:
                folder = self._writer.archive.path
                self._path = call_folder.reserve(folder, float(self._data.row["time"]), call_id)
            with self._path.open("r+b", buffering=0) as file:
                try:
                    file.seek(self._written)
                    left = memoryview(self._waiting)
                    while left:
                        left = left[file.write(left) :]
                except OSError:
                    file.truncate(self._written)
                    raise
        except OSError as error:
            return error
        self._written += len(self._waiting)
        self._waiting = b""
        return None

    def open_sound(self, loop: asyncio.AbstractEventLoop, then: Callable[[_Recording], None]) -> None:
        """Create the file of the sound, and pass its recorder to the loop."""
        self.flush()
        if self._path is None:
            return
        try:
            recorder = _Recording(self._path.with_suffix(call_file.SOUND), both=True)
        except MediaError as error:
            _logger.warning("%s The call is stored without its sound.", error)
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(then, recorder)

    def finish(
        self, data: CallData, details: CallDetails, recorder: _Recording | None, then: Callable[[], None]
    ) -> None:
        """Complete the sound, write Parquet in the place of the stream, and call `then`."""
        try:
            if recorder is not None:
                recorder.close()
            self.update(data)
            self.flush()
            if self._path is not None and data.ended:
                self._replace(details)
        finally:
            self._writer.remove(self, data.row.get("call_uuid"), self._parquet)
            then()

    def _replace(self, details: CallDetails) -> None:
        assert self._path is not None
        parquet = self._path.with_suffix(call_file.PARQUET)
        try:
            stored = self._path.read_bytes()[: self._written] + self._waiting
            samples, call, _ = call_file.decode_stream(stored, str(self._path))
            call_file.write_parquet(parquet, samples, call, details)
            self._parquet = parquet
            self._path.unlink()
        except (OSError, ValueError) as error:
            problem = error if isinstance(error, OSError) else OSError(str(error))
            self._writer.archive.tell(problem)
        else:
            self._writer.archive.tell(None)


def _check_writable(path: Path) -> None:
    """Raise in the user's cell, not later in a thread."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".{os.getpid()}-{time.monotonic_ns()}.new"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise MediaError(
            f"Calls cannot be stored in {str(path)!r} ({error.strerror}): choose a folder in which you may "
            "write."
        ) from None
