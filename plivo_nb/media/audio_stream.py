"""One audio stream both ways, without sockets, threads or a clock of its own.

The plane calls `tick` each 20 ms and sends what it returns; it calls `receive_rtp` and `receive_rtcp` for
what arrives. `now` is always `time.monotonic()` seconds (in tests: any number that grows).
"""

from __future__ import annotations

import random as random_module
import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from plivo_nb.media import rtcp
from plivo_nb.media.codecs import Codec, Encoder, Pcm, make_encoder
from plivo_nb.media.dtmf import DtmfSender
from plivo_nb.media.receiving import Receiving
from plivo_nb.media.rtp import RtpSender
from plivo_nb.media.sinks import Null, Sink
from plivo_nb.media.sources import Silence, Source
from plivo_nb.media.stats import NAN, LevelMeter, RemoteView, StreamCounters, w3c_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


__all__ = ["AudioStream", "Codec", "Direction", "StreamCounters"]

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_TICK_S = 0.020
_RTCP_MEAN_S = 1.0
_STALL_S = 0.060


class AudioStream:
    """What a call sends and receives.

    Args:
        jitter_min_ms: shortest play-out delay aimed at.
        jitter_max_ms: longest.
        random: makes SSRC, CNAME, first numbers and RTCP times; for tests.
        utc_offset_s: what to add to `now` for Unix time; by default measured now.
    """

    def __init__(
        self,
        *,
        jitter_min_ms: float = 20.0,
        jitter_max_ms: float = 200.0,
        random: random_module.Random | None = None,
        utc_offset_s: float | None = None,
    ) -> None:
        self._random = random or random_module.SystemRandom()
        bits = self._random.getrandbits
        self.ssrc: int = bits(32)
        self.cname: str = f"{bits(96):024x}"
        self.direction: Direction = "sendrecv"
        self.muted = False
        self.on_digit: Callable[[str, int], None] | None = None
        self._utc_offset_s = time.time() - time.monotonic() if utc_offset_s is None else utc_offset_s
        self._rtp = RtpSender(self.ssrc, bits(15), bits(32))
        self._codec: Codec | None = None
        self._encoder: Encoder | None = None
        self._events: dict[int, int] = {}
        self._event_type: int | None = None
        self._dtmf = DtmfSender()
        self._receiving = Receiving(jitter_min_ms / 1000, jitter_max_ms / 1000)
        self._source: Source = Silence()
        self._sink: Sink = Null()
        self._sink_rate = 0
        self._sent_sink: Sink | None = None
        self._meter = LevelMeter()
        self._remote = RemoteView()
        self._pending: list[Pcm] = []  # frames that wait for a packet longer than a tick
        self._marker = True
        self._quiet = False  # in a pause of DTX
        self._source_bytes = 0
        self._last_tick_s: float | None = None
        self._stalled_until_s = 0.0
        self._rtcp_due_s: float | None = None
        self._silence: dict[int, Pcm] = {}

    # ------------------------------------------------------------ what it is made of

    @property
    def source(self) -> Source:
        """What is sent. A new one is opened and the old one closed here."""
        return self._source

    @source.setter
    def source(self, source: Source) -> None:
        old, self._source = self._source, source
        if self._codec is not None and source is not old:
            source.open(self._codec.clock_rate)
        if old is not source:
            old.close()

    @property
    def sink(self) -> Sink:
        """Where what is heard goes, and what is sent, if it has an attribute `sent`.

        A new one is opened here; the old one is the caller's to close.
        """
        return self._sink

    @sink.setter
    def sink(self, sink: Sink) -> None:
        self._sink = sink
        self._sink_rate = 0
        self._open_sink()
        self._sent_sink = getattr(sink, "sent", None)
        if self._sent_sink is not None and self._codec is not None:
            self._sent_sink.open(self._codec.clock_rate)

    def _open_sink(self) -> None:
        """Tell the sink the rate, where it is known and new to it."""
        if self._receiving.rate != self._sink_rate:
            self._sink_rate = self._receiving.rate
            self._sink.open(self._sink_rate)

    @property
    def codec(self) -> Codec | None:
        """What is sent, once negotiated."""
        return self._codec

    def configure(
        self,
        send: Codec,
        receive: Sequence[Codec],
        telephone_event: Mapping[int, int] | None = None,
        direction: Direction = "sendrecv",
    ) -> None:
        """Apply what was negotiated; may be called again.

        Args:
            send: the codec to send with.
            receive: the codecs that may come.
            telephone_event: payload type to clock rate in Hz, as agreed for RFC 4733.
            direction: as seen from here (RFC 3264).
        """
        old, self._codec = self._codec, send
        if send != old:
            self._encoder = make_encoder(send)
            self._pending.clear()
        self._events = dict(telephone_event or {})
        self._event_type = next(
            (kind for kind, rate in self._events.items() if rate == send.clock_rate),
            next(iter(self._events), None),
        )
        self.direction = direction
        self._receiving.configure(receive, self._events)
        if old is None or old.clock_rate != send.clock_rate:
            self._source.open(send.clock_rate)
            if self._sent_sink is not None:
                self._sent_sink.open(send.clock_rate)
        self._open_sink()

    # ------------------------------------------------------------ the clock

    def tick(self, now: float) -> list[bytes]:
        """Play one frame, take one from the source.

        Args:
            now: monotonic seconds.

        Returns:
            RTP and RTCP packets to send, unprotected; tell them apart by their second byte (RFC 5761).
        """
        if self._codec is None:
            return []
        if self._last_tick_s is not None and now - self._last_tick_s > _STALL_S:
            self._stalled_until_s = now + _STALL_S
        self._last_tick_s = now
        self._play(now)
        packets: list[bytes] = []
        if self.direction in ("sendrecv", "sendonly"):
            self._send(packets)
        else:
            self._marker = True
            self._rtp.advance(self._codec.clock_rate // 50)
        if self._rtcp_due_s is None:
            self._rtcp_due_s = now + _RTCP_MEAN_S * self._random.uniform(0.25, 0.75)
        elif now >= self._rtcp_due_s:
            self._rtcp_due_s = now + _RTCP_MEAN_S * self._random.uniform(0.5, 1.5)
            packets.append(self._report(now))
        return packets

    def skip(self, ticks: int) -> None:
        """Let time pass without sending, after the plane stood still: nobody wants those frames any more.

        Args:
            ticks: of 20 ms, that are left out.
        """
        if self._codec is None or ticks <= 0:
            return
        self._rtp.advance(ticks * (self._codec.clock_rate // 50))
        self._receiving.skip(ticks * _TICK_S)
        self._pending.clear()
        self._marker = True

    def _play(self, now: float) -> None:
        receiving = self._receiving
        frame = receiving.pull(now, playing=self.direction in ("sendrecv", "recvonly"))
        self._open_sink()
        self._sink.write(frame)
        if receiving.digits:
            digits, receiving.digits = receiving.digits, []
            for digit, duration_ms in digits:
                if self.on_digit is not None:
                    self.on_digit(digit, duration_ms)

    def _send(self, packets: list[bytes]) -> None:
        assert self._codec is not None
        samples = self._codec.clock_rate // 50
        frame = self._source.read(samples)
        filler = frame is None or self.muted
        if frame is None or self.muted:
            frame = self._silent(samples)
            self._meter.silence(_TICK_S)
        else:
            if len(frame) != samples:
                frame = _fit(frame, samples)
            self._meter.measure(frame, self._codec.clock_rate)
        if self._sent_sink is not None:
            self._sent_sink.write(frame)
        if self._dtmf.pending and self._send_event(packets):
            self._rtp.advance(samples)
            return
        size = self._rtp.bytes
        if self._codec.ptime_ms == 20:
            self._send_audio(packets, frame, samples)
        else:
            self._send_repacked(packets, frame, samples)
        if not filler:
            self._source_bytes += self._rtp.bytes - size

    def _send_audio(self, packets: list[bytes], pcm: Pcm, samples: int) -> None:
        assert self._codec is not None
        assert self._encoder is not None
        payload = self._encoder.encode(pcm)
        quiet = self._codec.dtx and len(payload) <= 2
        if quiet and self._quiet:
            self._marker = True  # RFC 7587 section 3.1.3: nothing is sent; RTP time goes on
        else:  # the first packet of a pause is sent: it tells the far end that nothing is lost
            packets.append(self._rtp.send(self._codec.payload_type, payload, self._marker))
            self._marker = False
        self._quiet = quiet
        self._rtp.advance(samples)

    def _send_repacked(self, packets: list[bytes], frame: Pcm, samples: int) -> None:
        """Send in packets of another length than a tick."""
        assert self._codec is not None
        self._pending.append(frame)
        length = self._codec.clock_rate * self._codec.ptime_ms // 1000
        if len(self._pending) * samples < length:
            return
        pcm = np.concatenate(self._pending)
        self._pending = [pcm[len(pcm) // length * length :]] if len(pcm) % length else []
        for at in range(0, len(pcm) // length * length, length):
            self._send_audio(packets, pcm[at : at + length], length)

    def _silent(self, samples: int) -> Pcm:
        silence = self._silence.get(samples)
        if silence is None:
            silence = self._silence[samples] = np.zeros(samples, np.int16)
        return silence

    # ------------------------------------------------------------ DTMF

    @property
    def can_send_dtmf(self) -> bool:
        """Whether telephone-events were negotiated."""
        return self._event_type is not None

    @property
    def dtmf_pending(self) -> int:
        """Digits queued by `send_dtmf` that are not completely out."""
        return self._dtmf.pending

    def send_dtmf(self, digits: str, duration_ms: int = 100, gap_ms: int = 70) -> None:
        """Queue digits, to be sent as telephone-events (RFC 4733) in place of audio.

        Args:
            digits: of ``0123456789*#ABCD``.
            duration_ms: of each.
            gap_ms: of audio after each.

        Raises:
            ValueError: a wrong character or length, or telephone-event was not negotiated; nothing is queued.
        """
        if self._event_type is None:
            raise ValueError("the other side has not agreed to telephone-event; send the digits by SIP INFO")
        self._dtmf.queue(digits, duration_ms, gap_ms)

    def _send_event(self, packets: list[bytes]) -> bool:
        kind = self._event_type
        if kind is None:
            self._dtmf.abort()
            return False
        event = self._dtmf.tick(self._rtp.timestamp, self._events[kind])
        if event is None:
            return False
        packets.append(self._rtp.send(kind, event.payload, event.marker, event.timestamp))
        self._pending.clear()
        self._marker = True
        return True

    # ------------------------------------------------------------ what arrives

    def receive_rtp(self, data: bytes, now: float) -> None:
        """Take an unprotected RTP packet; garbage is counted and dropped.

        Args:
            data: the packet.
            now: when it arrived.
        """
        # what waited in the socket while our own thread stood still says nothing about the network
        last = self._last_tick_s
        timed = last is None or (now - last < _STALL_S and now >= self._stalled_until_s)
        self._receiving.receive(data, now, timed)

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Take an unprotected RTCP packet; garbage is counted and dropped. A BYE ends nothing (SIP does).

        Args:
            data: the packet.
            now: when it arrived.
        """
        try:
            packets = rtcp.parse(data)
        except ValueError:
            self._remote.malformed += 1
            return
        ntp_now = rtcp.ntp_time(now + self._utc_offset_s)
        self._remote.received += 1
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport):
                self._remote.sender_report(packet, now)
        for block in rtcp.blocks_about(packets, self.ssrc):
            self._remote.report_block(
                block, rtcp.round_trip_s(block, ntp_now), now, self._rtp.first_sequence_number
            )
            if self._encoder is not None:
                self._encoder.set_expected_loss(block.fraction_lost)

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

    # ------------------------------------------------------------ numbers

    def take_levels(self) -> tuple[float, float]:
        """Return the highest peaks (in, out) since the last call, in dBFS, for a level display."""
        return self._receiving.meter.take_peak_dbfs(1), self._meter.take_peak_dbfs(1)

    def counters(self) -> StreamCounters:
        """Return all numbers. The two levels are peaks since the last call: one reader only."""
        remote = self._remote
        return StreamCounters(
            codec=self._codec.name if self._codec else "",
            muted=self.muted,
            packets_sent=self._rtp.packets,
            bytes_sent=self._rtp.bytes,
            header_bytes_sent=self._rtp.header_bytes,
            source_bytes=self._source_bytes,
            rtt_s=remote.rtt_s,
            rtt_at=remote.rtt_at,
            jitter_out_s=remote.jitter / self._codec.clock_rate if self._codec and remote.reports else NAN,
            remote_packets_lost=remote.packets_lost,
            remote_packets_expected=remote.packets_expected,
            remote_fraction_lost=remote.fraction_lost,
            remote_report_at=remote.report_at,
            level_out_dbfs=self._meter.take_peak_dbfs(0),
            level_in_dbfs=self._receiving.meter.take_peak_dbfs(0),
            **self._receiving.counts(),
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
            send=self._codec,
            rtp=self._rtp,
            meter=self._meter,
            remote=self._remote,
            receiving=self._receiving,
            counts=self._receiving.counts(),
        )


def _fit(frame: Pcm, samples: int) -> Pcm:
    """Cut or pad what a source gave to the length asked for."""
    fitted = np.zeros(samples, np.int16)
    count = min(samples, len(frame))
    fitted[:count] = frame[:count]
    return fitted
