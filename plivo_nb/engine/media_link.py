"""The kernel's side of one call's media session: commands down to the I/O plane, states and samples up."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from plivo_nb.audio_types import is_nonblocking
from plivo_nb.errors import MediaError, PlaneDied
from plivo_nb.media.audio.sinks import Null, Tee
from plivo_nb.plane import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.audio_types import Sink, Source
    from plivo_nb.engine.engine import Engine
    from plivo_nb.media.rtp.captured_sip import SipFrame
    from plivo_nb.options import Options
    from plivo_nb.quality.sampler import SampleRow

_logger = logging.getLogger("plivo_nb.media_link")


def session_config(options: Options) -> wire.SessionConfig:
    """What the plane needs to know of the options; durations in seconds, jitter bounds in ms."""
    return wire.SessionConfig(
        codecs=options.codecs,
        ice_servers=tuple(
            wire.IceServer(
                urls=(server["urls"],) if isinstance(server["urls"], str) else tuple(server["urls"]),
                username=server.get("username"),
                credential=server.get("credential"),
            )
            for server in options.ice_servers
        ),
        relay_only=options.ice_transport_policy == "relay",
        ice_gathering_timeout_s=options.ice_gathering_timeout,
        loopback_candidates=options.loopback_candidates,
        dscp=options.dscp,
        jitter_min_ms=options.jitter_min_ms,
        jitter_max_ms=options.jitter_max_ms,
        sample_interval_s=options.sample_interval,
        max_average_bitrate_bps=options.max_average_bitrate,
    )


def _check_nonblocking(thing: Source | Sink) -> None:
    if not is_nonblocking(thing):
        raise TypeError(
            f"A {type(thing).__name__} may wait, and the I/O plane must not: use Call.play or Call.add_sink, "
            "which give it a thread of its own."
        )


class MediaLink:
    """One media session of the I/O plane. What is set before `open` applies from the start.

    Args:
        engine: its I/O plane runs the session.
        config: of the session.
        on_report: called with every report of the session, after the attributes are updated.

    Attributes:
        states: current state of gathering, ice, dtls and rtp, as in `wire.SessionState`.
        previous_states: the state before the current one.
        levels: peak levels of the last 100 ms, received and sent, dBFS (-100 silence .. 0).
        listeners: more functions that are called with every report.
        source: what is sent. microphone: the source to return to after another one. sinks: what receives.
        page: the round-trip time to the page whose sound is used, ms, and the number of gaps so far; missing
            (NaN) without one. It is called for each sample.
        final_stats: W3C webrtc-stats by id, as they were when the session closed; else None.
    """

    def __init__(
        self, engine: Engine, config: wire.SessionConfig, on_report: Callable[[wire.Report], None]
    ) -> None:
        self._engine = engine
        self._config = config
        #: The first codec of the option codecs.
        self.preferred_codec: str = next(iter(config.codecs), "")
        self._on_report = on_report
        self._id: int | None = None
        self._closed = False
        self.states: dict[str, str] = {"gathering": "new", "ice": "new", "dtls": "new", "rtp": "new"}
        self.previous_states = dict(self.states)
        self.levels: tuple[float, float] = (-100.0, -100.0)
        self.listeners: list[Callable[[wire.Report], None]] = []
        self.final_stats: dict[str, Any] | None = None
        self.muted = False
        self.page: Callable[[], tuple[float, float]] = _no_page
        self._page_underruns = math.nan
        self.source: Source | None = None
        self.microphone: Source | None = None
        self.sinks: list[Sink] = []
        self._sample_sinks: list[Callable[[SampleRow], object]] = []

    @property
    def is_open(self) -> bool:
        """True from `open` to `close`."""
        return self._id is not None and not self._closed

    # ------------------------------------------------------------ lifetime

    async def open(self) -> None:
        """Make the session in the I/O plane.

        Raises:
            MediaError, PlaneDied: it cannot be made.
        """
        self._id = self._engine.new_id()
        self._engine.route_session(self._id, self._report)
        opened = self._engine.post(wire.OpenSession, session=self._id, config=self._config)
        if self.muted:
            self._send(wire.SetMuted, muted=True)
        if self.source is not None:
            self._send(wire.SetSource, source=self.source)
        if self.sinks:
            self._send_sinks()
        if self._sample_sinks:
            self._send(wire.SetSampleSink, sink=self._give_sample)
        await opened

    async def close(self) -> None:
        """End the session and keep its last statistics; does nothing when it is not open."""
        if not self.is_open:
            return
        self._closed = True
        try:
            self.final_stats = await self._engine.ask(wire.CloseSession, session=self._id)
        except (MediaError, PlaneDied) as error:
            _logger.debug("The media session was gone already: %s", error)
        assert self._id is not None
        self._engine.route_session(self._id, None)

    # ------------------------------------------------------------ offer and answer (RFC 3264)

    async def create_offer(self, *, ice_restart: bool = False) -> bytes:
        """The SDP offer, as the body of a SIP message."""
        return await self._sdp(wire.CreateOffer, ice_restart=ice_restart)

    async def create_answer(self) -> bytes:
        """The SDP answer to the remote offer applied before."""
        return await self._sdp(wire.CreateAnswer)

    async def _sdp(self, command: Callable[..., wire.Command], **values: Any) -> bytes:
        text: str = await self._engine.ask(command, session=self._id, **values)
        return text.encode()

    async def apply(self, kind: Literal["offer", "answer", "pranswer"], body: bytes) -> None:
        """Apply the other side's SDP.

        Raises:
            MediaError: it cannot be used; `.code` is IncompatibleSDP in most cases.
        """
        text = body.decode("utf-8", "replace")
        await self._engine.ask(wire.SetRemote, session=self._id, type=kind, sdp=text)

    # ------------------------------------------------------------ audio

    def set_muted(self, muted: bool) -> None:
        """Send silence instead of the source, or stop doing so."""
        self.muted = muted
        self._send(wire.SetMuted, muted=muted)

    def set_source(self, source: Source) -> None:
        """Send this source's audio from now on. It must be `nonblocking`, as of `adapters.as_source`."""
        _check_nonblocking(source)
        self.source = source
        self._send(wire.SetSource, source=source)

    def add_sink(self, sink: Sink) -> None:
        """Give the received audio to this sink too. It must be `nonblocking`, as of `adapters.as_sink`."""
        _check_nonblocking(sink)
        self.sinks.append(sink)
        self._send_sinks()

    def remove_sink(self, sink: Sink) -> None:
        """Stop giving the received audio to this sink."""
        self.sinks = [item for item in self.sinks if item is not sink]
        self._send_sinks()

    def _send_sinks(self) -> None:
        sinks = self.sinks
        self._send(wire.SetSink, sink=sinks[0] if len(sinks) == 1 else Tee(*sinks) if sinks else Null())

    def add_sample_sink(self, sink: Callable[[SampleRow], object]) -> None:
        """Call `sink`, which must not wait, with each sample in the plane's thread, before the loop."""
        self._sample_sinks.append(sink)
        self._send(wire.SetSampleSink, sink=self._give_sample)

    def _give_sample(self, row: SampleRow) -> None:
        for sink in self._sample_sinks:
            sink(row)

    async def start_capture(self, path: str, sip: tuple[SipFrame, ...] = ()) -> None:
        """Write RTP and RTCP, unprotected, to a pcapng file from now on.

        Args:
            path: of the file.
            sip: the call's SIP messages so far, written too.

        Raises:
            MediaError: the file cannot be written (FileError), or the session is gone.
        """
        await self._engine.ask(wire.StartCapture, session=self._id, path=path, sip=sip)

    def capture_sip(self, frame: SipFrame) -> None:
        """Write a SIP message to the capture, if there is one."""
        self._send(wire.CaptureSip, frame=frame)

    async def stop_capture(self) -> int:
        """Finish the capture; returns the number of packets in it."""
        packets: int = await self._engine.ask(wire.StopCapture, session=self._id)
        return packets

    async def send_digits(self, digits: str) -> bool:
        """Send DTMF as RFC 4733; False where the other side did not offer it.

        Raises:
            MediaError: the media session is gone.
        """
        try:
            await self._engine.ask(wire.SendDtmf, session=self._id, digits=digits)
        except MediaError as error:
            if error.code != "NotNegotiated":
                raise
            return False
        return True

    def _send(self, command: Callable[..., wire.Command], **values: Any) -> None:
        if self.is_open:
            self._engine.post(command, session=self._id, **values)

    # ------------------------------------------------------------ reports

    async def stats(self) -> dict[str, dict[str, Any]]:
        """W3C webrtc-stats by id; the last ones after `close`, none before `open`."""
        if not self.is_open:
            return self.final_stats or {}
        report: dict[str, dict[str, Any]] = await self._engine.ask(wire.GetStats, session=self._id)
        return report

    def _report(self, report: wire.Report) -> None:
        if isinstance(report, wire.Sample):
            report = replace(report, row=self._with_page(report.row))
        match report:
            case wire.SessionState(what=what, state=state):
                self.previous_states[what], self.states[what] = self.states[what], state
            case wire.Level(in_dbfs=received, out_dbfs=sent):
                self.levels = (received, sent)
        self._on_report(report)
        for listener in list(self.listeners):
            listener(report)

    def _with_page(self, row: SampleRow) -> SampleRow:
        """The row with the figures of the page, which the I/O plane does not know."""
        rtt_ms, underruns = self.page()
        grown, self._page_underruns = underruns - self._page_underruns, underruns
        return replace(row, page_rtt_ms=rtt_ms, page_underruns=grown)


def _no_page() -> tuple[float, float]:
    return math.nan, math.nan
