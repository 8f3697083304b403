"""Call: what a user holds of one call."""

from __future__ import annotations

import asyncio
import html
import os
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import InvalidState
from plivo_nb.media.sinks import Null, Recorder, Sink, Tee
from plivo_nb.media.sources import AudioFile, Loopback, Silence, Source
from plivo_nb.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Generator

    import pandas as pd

    from plivo_nb.client import Client
    from plivo_nb.engine.session import Session
    from plivo_nb.events import CallInfo


class Ended:
    """Await it for the call's final `CallInfo`; recordings are complete then."""

    def __init__(self, task: asyncio.Future[CallInfo]) -> None:
        self._task = task

    def __await__(self) -> Generator[Any, None, CallInfo]:
        return asyncio.shield(self._task).__await__()

    def done(self) -> bool:
        """True once the call is over and everything of it is closed."""
        return self._task.done()


class Call:
    """One call, incoming or outgoing. Made by `Client.call` and `Client.answer`, never by hand.

    Example:
        >>> call = await client.call("echo")
        >>> call.play("question.wav")
        >>> call.samples.mos.mean()
        >>> await call.hangup()
    """

    def __init__(self, client: Client, session: Session) -> None:
        self._client = client
        self._session = session
        self._sinks: list[Sink] = [] if session.media.sink is None else [session.media.sink]
        self._owned: list[Source | Sink] = []
        self._ended = asyncio.get_running_loop().create_task(self._wait_for_end(), name="plivo_nb call's end")

    # ------------------------------------------------------------ what it is

    @property
    def client(self) -> Client:
        """The client whose call this is."""
        return self._client

    @property
    def info(self) -> CallInfo:
        """A snapshot with Plivo's keys: callUUID, direction, src, dest, state, extraHeaders."""
        return self._session.now_info()

    @property
    def call_uuid(self) -> str | None:
        """Plivo's id of the call; None until the server told it."""
        return self._session.uuid

    @property
    def phase(self) -> str:
        """preparing, calling, ringing, answering, answered, ignored or over."""
        return self._session.phase

    @property
    def timings(self) -> dict[str, float]:
        """What happened when, `time.monotonic()` seconds.

        Keys, as far as they happened: dialled, invite_sent, ringing, answered, first_rtp_sent,
        first_rtp_received, ended.
        """
        return dict(self._session.timings)

    @property
    def post_dial_delay_s(self) -> float:
        """Seconds from `call` to the far end's ringing (or answer, if it never rang); NaN if neither came."""
        times = self._session.timings
        end = times.get("ringing", times.get("answered", float("nan")))
        return end - times.get("dialled", float("nan"))

    @property
    def media_setup_s(self) -> float:
        """Seconds from the answer to the first RTP packet received; NaN before it came."""
        times = self._session.timings
        missing = float("nan")
        # NaN comes first: max() keeps its first argument when the second one is NaN.
        return max(times.get("first_rtp_received", missing) - times.get("answered", missing), 0.0)

    @property
    def levels_dbfs(self) -> tuple[float, float]:
        """Peak levels of the last 100 ms, heard and sent, in dBFS (-100 silence .. 0)."""
        return self._session.media.levels

    @property
    def muted(self) -> bool:
        """True while the peer gets silence."""
        return self._session.media.muted

    @property
    def samples(self) -> pd.DataFrame:
        """This call's rows of `Client.samples`: one a second, index `time` (UTC)."""
        return self._own(self._client.samples)

    @property
    def media_metrics(self) -> pd.DataFrame:
        """This call's rows of `Client.media_metrics`."""
        return self._own(self._client.media_metrics)

    def _own(self, frame: pd.DataFrame) -> pd.DataFrame:
        uuid = self._session.uuid or self._session.key
        return frame[frame["call_uuid"] == uuid]

    async def stats(self) -> dict[str, dict[str, Any]]:
        """The statistics now by W3C webrtc-stats ids, names and units; after the end the last ones."""
        return await self._session.media.stats()

    # ------------------------------------------------------------ sound

    def play(self, source: str | os.PathLike[str] | Source, *, loop: bool = False) -> Operation[None]:
        """Send a sound file, or a `Source`, from now on; after a file's end silence is sent.

        Args:
            source: path of an audio file (anything FFmpeg reads), or a source such as `Tone(440)`.
            loop: for a file: begin again at its end.

        Returns:
            An operation: await it to wait until a file has been sent (at once for other sources).

        Raises:
            SourceError: there is no such file, or it is no audio.
            InvalidState: the call is over.
        """
        self._check_open("play")
        finished = asyncio.Event()
        event_loop = self._client.loop
        if isinstance(source, (str, os.PathLike)):

            def file_ended() -> None:
                event_loop.call_soon_threadsafe(finished.set)

            source = AudioFile(os.fspath(source), loop=loop, on_end=file_ended)
            self._owned.append(source)
        else:
            finished.set()
        self._session.media.set_source(source)

        async def played() -> None:
            self._session.over.add_done_callback(lambda _: finished.set())
            await finished.wait()

        return self._client.own(Operation(f"play {source!r}", played()))

    def stop_playing(self) -> None:
        """Send the microphone again; silence where there is none."""
        self._check_open("stop_playing")
        self._session.media.set_source(self._session.media.microphone or Silence())

    def record(self, path: str | os.PathLike[str]) -> Recorder:
        """Write what is heard to a WAV file, from now to the call's end.

        Returns:
            The recorder, with `.path` and `.seconds`. The file is complete once `await call.ended` or
            `await call.hangup()` is through.

        Raises:
            InvalidState: the call is over.
        """
        self._check_open("record")
        recorder = Recorder(os.fspath(path))
        self.add_sink(recorder)
        self._owned.append(recorder)
        return recorder

    def add_sink(self, sink: Sink) -> None:
        """Give what is heard to `sink` too, from now on."""
        self._check_open("add_sink")
        self._sinks.append(sink)
        self._session.media.set_sink(self._sinks[0] if len(self._sinks) == 1 else Tee(*self._sinks))

    def remove_sink(self, sink: Sink) -> None:
        """Stop giving what is heard to `sink`."""
        self._sinks = [item for item in self._sinks if item is not sink]
        self._session.media.set_sink(Tee(*self._sinks) if self._sinks else Null())

    def echo(self, delay_s: float = 0.0) -> None:
        """Send back what is heard, `delay_s` seconds later. This is what the lab's echo robot does."""
        self._check_open("echo")
        loopback = Loopback(delay_s=delay_s)
        self.add_sink(loopback)
        self._session.media.set_source(loopback)

    # ------------------------------------------------------------ control

    def mute(self) -> bool:
        """The peer gets silence; the RTP flow goes on."""
        self._session.set_muted(True)
        return True

    def unmute(self) -> bool:
        """The peer hears the source again."""
        self._session.set_muted(False)
        return True

    def send_dtmf(self, digits: str) -> Operation[None]:
        """Send one or more of 0-9 * #, in order; see `Client.send_dtmf`."""
        return self._client.send_dtmf(digits)

    def hangup(self) -> Operation[CallInfo]:
        """End this call; await it for the final `CallInfo`. CANCEL before an answer, BYE after."""
        if self._session.is_ringing:
            return self._client.reject(self._session.uuid)

        async def hang_up() -> CallInfo:
            self._session.hangup()
            return await self.ended

        return self._client.own(Operation(f"hang up {self._session.peer}", hang_up()))

    @property
    def ended(self) -> Ended:
        """Await it for the final `CallInfo`: the call is over and its recordings are complete."""
        return Ended(self._ended)

    async def _wait_for_end(self) -> CallInfo:
        info = await asyncio.shield(self._session.over)
        await asyncio.shield(self._session.closed)
        for item in self._owned:
            await _close_off_loop(item)
        return info

    def _check_open(self, method: str) -> None:
        if self._session.phase == "over":
            raise InvalidState(f"{method} needs a call that goes on; this one is over. Make a new call.")

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


async def _close_off_loop(item: Source | Sink) -> None:
    """Close what may wait for its worker, without blocking the loop."""
    try:
        await asyncio.to_thread(item.close)
    except RuntimeError:  # the interpreter is ending: it starts no more threads
        item.close()
