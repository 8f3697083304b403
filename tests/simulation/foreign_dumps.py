"""Made-up files of other programs, about one call whose figures are known.

Each second 50 packets come and go, 2 more are lost on the way here; jitter 5 ms, round trip 80 ms, 480 of
48000 samples concealed, level 0.1 (-20 dBFS).
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

START_MS = 1_700_000_000_000
Report = dict[str, dict[str, Any]]


def iso(ms: float) -> str:
    return datetime.fromtimestamp(ms / 1e3, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def report(second: int, *, at_ms: float | None = None, video: bool = True) -> Report:
    """A getStats() report of Chrome of today, `second` s after the call began."""
    at = START_MS + 1000 * second if at_ms is None else at_ms
    n = second
    objects: Report = {
        "IT01A1": {
            "type": "inbound-rtp", "kind": "audio", "ssrc": 1, "codecId": "CIT01_111", "jitter": 0.005,
            "packetsReceived": 50 * n, "packetsLost": 2 * n, "bytesReceived": 5000 * n, "packetsDiscarded": n,
            "totalSamplesReceived": 48_000 * n, "concealedSamples": 480 * n,
            "totalSamplesDuration": 1.0 * n,
            "jitterBufferDelay": 48_000 * 0.06 * n, "jitterBufferEmittedCount": 48_000 * n, "audioLevel": 0.1,
        },
        "OT01A2": {
            "type": "outbound-rtp", "kind": "audio", "ssrc": 2, "codecId": "COT01_111", "packetsSent": 50 * n,
            "bytesSent": 4000 * n, "mediaSourceId": "SA1", "remoteId": "RIA2",
        },
        "RIA2": {
            "type": "remote-inbound-rtp", "kind": "audio", "ssrc": 2, "jitter": 0.004, "packetsLost": n,
            "fractionLost": 0.02, "roundTripTime": 0.08, "localId": "OT01A2", "timestamp": at - 10,
        },
        "ROA1": {
            "type": "remote-outbound-rtp", "kind": "audio", "ssrc": 1, "packetsSent": 52 * n,
            "reportsSent": n,
            "remoteTimestamp": at - 20, "timestamp": at - 10,
        },
        "SA1": {"type": "media-source", "kind": "audio", "audioLevel": 0.1},
        "CIT01_111": {"type": "codec", "mimeType": "audio/opus", "clockRate": 48_000, "payloadType": 111},
        "COT01_111": {"type": "codec", "mimeType": "audio/opus", "clockRate": 48_000, "payloadType": 111},
        "T01": {"type": "transport", "selectedCandidatePairId": "CP1"},
        "CP1": {"type": "candidate-pair", "state": "succeeded", "nominated": True,
                "currentRoundTripTime": 0.07},
    }  # fmt: skip
    if video:
        objects["IT01V3"] = {"type": "inbound-rtp", "kind": "video", "ssrc": 3, "packetsReceived": 500 * n}
    return {key: {"id": key, "timestamp": at, **value} for key, value in objects.items()}


def reports(seconds: int, **about: Any) -> list[Report]:
    """The reports of the first seconds of the call, from second 0 on."""
    return [report(second, **about) for second in range(seconds + 1)]


def firefox_report(second: int, *, old: bool = False) -> Report:
    """A report of Firefox; `old`: as before version 67, types without hyphens, round trip in ms."""
    at, n = START_MS + 1000 * second, second
    inbound, outbound = ("inboundrtp", "outboundrtp") if old else ("inbound-rtp", "outbound-rtp")
    remote: dict[str, Any] = {"type": inbound, "isRemote": True} if old else {"type": "remote-inbound-rtp"}
    return {
        "in": {
            "id": "in", "timestamp": at, "type": inbound, "mediaType": "audio", "ssrc": 1, "jitter": 0.005,
            "packetsReceived": 50 * n, "packetsLost": 2 * n, "bytesReceived": 5000 * n, "isRemote": False,
            ("discardedPackets" if old else "packetsDiscarded"): n,
        },
        "out": {
            "id": "out", "timestamp": at, "type": outbound, "mediaType": "audio", "ssrc": 2,
            "packetsSent": 50 * n, "bytesSent": 4000 * n, "isRemote": False,
        },
        "far": {
            "id": "far", "timestamp": at, **remote, "mediaType": "audio", "ssrc": 2, "jitter": 0.004,
            "packetsReceived": 49 * n, "packetsLost": n, "roundTripTime": 80 if old else 0.08,
        },
    }  # fmt: skip


# ---------------------------------------------------------------- chrome://webrtc-internals


def internals(seconds: int, *, stamps: bool = True, types: bool = True, packed: bool = False) -> bytes:
    """A dump; without `stamps` as before Chrome 117, without `types` as before Chrome 88; `packed`: gzip."""
    all_reports = reports(seconds)
    stats: dict[str, Any] = {}
    for identifier, last in all_reports[-1].items():
        name = identifier if types else f"{_OLD_IDS[last['type']]}_{identifier}"
        for key in last:
            if key == "id" or (key == "timestamp" and not stamps):
                continue
            entry = {
                "startTime": iso(START_MS),
                "endTime": iso(START_MS + 1000 * seconds),
                "values": json.dumps([item[identifier][key] for item in all_reports]),
            }
            if types:
                entry["statsType"] = last["type"]
            elif key in ("codecId", "selectedCandidatePairId"):
                prefix = "RTCCodec_" if key == "codecId" else "RTCIceCandidatePair_"
                entry["values"] = json.dumps([prefix + item[identifier][key] for item in all_reports])
            stats[f"{name}-{key}"] = entry
    stats["IT01A1-[bytesReceived_in_bits/s]"] = {"values": "[1]", "statsType": "inbound-rtp"}
    return _internals_file(stats, packed)


_OLD_IDS = {
    "inbound-rtp": "RTCInboundRTPAudioStream",
    "outbound-rtp": "RTCOutboundRTPAudioStream",
    "remote-inbound-rtp": "RTCRemoteInboundRtpAudioStream",
    "remote-outbound-rtp": "RTCRemoteOutboundRTPAudioStream",
    "media-source": "RTCAudioSource",
    "codec": "RTCCodec",
    "transport": "RTCTransport",
    "candidate-pair": "RTCIceCandidatePair",
}


def old_internals(seconds: int) -> bytes:
    """A dump with the statistics before the standard (until Chrome 80): numbers as text, goog names."""
    series = {
        "ssrc_1_recv": {
            "mediaType": lambda n: "audio", "ssrc": lambda n: "1", "packetsReceived": lambda n: f"{50 * n}",
            "packetsLost": lambda n: f"{2 * n}", "bytesReceived": lambda n: f"{5000 * n}",
            "googJitterReceived": lambda n: "5", "googCurrentDelayMs": lambda n: "60",
            "audioOutputLevel": lambda n: "3277", "googCodecName": lambda n: "opus",
        },
        "ssrc_2_send": {
            "mediaType": lambda n: "audio", "ssrc": lambda n: "2", "packetsSent": lambda n: f"{50 * n}",
            "bytesSent": lambda n: f"{4000 * n}", "packetsLost": lambda n: f"{n}", "googRtt": lambda n: "80",
            "googJitterReceived": lambda n: "4", "audioInputLevel": lambda n: "3277",
            "googCodecName": lambda n: "opus",
        },
        "Conn-audio-1-0": {"googActiveConnection": lambda n: "true", "googRtt": lambda n: "70"},
    }  # fmt: skip
    stats = {
        f"{name}-{key}": {
            "startTime": iso(START_MS),
            "endTime": iso(START_MS + 1000 * seconds),
            "values": json.dumps([value(n) for n in range(seconds + 1)]),
        }
        for name, keys in series.items()
        for key, value in keys.items()
    }
    return _internals_file(stats, False)


def _internals_file(stats: dict[str, Any], packed: bool) -> bytes:
    connection = {
        "url": "https://example.test/",
        "rtcConfiguration": "{}",
        "stats": stats,
        "updateLog": [
            {"time": iso(START_MS - 50), "type": "iceconnectionstatechange", "value": "checking"},
            {"time": iso(START_MS - 20), "type": "iceconnectionstatechange", "value": '"connected"'},
        ],
    }
    document = {"getUserMedia": [], "PeerConnections": {"7-1": connection}, "UserAgent": "Chrome"}
    data = json.dumps(document).encode()
    return gzip.compress(data) if packed else data


# ---------------------------------------------------------------- rtcstats


def rtcstats(seconds: int) -> bytes:
    """A dump as Jitsi's server stores it: what did not change is left out, the latest time is 0."""
    lines = [
        ["connectionInfo", None, {"statsFormat": "chrome_standard"}, START_MS - 100],
        ["create", "PC_0", {}, START_MS - 50],
        ["onconnectionstatechange", "PC_0", "connected", START_MS],
    ]
    before: Report = {}
    for second, now in enumerate(reports(seconds)):
        delta: dict[str, Any] = {}
        latest = max(stats["timestamp"] for stats in now.values())
        for key, stats in now.items():
            known = before.get(key, {})
            delta[key] = {k: v for k, v in stats.items() if k != "id" and (k not in known or known[k] != v)}
            if delta[key].get("timestamp") == latest:
                delta[key]["timestamp"] = 0
        lines.append(["getstats", "PC_0", {**delta, "timestamp": latest}, START_MS + 1000 * second])
        before = now
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


#: Short names in file format 3.
_SHORT = {
    "timestamp": "t", "ssrc": "10", "kind": "11", "codecId": "12", "mimeType": "6", "clockRate": "7",
    "packetsReceived": "14", "packetsLost": "15", "jitter": "16", "packetsDiscarded": "36",
    "bytesReceived": "41",
    "jitterBufferDelay": "47", "jitterBufferEmittedCount": "49", "totalSamplesReceived": "51",
    "concealedSamples": "52", "audioLevel": "57", "totalSamplesDuration": "59", "roundTripTime": "75",
    "fractionLost": "77", "packetsSent": "79", "bytesSent": "80", "remoteTimestamp": "102",
    "reportsSent": "103",
    "state": "118", "selectedCandidatePairId": "125", "nominated": "150", "currentRoundTripTime": "152",
}  # fmt: skip
_SHORT_TYPES = {
    "inbound-rtp": 1, "outbound-rtp": 2, "remote-inbound-rtp": 3, "remote-outbound-rtp": 4, "transport": 5,
    "candidate-pair": 6, "media-source": 12, "codec": 14,
}  # fmt: skip


def rtcstats_3(seconds: int) -> bytes:
    """A dump in file format 3: short names, differences of times, unchanged objects left out."""
    lines: list[Any] = [{"fileFormat": 3}, [39, "PC_0", {}, START_MS], [25, "PC_0", "connected", 0]]
    numbers = {key: str(place) for place, key in enumerate(report(0))}
    before: Report = {}
    for second, now in enumerate(reports(seconds)):
        delta: dict[str, Any] = {}
        for key, stats in now.items():
            changed = {k: v for k, v in stats.items() if k != "id" and before.get(key, {}).get(k) != v}
            changed.pop("timestamp")
            changed = {
                _SHORT.get(k, k): numbers.get(str(v), v) if k.endswith("Id") else v
                for k, v in changed.items()
            }
            if "type" in changed:
                changed["type"] = _SHORT_TYPES[changed["type"]]
            if changed:
                delta[numbers[key]] = changed
        lines.append(["g", "PC_0", {**delta, "t": START_MS + 1000 * second}, 1000 if second else 0])
        before = now
    return ("RTCStatsDump\n" + "".join(json.dumps(line) + "\n" for line in lines)).encode()


# ---------------------------------------------------------------- getStats() reports


def getstats_list(seconds: int) -> bytes:
    """A list of reports, each a list of objects."""
    return json.dumps([list(item.values()) for item in reports(seconds)]).encode()


def getstats_lines(seconds: int, *, old: bool = False) -> bytes:
    """JSON lines, each a report of Firefox by id beside its time."""
    lines = [{"time": START_MS, "stats": firefox_report(second, old=old)} for second in range(seconds + 1)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def getstats_flat(seconds: int) -> bytes:
    """The objects of all reports in one list."""
    return json.dumps([stats for item in reports(seconds) for stats in item.values()]).encode()


# ---------------------------------------------------------------- messages and samples


def plivo(seconds: int) -> bytes:
    """Messages of Plivo's statistics service about a call, CALL_STATS each 5 s; muted from 6 to 11 s."""
    common = {"callUUID": "sip-1", "xcallUUID": "uuid-1", "userName": "alice", "domain": "phone.plivo.com"}
    times = {
        "call_initiation_time": START_MS - 3000, "call_progress_time": START_MS - 2000,
        "answer_time": START_MS - 100, "call_confirmed_time": START_MS,
        "hangup_time": START_MS + 1000 * seconds,
        "hangup_party": "local", "hangup_reason": "Terminated", "post_dial_delay": START_MS,
    }  # fmt: skip
    messages: list[dict[str, Any]] = [
        {"msg": "CALL_ANSWERED", "info": "Outgoing call answered", "timeStamp": START_MS}
    ]
    for n in range(5, seconds + 1, 5):
        local = {
            "audioLevel": -20.0, "rtt": 80, "jitter": 4, "packetsSent": 50 * n, "bytesSent": 4000 * n,
            "packetsLost": n, "ssrc": 2, "fractionLoss": 0.02, "mos": 4.2,
        }  # fmt: skip
        remote = {
            "audioLevel": -20.0, "jitterBufferDelay": 60, "packetsDiscarded": n, "jitter": 5,
            "packetsReceived": 50 * n, "bytesReceived": 5000 * n, "packetsLost": 2 * n, "ssrc": 1,
            "fractionLoss": 0.04,
        }  # fmt: skip
        stats = {"msg": "CALL_STATS", "codec": "opus", "local": local, "remote": remote, "pdd": 1000}
        messages.append({**stats, "mediaSetupTime": 150, "timeStamp": START_MS + 1000 * n})
    for n, action in ((6, "mute"), (11, "unmute")):
        messages.append({"msg": "TOGGLE_MUTE", "action": action, "timeStamp": START_MS + 1000 * n})
    ice = {"ice_connection_state_checking": START_MS - 90, "ice_connection_state_connected": START_MS - 30}
    summary = {"msg": "CALL_SUMMARY", "signalling": times, "mediaConnection": ice}
    messages.append({**summary, "timeStamp": START_MS + 1000 * seconds})
    messages.append({"msg": "FEEDBACK", "info": {"overall": 2, "comment": "choppy"}, "timeStamp": START_MS})
    return "".join(json.dumps({"t": 1.0, "message": {**common, **item}}) + "\n" for item in messages).encode()


def twilio(seconds: int, *, snake: bool = False) -> bytes:
    """Samples of Twilio's Voice SDK; `snake`: as sent to Twilio, with other key names and without totals."""
    samples = []
    for n in range(1, seconds + 1):
        growth = {
            "packetsReceived": 50,
            "packetsLost": 2,
            "packetsSent": 50,
            "bytesReceived": 5000,
            "bytesSent": 4000,
        }
        sample: dict[str, Any] = {
            **growth, "timestamp": START_MS + 1000 * n, "audioInputLevel": 32767, "audioOutputLevel": 0,
            "codecName": "opus", "jitter": 5, "rtt": 80, "mos": 4.1, "packetsLostFraction": 3.85,
        }  # fmt: skip
        if snake:
            keys = {key: "".join(f"_{c.lower()}" if c.isupper() else c for c in key) for key in sample}
            sample = {keys[key]: value for key, value in sample.items()} | {
                "timestamp": iso(sample["timestamp"])
            }
        else:
            sample["totals"] = {key: n * value for key, value in growth.items()}
        samples.append(sample)
    return json.dumps({"payload": {"data": samples}} if snake else samples).encode()


#: A small file of each kind, by what it is.
KINDS: dict[str, Any] = {
    "webrtc-internals": internals,
    "webrtc-internals without times": lambda seconds: internals(seconds, stamps=False),
    "webrtc-internals without types": lambda seconds: internals(seconds, stamps=False, types=False),
    "webrtc-internals, gzip": lambda seconds: internals(seconds, packed=True),
    "webrtc-internals, old statistics": old_internals,
    "rtcstats": rtcstats,
    "rtcstats 3": rtcstats_3,
    "getStats list": getstats_list,
    "getStats flat": getstats_flat,
    "getStats lines, Firefox": getstats_lines,
    "getStats lines, old Firefox": lambda seconds: getstats_lines(seconds, old=True),
    "Plivo": plivo,
    "Twilio": twilio,
    "Twilio, as sent": lambda seconds: twilio(seconds, snake=True),
}
