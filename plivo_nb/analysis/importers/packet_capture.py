"""Calls of a pcap or pcapng capture: SIP, RTP and RTCP, also of this kit's own captures.

Counts, loss and jitter are those of RFC 3550, as seen where the capture was made. With SRTP they are the
same, since its headers are readable; its RTCP is not, so that round trip and the far end's reports are
missing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from plivo_nb.analysis.importers.captured_packets import is_capture, packets_of
from plivo_nb.analysis.importers.captured_sip import SipCall, calls_of, is_sip
from plivo_nb.analysis.importers.imported_call import (
    ImportedCall,
    SampledCall,
    about_with_totals,
    frames_of_sampled,
)
from plivo_nb.media.rtp import rtcp
from plivo_nb.media.rtp.rtp import RtpPacket, RtpReceiver
from plivo_nb.quality.counters import NAN, Counters, added
from plivo_nb.quality.sampler import ClockAnchor, Sampler, SampleRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plivo_nb.analysis.call_frames import CallFrames
    from plivo_nb.analysis.importers.captured_packets import CapturedPacket, Endpoint
    from plivo_nb.analysis.importers.source import Source

_FEWEST = 5  # packets of an RTP stream; what looks like RTP in fewer is chance
_IN_ORDER = 0.7  # share of packets of a stream whose number is near the one before
_NEAR = 100
_STATIC = {0: ("PCMU", 8000), 3: ("GSM", 8000), 8: ("PCMA", 8000), 9: ("G722", 8000), 18: ("G729", 8000)}
_CLOCKS_HZ = (8_000, 16_000, 48_000, 90_000)
_VIDEO_HZ = 90_000
_COMFORT_NOISE = 13
_LONGEST_GAP_S = 60.0
_RTCP_TYPES = range(192, 224)  # RFC 5761 section 4


@dataclass(slots=True)
class _Stream:
    """One RTP stream: what was sent from one address to another with one SSRC."""

    source: Endpoint
    to: Endpoint
    ssrc: int
    packets: list[tuple[float, RtpPacket, int]] = field(default_factory=list)
    codec: str = ""
    clock_hz: int = 8000

    def is_real(self) -> bool:
        """Whether its sequence numbers go on as those of RTP do."""
        numbers = [packet.sequence_number for _, packet, _ in self.packets]
        near = sum((b - a + _NEAR) % 65536 <= 2 * _NEAR for a, b in pairwise(numbers))
        return len(numbers) >= _FEWEST and near >= _IN_ORDER * (len(numbers) - 1)


@dataclass(frozen=True, slots=True)
class _Side:
    """The end from which a call is seen: an address, or some of its ports if both ends have that address."""

    address: str
    ports: frozenset[int] | None = None

    def has(self, end: Endpoint) -> bool:
        """Whether this address and port is its."""
        return end[0] == self.address and (self.ports is None or end[1] in self.ports)


@dataclass(slots=True)
class _Call:
    streams: list[_Stream]
    sip: SipCall | None
    here: _Side
    secure: bool


def recognises(source: Source) -> bool:
    """Whether this is a capture."""
    return is_capture(source.data)


def read(source: Source) -> CallFrames:
    """The calls in it: those of SIP with their media, then media without SIP."""
    packets = packets_of(source)
    sip = calls_of(packets, source)
    streams, reports, dtls = _media(packets)
    calls = _calls(streams, sip, packets, dtls)
    if not calls:
        source.warn("There is neither a SIP call nor an RTP stream of audio in the capture.")
    made = []
    for number, call in enumerate(calls, 1):
        uuid = call.sip.uuid if call.sip else f"{source.name}/{number}"
        if call.secure:
            source.warn(
                f"{uuid}: the media is SRTP; counts, loss and jitter are from its headers, "
                "its RTCP cannot be read."
            )
        made.append(_sampled(uuid, call, [] if call.secure else reports))
    return frames_of_sampled(made, source.warnings)


def _media(
    packets: Sequence[CapturedPacket],
) -> tuple[list[_Stream], list[CapturedPacket], set[frozenset[Endpoint]]]:
    """The RTP streams of audio, the packets of RTCP, and between which addresses there was DTLS."""
    streams: dict[tuple[Endpoint, Endpoint, int], _Stream] = {}
    reports, dtls = [], set()
    for packet in packets:
        data = packet.data
        if packet.sequence is not None or len(data) < 8 or is_sip(data):
            continue
        if 20 <= data[0] <= 63 and data[1] == 254:  # RFC 9443 section 2, DTLS 1.x
            dtls.add(frozenset((packet.source, packet.to)))
        elif 128 <= data[0] <= 191 and data[1] in _RTCP_TYPES:
            reports.append(packet)
        elif 128 <= data[0] <= 191:
            try:
                rtp = RtpPacket.parse(data)
            except ValueError:
                continue
            key = packet.source, packet.to, rtp.ssrc
            stream = streams.setdefault(key, _Stream(*key))
            stream.packets.append((packet.at_s, rtp, packet.size))
    return [stream for stream in streams.values() if stream.is_real()], reports, dtls


def _calls(
    streams: list[_Stream],
    sip: Sequence[SipCall],
    packets: Sequence[CapturedPacket],
    dtls: set[frozenset[Endpoint]],
) -> list[_Call]:
    own = _own_ends(packets)
    groups: list[tuple[list[_Stream], SipCall | None]] = []
    rest = list(streams)
    for call in sip:
        mine = [
            stream for stream in rest if {stream.source, stream.to} & call.media and _during(stream, call)
        ]
        rest = [stream for stream in rest if stream not in mine]
        groups.append((mine, call))
    pairs: dict[frozenset[Endpoint], list[_Stream]] = {}
    for stream in rest:
        pairs.setdefault(frozenset((stream.source, stream.to)), []).append(stream)
    one_way = [found for found in pairs.values() if len({stream.source for stream in found}) == 1]
    if len(one_way) == 2 and one_way[0][0].source[0] == one_way[1][0].to[0]:  # each end has two ports
        pairs = {key: found for key, found in pairs.items() if found not in one_way}
        pairs[frozenset()] = one_way[0] + one_way[1]
    groups += [(found, None) for found in pairs.values()]
    calls = []
    for found, known in groups:
        for stream in found:
            _name_codec(stream, known)
        audio = [stream for stream in found if stream.clock_hz != _VIDEO_HZ]
        if not audio and known is None:
            continue
        here = _here(audio, known, own)
        secure = bool(known and known.secure) or any(frozenset((s.source, s.to)) in dtls for s in audio)
        calls.append(_Call(audio, known, here, secure))
    return calls


def _during(stream: _Stream, call: SipCall) -> bool:
    first, last = stream.packets[0][0], stream.packets[-1][0]
    return last >= call.times["invited"] and first <= call.times.get("ended", math.inf) + 1.0


def _own_ends(packets: Sequence[CapturedPacket]) -> Counter[Endpoint]:
    """The ends of the machine that captured, where the file says which packets it sent."""
    own = Counter(packet.source for packet in packets if packet.sent is True)
    own.update(packet.to for packet in packets if packet.sent is False)
    others = {packet.to for packet in packets if packet.sent is True}
    others |= {packet.source for packet in packets if packet.sent is False}
    return Counter({end: count for end, count in own.items() if end not in others})


def _here(streams: Sequence[_Stream], sip: SipCall | None, own: Counter[Endpoint]) -> _Side:
    """The end that captured; if that is unknown the caller, a private address, else who sent first."""
    ends = [end for stream in streams for end in (stream.source, stream.to)]
    addresses = [address for address, _ in ends]
    by_address: Counter[str] = Counter()
    for (address, _), count in own.items():
        by_address[address] += count
    if own:
        address = by_address.most_common(1)[0][0]
        ours = set(own)
    elif sip is not None and (sip.caller[0] in addresses or not ends):
        address, ours = sip.caller[0], {sip.caller, *sip.caller_media}
    else:
        private = [end for end in addresses if ip_address(end).is_private]
        different = len(set(private)) < len(set(addresses))
        address, ours = (private[0] if private and different else addresses[0]), set(ends[:1])
    if not all(stream.source[0] == stream.to[0] == address for stream in streams):
        return _Side(address)
    ports = {port for where, port in ours if where == address}
    rtcp_ports = {port + 1 for port in ports} - {port for _, port in ends}  # RFC 3550 section 11
    return _Side(address, frozenset(ports | rtcp_ports))


def _name_codec(stream: _Stream, sip: SipCall | None) -> None:
    types = Counter(packet.payload_type for _, packet, _ in stream.packets)
    kind = types.most_common(1)[0][0]
    known = (sip.formats.get(kind) if sip else None) or _STATIC.get(kind)
    if known is not None:
        stream.codec, stream.clock_hz = known
        return
    (first_s, first, _), (last_s, last, _) = stream.packets[0], stream.packets[-1]
    ticks = (last.timestamp - first.timestamp) % 2**32
    rate = ticks / (last_s - first_s) if last_s > first_s else 48_000.0
    stream.clock_hz = min(_CLOCKS_HZ, key=lambda clock: abs(math.log(clock / max(rate, 1.0))))
    stream.codec = "OPUS" if stream.clock_hz == 48_000 else ""


def _sampled(uuid: str, call: _Call, reports: Sequence[CapturedPacket]) -> SampledCall:
    sip = call.sip
    about = {} if sip is None else sip.about(call.here.has)
    times = [at_s for stream in call.streams for at_s, _, _ in stream.packets]
    began_s = sip.times["invited"] if sip else min(times)
    rows: list[SampleRow] = []
    if times:
        rows = _Replay(call, min(times)).rows(max(times), reports)
        arrived = [stream.packets[0][0] for stream in call.streams if call.here.has(stream.to)]
        answered = NAN if sip is None else sip.times.get("answered", NAN)
        about["media_setup_ms"] = 1e3 * (min(arrived) - answered) if arrived else NAN
        if not about["media_setup_ms"] >= 0.0:
            about["media_setup_ms"] = NAN  # early media
        if math.isnan(about.get("duration_s", NAN)):
            about["duration_s"] = max(times) - min(times)
    columns = about_with_totals(ImportedCall(uuid, about=about), rows)
    return SampledCall(uuid, rows, columns, round(began_s * 1e6) * 1000)


class _Replay:
    """Goes through the packets of a call and samples each second.

    Args:
        call: its streams.
        origin_s: when its first packet was captured.
    """

    def __init__(self, call: _Call, origin_s: float) -> None:
        self._call, self._origin_s = call, origin_s
        self._incoming = [stream for stream in call.streams if call.here.has(stream.to)]
        self._outgoing = [stream for stream in call.streams if not call.here.has(stream.to)]
        if not self._incoming and not self._outgoing:
            self._outgoing = call.streams
        self._receivers = {id(s): RtpReceiver(s.ssrc, s.clock_hz) for s in self._incoming}
        self._bytes = dict.fromkeys(("in", "in_header", "out", "out_header", "sent"), 0)
        self._first_sent: dict[int, int] = {}
        self._sent_reports: dict[int, float] = {}  # middle of the NTP time to when it was sent
        self._latest = self._incoming[0] if self._incoming else None
        self._moment: dict[str, float] = {}

    def rows(self, end_s: float, reports: Sequence[CapturedPacket]) -> list[SampleRow]:
        """The samples to the last packet, at `end_s`."""
        events: list[tuple[float, int, _Stream | None, RtpPacket | None, CapturedPacket | None, int]] = []
        for source in self._call.streams:
            events += [(at_s, 0, source, packet, None, size) for at_s, packet, size in source.packets]
        ssrcs = {stream.ssrc for stream in self._call.streams}
        for packet in reports:
            if self._origin_s <= packet.at_s <= end_s and int.from_bytes(packet.data[4:8], "big") in ssrcs:
                events.append((packet.at_s, 1, None, None, packet, 0))
        events.sort(key=lambda event: event[:2])
        sampler = Sampler(0.0, anchor=ClockAnchor(round(self._origin_s * 1e6) * 1000, 0.0))
        made: list[SampleRow] = []
        tick = 1.0
        for at_s, _, stream, rtp, report, size in events:
            now = at_s - self._origin_s
            while now >= tick:
                if now - tick > _LONGEST_GAP_S:  # one row for the time without packets
                    tick = math.floor(now)
                made.append(self._row(sampler, tick, last=False))
                tick += 1.0
            if stream is not None and rtp is not None:
                self._take(stream, rtp, size, now)
            elif report is not None:
                self._take_report(report, now)
        rest = end_s - self._origin_s
        if rest > tick - 1.0:
            made.append(self._row(sampler, rest, last=True))
        return made

    def _take(self, stream: _Stream, packet: RtpPacket, size: int, now: float) -> None:
        payload = max(size - packet.header_size, 0)
        receiver = self._receivers.get(id(stream))
        if receiver is None:
            self._bytes["out"] += payload
            self._bytes["out_header"] += packet.header_size
            self._bytes["sent"] += 1
            self._first_sent.setdefault(stream.ssrc, packet.sequence_number)
            return
        receiver.receive(packet.sequence_number, packet.timestamp, now, packet.payload_type != _COMFORT_NOISE)
        self._bytes["in"] += payload
        self._bytes["in_header"] += packet.header_size
        self._latest = stream
        self._moment["last_rtp_at_s"] = now
        short = stream.codec == "OPUS" and payload <= 2
        self._moment["pause"] = float(packet.payload_type == _COMFORT_NOISE or short)

    def _take_report(self, packet: CapturedPacket, now: float) -> None:
        ours = self._call.here.has(packet.source)
        for part in rtcp.parse(packet.data)[0]:
            if not isinstance(part, rtcp.SenderReport | rtcp.ReceiverReport):
                continue
            if ours:
                if isinstance(part, rtcp.SenderReport):
                    self._sent_reports[rtcp.middle(part.ntp_time)] = now
                continue
            self._moment["rtcp_at_s"] = now
            if isinstance(part, rtcp.SenderReport):
                self._moment |= {"sender_report_at_s": now, "sender_report_packets": float(part.packet_count)}
            for block in part.reports:
                self._take_block(block, now)

    def _take_block(self, block: rtcp.ReportBlock, now: float) -> None:
        """What the far end reports about a stream that is sent (RFC 3550 section 6.4.1)."""
        stream = next((stream for stream in self._outgoing if stream.ssrc == block.ssrc), None)
        if stream is None or block.ssrc not in self._first_sent:
            return
        expected = (block.highest_sequence - self._first_sent[block.ssrc]) % 65536 + 1
        while expected + 32768 < self._bytes["sent"]:
            expected += 65536
        self._moment |= {
            "remote_report_at_s": now,
            "remote_report_packets_sent": float(self._bytes["sent"]),
            "remote_packets_lost": float(block.packets_lost),
            "remote_packets_expected": float(expected),
            "remote_fraction_lost": block.fraction_lost,
            "jitter_out_s": block.jitter / stream.clock_hz,
        }
        sent_at = self._sent_reports.get(block.last_sr, NAN) if block.last_sr else NAN
        rtt_s = now - sent_at - block.delay_since_last_sr / 65536
        if rtt_s > -0.01:
            self._moment |= {"rtt_s": max(rtt_s, 0.0), "rtt_at_s": now}

    def _row(self, sampler: Sampler, now: float, *, last: bool) -> SampleRow:
        direction = "sendrecv" if self._incoming or self._call.sip else "sendonly"
        row = sampler.sample(self._counters(), now, direction=direction, last=last)
        return replace(row, direction="")

    def _counters(self) -> Counters:
        moment: dict[str, Any] = {key: value for key, value in self._moment.items() if key != "pause"}
        latest = self._receivers.get(id(self._latest))
        unsettled, missing = latest.unsettled() if latest is not None else (0, 0)
        sent = self._outgoing[0].codec if self._outgoing else ""
        received = self._latest.codec if self._latest is not None else ""
        counted = Counters(
            **added(*(receiver.counts() for receiver in self._receivers.values())),
            codec=sent or received,
            codec_in=received,
            packets_unsettled=unsettled,
            packets_missing=missing,
            last_rtp_was_pause=bool(self._moment.get("pause", 0.0)),
            jitter_in_s=latest.jitter_s if latest is not None and latest.received else NAN,
            **moment,
        )
        return replace(
            counted,
            packets_sent=self._bytes["sent"],
            bytes_sent=self._bytes["out"],
            header_bytes_sent=self._bytes["out_header"],
            bytes_received=self._bytes["in"],
            header_bytes_received=self._bytes["in_header"],
            source_bytes=NAN,
            packets_discarded=NAN,
            packets_recovered=NAN,
            concealed_samples=NAN,
        )
