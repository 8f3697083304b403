"""One audio stream in both directions, without sockets, threads or a clock.

The I/O plane calls `tick` each 20 ms and sends the packets that it returns, and calls `receive_rtp` and
`receive_rtcp` with received packets. `now` is `time.monotonic()` seconds (in tests, any growing number).
"""

from __future__ import annotations

import math
import random as random_module
import time
from typing import TYPE_CHECKING, Any, Literal

from plivo_nb.audio_types import FRAME_S
from plivo_nb.media.audio.sinks import Null
from plivo_nb.media.codecs import Codec
from plivo_nb.media.levels import SILENCE_DBFS, LevelMeter
from plivo_nb.media.rtp import rtcp
from plivo_nb.media.rtp.receiving import Receiving
from plivo_nb.media.rtp.remote_view import RemoteView
from plivo_nb.media.rtp.rtp import RtpSender
from plivo_nb.media.rtp.sending import Sending
from plivo_nb.media.stats import w3c_report
from plivo_nb.quality.counters import NAN, Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plivo_nb.audio_types import Pcm, Sink, Source
    from plivo_nb.media.playout.packet_fates import PacketFate

__all__ = ["AudioStream", "Codec", "Counters", "Direction"]

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

#: Mean time between RTCP reports with immediate feedback (RFC 4585, profile SAVPF) and without (RFC 3550).
RTCP_MEAN_S = 1.0
RTCP_MEAN_WITHOUT_FEEDBACK_S = 5.0
_STALL_S = 0.060


class AudioStream:
    """The audio that a call sends and receives.

    Args:
        jitter_min_ms: shortest target of the play-out delay.
        jitter_max_ms: longest target.
        random: generates SSRC, CNAME, first numbers and RTCP times; for tests.
        utc_offset_s: difference between Unix time and `now`; by default measured now.
        clock: returns `now`; reports carry the time at which they are made. By default they carry the tick's.
    """

    def __init__(
        self,
        *,
        jitter_min_ms: float = 20.0,
        jitter_max_ms: float = 200.0,
        random: random_module.Random | None = None,
        utc_offset_s: float | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._random = random or random_module.SystemRandom()
        bits = self._random.getrandbits
        self.ssrc: int = bits(32)
        self.cname: str = f"{bits(96):024x}"
        self.direction: Direction = "sendrecv"
        self.on_digit: Callable[[str, int], None] | None = None
        self._utc_offset_s = time.time() - time.monotonic() if utc_offset_s is None else utc_offset_s
        self._clock = clock
        self._rtcp_mean_s = RTCP_MEAN_S
        self._rtp = RtpSender(self.ssrc, bits(15), bits(32))
        self._sending = Sending(self._rtp)
        self._receiving = Receiving(jitter_min_ms / 1000, jitter_max_ms / 1000)
        self._sink: Sink = Null()
        self._sink_rate = 0
        self._remote = RemoteView()
        self._last_tick_s: float | None = None
        self._stalled_until_s = 0.0
        self._late_ticks = 0
        self._rtcp_due_s: float | None = None

    # ------------------------------------------------------------ source, sink, codec

    @property
    def source(self) -> Source:
        """The source that is sent. Setting it opens the new source and closes the old one."""
        return self._sending.source

    @source.setter
    def source(self, source: Source) -> None:
        self._sending.set_source(source)

    @property
    def muted(self) -> bool:
        """Whether silence is sent instead of the source; the source is read on."""
        return self._sending.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._sending.muted = muted

    @property
    def sink(self) -> Sink:
        """The sink of received sound; its attribute `sent`, if any, is the sink of sent sound.

        Setting it opens the new sink; the caller closes the old one.
        """
        return self._sink

    @sink.setter
    def sink(self, sink: Sink) -> None:
        self._sink = sink
        self._sink_rate = 0
        self._open_sink()
        self._sending.set_sink(getattr(sink, "sent", None))

    def _open_sink(self) -> None:
        """Open the sink again when the rate has changed."""
        if self._receiving.rate != self._sink_rate:
            self._sink_rate = self._receiving.rate
            self._sink.open(self._sink_rate)

    @property
    def codec(self) -> Codec | None:
        """The codec that is sent; None before the negotiation."""
        return self._sending.codec

    def configure(
        self,
        send: Codec,
        receive: Sequence[Codec],
        telephone_event: Mapping[int, int] | None = None,
        direction: Direction = "sendrecv",
        rtcp_mean_s: float | None = None,
    ) -> None:
        """Apply a negotiation; may be called again.

        Args:
            send: the codec to send with.
            receive: the codecs that may be received.
            telephone_event: payload types to clock rates in Hz, as negotiated for RFC 4733.
            direction: as seen from here (RFC 3264).
            rtcp_mean_s: mean time between our reports; by default 1 s, which RFC 4585 (SAVPF) allows.
        """
        self.direction = direction
        self._rtcp_mean_s = rtcp_mean_s or RTCP_MEAN_S
        self._sending.configure(send, telephone_event or {})
        self._receiving.configure(receive, telephone_event or {})
        self._open_sink()

    # ------------------------------------------------------------ the clock

    def tick(self, now: float) -> list[bytes]:
        """Play one frame, and send one of the source.

        Args:
            now: monotonic seconds.

        Returns:
            Unprotected RTP and RTCP packets to send; their second bytes differ (RFC 5761 section 4).
        """
        if self._sending.codec is None:
            return []
        if self._last_tick_s is not None and now - self._last_tick_s > _STALL_S:
            self._stalled_until_s = now + _STALL_S
        self._last_tick_s = now
        heard = self._play(now)
        packets: list[bytes] = []
        if self.direction in ("sendrecv", "sendonly"):
            self._sending.tick(packets, heard, self._receiving.payload)
        else:
            self._sending.skip(1)
        if self._rtcp_due_s is None:
            self._rtcp_due_s = now + self._rtcp_mean_s * self._random.uniform(0.25, 0.75)
        elif now >= self._rtcp_due_s:
            self._rtcp_due_s = now + self._rtcp_mean_s * self._random.uniform(0.5, 1.5)
            packets.append(self._report(now if self._clock is None else self._clock()))
        return packets

    def limit_complexity(self, limit: int) -> None:
        """Let the encoder take less CPU time: of the codec's complexity, at most this (0 to 10)."""
        self._sending.limit_complexity(limit)

    def skip(self, ticks: int, late: int = 0) -> None:
        """Let time pass without sending, after a stall of the plane: the frames of that time are too late.

        Args:
            ticks: number of ticks of 20 ms to skip.
            late: number of ticks that were late, to be counted; those that are skipped included.
        """
        self._late_ticks += late
        if ticks > 0:
            self._sending.skip(ticks)
            self._receiving.skip(ticks * FRAME_S)

    def _play(self, now: float) -> Pcm:
        receiving = self._receiving
        frame = receiving.pull(now, playing=self.direction in ("sendrecv", "recvonly"))
        if receiving.rate != self._sink_rate:
            self._open_sink()
        self._sink.write(frame)
        if receiving.digits:
            digits, receiving.digits = receiving.digits, []
            for digit, duration_ms in digits:
                if self.on_digit is not None:
                    self.on_digit(digit, duration_ms)
        return frame

    # ------------------------------------------------------------ DTMF

    @property
    def can_send_dtmf(self) -> bool:
        """Whether telephone-events were negotiated."""
        return self._sending.can_send_dtmf

    @property
    def dtmf_pending(self) -> int:
        """Number of digits queued by `send_dtmf` and not completely sent."""
        return self._sending.dtmf.pending

    def send_dtmf(self, digits: str, duration_ms: int = 100, gap_ms: int = 70) -> None:
        """Queue digits, to be sent as telephone-events (RFC 4733) in place of audio.

        Args:
            digits: of ``0123456789*#ABCD``.
            duration_ms: of each.
            gap_ms: of audio after each.

        Raises:
            ValueError: a character or length is wrong, or telephone-event was not negotiated.
        """
        if not self._sending.can_send_dtmf:
            raise ValueError("telephone-event was not negotiated; send the digits by SIP INFO")
        self._sending.dtmf.queue(digits, duration_ms, gap_ms)

    # ------------------------------------------------------------ received packets

    def receive_rtp(self, data: bytes, now: float) -> None:
        """Process an unprotected RTP packet; a malformed one is counted and dropped.

        Args:
            data: the packet.
            now: time of arrival.
        """
        # the arrival time of packets that waited in the socket during our own stall is not the network's
        last = self._last_tick_s
        timed = last is None or (now - last < _STALL_S and now >= self._stalled_until_s)
        self._receiving.receive(data, now, timed)

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Process an unprotected RTCP packet; malformed parts are counted and dropped, BYE is ignored.

        Args:
            data: the packet.
            now: time of arrival.
        """
        packets, faults = rtcp.parse(data)
        self._remote.malformed += len(faults)
        if not packets:
            return
        ntp_now = rtcp.ntp_time(now + self._utc_offset_s)
        self._remote.received += 1
        if any(isinstance(packet, rtcp.SenderReport | rtcp.ReceiverReport) for packet in packets):
            self._remote.heard_at = now
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport):
                self._remote.sender_report(packet, now)
        for block in rtcp.blocks_about(packets, self.ssrc):
            known = self._remote.packets_expected
            self._remote.report_block(block, rtcp.round_trip_s(block, ntp_now), now, self._rtp)
            if self._remote.packets_expected > known:  # while nothing arrives, the fraction lost is 0
                self._sending.take_reported_loss(block.fraction_lost)

    # ------------------------------------------------------------ RTCP

    def _report(self, now: float, *more: rtcp.Goodbye) -> bytes:
        blocks = self._receiving.report_blocks(self._remote, now)
        report: rtcp.SenderReport | rtcp.ReceiverReport
        if self._rtp.packets and self.direction in ("sendrecv", "sendonly"):
            report = rtcp.SenderReport(
                self.ssrc,
                rtcp.ntp_time(now + self._utc_offset_s),
                self._rtp.timestamp,
                self._rtp.packets,
                self._rtp.bytes,
                blocks,
            )
        else:
            report = rtcp.ReceiverReport(self.ssrc, blocks)
        return rtcp.build([report, rtcp.SourceDescription(((self.ssrc, self.cname),)), *more])

    def bye(self, now: float) -> bytes:
        """Return the last RTCP packet: a report and BYE."""
        return self._report(now, rtcp.Goodbye((self.ssrc,)))

    # ------------------------------------------------------------ statistics

    @property
    def meters(self) -> tuple[LevelMeter, LevelMeter]:
        """The meters of what is received and of what is sent."""
        return self._receiving.meter, self._sending.meter

    def take_levels(self) -> tuple[float, float]:
        """Return the highest peaks (in, out) since the last call, in dBFS, for a level display.

        Where no frame was measured since, the level is that of silence.
        """
        levels = (meter.take_peak_dbfs(1) for meter in self.meters)
        peak_in, peak_out = (SILENCE_DBFS if math.isnan(level) else level for level in levels)
        return peak_in, peak_out

    def take_fates(self) -> tuple[tuple[float, PacketFate], ...]:
        """Return what became of packets that were not simply played, since the last call.

        Returns:
            Monotonic times in seconds and fates, as `PacketFates` describes them.
        """
        return self._receiving.fates.take()

    def counters(self) -> Counters:
        """Return all numbers. The two levels are peaks since the last call: one reader only."""
        remote, codec, reported = self._remote, self._sending.codec, self._remote.reports > 0
        return self._receiving.counters(
            codec=codec.name if codec else "",
            muted=self.muted,
            packets_sent=self._rtp.packets,
            bytes_sent=self._rtp.bytes,
            header_bytes_sent=self._rtp.header_bytes,
            source_bytes=self._sending.source_bytes,
            late_ticks=self._late_ticks,
            rtt_s=remote.rtt_s,
            rtt_at_s=remote.rtt_at,
            jitter_out_s=remote.jitter / codec.clock_rate if codec and reported else NAN,
            remote_packets_lost=remote.packets_lost if reported else NAN,
            remote_packets_expected=remote.packets_expected if reported else NAN,
            remote_fraction_lost=remote.fraction_lost,
            remote_report_at_s=remote.report_at,
            remote_report_interval_s=remote.report_gaps.median_s,
            remote_report_packets_sent=remote.report_packets_sent,
            sender_report_at_s=NAN if remote.sr_at is None else remote.sr_at,
            sender_report_packets=NAN if remote.sr_at is None else remote.sr_packets,
            sender_report_interval_s=remote.sr_gaps.median_s,
            rtcp_at_s=remote.heard_at,
            level_out_dbfs=self._sending.meter.take_peak_dbfs(0),
            level_in_dbfs=self._receiving.meter.take_peak_dbfs(0),
        )

    def stats(self, now: float) -> dict[str, dict[str, Any]]:
        """Return W3C webrtc-stats by type: names and units of the standard (seconds, fractions, bytes).

        Args:
            now: monotonic seconds.
        """
        return w3c_report(
            timestamp_ms=(now + self._utc_offset_s) * 1000,
            utc_offset_s=self._utc_offset_s,
            ssrc=self.ssrc,
            send=self._sending.codec,
            rtp=self._rtp,
            meter=self._sending.meter,
            remote=self._remote,
            receiving=self._receiving,
            counters=self._receiving.counters(),
        )
