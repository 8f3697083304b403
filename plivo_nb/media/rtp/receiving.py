"""The receiving half of an audio stream: RTP packets in, frames out, also when the source changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.audio_types import FRAME_S
from plivo_nb.media.levels import LevelMeter
from plivo_nb.media.playout.packet_fates import PacketFates
from plivo_nb.media.playout.play_out import DTX_BYTES, PlayOut
from plivo_nb.media.rtp import rtcp
from plivo_nb.media.rtp.rtp import RtpPacket, RtpReceiver
from plivo_nb.media.rtp.telephone_event import DtmfReceiver
from plivo_nb.quality.counters import NAN, Counters, added

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plivo_nb.audio_types import Pcm
    from plivo_nb.media.codecs import Codec
    from plivo_nb.media.rtp.remote_view import RemoteView

COMFORT_NOISE = 13  # payload type (RFC 3389)
_OLD_SOURCE_S = 1.0  # how long packets of the former source are ignored as late ones


class Receiving:
    """Receives RTP packets and returns frames.

    Args:
        minimum_s: shortest target of the play-out delay.
        maximum_s: longest target.
    """

    def __init__(self, minimum_s: float, maximum_s: float) -> None:
        self._minimum_s, self._maximum_s = minimum_s, maximum_s
        self._codecs: dict[int, Codec] = {}
        self._events: dict[int, int] = {}
        self._play: PlayOut | None = None
        self._source: RtpReceiver | None = None
        self._old_source: tuple[int, float] = (-1, 0.0)  # SSRC, until when it is ignored
        self._dtmf = DtmfReceiver()
        self._event_rate = 8000
        self.digits: list[
            tuple[str, int]
        ] = []  # received digits with their durations in ms, for the owner to take
        self.fates = PacketFates()  # for the owner to take
        self.meter = LevelMeter(self._learn)
        self.rate = 0  # sample rate of the frames in Hz; 0 before the negotiation
        self.bytes = 0
        self.header_bytes = 0
        self.malformed = 0
        self.unknown = 0  # packets of a payload type that was not negotiated
        self.last_packet_s: float | None = None
        self.first_packet_s: float | None = None
        self.last_was_pause = False  # the last packet announced a pause
        # of former sources and codecs
        self._before: Mapping[str, float] = {}

    @property
    def ssrc(self) -> int | None:
        """The SSRC of the present source."""
        return self._source.ssrc if self._source is not None else None

    @property
    def codec(self) -> Codec | None:
        """The codec that is received or expected."""
        return self._play.codec if self._play is not None else None

    @property
    def play_out(self) -> PlayOut | None:
        """The play-out of the present codec."""
        return self._play

    def configure(self, codecs: Sequence[Codec], events: Mapping[int, int]) -> None:
        """Apply a negotiation: codecs by preference; clock rates of telephone-events by payload type."""
        self._codecs = {codec.payload_type: codec for codec in codecs}
        self._events = dict(events)
        current = self.codec
        if codecs and (current is None or current not in codecs):
            same = [c for c in codecs if current is not None and c.name == current.name]
            if same and self._play is not None:
                self._play.codec = same[0]  # another payload type for the same codec
            else:
                self._switch(codecs[0])

    def _switch(self, codec: Codec) -> None:
        """Receive another codec from now on."""
        if self._play is not None:
            self._before = added(self._before, self._play.counts())
        self._play = PlayOut(codec, self._minimum_s, self._maximum_s, self.fates)
        if self.rate != codec.clock_rate:
            self.rate = codec.clock_rate
            self._change_source(self.ssrc)

    def _change_source(self, ssrc: int | None) -> None:
        if self._source is not None:
            self._before = added(self._before, self._source.counts())
        self._source = RtpReceiver(ssrc, self.rate) if ssrc is not None else None

    def receive(self, data: bytes, now: float, timed: bool) -> None:
        """Process an RTP packet.

        Args:
            data: the packet, unprotected.
            now: monotonic time of its arrival.
            timed: whether the arrival time is used to measure the jitter.
        """
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            self.malformed += 1
            return
        kind = packet.payload_type
        codec = self._codecs.get(kind)
        if self._play is None:
            self.unknown += 1
            return
        if codec is None and kind not in self._events:
            self._receive_unknown(packet, len(data), now)
            return
        if codec is not None and codec.name != self._play.codec.name:
            self._switch(codec)
        source = self._source
        if source is None or source.ssrc != packet.ssrc:
            source = self._source_of(packet.ssrc, now)
            if source is None:
                return
        payload = packet.payload
        place = source.receive(packet.sequence_number, packet.timestamp, now, timed and codec is not None)
        self._count(len(payload), len(data), now)
        self.last_was_pause = len(payload) <= DTX_BYTES and codec is not None and codec.name == "OPUS"
        if place is None or place.duplicate:
            return
        if place.restarted:
            self._play.restart()
        if codec is None:
            self._event_rate = self._events[kind]
            self._play.buffer.skip_sequence(place.sequence)
            self.digits += self._dtmf.receive(payload, packet.timestamp, self._event_rate, now)
        elif payload:
            self._play.insert(payload, place, now, timed)
        else:
            self._play.buffer.skip_sequence(place.sequence)  # a keep-alive (RFC 6263)

    def _receive_unknown(self, packet: RtpPacket, size: int, now: float) -> None:
        """Process a packet whose payload type was not negotiated: a gap in the sound.

        Its sequence number is not lost. Comfort noise (RFC 3389), which many gateways send unasked, comes in
        this way too: another source may begin with it, whereas other unknown types of another source are
        none of this stream.
        """
        self.unknown += 1
        source = self._source
        if packet.payload_type == COMFORT_NOISE:
            source = self._source_of(packet.ssrc, now)
        if source is None or source.ssrc != packet.ssrc or self._play is None:
            return
        place = source.receive(packet.sequence_number, packet.timestamp, now, False)
        self._count(len(packet.payload), size, now)
        self.last_was_pause = packet.payload_type == COMFORT_NOISE
        if place is not None and not place.duplicate:
            self._play.buffer.skip_sequence(place.sequence)

    def _count(self, payload_size: int, size: int, now: float) -> None:
        self.last_packet_s = now
        if self.first_packet_s is None:
            self.first_packet_s = now
        self.bytes += payload_size
        self.header_bytes += size - payload_size

    def _source_of(self, ssrc: int, now: float) -> RtpReceiver | None:
        """Return the source of packets with this SSRC; None: they are late ones of the former source."""
        source = self._source
        if source is not None and source.ssrc == ssrc:
            return source
        if self._old_source[0] == ssrc and now < self._old_source[1]:
            return None
        if source is not None:
            self._old_source = (source.ssrc, now + _OLD_SOURCE_S)
            if self._play is not None:
                self._play.restart()
        self._change_source(ssrc)
        return self._source

    def payload(self) -> tuple[str, bytes] | None:
        """Return codec and payload of the packet that makes up the last frame; None if no whole one does."""
        play = self._play
        return None if play is None or play.payload is None else (play.codec.name, play.payload)

    def pull(self, now: float, playing: bool = True) -> Pcm:
        """Return the frame to play now, 20 ms.

        Args:
            now: monotonic seconds.
            playing: False: return silence, while the direction does not include receiving.
        """
        play = self._play
        assert play is not None, "configure comes first"
        frame = play.pull(now)
        if self._dtmf.unfinished is not None:
            self.digits += self._dtmf.expire(self._event_rate, now)
        if not playing:
            frame = np.zeros(play.frame, np.int16)
        if self.first_packet_s is not None:
            if play.silent:
                # comfort noise must not count as received sound
                self.meter.silence(FRAME_S)
            elif play.concealing:  # sound that is made up tells nothing of the background
                self.meter.settle()
                self.meter.measure(frame, self.rate)
                self.meter.settle(tell=False)
            else:
                self.meter.measure(frame, self.rate)
        return frame

    def _learn(self, levels: list[float]) -> None:
        if self._play is not None:
            self._play.learn(levels)

    def skip(self, seconds: float) -> None:
        """Note that no frame was pulled for so long: the play-out delay has grown by it."""
        if self._play is not None:
            self._play.buffer.moved(round(seconds * self.rate))

    def report_blocks(self, remote: RemoteView, now: float) -> tuple[rtcp.ReportBlock, ...]:
        """Return the report block about the present source (RFC 3550 section 6.4)."""
        source = self._source
        if source is None or not source.received:
            return ()
        last_sr = delay = 0
        if remote.sr_at is not None and remote.sr_ssrc == source.ssrc:
            last_sr = rtcp.middle(remote.sr_ntp)
            delay = round((now - remote.sr_at) * 65536)
        block = rtcp.ReportBlock(
            source.ssrc,
            source.take_fraction_lost(),
            source.lost,
            source.highest_sequence,
            int(source.jitter),
            last_sr,
            delay,
        )
        return (block,)

    def counters(self, **sent: Any) -> Counters:
        """The counts of all sources and codecs so far, and the present values of what is received.

        Args:
            sent: the fields of what is sent.
        """
        source, play = self._source, self._play
        unsettled, missing = source.unsettled() if source is not None else (0, 0)
        return Counters(
            **added(self._before, *(part.counts() for part in (source, play) if part is not None)),
            bytes_received=self.bytes,
            header_bytes_received=self.header_bytes,
            codec_in=play.codec.name if play is not None else "",
            sample_rate_hz=self.rate or NAN,
            packets_unsettled=unsettled,
            packets_missing=missing,
            last_rtp_at_s=NAN if self.last_packet_s is None else self.last_packet_s,
            last_rtp_was_pause=self.last_was_pause,
            jitter_in_s=source.jitter_s if source is not None and source.received else NAN,
            playout_delay_s=play.delay_s if play is not None else NAN,
            target_delay_s=play.buffer.target_s if play is not None and play.buffer.playing else NAN,
            **sent,
        )
