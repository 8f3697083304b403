"""Call: what a user holds of one call."""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.audio_types import Sink, Source
from plivo_nb.engine.audio.kept_audio import Clip, KeptAudio
from plivo_nb.engine.fate_record import FateRecord
from plivo_nb.engine.sip_capture import SipCapture
from plivo_nb.errors import InvalidState, SourceError
from plivo_nb.media.audio.adapters import as_sink, as_source
from plivo_nb.media.audio.isolation import IsolatedSink, IsolatedSource
from plivo_nb.media.audio.sinks import Recorder
from plivo_nb.media.audio.sources import Loopback, Silence
from plivo_nb.operation import Operation
from plivo_nb.plane import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable

    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from plivo_nb.analysis.clip import CallClip, Moment
    from plivo_nb.analysis.diagnosis import Findings
    from plivo_nb.analysis.figures import CallFigure
    from plivo_nb.analysis.ladder import Ladder
    from plivo_nb.analysis.listening import Reference
    from plivo_nb.client import Client
    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.events import CallInfo, MediaFault
    from plivo_nb.media.audio.rolling_buffer import RollingBuffer


_logger = logging.getLogger("plivo_nb.call")
_T = TypeVar("_T")
_OVER = "this call is over; make a new call."


class Ended:
    """Awaiting it gives the final `CallInfo`, once the call is over and its recordings are complete."""

    def __init__(self, session: CallSession) -> None:
        self._session = session

    def __await__(self) -> Generator[Any, None, CallInfo]:
        return self._wait().__await__()

    async def _wait(self) -> CallInfo:
        info = await asyncio.shield(self._session.over)
        await asyncio.shield(self._session.closed)
        return info

    def done(self) -> bool:
        """True once the call is over and its media and recordings are closed."""
        return self._session.closed.done()


class Call:
    """One call, incoming or outgoing; `Client.call` and `Client.answer` make it.

    Example:
        >>> import asyncio
        >>> from plivo_nb.testing import FakeServer
        >>> async def main():
        ...     async with FakeServer() as server, server.client() as client:
        ...         await client.login("alice", server.password("alice"))
        ...         call = await client.call("echo")
        ...         print(call)
        ...         await call.send_dtmf("1")
        ...         info = await call.hangup()
        ...         return info.state, info.originator
        >>> asyncio.run(main())
        <Call to echo: answered>
        ('ended', 'local')
    """

    def __init__(self, client: Client, session: CallSession) -> None:
        self._client = client
        self._session = session
        self._owned: list[Source | Sink] = []
        self._sinks: list[tuple[object, Sink]] = []  # what the user gave, and what receives
        self._kept = KeptAudio(client.options.keep_audio)
        self._fates = FateRecord(client._engine.utc_ns)
        if client.options.keep_audio:
            session.media.add_sink(self._kept)
        self._capture = SipCapture(session, client._endpoint.trace)
        session.media.listeners.append(self._on_media_report)
        session.at_end += [self._close_owned, self._capture.close]

    # ------------------------------------------------------------ what it is

    @property
    def client(self) -> Client:
        """The client that the call belongs to."""
        return self._client

    @property
    def info(self) -> CallInfo:
        """A snapshot with Plivo's keys: callUUID, direction, src, dest, state, extraHeaders."""
        return self._session.now_info()

    @property
    def call_uuid(self) -> str | None:
        """Plivo's id of the call; None until the server has sent it."""
        return self._session.uuid

    @property
    def caller_name(self) -> str:
        """The name that the caller gives in the From header field; empty without one, or if this is our call.

        Nobody has checked it: callers can choose any.
        """
        return self._session.display_name

    @property
    def sip_call_id(self) -> str | None:
        """The Call-ID of the SIP dialog; None until the INVITE has been sent."""
        return self._session.key

    @property
    def phase(self) -> str:
        """preparing, calling, ringing, answering, answered, ignored or over."""
        return self._session.phase

    @property
    def timings(self) -> dict[str, float]:
        """When the call reached each stage, in seconds of `time.monotonic()`.

        Keys, for the stages it has reached: dialled, invite_sent, ringing, answered, ice_checking,
        ice_connected, dtls_connected, first_rtp_sent, first_rtp_received, ended; and of the account:
        socket_connecting, socket_connected, register_sent, registered.
        """
        return {**self._session.account.timings, **self._session.timings}

    @property
    def post_dial_delay_s(self) -> float:
        """Seconds from `Client.call` to ringing, or to the answer without ringing; NaN before either."""
        times = self._session.timings
        end = times.get("ringing", times.get("answered", float("nan")))
        return end - times.get("dialled", float("nan"))

    @property
    def media_setup_s(self) -> float:
        """Seconds from the answer to the first RTP packet received; NaN before that."""
        times = self._session.timings
        missing = float("nan")
        # NaN comes first: max() keeps its first argument when the second one is NaN.
        return max(times.get("first_rtp_received", missing) - times.get("answered", missing), 0.0)

    @property
    def levels_dbfs(self) -> tuple[float, float]:
        """Peak levels of the last 100 ms, received and sent, in dBFS (-100 silence .. 0)."""
        return self._session.media.levels

    @property
    def source(self) -> Source | None:
        """What is sent: the source that was set last; None before the first one, which sends silence.

        An own source or array stands in a wrapper; a path in an `AudioFile`.
        """
        return self._session.media.source

    @property
    def sends_microphone(self) -> bool:
        """True while the source is the microphone of `Client.audio`."""
        microphone = self._session.media.microphone
        return microphone is not None and self._session.media.source is microphone

    @property
    def tags(self) -> dict[str, Any]:
        """Words of yours for the call, by name: ``call.tags["label"] = "wifi"``.

        They become columns of `plivo_nb.CallSet.calls`, and are stored by `Client.record_to`.
        """
        return self._session.tags

    @property
    def cause(self) -> str | None:
        """Why it ended, in the SDK's words, such as 'Busy'; None before that and after a normal end."""
        return self._session.cause

    @property
    def sip_trace(self) -> pd.DataFrame:
        """This call's rows of `Client.sip_trace`."""
        frame = self._client.sip_trace
        return frame[frame["call"] == self._session.key]

    def ladder(self) -> Ladder:
        """This call's SIP messages as a ladder diagram; see `Client.ladder`."""
        return self._client.ladder(self)

    def plot(self, *, ax: Axes | None = None) -> CallFigure | Figure:
        """Plot the call over time: MOS, packets, jitter, delay, mediaMetrics and SIP, the kernel's lag.

        Args:
            ax: matplotlib axes to draw in the place of; by default a new figure.

        Returns:
            The figure; see `plivo_nb.analysis.plots.call_figure`.
        """
        from plivo_nb.analysis.plots import call_figure  # late: it imports matplotlib

        return call_figure(
            self.samples,
            media_metrics=self.media_metrics,
            sip_trace=self.sip_trace,
            title=f"The call with {self._session.peer}",
            ax=ax,
        )

    def diagnose(self) -> Findings:
        """Name the causes of bad quality in this call, so far or after its end.

        Returns:
            The findings, the worst first; see `plivo_nb.analysis.diagnosis.diagnose`. A slow set-up is among
            them only after the call's end.
        """
        from plivo_nb.analysis.diagnosis import diagnose  # late: needed after calls only

        calls = self._own(self._client.calls)
        return diagnose(self.samples, calls=calls, media_metrics=self.media_metrics)

    @property
    def muted(self) -> bool:
        """True while silence is sent."""
        return self._session.media.muted

    @property
    def samples(self) -> pd.DataFrame:
        """This call's rows of `Client.samples`, a copy; index `time` (UTC).

        The time that it takes depends on the number of this call's rows, not on the calls before.
        """
        return self._client._endpoint.records.call_samples(self._session)

    @property
    def media_metrics(self) -> pd.DataFrame:
        """This call's rows of `Client.media_metrics`, a copy."""
        return self._client._endpoint.records.call_media_metrics(self._session)

    def call_frames(self) -> CallFrames:
        """The call's row, samples and events as they are now, for `plivo_nb.CallSet.of`."""
        calls = self._client._endpoint.records.calls_with_tags([self._session])
        uuid = self._session.uuid or self._session.key
        return CallFrames.of(calls[calls["call_uuid"] == uuid], self.samples, self.media_metrics)

    @property
    def last_sample(self) -> dict[str, Any] | None:
        """The last row of `samples` by column, without a copy of the rest; None before the first."""
        return self._client._endpoint.records.last_sample(self._session)

    @property
    def summary(self) -> dict[str, Any] | None:
        """This call's row of `Client.calls` by column, `time` in seconds since 1970; None before its end."""
        return self._client._endpoint.records.call_row(self._session)

    def _samples_since(self, row: int, names: Iterable[str]) -> tuple[int, dict[str, npt.NDArray[Any]]]:
        """New rows of `samples` for the dashboard, which reads each of them once."""
        return self._client._endpoint.records.samples_since(self._session, row, names)

    @property
    def on_hold(self) -> bool:
        """True while the far end has put the call on hold (RFC 3264 section 8.4), by the last sample."""
        row = self.last_sample
        return row is not None and row["direction"] in ("recvonly", "inactive")

    def _own(self, frame: pd.DataFrame) -> pd.DataFrame:
        uuid = self._session.uuid or self._session.key
        return frame[frame["call_uuid"] == uuid]

    async def stats(self) -> dict[str, dict[str, Any]]:
        """The current statistics, by id, in names and units of W3C webrtc-stats; after the end the last."""
        return await self._session.media.stats()

    # ------------------------------------------------------------ sound

    def play(self, source: Any, *, loop: bool = False, rate: int = 48_000) -> Operation[None]:
        """Send this audio from now on; silence after its end.

        Args:
            source: path of an audio file (anything FFmpeg reads); a source such as `Tone(440)`; an array of
                samples (int16, or floats from -1 to 1); a generator or list of such arrays; or a function of
                (number of samples, rate in Hz) that returns one. Your own code, also that of an own source,
                runs in a worker thread, a little ahead. If it raises, `onMediaError` is fired, silence
                follows, and the call goes on.
            loop: for a file: start again at its end.
            rate: sampling rate of arrays, in Hz.

        Returns:
            An operation: await it to wait until all has been sent (at once for sources without an end).

        Raises:
            SourceError: there is no such file, or it has no audio; when awaited: the source failed.
            TypeError: the source is of another type.
            InvalidState: the call is over.
        """
        self._check_open("play")
        finished = asyncio.Event()
        errors: list[str] = []

        def failed(sentence: str) -> None:
            errors.append(sentence)
            self._tell("source", None, sentence)

        def sent() -> None:
            self._from_thread(finished.set)

        current = self._session.media.source
        if not (isinstance(current, IsolatedSource) and current.wraps(source) and not current.ended):
            made = as_source(source, rate=rate, loop=loop, on_end=sent, on_error=failed)
            if made is not source:
                self._owned.append(made)
            self._session.media.set_source(made)
        if isinstance(source, Source):
            finished.set()

        async def played() -> None:
            self._session.over.add_done_callback(lambda _: finished.set())
            await finished.wait()
            if errors:
                raise SourceError(errors[0])

        return self._operation(f"play {_name_of(source)}", played)

    def stop_playing(self) -> None:
        """Send the microphone again, or silence where there is none."""
        self._check_open("stop_playing")
        self._session.media.set_source(self._session.media.microphone or Silence())

    def record(self, path: str | os.PathLike[str], *, both: bool = False) -> Recorder:
        """Write the received audio to a file, from now to the call's end.

        What is recorded is on the disk within a second, in a file that can be played at every moment, also if
        this process is killed. If the disk is full, the recording stops, and `onMediaError` is fired.

        Args:
            path: the extension selects the format: .wav, .flac, .mp3, .ogg, .opus, .m4a.
            both: write stereo: received left, sent right.

        Returns:
            The recorder, with `.path` and `.seconds`. The file is complete after `await call.ended`,
            `await call.hangup()` or `await call.stop_recording(recorder)`.

        Raises:
            MediaError: there is no such folder, or the extension is unknown.
            InvalidState: the call is over.
        """
        self._check_open("record")
        name = os.fspath(path)
        recorder = Recorder(
            name, both=both, on_error=lambda sentence: self._tell("recording", name, sentence)
        )
        self._session.media.add_sink(recorder)
        self._owned.append(recorder)
        self._sinks.append((recorder, recorder))
        return recorder

    def stop_recording(self, recorder: Recorder) -> Operation[float]:
        """End a recording before the call's end. Await it for its length in seconds; the file is complete.

        Args:
            recorder: what `record` returned.
        """

        async def stop() -> float:
            self.remove_sink(recorder)
            await _close_off_loop(recorder)
            return recorder.seconds

        return self._operation(f"stop recording to {recorder.path}", stop)

    def audio(self, t0: float | None = None, t1: float | None = None, *, sent: bool = False) -> Clip:
        """The audio received last, to listen to and to compute with; also after the call.

        Args:
            t0: start, in seconds from the first sample; negative: from the end; None: from the first sample
                that is kept. The option keepAudio says how many seconds are kept; all calls of the kernel
                together keep at most 64 MB, and the audio of the oldest calls is dropped first.
            t1: end, likewise; None: the last sample.
            sent: the audio sent instead of the audio received.

        Returns:
            A clip: `.samples` (int16), `.rate` (Hz), `.seconds`; in a notebook it shows a player.
        """
        rate, samples = (self._kept.sent if sent else self._kept).audio(t0, t1)
        return Clip(rate, samples)

    @property
    def packet_fates(self) -> pd.DataFrame:
        """Packets that were not simply played: missing, recovered, concealed, late; the last 15000 of them.

        See `plivo_nb.schema("packet_fates")`. New rows come with each sample.
        """
        return self._fates.frame(self._session.uuid or self._session.key)

    def clip(self, t0: Moment = None, t1: Moment = None, *, sent: bool = False) -> CallClip:
        """A piece of the audio that is kept, by time; also after the call.

        A notebook shows its waveform, with missing, late, recovered and concealed packets marked, and a
        player.

        Args:
            t0: seconds from the first sample, as for `audio`; or a UTC time, such as an entry of
                `samples.index`; or, alone, a row or rows of `samples`, or a finding. None: all that is kept.
            t1: seconds or a UTC time. Without it, seconds mean: to the end; a UTC time: from 2 s before it
                to 2 s after it.
            sent: the audio sent instead of the audio received.

        Returns:
            A clip: `.samples` (int16), `.rate` (Hz), `.began` (UTC), `.fates`; `.save(path)`, `.figure()`,
            `.pesq(reference)`, `.visqol(reference)`.

        Raises:
            InvalidState: no audio of that time is kept; the option keepAudio says how many seconds are kept.
            TypeError, ValueError: these are no times.

        Example:
            >>> import asyncio
            >>> from plivo_nb.testing import FakeServer
            >>> async def main():
            ...     async with FakeServer() as server, server.client() as client:
            ...         await client.login("alice", server.password("alice"))
            ...         call = await client.call("echo")
            ...         while call.last_sample is None:
            ...             await asyncio.sleep(0.1)
            ...         await call.hangup()
            ...         return round(call.clip(0.0, 0.1).seconds, 2)
            >>> asyncio.run(main())
            0.1
        """
        from plivo_nb.analysis.clip import CallClip, span_of  # late: it imports matplotlib

        span = span_of(t0, t1)
        kept = self._kept.sent if sent else self._kept
        if span.in_seconds:
            rate, samples, times = kept.timed_audio(span.start, span.end)
        else:
            rate, samples, times = kept.audio_between(self._monotonic(span.start), self._monotonic(span.end))
        if not times:
            raise InvalidState(self._no_audio(kept))
        utc = [self._utc(at_s) for at_s in times]
        return CallClip.of_frames(rate, samples, utc, None if sent else self.packet_fates, sent=sent)

    def pesq(self, reference: Reference, t0: Moment = None, t1: Moment = None) -> float:
        """MOS-LQO of the received audio by PESQ (ITU-T P.862), beside what the far end sent.

        Args:
            reference: path of a sound file, a clip, or (rate in Hz, int16 samples).
            t0: as for `clip`; by default all that is kept. P.862.3 asks for 8 to 20 s.
            t1: as for `clip`.

        Raises:
            ModuleNotFoundError: the optional package is not installed: ``pip install "plivo-nb[listen]"``.
            ValueError: the audio is too short, or is not that of the reference.
            InvalidState: no audio of that time is kept.
        """
        return self.clip(t0, t1).pesq(reference)

    def visqol(self, reference: Reference, t0: Moment = None, t1: Moment = None) -> float:
        """MOS-LQO of the received audio by ViSQOL in speech mode; the rest as for `pesq`."""
        return self.clip(t0, t1).visqol(reference)

    def report(
        self, path: str | os.PathLike[str], *, mask: bool = True, sound: bool | CallClip = False
    ) -> Operation[Path]:
        """Write a report of the call to one HTML file, for those who have no kernel.

        It has the figures of the call, findings, warnings, plots, set-up, SIP ladder, configuration and
        environment, and needs no other file.

        Args:
            path: the file, such as "call.html"; an existing one is replaced.
            mask: replace numbers, addresses and names by pseudonyms; passwords and tokens are never in it.
            sound: add the received audio that is kept, or a clip of it.

        Returns:
            An operation: await it for the path, once the file is complete.

        Raises (when awaited):
            InvalidState: there is no audio to add.
            OSError: the file cannot be written.
        """

        async def write() -> Path:
            from plivo_nb.analysis.report import (
                document,
                live_call,
            )  # late: they import matplotlib and jinja2

            clip = self.clip() if sound is True else sound or None
            call = live_call.of_call(self, clip)
            await asyncio.to_thread(document.write, path, [call], mask=mask)
            return Path(path)

        return self._operation(f"report to {os.fspath(path)}", write)

    def _no_audio(self, kept: RollingBuffer) -> str:
        between = kept.written_between_s
        if between is None:
            return (
                "clip: no audio of this call is kept: the option keepAudio says how many seconds are kept, "
                "and there is none before the media is connected."
            )
        first, last = (self._utc(at_s) for at_s in between)
        return (
            f"clip: no audio of that time is kept. What is kept is from {first:%H:%M:%S} to {last:%H:%M:%S} "
            f"UTC, second {kept.span_s[0]:.0f} to {kept.span_s[1]:.0f}; choose a time within it, or a larger "
            "keepAudio."
        )

    def _utc(self, monotonic_s: float) -> pd.Timestamp:
        import pandas as pd

        return pd.Timestamp(self._client._engine.utc_ns(monotonic_s), tz="UTC")

    def _monotonic(self, utc: pd.Timestamp) -> float:
        return (utc.value - self._client._engine.utc_ns(0.0)) / 1e9

    def add_sink(self, sink: Sink | Callable[..., object]) -> None:
        """Write the received audio to `sink` too.

        Args:
            sink: a sink; or a function of (20 ms of int16 samples, rate in Hz). Your own code runs in a
                worker thread. If it raises, `onMediaError` is fired, it is not called again, and the call
                goes on. A sink of yours is closed when it is removed, or at the call's end.

        Raises:
            TypeError: it is neither.
            InvalidState: the call is over.
        """
        self._check_open("add_sink")
        made = as_sink(sink, on_error=lambda sentence: self._tell("sink", None, sentence))
        if made is not sink:
            self._owned.append(made)
        self._sinks.append((sink, made))
        self._session.media.add_sink(made)

    def remove_sink(self, sink: Sink | Callable[..., object]) -> None:
        """Stop writing the received audio to `sink`."""
        made = next(
            (made for given, made in self._sinks if given is sink or (callable(sink) and given == sink)), None
        )
        if made is None:
            return
        self._sinks = [item for item in self._sinks if item[1] is not made]
        self._session.media.remove_sink(made)
        if isinstance(made, IsolatedSink):
            made.stop()

    def capture(self, path: str | os.PathLike[str]) -> Operation[None]:
        """Write the call to a pcapng file for Wireshark: its SIP, and RTP and RTCP without encryption.

        From now until `stop_capture` or the call's end; the SIP messages so far are written too. The
        operation is done when the file is open. SIP stands in UDP packets on port 5060, with passwords and
        keys masked; in its SDP the profile is RTP/AVPF and the address that of the media, so that Wireshark
        decodes the packets without any setting. The original text is the packet's comment.

        Raises (when awaited):
            MediaError: the file cannot be written (code FileError).
            InvalidState: the call has no media session.
        """

        async def begin() -> None:
            self._check_media("capture")
            await self._capture.start(os.fspath(path))

        return self._operation(f"capture to {os.fspath(path)}", begin)

    def stop_capture(self) -> Operation[int]:
        """Finish the capture. Await it for the number of packets in the file."""

        async def stop() -> int:
            self._check_media("stop_capture")
            return await self._capture.stop()

        return self._operation("stop the capture", stop)

    def _check_media(self, method: str) -> None:
        if not self._session.media.is_open:
            raise InvalidState(
                f"{method}: the call has no media; use it from call() or answer() to the end of the call."
            )

    def echo(self, delay_s: float = 0.0) -> None:
        """Send the received audio back, `delay_s` seconds later, as the lab's echo robot does."""
        self._check_open("echo")
        loopback = Loopback(delay_s=delay_s)
        self._session.media.add_sink(loopback)
        self._session.media.set_source(loopback)

    # ------------------------------------------------------------ control

    def mute(self) -> bool:
        """Send silence; RTP goes on. False, with a warning, once the call is over."""
        return self._set_muted("mute", True)

    def unmute(self) -> bool:
        """Send the source again. False, with a warning, once the call is over."""
        return self._set_muted("unmute", False)

    def _set_muted(self, method: str, muted: bool) -> bool:
        if self._session.phase == "over":
            _logger.warning("%s: %s", method, _OVER)
            return False
        self._session.set_muted(muted)
        return True

    def send_dtmf(self, digits: str) -> Operation[None]:
        """Send DTMF digits in this call; see `Client.send_dtmf`.

        Raises (when awaited):
            InvalidState: the call is over or not answered yet, or a character is no digit.
        """

        async def send() -> None:
            self._check_open("send_dtmf")
            await self._client.send_dtmf(digits)

        return self._operation(f"send DTMF {digits}", send)

    def hangup(self) -> Operation[CallInfo]:
        """End this call: CANCEL before the answer, BYE after it. Await it for the final `CallInfo`."""
        if self._session.is_ringing:
            return self._client.reject(self._session.uuid)

        def start() -> tuple[Coroutine[Any, Any, CallInfo], None]:
            self._session.hangup()  # at once: the cell may go on without giving the loop a turn
            return self.wait_ended(), None

        operation = Operation.start(self._client.loop, f"hang up {self._session.peer}", start)
        return self._client.own(operation)

    @property
    def ended(self) -> Ended:
        """Awaiting it gives the final `CallInfo`, once the call is over and its recordings are complete."""
        return Ended(self._session)

    async def wait_ended(self) -> CallInfo:
        """The same as `ended`, as a coroutine."""
        return await self.ended

    def _operation(self, name: str, work: Callable[[], Coroutine[Any, Any, _T]]) -> Operation[_T]:
        return self._client.own(Operation.start(self._client.loop, name, lambda: (work(), None)))

    def _on_media_report(self, report: wire.Report) -> None:
        if isinstance(report, wire.Sample):
            self._fates.add(report.fates)
        if isinstance(report, wire.CaptureStopped):
            self._emit_fault({"what": "capture", "path": report.path, "message": report.sentence})

    def _tell(self, what: Literal["source", "sink", "recording"], path: str | None, sentence: str) -> None:
        """Emit onMediaError, from a worker thread."""
        self._from_thread(self._emit_fault, {"what": what, "path": path, "message": sentence})

    def _emit_fault(self, fault: MediaFault) -> None:
        self._client._endpoint.emit("onMediaError", fault, self.info)

    def _from_thread(self, function: Callable[..., object], *arguments: object) -> None:
        # RuntimeError: the loop is closed, and nobody is left to be told
        with contextlib.suppress(RuntimeError):
            self._client.loop.call_soon_threadsafe(function, *arguments)

    async def _close_owned(self) -> None:
        await asyncio.gather(*(_close_off_loop(item) for item in self._owned))

    def _check_open(self, method: str) -> None:
        if self._session.phase == "over":
            raise InvalidState(f"{method}: {_OVER}")

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A Call cannot be copied or pickled, as it has open connections; keep call.info or call.samples."
        )

    def __repr__(self) -> str:
        arrow = "to" if self._session.direction == "OUTGOING" else "from"
        return f"<Call {arrow} {self._session.peer}: {self.phase}>"

    def _repr_html_(self) -> str:
        info = self.info
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>"
            for key, value in info.items()
            if value not in (None, {})
        )
        return f"<table><caption>{html.escape(repr(self)[1:-1])}</caption>{rows}</table>"


def _name_of(source: Any) -> str:
    """A path as it is; the type of anything else, as an array is too long to show."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    kind = type(source).__name__
    return kind if isinstance(source, Source) else f"your {kind}"


async def _close_off_loop(item: Source | Sink) -> None:
    """Close it in a thread, as closing may wait for a worker."""
    try:
        await asyncio.to_thread(item.close)
    except RuntimeError:  # the interpreter is shutting down and starts no more threads
        item.close()
