"""Level meters, what the far end reports, and the W3C webrtc-stats report of an audio stream."""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.codec_table import codec_row
from plivo_nb.media.rtp.rtcp import ReportBlock, SenderReport, unix_time
from plivo_nb.quality.counters import NAN, Counters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from plivo_nb.media.codecs import Codec
    from plivo_nb.media.rtp.receiving import Receiving
    from plivo_nb.media.rtp.rtp import RtpSender

SILENCE_DBFS = -100.0
_NOTHING_MEASURED = -1.0  # no peak is negative
#: Samples in one frame of each of the meters that are settled together; more would fill the caches.
_SAMPLES_TOGETHER = 3200
_FRAMES_AT_ONCE = 8  # more than come between two readings of the level display, which settles them


def dbfs(level: float) -> float:
    """Convert a level (1 is full scale) to dBFS, from -100 (silence) to 0."""
    return max(SILENCE_DBFS, 20 * math.log10(level)) if level > 0 else SILENCE_DBFS


class LevelMeter:
    """Peak and energy of 20 ms frames, by numpy.

    Frames are copied, and computed a few at a time: for a single one, most of the time is numpy's calls.

    Args:
        on_levels: called with the RMS of frames, 0..1, in order; by default nobody.
    """

    __slots__ = (
        "_block",
        "_duration_s",
        "_energy",
        "_filled",
        "_level",
        "_on_levels",
        "_peaks",
        "_rate",
        "_samples",
    )

    def __init__(self, on_levels: Callable[[list[float]], None] | None = None) -> None:
        self._on_levels = on_levels
        self._level = 0.0
        self._energy = 0.0
        self._duration_s = 0.0
        self._peaks = [_NOTHING_MEASURED, _NOTHING_MEASURED]
        self._block = np.zeros((_FRAMES_AT_ONCE, 0), np.int16)
        self._filled = self._samples = 0
        self._rate = 0

    @property
    def level(self) -> float:
        """The RMS of the last frame, 0..1 (W3C audioLevel)."""
        self.settle()
        return self._level

    @property
    def energy(self) -> float:
        """The energy of all frames (W3C totalAudioEnergy).

        Divided by `duration_s`, differences of it are the mean power.
        """
        self.settle()
        return self._energy

    @property
    def duration_s(self) -> float:
        """The length of all frames (W3C totalSamplesDuration)."""
        self.settle()
        return self._duration_s

    def measure(self, frame: NDArray[np.int16], rate: int) -> None:
        """Measure a frame; rate in Hz."""
        filled = self._filled
        if len(frame) != self._samples or rate != self._rate:
            self.settle()
            filled = 0
            self._samples, self._rate = len(frame), rate
            self._block = np.zeros((_FRAMES_AT_ONCE, self._samples), np.int16)
        self._block[filled] = frame
        self._filled = filled = filled + 1
        if filled == _FRAMES_AT_ONCE:
            self.settle()

    def settle(self, tell: bool = True) -> None:
        """Compute the frames that wait; with `tell`, `on_levels` is called with them."""
        if self._filled:
            _settle([self], tell)

    def _take(self, squares: list[float], peak: float, tell: bool) -> None:
        """Take the sums of squares of the frames that waited, and their peak."""
        self._filled = 0
        samples = self._samples
        full_scale = samples * 1_073_741_824
        powers = [square / full_scale for square in squares]
        levels = list(map(math.sqrt, powers))
        self._level = levels[-1]
        self._energy += sum(powers) * samples / self._rate
        self._duration_s += len(squares) * samples / self._rate
        self._note_peak(peak)
        if tell and self._on_levels is not None:
            self._on_levels(levels)

    def silence(self, seconds: float) -> None:
        """Measure a frame that is known to be silent."""
        if self._filled:
            self.settle()
        self._level = 0.0
        self._duration_s += seconds
        self._note_peak(0.0)

    def _note_peak(self, peak: float) -> None:
        peaks = self._peaks
        if peak > peaks[0]:
            peaks[0] = peak
        if peak > peaks[1]:
            peaks[1] = peak

    def take_peak_dbfs(self, reader: int) -> float:
        """Return the highest peak since this reader's last call, NaN where no frame was measured since.

        Args:
            reader: 0, the sampler; 1, the level display.
        """
        self.settle()
        peak, self._peaks[reader] = self._peaks[reader], _NOTHING_MEASURED
        return math.nan if peak < 0 else dbfs(peak / 32768)


def settle(meters: Iterable[LevelMeter]) -> None:
    """Compute the frames that wait in meters, together: a call of numpy costs more than its work on one."""
    waiting: dict[int, list[LevelMeter]] = {}
    for meter in meters:
        if not meter._filled:
            continue
        group = waiting.setdefault(meter._samples, [])
        group.append(meter)
        if len(group) * meter._samples >= _SAMPLES_TOGETHER:
            _settle(waiting.pop(meter._samples), tell=True)
    for group in waiting.values():
        _settle(group, tell=True)


def _settle(meters: list[LevelMeter], tell: bool) -> None:
    """Compute the frames that wait in meters of frames of one length."""
    frames = np.concatenate([meter._block[: meter._filled] for meter in meters], dtype=np.float32)
    squares = np.vecdot(frames, frames).tolist()
    peaks = np.abs(frames, out=frames).max(axis=1).tolist()
    end = 0
    for meter in meters:
        start, end = end, end + meter._filled
        meter._take(squares[start:end], max(peaks[start:end]), tell)


class Gaps:
    """The usual time between events: the median of the last five gaps; 5 s until there are three."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=5)
        self._last: float | None = None

    def add(self, now: float) -> None:
        """Note an event."""
        if self._last is not None:
            self._gaps.append(now - self._last)
        self._last = now

    @property
    def median_s(self) -> float:
        """The median in seconds."""
        return statistics.median(self._gaps) if len(self._gaps) >= 3 else 5.0


class RemoteView:
    """The contents of the far end's RTCP: its reports about our stream, and its sender reports."""

    def __init__(self) -> None:
        self.received = 0  # RTCP packets
        self.malformed = 0
        # report blocks about us
        self.reports = 0
        self.report_at = NAN
        self.fraction_lost = NAN
        self.packets_lost = 0
        self.packets_expected = 0
        self.jitter = 0
        self.rtt_s = NAN
        self.rtt_at = NAN
        self.rtt_sum_s = 0.0
        self.rtt_count = 0
        self.report_packets_sent = NAN  # packets that we had sent when the last one came
        self.report_gaps = Gaps()
        self.heard_at = NAN  # the last report of either kind, also without a block about us
        # its sender reports
        self.sr_gaps = Gaps()
        self.sr_at: float | None = None
        self.sr_ssrc = 0
        self.sr_ntp = 0
        self.sr_packets = 0
        self.sr_bytes = 0
        self.sr_count = 0

    def sender_report(self, report: SenderReport, now: float) -> None:
        """Store a sender report."""
        self.sr_gaps.add(now)
        self.sr_at, self.sr_ssrc, self.sr_ntp = now, report.ssrc, report.ntp_time
        self.sr_packets, self.sr_bytes = report.packet_count, report.octet_count
        self.sr_count += 1

    def report_block(self, block: ReportBlock, rtt_s: float | None, now: float, rtp: RtpSender) -> None:
        """Store a report block about our stream.

        Its highest sequence number is taken modulo 2^16, as the latest such number that we have sent: some
        receivers do not count its cycles.
        """
        self.reports += 1
        self.report_at = now
        self.report_gaps.add(now)
        self.report_packets_sent = rtp.packets
        self.fraction_lost = block.fraction_lost
        self.packets_lost = block.packets_lost
        behind = (rtp.sequence_number - 1 - block.highest_sequence) & 0xFFFF
        self.packets_expected = max(self.packets_expected, rtp.packets - behind)
        self.jitter = block.jitter
        if rtt_s is not None:
            self.rtt_s, self.rtt_at = rtt_s, now
            self.rtt_sum_s += rtt_s
            self.rtt_count += 1


def w3c_report(
    *,
    timestamp_ms: float,
    utc_offset_s: float,
    ssrc: int,
    send: Codec | None,
    rtp: RtpSender,
    meter: LevelMeter,
    remote: RemoteView,
    receiving: Receiving,
    counters: Counters,
) -> dict[str, dict[str, Any]]:
    """Return the W3C webrtc-stats by id; unknown values are omitted."""
    report: dict[str, dict[str, Any]] = {}

    def add(type_: str, key: str | None = None, /, **values: Any) -> None:
        values = {name: value for name, value in values.items() if value is not None}
        report[key or type_] = {"id": key or type_, "type": type_, "timestamp": timestamp_ms, **values}

    def utc_ms(monotonic_s: float | None) -> float | None:
        return None if monotonic_s is None else (monotonic_s + utc_offset_s) * 1000

    if send is not None:
        _add_sending(add, ssrc, send, rtp, meter)
    if receiving.codec is not None:
        _add_receiving(add, receiving, counters, utc_ms)
    if send is not None and remote.reports:
        expected = max(0, remote.packets_expected)
        add(
            "remote-inbound-rtp",
            kind="audio",
            ssrc=ssrc,
            localId="outbound-rtp",
            codecId="codec",
            jitter=remote.jitter / send.clock_rate,
            packetsLost=remote.packets_lost,
            packetsReceived=max(0, expected - remote.packets_lost),
            fractionLost=remote.fraction_lost,
            roundTripTime=remote.rtt_s if remote.rtt_count else None,
            totalRoundTripTime=remote.rtt_sum_s,
            roundTripTimeMeasurements=remote.rtt_count,
        )
    if remote.sr_at is not None:
        add(
            "remote-outbound-rtp",
            kind="audio",
            ssrc=remote.sr_ssrc,
            localId="inbound-rtp",
            codecId="codec-inbound",
            packetsSent=remote.sr_packets,
            bytesSent=remote.sr_bytes,
            reportsSent=remote.sr_count,
            remoteTimestamp=unix_time(remote.sr_ntp) * 1000,
        )
    return report


def _codec(codec: Codec) -> dict[str, Any]:
    row = codec_row(codec.name)
    return {
        "mimeType": f"audio/{row.encoding}",
        "payloadType": codec.payload_type,
        "clockRate": codec.clock_rate,
        "channels": row.channels,  # as in rtpmap; what is coded is mono
        "transportId": "transport",
    }


def _add_sending(add: Callable[..., None], ssrc: int, send: Codec, rtp: RtpSender, meter: LevelMeter) -> None:
    add("codec", **_codec(send))
    add(
        "media-source",
        kind="audio",
        trackIdentifier="audio",
        audioLevel=meter.level,
        totalAudioEnergy=meter.energy,
        totalSamplesDuration=meter.duration_s,
    )
    add(
        "outbound-rtp",
        kind="audio",
        ssrc=ssrc,
        codecId="codec",
        mediaSourceId="media-source",
        remoteId="remote-inbound-rtp",
        transportId="transport",
        packetsSent=rtp.packets,
        bytesSent=rtp.bytes,
        headerBytesSent=rtp.header_bytes,
        retransmittedPacketsSent=0,
        active=True,
    )


def _add_receiving(
    add: Callable[..., None],
    receiving: Receiving,
    counters: Counters,
    utc_ms: Callable[[float | None], float | None],
) -> None:
    assert receiving.codec is not None
    add("codec", "codec-inbound", **_codec(receiving.codec))
    if receiving.ssrc is None:
        return
    meter = receiving.meter
    add(
        "inbound-rtp",
        kind="audio",
        ssrc=receiving.ssrc,
        codecId="codec-inbound",
        remoteId="remote-outbound-rtp",
        playoutId="media-playout",
        transportId="transport",
        trackIdentifier="audio",
        packetsReceived=counters.packets_received,
        packetsLost=counters.packets_lost,
        jitter=counters.jitter_in_s,
        packetsDiscarded=counters.packets_discarded,
        bytesReceived=counters.bytes_received,
        headerBytesReceived=counters.header_bytes_received,
        lastPacketReceivedTimestamp=utc_ms(receiving.last_packet_s),
        jitterBufferDelay=counters.jitter_buffer_delay_s,
        jitterBufferTargetDelay=counters.jitter_buffer_target_delay_s,
        jitterBufferMinimumDelay=counters.jitter_buffer_target_delay_s,
        jitterBufferEmittedCount=counters.jitter_buffer_emitted_samples,
        totalSamplesReceived=counters.total_samples,
        concealedSamples=counters.concealed_samples,
        silentConcealedSamples=counters.silent_concealed_samples,
        concealmentEvents=counters.concealment_events,
        insertedSamplesForDeceleration=counters.inserted_samples,
        removedSamplesForAcceleration=counters.removed_samples,
        fecPacketsReceived=counters.fec_packets_received,
        fecPacketsDiscarded=counters.fec_packets_received - counters.packets_recovered,
        audioLevel=meter.level,
        totalAudioEnergy=meter.energy,
        totalSamplesDuration=meter.duration_s,
    )
    seconds = 1 / receiving.rate
    played = counters.total_samples + counters.inserted_samples - counters.removed_samples
    add(
        "media-playout",
        kind="audio",
        synthesizedSamplesDuration=counters.concealed_samples * seconds,
        synthesizedSamplesEvents=counters.concealment_events,
        totalSamplesDuration=played * seconds,
        totalPlayoutDelay=counters.jitter_buffer_delay_s,
        totalSamplesCount=played,
    )
