"""What one getStats() report says about the audio of a peer connection, in the names of W3C webrtc-stats.

Chrome, Firefox and Safari have renamed types, keys and units over the years; here is one table for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plivo_nb.analysis.importers.source import mapping, number, word

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Types that Firefox wrote without hyphens (until version 66), and that Chrome called otherwise.
_TYPES = {
    "inboundrtp": "inbound-rtp",
    "outboundrtp": "outbound-rtp",
    "candidatepair": "candidate-pair",
    "localcandidate": "local-candidate",
    "remotecandidate": "remote-candidate",
    "googCandidatePair": "candidate-pair",
}
#: Beginnings of ids in dumps that have no types (Chrome until version 87).
_TYPE_OF_ID = {
    "RTCInboundRTP": "inbound-rtp",
    "RTCOutboundRTP": "outbound-rtp",
    "RTCRemoteInboundRtp": "remote-inbound-rtp",
    "RTCRemoteOutboundR": "remote-outbound-rtp",
    "RTCIceCandidatePair": "candidate-pair",
    "RTCTransport": "transport",
    "RTCCodec": "codec",
    "RTCMediaStreamTrack": "track",
    "RTCAudioSource": "media-source",
    "ssrc_": "ssrc",
    "Conn-": "candidate-pair",
}
#: Other names of a key, and by how much its value is multiplied.
_RENAMED: dict[str, tuple[str, float]] = {
    "googJitterReceived": ("jitter", 1e-3),
    "googRtt": ("roundTripTime", 1e-3),
    "mozRtt": ("roundTripTime", 1e-3),
    "googCurrentDelayMs": ("playoutDelay", 1e-3),
    "mozJitterBufferDelay": ("playoutDelay", 1e-3),
    "googJitterBufferMs": ("jitterBuffer", 1e-3),
    "discardedPackets": ("packetsDiscarded", 1.0),
    "audioOutputLevel": ("audioLevel", 1 / 32767),
    "audioInputLevel": ("audioLevel", 1 / 32767),
}
_TRACK_KEYS = (
    "audioLevel",
    "totalAudioEnergy",
    "totalSamplesDuration",
    "totalSamplesReceived",
    "concealedSamples",
    "silentConcealedSamples",
    "concealmentEvents",
    "insertedSamplesForDeceleration",
    "removedSamplesForAcceleration",
    "jitterBufferDelay",
    "jitterBufferEmittedCount",
)
#: Keys that only reports about audio have, where nothing says what a stream is.
_AUDIO_ONLY = {
    "totalSamplesReceived",
    "concealedSamples",
    "audioLevel",
    "totalAudioEnergy",
    "googJitterReceived",
}
_VIDEO_ONLY = {
    "framesDecoded",
    "framesEncoded",
    "framesReceived",
    "framesSent",
    "qpSum",
    "pliCount",
    "firCount",
}
#: The keys that say something about audio, by today's names and the old ones.
KEYS = (
    frozenset(_RENAMED)
    | frozenset(_TRACK_KEYS)
    | frozenset(name for name, _ in _RENAMED.values())
    | _VIDEO_ONLY
    | {
        "active", "bytesReceived", "bytesSent", "clockRate", "codecId", "currentRoundTripTime",
        "fecPacketsReceived", "fractionLost", "googActiveConnection", "googCodecName",
        "headerBytesReceived", "headerBytesSent", "isRemote", "jitterBufferTargetDelay", "kind",
        "mediaType", "mimeType", "nominated", "packetsLost", "packetsReceived", "packetsSent",
        "remoteTimestamp", "reportsSent", "responsesReceived", "roundTripTimeMeasurements", "selected",
        "selectedCandidatePairId", "ssrc", "state", "timestamp", "totalRoundTripTime", "trackId",
    }
)  # fmt: skip
#: The types that say something about audio.
TYPES = frozenset(_TYPES.values()) | frozenset(_TYPE_OF_ID.values())

Numbers = dict[str, float]


@dataclass(slots=True)
class AudioReport:
    """The audio streams of a peer connection at one moment: numbers by W3C name, in s and linear levels.

    Attributes:
        inbound: received streams by SSRC or id.
        outbound: sent streams.
        remote_inbound: what the far end reports of sent streams.
        remote_outbound: what the far end's sender reports say of received streams.
        codec: name of the codec sent; codec_in: received; empty where it is not said.
        clock_rate_hz: of the codec; NaN where it is not said.
        source_level: level of the microphone, 0 .. 1.
        pair_rtt_s: round-trip time of the path, by the selected candidate pair (STUN) or by a video stream.
        pair_mark: something that changes with each measurement of pair_rtt_s, such as a count of them; NaN
            where the report has no such thing.
        video: number of video streams, which are left out.
        muted: whether silence is sent; None where it is not said.
        score: MOS by the program that wrote the report.
        steady: whether the far end sends all the time, as telephone calls do; in a conference, a participant
            who is muted sends nothing.
    """

    inbound: dict[str, Numbers] = field(default_factory=dict)
    outbound: dict[str, Numbers] = field(default_factory=dict)
    remote_inbound: dict[str, Numbers] = field(default_factory=dict)
    remote_outbound: dict[str, Numbers] = field(default_factory=dict)
    codec: str = ""
    codec_in: str = ""
    clock_rate_hz: float = math.nan
    source_level: float = math.nan
    pair_rtt_s: float = math.nan
    pair_mark: float = math.nan
    video: int = 0
    muted: bool | None = None
    score: float = math.nan
    steady: bool = False

    @property
    def has_audio(self) -> bool:
        """Whether there is a stream of audio in it."""
        return bool(self.inbound or self.outbound)


def stats_type(identifier: str, stats: Mapping[str, Any]) -> str:
    """The type of a statistics object in today's words; empty where it is unknown.

    Args:
        identifier: its id.
        stats: the object.
    """
    said = word(stats.get("type"))
    if not said:
        said = next((name for start, name in _TYPE_OF_ID.items() if identifier.startswith(start)), "")
    return _TYPES.get(said, said)


def audio_report(report: Mapping[str, Any]) -> AudioReport:
    """What a report says about audio.

    Args:
        report: the statistics objects by id, of any browser.
    """
    found = AudioReport()
    objects = {key: value for key, value in report.items() if isinstance(value, dict)}
    for identifier, stats in objects.items():
        kind = stats_type(identifier, stats)
        if kind.endswith("-rtp") or kind == "ssrc":
            _add_stream(found, identifier, kind, stats, objects)
        elif kind == "media-source" and _media(identifier, stats, objects) == "audio":
            found.source_level = _numbers(stats).get("audioLevel", math.nan)
        elif kind == "candidate-pair" and _is_selected(identifier, stats, objects):
            numbers = _numbers(stats)
            found.pair_rtt_s = numbers.get("currentRoundTripTime", numbers.get("roundTripTime", math.nan))
            found.pair_mark = _first(numbers, "responsesReceived", "totalRoundTripTime")
    return found


def _add_stream(
    found: AudioReport, identifier: str, kind: str, stats: dict[str, Any], objects: Mapping[str, Any]
) -> None:
    media = _media(identifier, stats, objects)
    if media == "video":
        found.video += not kind.startswith("remote-")
        if kind == "remote-inbound-rtp" and math.isnan(found.pair_rtt_s):
            numbers = _numbers(stats)
            found.pair_rtt_s = numbers.get("roundTripTime", math.nan)  # the path is the same
            found.pair_mark = _first(numbers, "roundTripTimeMeasurements", "totalRoundTripTime", "timestamp")
    if media != "audio":
        return
    numbers = _numbers(stats)
    key = _key(identifier, stats)
    if kind == "ssrc":
        _add_old(found, identifier, key, numbers, word(stats.get("googCodecName")))
        return
    remote = kind.startswith("remote-") or str(stats.get("isRemote")).lower() == "true"
    if kind.endswith("inbound-rtp"):
        (found.remote_inbound if remote else found.inbound)[key] = numbers
        if not remote:
            track = mapping(objects.get(word(stats.get("trackId"))))
            numbers |= {k: v for k, v in _numbers(track).items() if k in _TRACK_KEYS and k not in numbers}
            name, _ = _codec(stats, objects)
            found.codec_in = name or found.codec_in
    elif kind.endswith("outbound-rtp"):
        (found.remote_outbound if remote else found.outbound)[key] = numbers
        if not remote:
            name, rate = _codec(stats, objects)
            found.codec, found.clock_rate_hz = name or found.codec, rate


def _add_old(found: AudioReport, identifier: str, key: str, numbers: Numbers, codec: str) -> None:
    """Add an object of Chrome's statistics before the standard: both directions are of type ssrc."""
    numbers.setdefault("playoutDelay", numbers.get("jitterBuffer", math.nan))
    if identifier.endswith("_send") or "packetsSent" in numbers:
        found.outbound[key] = {k: v for k, v in numbers.items() if k in ("packetsSent", "bytesSent")}
        kept = ("packetsLost", "jitter", "roundTripTime")  # all -1 before the far end's first report
        said = {k: v for k, v in numbers.items() if k in kept and v >= 0.0}
        if said:
            found.remote_inbound[key] = said
        found.source_level = numbers.get("audioLevel", math.nan)
        found.codec = codec.upper() or found.codec
    elif "packetsReceived" in numbers:
        found.inbound[key] = numbers
        found.codec_in = codec.upper() or found.codec_in


def _key(identifier: str, stats: Mapping[str, Any]) -> str:
    """What a stream is recognised by from report to report, and in the far end's reports: its SSRC."""
    ssrc = stats.get("ssrc")
    return str(ssrc) if isinstance(ssrc, int | str) and not isinstance(ssrc, bool) else identifier


def _media(identifier: str, stats: Mapping[str, Any], objects: Mapping[str, Any]) -> str:
    """audio, video, or empty where it cannot be told."""
    said = word(stats.get("kind")) or word(stats.get("mediaType"))
    if said in ("audio", "video"):
        return said
    mime = word(mapping(objects.get(word(stats.get("codecId")))).get("mimeType")).lower()
    for text in (mime, identifier.lower()):
        for media in ("audio", "video"):
            if media in text:
                return media
    if stats.keys() & _VIDEO_ONLY or any(key.startswith("googFrame") for key in stats):
        return "video"
    return "audio" if stats.keys() & _AUDIO_ONLY else ""


def _numbers(stats: Mapping[str, Any]) -> Numbers:
    """The numbers of an object by today's names, in s."""
    found: Numbers = {}
    for name, value in stats.items():
        standard, factor = _RENAMED.get(name, (name, 1.0))
        known = number(value)
        if not math.isnan(known) and (standard == name or standard not in stats):
            found[standard] = known * factor
    rtt = found.get("roundTripTime", 0.0)
    if "roundTripTime" in stats and rtt >= 1.0 and rtt == int(rtt):
        found["roundTripTime"] = rtt * 1e-3  # Firefox before version 67 has ms, in whole numbers
    return found


def _first(numbers: Numbers, *names: str) -> float:
    """The first of these numbers that there is."""
    return next((numbers[name] for name in names if name in numbers), math.nan)


def _codec(stats: Mapping[str, Any], objects: Mapping[str, Any]) -> tuple[str, float]:
    """Name and clock rate (Hz) of a stream's codec."""
    codec = mapping(objects.get(word(stats.get("codecId"))))
    name = word(codec.get("mimeType")).rpartition("/")[2].upper()
    return name, number(codec.get("clockRate"))


def _is_selected(identifier: str, pair: Mapping[str, Any], objects: Mapping[str, Any]) -> bool:
    transports = [value for key, value in objects.items() if stats_type(key, value) == "transport"]
    chosen = [word(transport.get("selectedCandidatePairId")) for transport in transports]
    if any(chosen):
        return identifier in chosen
    for name in ("selected", "googActiveConnection"):
        if name in pair:
            return str(pair[name]).lower() == "true"
    return pair.get("state") == "succeeded" and bool(pair.get("nominated"))
