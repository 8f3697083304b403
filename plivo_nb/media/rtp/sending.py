"""The sending half of an audio stream: one frame of the source per tick, as RTP packets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAME_S, FRAMES_PER_S
from plivo_nb.media.audio.sources import Silence
from plivo_nb.media.codecs import DEFAULT_EXPECTED_LOSS, Codec, Encoder, make_encoder
from plivo_nb.media.levels import LevelMeter
from plivo_nb.media.playout.play_out import DTX_BYTES
from plivo_nb.media.rtp.telephone_event import DtmfSender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plivo_nb.audio_types import Pcm, Sink, Source
    from plivo_nb.media.rtp.rtp import RtpSender

#: After so many reports in a row without loss no redundancy is sent.
_LOSS_FREE_REPORTS = 5


class Sending:
    """Sends a source as RTP packets, and silence while the source returns None.

    Args:
        rtp: numbers and counts the packets.
    """

    def __init__(self, rtp: RtpSender) -> None:
        self.codec: Codec | None = None
        self.source: Source = Silence()
        self.muted = False
        self.meter = LevelMeter()
        self.dtmf = DtmfSender()
        self.source_bytes = 0  # payload bytes made from the source's frames
        self._rtp = rtp
        self._encoder: Encoder | None = None
        self._sink: Sink | None = None
        self._events: dict[int, int] = {}
        self._event_type: int | None = None
        self._pending: list[Pcm] = []  # frames waiting for a packet longer than a tick
        self._marker = True
        self._quiet = False  # in a DTX pause
        self._loss = DEFAULT_EXPECTED_LOSS
        self._reports_without_loss = 0
        self._complexity_limit = 10
        self._passed = False  # the last packet is one that was received: the encoder has not seen its sound
        self._silence: Pcm = np.zeros(0, np.int16)

    def configure(self, codec: Codec, events: Mapping[int, int]) -> None:
        """Send with this codec, and with telephone-events of these payload types and clock rates."""
        old, self.codec = self.codec, codec
        if codec != old:
            self._drop_pending()
            self._encoder = self._new_encoder(codec)
            self._silence = np.zeros(codec.clock_rate // FRAMES_PER_S, np.int16)
        self._events = dict(events)
        self._event_type = next(
            (kind for kind, rate in self._events.items() if rate == codec.clock_rate),
            next(iter(self._events), None),
        )
        if old is None or old.clock_rate != codec.clock_rate:
            self.source.open(codec.clock_rate)
            if self._sink is not None:
                self._sink.open(codec.clock_rate)

    def set_source(self, source: Source) -> None:
        """Send another source: open it and close the old one."""
        old, self.source = self.source, source
        if source is old:
            return
        if self.codec is not None:
            source.open(self.codec.clock_rate)
        old.close()

    def set_sink(self, sink: Sink | None) -> None:
        """Write sent frames to this sink."""
        self._sink = sink
        if sink is not None and self.codec is not None:
            sink.open(self.codec.clock_rate)

    def tick(
        self,
        packets: list[bytes],
        heard: Pcm | None = None,
        payload_of_heard: Callable[[], tuple[str, bytes] | None] = lambda: None,
    ) -> None:
        """Send one frame.

        Args:
            packets: the packets to send are appended to this list.
            heard: the frame that was received in this tick. If the source returns that very array, as an echo
                does, the packet that it came in is sent on and nothing is encoded.
            payload_of_heard: returns codec and payload of that packet; None if the frame is no whole packet.
        """
        codec = self.codec
        if codec is None:
            return
        samples = codec.clock_rate // FRAMES_PER_S
        frame = self.source.read(samples)
        filler = frame is None or self.muted
        if frame is None or self.muted:
            frame = self._silence
            self.meter.silence(FRAME_S)
        else:
            if len(frame) != samples:
                frame = _fit(frame, samples)
            self.meter.measure(frame, codec.clock_rate)
        if self._sink is not None:
            self._sink.write(frame)
        if self.dtmf.pending and self._send_event(packets):
            self._rtp.advance(samples)
            return
        bytes_before = self._rtp.bytes
        if frame is heard and self._passes(codec, payload_of_heard(), packets):
            self._rtp.advance(samples)
        elif codec.ptime_ms == 20:
            self._send_audio(codec, packets, frame)
        else:
            self._send_repacked(codec, packets, frame)
        if not filler:
            self.source_bytes += self._rtp.bytes - bytes_before

    def skip(self, ticks: int) -> None:
        """Advance RTP time by so many ticks without sending; the next packet has the marker."""
        if self.codec is not None:
            self._drop_pending()
            self._rtp.advance(ticks * (self.codec.clock_rate // FRAMES_PER_S))
            self._marker = True

    def take_reported_loss(self, fraction: float) -> None:
        """Set the amount of redundancy by a report of the far end about our packets.

        Redundancy takes bits from the sound and time from the encoder: after some reports in a row without
        loss none is sent, until a report tells of loss.

        Args:
            fraction: of the packets lost since the report before, 0..1.
        """
        self._reports_without_loss = 0 if fraction > 0.0 else self._reports_without_loss + 1
        if 0 < self._reports_without_loss < _LOSS_FREE_REPORTS:
            return
        self._loss = fraction
        if self._encoder is not None:
            self._encoder.set_expected_loss(fraction)

    def limit_complexity(self, limit: int) -> None:
        """Let the encoder take less CPU time: of the codec's complexity, at most this (0 to 10)."""
        self._complexity_limit = limit
        if self._encoder is not None and self.codec is not None:
            self._encoder.set_complexity(min(self.codec.complexity, limit))

    def _new_encoder(self, codec: Codec) -> Encoder:
        encoder = make_encoder(replace(codec, complexity=min(codec.complexity, self._complexity_limit)))
        encoder.set_expected_loss(self._loss)
        return encoder

    def _passes(self, codec: Codec, payload: tuple[str, bytes] | None, packets: list[bytes]) -> bool:
        """Send a packet on that was received, where that is possible."""
        if payload is None:
            return False
        name, data = payload
        if codec.ptime_ms != 20 or name != codec.name or len(data) <= DTX_BYTES:
            return False
        packets.append(self._rtp.send(codec.payload_type, data, self._marker))
        self._marker = self._quiet = False
        self._passed = True
        return True

    def _send_audio(self, codec: Codec, packets: list[bytes], pcm: Pcm) -> None:
        assert self._encoder is not None
        if self._passed:  # what it remembers is not what was sent last
            self._encoder = self._new_encoder(codec)
            self._passed = False
        payload = self._encoder.encode(pcm)
        quiet = codec.dtx and len(payload) <= DTX_BYTES
        if quiet and self._quiet:
            self._marker = True  # RFC 7587 section 3.1.3: nothing is sent; RTP time advances
        else:  # the first packet of a pause is sent, to show that nothing is lost
            packets.append(self._rtp.send(codec.payload_type, payload, self._marker))
            self._marker = False
        self._quiet = quiet
        self._rtp.advance(len(pcm))

    def _send_repacked(self, codec: Codec, packets: list[bytes], frame: Pcm) -> None:
        """Send in packets of another length than a tick."""
        self._pending.append(frame)
        length = codec.clock_rate * codec.ptime_ms // 1000
        if len(self._pending) * len(frame) < length:
            return
        pcm = np.concatenate(self._pending)
        whole = len(pcm) // length * length
        self._pending = [pcm[whole:]] if whole < len(pcm) else []
        for at in range(0, whole, length):
            self._send_audio(codec, packets, pcm[at : at + length])

    def _drop_pending(self) -> None:
        """Drop the frames that wait for a longer packet, and advance RTP time by them."""
        self._rtp.advance(sum(len(frame) for frame in self._pending))
        self._pending.clear()

    # ------------------------------------------------------------ DTMF

    @property
    def can_send_dtmf(self) -> bool:
        """Whether telephone-events were negotiated."""
        return self._event_type is not None

    def _send_event(self, packets: list[bytes]) -> bool:
        """Send the telephone-event that is due in this tick, if one is."""
        kind = self._event_type
        if kind is None:
            self.dtmf.abort()
            return False
        now = self._rtp.timestamp + sum(len(frame) for frame in self._pending)
        event = self.dtmf.tick(now, self._events[kind])
        if event is None:
            return False
        self._drop_pending()
        packets.append(self._rtp.send(kind, event.payload, event.marker, event.timestamp))
        self._marker = True
        return True


def _fit(frame: Pcm, samples: int) -> Pcm:
    """Cut or pad a source's frame to the length requested."""
    fitted = np.zeros(samples, np.int16)
    count = min(samples, len(frame))
    fitted[:count] = frame[:count]
    return fitted
