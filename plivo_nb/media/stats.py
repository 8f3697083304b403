"""The W3C webrtc-stats report of an audio stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivo_nb.codec_table import codec_row
from plivo_nb.media.rtp.rtcp import unix_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.media.codecs import Codec
    from plivo_nb.media.levels import LevelMeter
    from plivo_nb.media.rtp.receiving import Receiving
    from plivo_nb.media.rtp.remote_view import RemoteView
    from plivo_nb.media.rtp.rtp import RtpSender
    from plivo_nb.quality.counters import Counters


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
