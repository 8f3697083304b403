"""The counters of all audio streams of a call in one, across streams that come, go, and begin anew."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from plivo_nb.quality.counters import LOSS_RUN_LENGTHS, NAN, Counters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plivo_nb.analysis.importers.audio_report import AudioReport, Numbers

_SENT = {"packetsSent": "packets_sent", "bytesSent": "bytes_sent", "headerBytesSent": "header_bytes_sent"}
_RECEIVED = {
    "packetsReceived": "packets_received",
    "bytesReceived": "bytes_received",
    "headerBytesReceived": "header_bytes_received",
    "packetsLost": "packets_lost",
    "packetsDiscarded": "packets_discarded",
    "fecPacketsReceived": "fec_packets_received",
    "totalSamplesReceived": "total_samples",
    "concealedSamples": "concealed_samples",
    "silentConcealedSamples": "silent_concealed_samples",
    "concealmentEvents": "concealment_events",
    "insertedSamplesForDeceleration": "inserted_samples",
    "removedSamplesForAcceleration": "removed_samples",
    "jitterBufferDelay": "jitter_buffer_delay_s",
    "jitterBufferTargetDelay": "jitter_buffer_target_delay_s",
    "jitterBufferEmittedCount": "jitter_buffer_emitted_samples",
}
#: Counters that other programs do not have.
_UNKNOWN = (
    *LOSS_RUN_LENGTHS,
    "source_bytes",
    "packets_reordered",
    "packets_duplicated",
    "packets_late",
    "packets_recovered",
)
#: Of what the far end reports, what changes with each report, also where it says the same again.
_MARKS = ("timestamp", "roundTripTimeMeasurements", "totalRoundTripTime", "packetsReceived")
_SAMPLE_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000)
_LONGEST_DELAY_S = 10.0
_REPORT_S = 5.0  # how often the far end reports, where that cannot be seen


class _Growth:
    """The growth of some counters over all streams of a kind."""

    def __init__(self, may_fall: Iterable[str] = ()) -> None:
        self.sums: dict[str, float] = {}
        self.grown: dict[str, Numbers] = {}
        self._last: dict[tuple[str, str], float] = {}
        self._may_fall = frozenset(may_fall)

    def add(self, streams: Mapping[str, Numbers], names: Iterable[str], *, baseline: bool) -> bool:
        """Take the next reading; returns whether a counter began anew.

        Args:
            streams: by key.
            names: the counters.
            baseline: these values are where the counting begins; else a stream that is new began at 0.
        """
        reset = False
        self.grown = {}
        for key, numbers in streams.items():
            grown = self.grown[key] = {}
            for name in names:
                if name in numbers:
                    now, before = numbers[name], self._last.get((key, name), 0.0)
                    restarted = now < before and name not in self._may_fall
                    grown[name] = now - (0.0 if restarted else before)
                    reset = reset or restarted
                    self._last[key, name] = now
        if reset:  # a counter that may fall began anew with the others
            for grown in self.grown.values():
                for name in self._may_fall & grown.keys():
                    grown[name] = max(grown[name], 0.0)
        for grown in self.grown.values():
            for name, growth in grown.items():
                self.sums[name] = self.sums.get(name, 0.0) + (0.0 if baseline else growth)
        return reset


class StreamTotals:
    """Makes `Counters` of the reports of one call."""

    def __init__(self) -> None:
        self._received, self._sent = _Growth(["packetsLost"]), _Growth()
        self._lost_out = _Growth(["packetsLost"])
        self._sender = _Growth()
        self._remote: dict[str, Numbers] = {}
        self._at = {"remote": NAN, "rtt": NAN, "sender": NAN, "rtp": NAN, "rtcp": NAN}
        self._gaps: dict[str, float] = {}
        self._stamps: dict[str, float] = {}
        self._is_marked = False
        self._pair_mark = NAN
        self._remote_sent = NAN
        self._streams_in: set[str] = set()
        self._codec = ""

    def add(self, report: AudioReport, now: float, *, baseline: bool) -> tuple[Counters, bool]:
        """Take the next report.

        Args:
            report: of the call.
            now: seconds, of a clock that only goes forward.
            baseline: the counting begins here.

        Returns:
            the counters since the baseline, and whether a counter began anew.
        """
        reset = self._received.add(report.inbound, _RECEIVED, baseline=baseline)
        reset = self._sent.add(report.outbound, _SENT, baseline=baseline) or reset
        if any(grown.get("packetsReceived", 0.0) > 0.0 for grown in self._received.grown.values()):
            self._at["rtp"] = now
        self._streams_in |= report.inbound.keys()
        self._take_remote(report, now, baseline)
        self._take_sender_reports(report, now, baseline)
        self._codec = report.codec or report.codec_in or self._codec
        return self.counters(report), reset

    def is_due(self, report: AudioReport) -> bool:
        """Whether packets are due.

        Where the far end's sender reports are not known, a stream that never had packets, or one of several
        that is silent, may be of a participant of a conference who is muted.
        """
        if not report.inbound:
            return False
        had_packets = not math.isnan(self._at["rtp"])
        return report.steady or bool(report.remote_outbound) or (had_packets and len(self._streams_in) == 1)

    def _take_remote(self, report: AudioReport, now: float, baseline: bool) -> None:
        """Take the far end's reports of what is sent; one that says the same as the last is not new."""
        said = _without_poll_times(report)
        new = {key: value for key, value in said.items() if self._remote.get(key) != value}
        self._remote = said or self._remote
        self._is_marked = any(mark in value for value in self._remote.values() for mark in _MARKS)
        if new:
            self._lost_out.add(report.remote_inbound, ["packetsLost", "packetsReceived"], baseline=baseline)
            self._note("remote", now)
            self._at["rtcp"] = now
            self._remote_sent = self._sent.sums.get("packetsSent", NAN)
        if math.isnan(report.pair_mark):  # nothing tells it; a line on which nothing arrives measures nothing
            counted = any("packetsReceived" in numbers for numbers in report.inbound.values())
            measured = self._at["rtp"] == now or not counted
        else:
            measured = report.pair_mark != self._pair_mark
        measured = measured and not math.isnan(report.pair_rtt_s)
        self._pair_mark = report.pair_mark
        if measured or any("roundTripTime" in value for value in new.values()):
            self._at["rtt"] = now

    def _take_sender_reports(self, report: AudioReport, now: float, baseline: bool) -> None:
        self._sender.add(report.remote_outbound, ["packetsSent", "reportsSent"], baseline=baseline)
        stamps = {
            key: numbers["remoteTimestamp"]
            for key, numbers in report.remote_outbound.items()
            if "remoteTimestamp" in numbers
        }
        grown = self._sender.grown.values()
        stamped = any(self._stamps.get(key) != stamp for key, stamp in stamps.items())
        if stamped or any(value > 0.0 for growth in grown for value in growth.values()):
            self._note("sender", now)
            self._at["rtcp"] = now
        self._stamps |= stamps

    def _note(self, what: str, now: float) -> None:
        gap = now - self._at[what]
        self._gaps[what] = _REPORT_S if math.isnan(gap) else max(gap, self._gaps.get(what, _REPORT_S) / 2)
        self._at[what] = now

    def counters(self, report: AudioReport) -> Counters:
        """The counters since the baseline, with the figures of the moment of this report, the last one."""
        received, sent = self._received.sums, self._sent.sums
        cumulative: dict[str, Any] = {field: received.get(name, NAN) for name, field in _RECEIVED.items()}
        cumulative |= {field: sent.get(name, NAN) for name, field in _SENT.items()}
        cumulative |= dict.fromkeys(_UNKNOWN, NAN)
        cumulative["packets_duplicated"] = 0.0
        cumulative["packets_expected"] = cumulative["packets_received"] + cumulative["packets_lost"]
        loudest = _most_active(report.inbound, self._received.grown, "packetsReceived")
        remote = _most_active(report.remote_inbound, self._sent.grown, "packetsSent")
        rtt_s = remote.get("roundTripTime", report.pair_rtt_s)
        level_in = max((v["audioLevel"] for v in report.inbound.values() if "audioLevel" in v), default=NAN)
        return Counters(
            **cumulative,
            remote_packets_lost=self._lost_out.sums.get("packetsLost", NAN),
            remote_packets_expected=self._remote_expected(),
            codec=self._codec,
            codec_in=report.codec_in,
            muted=bool(report.muted),
            sample_rate_hz=_sample_rate_hz(loudest, report.clock_rate_hz),
            jitter_in_s=NAN
            if loudest.get("packetsReceived") == 0.0
            else _positive(loudest.get("jitter", NAN)),
            jitter_out_s=_positive(remote.get("jitter", NAN)),
            playout_delay_s=self._playout_delay_s(loudest),
            last_rtp_at_s=self._at["rtp"],
            sender_report_at_s=self._at["sender"],
            sender_report_packets=self._sender.sums.get("packetsSent", NAN),
            sender_report_interval_s=self._gaps.get("sender", _REPORT_S),
            # of a stream without any report by the far end it is not known whether anything arrives: some
            # browsers and media servers make none; nor where one that says the same again looks like the last
            rtcp_at_s=self._at["rtcp"] if self._is_marked else NAN,
            rtt_s=_positive(rtt_s),
            rtt_at_s=self._at["rtt"],
            remote_fraction_lost=remote.get("fractionLost", NAN),
            remote_report_at_s=self._at["remote"],
            remote_report_interval_s=self._gaps.get("remote", _REPORT_S),
            remote_report_packets_sent=self._remote_sent,
            level_in_dbfs=dbfs(level_in),
            level_out_dbfs=dbfs(report.source_level),
        )

    def _remote_expected(self) -> float:
        """The packets that the far end's reports are about; where they do not say it, those sent so far."""
        sums = self._lost_out.sums
        if "packetsLost" not in sums:
            return NAN
        if "packetsReceived" in sums:
            return sums["packetsReceived"] + sums["packetsLost"]
        return self._remote_sent

    def _playout_delay_s(self, stream: Numbers) -> float:
        if "playoutDelay" in stream:
            return _positive(stream["playoutDelay"])
        grown = [g for g in self._received.grown.values() if g.get("jitterBufferEmittedCount", 0.0) > 0.0]
        emitted = sum(growth["jitterBufferEmittedCount"] for growth in grown)
        delay_s = sum(growth.get("jitterBufferDelay", NAN) for growth in grown)
        mean_s = delay_s / emitted if emitted else NAN
        return mean_s if 0.0 <= mean_s < _LONGEST_DELAY_S else NAN


def _without_poll_times(report: AudioReport) -> dict[str, Numbers]:
    """The far end's reports, without times that only say when the statistics were read.

    Chrome had those until 2022; since then, and in Firefox, the time is that of the far end's report.
    """
    polled = {
        n["timestamp"] for n in (*report.inbound.values(), *report.outbound.values()) if "timestamp" in n
    }
    return {
        key: {name: value for name, value in numbers.items() if name != "timestamp" or value not in polled}
        for key, numbers in report.remote_inbound.items()
    }


def _most_active(streams: Mapping[str, Numbers], grown: Mapping[str, Numbers], counter: str) -> Numbers:
    """The stream whose counter grew most; the figures of the moment are taken from it."""
    if not streams:
        return {}
    return streams[max(streams, key=lambda key: grown.get(key, {}).get(counter, -1.0))]


def _sample_rate_hz(stream: Numbers, clock_rate_hz: float) -> float:
    """The rate at which samples are counted: what they last, else the codec's clock, else 48 kHz."""
    samples, seconds = stream.get("totalSamplesReceived", NAN), stream.get("totalSamplesDuration", NAN)
    if samples > 0.0 and seconds > 0.0:
        measured = samples / seconds
        nearest = min(_SAMPLE_RATES_HZ, key=lambda rate: abs(rate - measured))
        if abs(nearest - measured) < 0.1 * nearest:
            return float(nearest)
    return clock_rate_hz if clock_rate_hz in _SAMPLE_RATES_HZ else 48_000.0


def dbfs(level: float) -> float:
    """Level in dBFS of a linear one (1 is full scale); -100 at most, as silence."""
    if math.isnan(level) or level < 0.0:
        return NAN
    return max(20.0 * math.log10(min(level, 1.0)), -100.0) if level > 0.0 else -100.0


def _positive(value: float) -> float:
    return value if value >= 0.0 else NAN
