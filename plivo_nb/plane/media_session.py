"""One media session: an audio stream in each direction over one transport, negotiated by SDP, sampled.

It runs on the plane's loop. Its packet path has no task, timer or queue: packets arrive in the socket's
callback, and the plane's ticker calls `tick`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from plivo_nb.audio_types import FRAME_S
from plivo_nb.codec_table import codec_row
from plivo_nb.media import sdp
from plivo_nb.media.codecs import Codec, packet_lengths_ms
from plivo_nb.media.rtp.audio_stream import RTCP_MEAN_WITHOUT_FEEDBACK_S, AudioStream
from plivo_nb.media.rtp.capture import Capture
from plivo_nb.media.transport.transport import Transport, TransportConfig
from plivo_nb.plane.wire import (
    CaptureStopped,
    CommandError,
    Digit,
    Fault,
    Level,
    Report,
    Sample,
    SessionConfig,
    SessionState,
)
from plivo_nb.quality.sampler import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivo_nb.audio_types import Sink, Source
    from plivo_nb.media.levels import LevelMeter
    from plivo_nb.media.rtp.captured_sip import SipFrame
    from plivo_nb.quality.sampler import ClockAnchor, SampleRow

_logger = logging.getLogger("plivo_nb.plane.session")

#: After this long without RTP and RTCP that are due, ``rtp timeout`` is reported. On hold none are due: ICE
#: consent counts instead (RFC 7675). An ICE restart can end an outage within this time, and ICE takes as
#: long to fail.
RTP_TIMEOUT_S = 30.0
_POLL_TICKS = 25

Stats = dict[str, dict[str, Any]]


class SessionError(CommandError):
    """A command of a session failed."""


class MediaSession:
    """One session of the plane.

    Args:
        number: its number, chosen by the kernel's side.
        config: the options that concern media.
        report: called with each report.
        anchor: ties the plane's clock to UTC.

    Attributes:
        sample_sink: called with each sample before it is reported; None: nobody.
    """

    def __init__(
        self, number: int, config: SessionConfig, report: Callable[[Report], None], anchor: ClockAnchor
    ) -> None:
        self.number = number
        self.failed = False
        self.sample_sink: Callable[[SampleRow], object] | None = None
        self._config = config
        self._report = report
        self.stream = AudioStream(
            jitter_min_ms=config.jitter_min_ms, jitter_max_ms=config.jitter_max_ms, clock=time.monotonic
        )
        self.transport = Transport(
            TransportConfig(
                ice_servers=config.ice_servers,
                relay_only=config.relay_only,
                gathering_timeout_s=config.ice_gathering_timeout_s,
                loopback_candidates=config.loopback_candidates,
                dscp=config.dscp,
            ),
            on_rtp=self._rtp,
            on_rtcp=self._rtcp,
            on_state=self._state,
        )
        self.stream.on_digit = self._digit
        self._sampler = SessionSampler(anchor, config.sample_interval_s)
        self._negotiating = asyncio.Lock()
        self._session_id = secrets.randbits(62)
        self._version = 0
        self._offer: sdp.SessionDescription | None = None
        self._offered: tuple[sdp.Format, ...] = ()
        self._dtls_client: bool | None = None
        self._held = False  # the direction is not sendrecv: silence is intended
        self._answered_at: float | None = None  # when the description was final: from then on media is due
        self._ticks = 0
        self._sending = self._receiving = False  # whether a first RTP packet went out, came in
        self._last_media_at: float | None = None
        self._media_missing = False
        self._dtmf_waiting: list[asyncio.Future[None]] = []
        self._captured = 0  # packets in a capture that stopped

    # ------------------------------------------------------------ negotiation

    async def create_offer(self, ice_restart: bool = False) -> str:
        """Return the SDP text of an offer; with `ice_restart`, of one with new ICE credentials."""
        async with self._negotiating:
            await self.transport.gather(controlling=True, restart=ice_restart)
            self._offered = sdp.offered_formats(self._config.codecs)
            return sdp.build_offer(self._local("actpass", "sendrecv", "0"), self._offered)

    async def create_answer(self) -> str:
        """Return the SDP text of the answer to the offer set before, and start connecting.

        Raises:
            SessionError: there is no offer to answer.
            sdp.IncompatibleSDP: there is no common codec.
        """
        async with self._negotiating:
            offer = self._offer
            if offer is None:
                raise SessionError("WebRTCError", "There is no offer from the other side to answer.")
            audio = offer.audio(self._config.codecs)
            events = offer.telephone_events(audio)
            restart = self.transport.restarted_by(offer)
            if not restart:
                await self.transport.abandon_restart()
            await self.transport.gather(controlling=False, restart=restart)
            if self._dtls_client is None or self.transport.changed_by(offer):
                self._dtls_client = sdp.answer_setup(offer.setup) == "active"
            direction = sdp.answer_direction(offer.direction)
            local = self._local("active" if self._dtls_client else "passive", direction, offer.mid)
            text = sdp.build_answer(local, offer, [*audio, *events])
            self.transport.connect(offer, dtls_client=self._dtls_client)
            self._configure(offer, audio, audio, events, direction)
            self._answered()
            self._offer = None
            return text

    def set_remote(self, kind: sdp.Kind, text: str) -> None:
        """Apply the other side's SDP: an offer waits for `create_answer`; after an answer, connecting starts.

        Raises:
            sdp.IncompatibleSDP: no call is possible with it.
        """
        remote = sdp.parse(text, kind, self._config.codecs)
        audio = remote.audio(self._config.codecs)
        if kind == "offer":
            self._offer = remote
            return
        if self._dtls_client is None or self.transport.changed_by(remote):
            self._dtls_client = remote.setup == "passive"
        self.transport.connect(remote, dtls_client=self._dtls_client)
        direction = sdp.answer_direction(remote.direction)
        self._configure(remote, audio, self._offered, (), direction)
        if kind == "answer":
            self._answered()

    def _local(self, setup: sdp.Setup, direction: sdp.Direction, mid: str | None) -> sdp.Local:
        self._version += 1
        transport = self.transport
        return sdp.Local(
            ice_ufrag=transport.ice_ufrag,
            ice_pwd=transport.ice_pwd,
            candidates=transport.candidates,
            fingerprint=transport.fingerprint,
            ssrc=self.stream.ssrc,
            cname=self.stream.cname,
            setup=setup,
            direction=direction,
            mid=mid,
            session_id=self._session_id,
            version=self._version,
            max_average_bitrate_bps=self._config.max_average_bitrate_bps,
        )

    def _configure(
        self,
        remote: sdp.SessionDescription,
        send: Sequence[sdp.Format],
        receive: Sequence[sdp.Format],
        events: Sequence[sdp.Format],
        direction: sdp.Direction,
    ) -> None:
        """Configure the stream: it sends the other side's first format and receives all that we offered."""
        held = direction != "sendrecv"
        if self._held and not held and self._answered_at is not None:
            self._answered_at = time.monotonic()  # the time-out starts now, after an intended pause
        self._held = held
        self.stream.configure(
            replace(_sent_codec(send[0], remote), complexity=self._config.opus_complexity),
            [_codec(f) for f in receive],
            {f.payload_type: f.clock_rate for f in events},
            direction,
            None if remote.feedback else RTCP_MEAN_WITHOUT_FEEDBACK_S,
        )

    # ------------------------------------------------------------ the tick

    def tick(self, now: float) -> None:
        """Do one 20 ms tick: play one frame and send one; report samples and states when due."""
        self._ticks += 1
        if self._ticks % _POLL_TICKS == 0:
            self.transport.poll(now)
            self._watch_media(now)
            self._watch_capture()
        if not self.transport.connected:
            return
        for packet in self.stream.tick(now):
            if self.transport.send(packet) and not self._sending and packet[1] & 0x7F not in range(64, 96):
                self._sending = True
                self._report_state("rtp", "first-sent", at=now)
        if self._dtmf_waiting and not self.stream.dtmf_pending:
            self._dtmf_done()
        if now >= self._sampler.due_at:
            self._report_sample(self._sampler.due(self.stream, now))

    @property
    def meters(self) -> tuple[LevelMeter, LevelMeter]:
        """The level meters of what is received and of what is sent."""
        return self.stream.meters

    def report_levels(self) -> None:
        """Report the peaks since the last call, for a level display."""
        if self.transport.connected:
            in_dbfs, out_dbfs = self.stream.take_levels()
            self._report(Level(self.number, in_dbfs, out_dbfs))

    def _report_sample(self, row: SampleRow | None) -> None:
        if row is None:
            return
        if self.sample_sink is not None:
            self.sample_sink(row)
        self._report(Sample(self.number, row, self.stream.take_fates()))

    def limit_complexity(self, limit: int) -> None:
        """Let the encoder take less CPU time: of `SessionConfig.opus_complexity`, at most this."""
        self.stream.limit_complexity(limit)

    def skip(self, ticks: int, late: int) -> None:
        """Advance RTP time after a stall, without sending.

        Args:
            ticks: by so many ticks.
            late: how many ticks were late, those included.
        """
        if self.transport.connected:
            self.stream.skip(ticks, late)

    def _rtp(self, data: bytes, now: float) -> None:
        if not self._receiving:
            self._receiving = True
            self._report_state("rtp", "first-received", at=now)
        self._last_media_at = now
        if self._media_missing:
            self._resumed(now)
        try:
            self.stream.receive_rtp(data, now)
        except Exception as error:  # it ends this session and no other
            self.fault(error)

    def _rtcp(self, data: bytes, now: float) -> None:
        self._last_media_at = now
        if self._media_missing:
            self._resumed(now)
        try:
            self.stream.receive_rtcp(data, now)
        except Exception as error:
            self.fault(error)

    def _resumed(self, now: float) -> None:
        self._media_missing = False
        self._report_state("rtp", "resumed", at=now)

    def _answered(self) -> None:
        """The description is final: from now on the media is watched."""
        if self._answered_at is None:
            self._answered_at = time.monotonic()

    def _watch_media(self, now: float) -> None:
        if self._answered_at is None or self._media_missing:
            return
        last = max(self._answered_at, self._last_media_at or 0.0)
        if self._held:
            last = max(last, self.transport.received_at)
        if now - last < RTP_TIMEOUT_S:
            return
        self._media_missing = True
        self._report_state(
            "rtp", "timeout", f"No sound has been received from the other side for {now - last:.0f} s.", now
        )

    def _watch_capture(self) -> None:
        capture = self.transport.capture
        if capture is not None and capture.error is not None:
            self.transport.capture = None
            self._captured = capture.packets
            self._report(CaptureStopped(self.number, str(capture.path), capture.error))

    # ------------------------------------------------------------ reports

    def _state(self, what: str, state: str, detail: str) -> None:
        self._report_state(cast("Literal['gathering', 'ice', 'dtls', 'rtp']", what), state, detail)

    def _report_state(
        self,
        what: Literal["gathering", "ice", "dtls", "rtp"],
        state: str,
        detail: str = "",
        at: float | None = None,
    ) -> None:
        self._report(SessionState(self.number, what, state, time.monotonic() if at is None else at, detail))

    def _digit(self, digit: str, duration_ms: int) -> None:
        self._report(Digit(self.number, digit, duration_ms))

    def fault(self, error: BaseException) -> None:
        """End this session because of an unexpected error, and report it once."""
        if self.failed:
            return
        self.failed = True
        _logger.error("Media session %d failed.", self.number, exc_info=error)
        sentence = f"The call's media failed unexpectedly ({type(error).__name__}: {error}); the call ends."
        self._report(Fault(self.number, "WebRTCError", sentence))

    # ------------------------------------------------------------ the other commands

    def stats(self) -> Stats:
        """Return W3C webrtc-stats of the stream and the transport, by stats id."""
        now = time.monotonic()
        timestamp_ms = self._sampler.utc_ms(now)
        both = {**self.stream.stats(now), **self.transport.stats()}
        return {key: {"id": key, "timestamp": timestamp_ms, **values} for key, values in both.items()}

    def set_muted(self, muted: bool) -> None:
        """True: send silence instead of the source."""
        self.stream.muted = muted

    def set_source(self, source: Source) -> None:
        """Send this source from now on."""
        self.stream.source = source

    def set_sink(self, sink: Sink) -> None:
        """Write the received sound to this sink from now on."""
        self.stream.sink = sink

    async def send_dtmf(self, digits: str, duration_ms: int, gap_ms: int) -> None:
        """Send digits as telephone-events (RFC 4733); return when the last is sent.

        Raises:
            SessionError: telephone-event was not negotiated, or a character is not a DTMF digit.
        """
        if not self.stream.can_send_dtmf:
            raise SessionError("NotNegotiated", "Telephone-event (RFC 4733) was not negotiated.")
        try:
            self.stream.send_dtmf(digits, duration_ms, gap_ms)
        except ValueError as error:
            raise SessionError("WebRTCError", f"These digits cannot be sent: {error}.") from error
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._dtmf_waiting.append(future)
        await future

    def _dtmf_done(self) -> None:
        for future in self._dtmf_waiting:
            if not future.done():
                future.set_result(None)
        self._dtmf_waiting.clear()

    async def start_capture(self, path: str, sip: Sequence[SipFrame] = ()) -> None:
        """Write all packets, unprotected, to a pcapng file; finish a capture that is in progress.

        Args:
            path: of the file.
            sip: the call's SIP messages so far.

        Raises:
            SessionError: the file cannot be written.
        """
        await self.stop_capture()
        self._captured = 0
        try:
            capture = await asyncio.to_thread(Capture, path, 46 if self._config.dscp else 0)
        except OSError as error:
            raise SessionError("FileError", f"The capture {path} cannot be written: {error}.") from error
        for frame in sip:
            capture.add_sip(frame)
        self.transport.capture = capture

    def capture_sip(self, frame: SipFrame) -> None:
        """Write a SIP message to the capture, if there is one."""
        if self.transport.capture is not None:
            self.transport.capture.add_sip(frame)

    async def stop_capture(self) -> int:
        """Finish the capture, if there is one, and return its number of packets."""
        capture, self.transport.capture = self.transport.capture, None
        if capture is None:
            return self._captured
        await asyncio.to_thread(capture.close)
        if capture.error is not None:
            self._report(CaptureStopped(self.number, str(capture.path), capture.error))
        return capture.packets

    async def close(self) -> Stats:
        """Send RTCP BYE and DTLS close_notify, close all sockets, and return the final statistics."""
        final: Stats = {}
        if not self.failed:
            self._report_sample(self._sampler.last(self.stream, time.monotonic()))
            final = self.stats()
            self.transport.send(self.stream.bye(time.monotonic()))
        await self.transport.close()
        await self.stop_capture()
        self.stream.source.close()
        return final


class SessionSampler:
    """Samples a stream's counters at each interval, from the first tick of a connected transport on.

    Args:
        anchor: relates the plane's clock to UTC; shared by all sessions.
        interval_s: seconds between samples.

    Attributes:
        due_at: when `due` is to be called next, monotonic seconds.
    """

    def __init__(self, anchor: ClockAnchor, interval_s: float) -> None:
        self._anchor = anchor
        self._interval_s = max(interval_s, FRAME_S)
        self._sampler: Sampler | None = None
        self.due_at = -math.inf

    def due(self, stream: AudioStream, now: float) -> SampleRow | None:
        """Return the sample due at `now` (monotonic seconds), if any; after a stall, one late sample."""
        if self._sampler is None:
            self._sampler = Sampler(now, anchor=self._anchor)
            self.due_at = now + self._interval_s
        if now < self.due_at:
            return None
        missed = int((now - self.due_at) / self._interval_s)
        self.due_at += (missed + 1) * self._interval_s
        return self._sampler.sample(stream.counters(), now, direction=stream.direction)

    def last(self, stream: AudioStream, now: float) -> SampleRow | None:
        """Return the sample of the time since the last one, at the end of the session, if there is any."""
        if self._sampler is None or now <= self.due_at - self._interval_s:
            return None
        return self._sampler.sample(stream.counters(), now, direction=stream.direction, last=True)

    def utc_ms(self, now: float) -> float:
        """Return a monotonic time as milliseconds since 1970, for W3C timestamps."""
        return self._anchor.utc_ns_at(now) / 1e6


def _sent_codec(f: sdp.Format, remote: sdp.SessionDescription) -> Codec:
    """Return the codec to send, in packets of the length that the peer wants (RFC 8866 section 6.4).

    a=ptime is followed for G.711; a=maxptime limits the packets of every codec.
    """
    codec = _codec(f)
    wanted = codec.ptime_ms if codec.name == "OPUS" else remote.ptime_ms or codec.ptime_ms
    longest = min(wanted, remote.max_ptime_ms or wanted)
    possible = packet_lengths_ms(codec.name)
    short_enough = [length for length in possible if length <= longest]
    return replace(codec, ptime_ms=max(short_enough, default=possible[0]))


def _codec(f: sdp.Format) -> Codec:
    """Return the codec of a format, with the peer's limits for an Opus encoder (RFC 7587 section 6.1)."""
    codec = Codec(codec_row(f.name).name, f.payload_type, f.clock_rate)
    if codec.name != "OPUS":
        return codec
    limit = f.parameter("maxaveragebitrate") or ""
    if limit.isascii() and limit.isdigit() and len(limit) < 10 and 6000 <= int(limit) < codec.bitrate_bps:
        codec = replace(codec, bitrate_bps=int(limit))
    return replace(codec, dtx=f.parameter("usedtx") == "1", fec=f.parameter("useinbandfec") != "0")
