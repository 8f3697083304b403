"""The numbers of an audio stream: one frozen value, made by the media stack and read by the sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NAN = math.nan
_CUMULATIVE = {"cumulative": True}


def _count() -> Any:
    return field(default=0, metadata=_CUMULATIVE)


def _sum() -> Any:
    return field(default=0.0, metadata=_CUMULATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """One reading of an audio stream. A number that is not known yet is NaN, a word ``""``.

    Names in brackets are those of W3C webrtc-stats (https://www.w3.org/TR/webrtc-stats/).

    Attributes, cumulative, of what is sent:
        packets_sent: RTP packets sent [packetsSent].
        bytes_sent: RTP payload bytes sent, without headers and padding [bytesSent].
        header_bytes_sent: RTP header bytes sent [headerBytesSent].
        source_bytes: payload bytes that were encoded from what the source gave; no filler, none while muted.

    Attributes, cumulative, of what is received:
        packets_received: RTP packets received, duplicates included (RFC 3550 A.3) [packetsReceived].
        bytes_received: RTP payload bytes received [bytesReceived].
        header_bytes_received: RTP header bytes received [headerBytesReceived].
        packets_expected: packets that the source has sent, by its sequence numbers (RFC 3550 A.3).
        packets_lost: expected minus received (RFC 3550 A.3); falls when a packet counted as lost comes late,
            and with duplicates [packetsLost]. Without the duplicates it is expected - received + duplicated.
        packets_reordered: packets that came after one with a higher sequence number (RFC 4737 section 3.3).
        packets_duplicated: packets that had been received before [packetsDuplicated].
        packets_late: packets that came after the time to play them.
        loss_runs_1: runs of 1 lost packet; each counts when the packet after it is settled.
        loss_runs_2: the same of 2 packets lost one after the other.
        loss_runs_3_4: the same of 3 or 4.
        loss_runs_5_9: the same of 5 to 9.
        loss_runs_10_up: the same of 10 or more.
        packets_discarded: packets that came and were not played, late ones included; no duplicates
            [packetsDiscarded].
        packets_recovered: lost packets that were decoded from the redundancy in the packet after them.
        fec_packets_received: packets that carried such redundancy (in-band FEC).

    Attribute, cumulative, of this process:
        late_ticks: ticks of 20 ms, each of which plays a frame and sends one, that were made 20 ms or more
            after their time, or left out for that reason.

    Attributes, cumulative, of the play-out; samples are at `sample_rate_hz`:
        total_samples: samples received or concealed since the first packet, before they are played slower or
            faster [totalSamplesReceived]; with the inserted and without the removed ones: samples played
            [media-playout totalSamplesCount].
        concealed_samples: samples made up here, with neither a packet nor its redundancy [concealedSamples].
        silent_concealed_samples: those of them that were silence or comfort noise [silentConcealedSamples].
        concealment_events: runs of concealed samples [concealmentEvents].
        inserted_samples: added to play slower [insertedSamplesForDeceleration].
        removed_samples: left out to play faster [removedSamplesForAcceleration].
        jitter_buffer_delay_s: sum of the time in the buffer over emitted samples [jitterBufferDelay].
        jitter_buffer_target_delay_s: sum of the target over emitted samples [jitterBufferTargetDelay].
        jitter_buffer_emitted_samples: samples that left the buffer [jitterBufferEmittedCount].

    Attributes, cumulative, of the far end's reports about what is sent; NaN before the first report:
        remote_packets_lost: packets lost (RFC 3550 6.4.1) [remote-inbound-rtp packetsLost].
        remote_packets_expected: packets expected, by the highest sequence number that it has received.

    Attributes, momentary:
        codec: name of the codec sent.
        codec_in: name of the codec received.
        muted: whether silence is sent instead of the source.
        sample_rate_hz: of the play-out.
        jitter_in_s: interarrival jitter of what is received (RFC 3550 A.8) [inbound-rtp jitter].
        jitter_out_s: the same of what is sent, by the last report [remote-inbound-rtp jitter].
        playout_delay_s: how long packets wait in the jitter buffer at present.
        target_delay_s: how long they should wait.
        packets_unsettled: the newest of `packets_expected`, at most 32: one of them that is missing may still
            come. Those before are settled: received, or lost.
        packets_missing: how many of the unsettled ones have not come.
        last_rtp_at_s: monotonic time of the last RTP packet received [lastPacketReceivedTimestamp].
        last_rtp_was_pause: whether that packet announced a pause: comfort noise (RFC 3389), or Opus DTX, a
            payload of at most 2 bytes (RFC 6716 section 2.1.9, RFC 7587 section 3.1.3).
        sender_report_at_s: monotonic time of the far end's last sender report (RFC 3550 6.4.1).
        sender_report_packets: the packet count in it [remote-outbound-rtp packetsSent].
        sender_report_interval_s: median of the last five gaps between its sender reports; 5 s until there are
            three.
        rtcp_at_s: monotonic time of the far end's last report of either kind, also without a block about what
            is sent.
        rtt_s: round-trip time by RTCP (LSR and DLSR, RFC 3550 6.4.1) [roundTripTime].
        rtt_at_s: monotonic time of the report that gave it.
        remote_fraction_lost: loss in the last report's interval, 0..1 [fractionLost].
        remote_report_at_s: monotonic time of the last report about what is sent.
        remote_report_interval_s: median of the last five gaps between these; 5 s until there are three.
        remote_report_packets_sent: `packets_sent` when the last of them came.
        level_in_dbfs: peak of what was played since the last reading, -100 (silence) to 0 dBFS.
        level_out_dbfs: peak of the source since the last reading, before muting; NaN: nothing measured.
    """

    packets_sent: float = _count()
    bytes_sent: float = _count()
    header_bytes_sent: float = _count()
    source_bytes: float = _count()

    packets_received: float = _count()
    bytes_received: float = _count()
    header_bytes_received: float = _count()
    packets_expected: float = _count()
    packets_lost: float = _count()
    packets_reordered: float = _count()
    packets_duplicated: float = _count()
    packets_late: float = _count()
    loss_runs_1: float = _count()
    loss_runs_2: float = _count()
    loss_runs_3_4: float = _count()
    loss_runs_5_9: float = _count()
    loss_runs_10_up: float = _count()
    packets_discarded: float = _count()
    packets_recovered: float = _count()
    fec_packets_received: float = _count()

    late_ticks: float = _count()

    total_samples: float = _count()
    concealed_samples: float = _count()
    silent_concealed_samples: float = _count()
    concealment_events: float = _count()
    inserted_samples: float = _count()
    removed_samples: float = _count()
    jitter_buffer_delay_s: float = _sum()
    jitter_buffer_target_delay_s: float = _sum()
    jitter_buffer_emitted_samples: float = _count()

    remote_packets_lost: float = NAN
    remote_packets_expected: float = NAN

    codec: str = ""
    codec_in: str = ""
    muted: bool = False
    sample_rate_hz: float = NAN
    jitter_in_s: float = NAN
    jitter_out_s: float = NAN
    playout_delay_s: float = NAN
    target_delay_s: float = NAN
    packets_unsettled: float = 0
    packets_missing: float = 0
    last_rtp_at_s: float = NAN
    last_rtp_was_pause: bool = False
    sender_report_at_s: float = NAN
    sender_report_packets: float = NAN
    sender_report_interval_s: float = 5.0
    rtcp_at_s: float = NAN
    rtt_s: float = NAN
    rtt_at_s: float = NAN
    remote_fraction_lost: float = NAN
    remote_report_at_s: float = NAN
    remote_report_interval_s: float = 5.0
    remote_report_packets_sent: float = NAN
    level_in_dbfs: float = NAN
    level_out_dbfs: float = NAN


#: The counters of loss runs: the least and the greatest length of each, in packets.
LOSS_RUN_LENGTHS: dict[str, tuple[int, float]] = {
    "loss_runs_1": (1, 1),
    "loss_runs_2": (2, 2),
    "loss_runs_3_4": (3, 4),
    "loss_runs_5_9": (5, 9),
    "loss_runs_10_up": (10, math.inf),
}

#: Names of the counts that this end makes.
CUMULATIVE: tuple[str, ...] = tuple(item.name for item in fields(Counters) if item.metadata)


def added(*parts: Mapping[str, float]) -> dict[str, Any]:
    """The counts of several parts of a stream (sources, codecs, directions) in one.

    Args:
        parts: cumulative fields of `Counters` by name; one that is absent is 0.

    Returns:
        Their sums, as arguments of `Counters`.

    Example:
        >>> added({"packets_received": 50, "packets_late": 1}, {"packets_received": 20})
        {'packets_received': 70, 'packets_late': 1}
    """
    sums: dict[str, float] = {}
    for part in parts:
        for name, count in part.items():
            sums[name] = sums.get(name, 0) + count
    return sums
