"""Messages of the statistics service, as recorded of the published SDK: keys, types, units, order.

Times are milliseconds since 1970, durations and delays milliseconds, loss is a fraction 0..1, levels dBFS.
Unknown numbers are null, as there. In place of the browser, the messages describe this package and its
Python; what it cannot know (the kind of network) is ``unknown``.

Where the SDK sends an obviously wrong value, the right one is sent under the same key: ``post_dial_delay`` is
the delay, not a point in time.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plivo_nb._version import __version__

if TYPE_CHECKING:
    from plivo_nb.options import Options

Message = dict[str, Any]
Stats = Mapping[str, Mapping[str, Any]]
Failure = Literal["ICE_FAILURE", "MEDIA_FAILURE", "SDP_FAILURE"]

SDK_NAME = "plivo-nb"


@dataclass(frozen=True, slots=True)
class Subject:
    """The call that a message is about.

    Args:
        call_id: the SIP Call-ID.
        x_call_uuid: the server's X-CallUUID.
        user_name, domain: of the account.
    """

    call_id: str | None
    x_call_uuid: str | None
    user_name: str
    domain: str


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class About:
    """Makes the messages that describe this client: its name, versions, options and devices.

    Args:
        options: of the client; credentials in them are not sent.
    """

    def __init__(self, options: Options) -> None:
        self._setup = _setup_options(options)

    def ringing(self, subject: Subject, signalling: Mapping[str, Any]) -> Message:
        """Return CALL_RINGING: the call rings here, or at the far end.

        Args:
            subject: the call.
            signalling: call_initiation_time, invite_time (incoming), post_dial_delay.
        """
        return self._account_of("CALL_RINGING", subject, signalling, {})

    def summary(
        self, subject: Subject, signalling: Mapping[str, Any], media_connection: Mapping[str, int]
    ) -> Message:
        """Return CALL_SUMMARY: the call has ended.

        Args:
            subject: the call.
            signalling: the times of `ringing` and ring_start_time or call_progress_time, answer_time,
                call_confirmed_time, hangup_time, as far as known; hangup_party, hangup_reason.
            media_connection: times of ice_connection_state_checking, stream_success and so on.
        """
        return self._account_of("CALL_SUMMARY", subject, signalling, media_connection)

    def answered(self, subject: Subject, direction: str) -> Message:
        """Return CALL_ANSWERED. `direction`: INCOMING or OUTGOING."""
        message: Message = {"msg": "CALL_ANSWERED", "info": f"{direction.capitalize()} call answered"}
        message |= _client()
        message["noiseReduction"] = _noise_reduction()
        message["setupOptions"] = self._setup
        message["audioDeviceInfo"] = _devices()
        return message | _envelope(subject)

    def _account_of(
        self,
        kind: str,
        subject: Subject,
        signalling: Mapping[str, Any],
        media_connection: Mapping[str, int],
    ) -> Message:
        message: Message = {"msg": kind, "signalling": dict(signalling)}
        message["mediaConnection"] = dict(media_connection)
        message |= _client()
        message |= {
            "setupOptions": self._setup,
            "isAudioDeviceMismatch": False,
            "noiseReduction": _noise_reduction(),
            "isAudioDeviceToggled": False,
            "isNetworkChanged": False,
            "jsFramework": [],
            "audioDeviceInfo": _devices(),
        }
        return message | _envelope(subject)


def toggle_mute(subject: Subject, muted: bool) -> Message:
    """Return TOGGLE_MUTE: muted or unmuted during a call."""
    return {"msg": "TOGGLE_MUTE", "action": "mute" if muted else "unmute"} | _envelope(subject)


def feedback(subject: Subject, overall: int, comment: str) -> Message:
    """Return FEEDBACK: a score 1..5 and a comment, during or after the call."""
    message: Message = {"msg": "FEEDBACK", "info": {"overall": overall, "comment": comment}}
    message["sdkVersion"] = __version__
    return message | _envelope(subject)


def failure(subject: Subject, kind: Failure, sentence: str) -> Message:
    """Return ICE_FAILURE, MEDIA_FAILURE or SDP_FAILURE, with a sentence that says what happened."""
    return {"msg": kind, "info": sentence} | _envelope(subject)


def call_stats(
    subject: Subject, stats: Stats, sample: Mapping[str, Any], *, pdd_ms: float, media_setup_ms: float
) -> Message:
    """Return CALL_STATS: the measurements of the last seconds.

    Args:
        subject: the call.
        stats: W3C webrtc-stats: counters since the beginning of the call.
        sample: the columns of `plivo_nb.schema("samples")` over the last seconds.
        pdd_ms: post-dial delay.
        media_setup_ms: from the answer to the first RTP packet received.
    """
    sent, received = stats.get("outbound-rtp", {}), stats.get("inbound-rtp", {})
    reported = stats.get("remote-inbound-rtp", {})
    local: dict[str, Any] = {
        "audioLevel": _number(sample, "level_out_dbfs"),
        "googEchoCancellationReturnLoss": None,
        "googEchoCancellationReturnLossEnhancement": None,
        "rtt": _whole(sample.get("rtt_ms")),
        "jitter": _whole(sample.get("jitter_out_ms")),
        "packetsSent": sent.get("packetsSent"),
        "bytesSent": sent.get("bytesSent"),
        "packetsLost": reported.get("packetsLost"),
        "ssrc": sent.get("ssrc"),
        "fractionLoss": _number(sample, "loss_out"),
    }
    score = _number(sample, "mos")
    if score is not None:
        local["mos"] = score
    remote = {
        "audioLevel": _number(sample, "level_in_dbfs"),
        "jitterBufferDelay": _whole(sample.get("playout_delay_ms")),
        "googJitterBufferMs": 0,
        "packetsDiscarded": received.get("packetsDiscarded"),
        "jitter": _whole(sample.get("jitter_in_ms")),
        "packetsReceived": received.get("packetsReceived"),
        "bytesReceived": received.get("bytesReceived"),
        "packetsLost": received.get("packetsLost"),
        "ssrc": received.get("ssrc"),
        "fractionLoss": _number(sample, "loss_in"),
    }
    envelope = _envelope(subject)
    order = ("xcallUUID", "callUUID", "corelationId", "userName", "timeStamp", "domain", "source", "version")
    return {
        "msg": "CALL_STATS",
        "callstats_key": None,
        "local": local,
        "remote": remote,
        "codec": str(sample.get("codec", "")).lower(),
        **{key: envelope[key] for key in order},
        "networkType": "unknown",
        "networkEffectiveType": "unknown",
        "networkDownlinkSpeed": 0.0,
        "statsIOUsed": False,
        "pdd": _whole(pdd_ms),
        "mediaSetupTime": _whole(media_setup_ms),
    }


# ---------------------------------------------------------------- parts of several messages


def _envelope(subject: Subject) -> Message:
    """Return the last fields of nearly every message. The key is set on sending, since it may be unknown."""
    return {
        "callstats_key": None,
        "callUUID": subject.call_id,
        "corelationId": subject.call_id,
        "xcallUUID": subject.x_call_uuid,
        "timeStamp": now_ms(),
        "userName": subject.user_name,
        "domain": subject.domain,
        "source": "BrowserSDK",
        "version": "v1",
    }


def _client() -> Message:
    major, minor, patch = platform.python_version_tuple()
    numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in (*__version__.split("."), "0", "0")]
    system, machine = platform.system(), platform.machine()
    return {
        "clientName": "python",
        "userAgent": f"{SDK_NAME}/{__version__} Python/{major}.{minor}.{patch} ({system} {machine})",
        "clientVersionMajor": major,
        "clientVersionMinor": minor,
        "clientVersionPatch": patch,
        "sdkName": SDK_NAME,
        "sdkVersionMajor": numbers[0],
        "sdkVersionMinor": numbers[1],
        "sdkVersionPatch": numbers[2],
        "devicePlatform": f"{system} {machine}",
        "deviceOs": system,
    }


def _setup_options(options: Options) -> Message:
    return {
        "codecs": list(options.codecs),
        "enableTracking": options.enable_tracking,
        "enableQualityTracking": "ALL",
        "debug": options.debug,
        "permOnClick": options.perm_on_click,
        "enableIPV6": False,
        "audioConstraints": dict(options.audio_constraints),
        "dscp": options.dscp,
        "appId": None,
        "appSecret": None,
        "registrationDomainSocket": list(options.registration_domain_socket),
        "clientRegion": options.client_region,
        "preDetectOwa": options.pre_detect_owa,
        "disableRtpTimeOut": False,
        "allowMultipleIncomingCalls": options.allow_multiple_incoming_calls,
        "closeProtection": False,
        "useDefaultAudioDevice": False,
        "maxAverageBitrate": options.max_average_bitrate,
        "dtmfOptions": {"sendDtmfType": ["INBAND", "OUTBAND"]},
        "enableNoiseReduction": False,
        "usePlivoStunServer": False,
        "registrationRefreshTimer": 120,
        "noiseReductionFilePath": "",
    }


def _noise_reduction() -> Message:
    """Return the state of the SDK's own noise reduction, which this client does not have."""
    return {"enabled": False, "noiseSuprressionStarted": False}


def _devices() -> Message:
    """Return the fields about devices. Their names are not sent."""
    return {
        "noOfAudioInput": 0,
        "noOfAudioOutput": 0,
        "audioInputLables": "",
        "audioOutputLables": "",
        "audioInputGroupIds": "",
        "audioOutputGroupIds": "",
        "audioInputIdSet": "",
        "audioOutputIdSet": "",
        "activeInputAudioDevice": "",
        "activeOutputAudioDevice": "",
        "activeInputDeviceGroupId": "",
        "activeOutputDeviceGroupId": "",
    }


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return None if value is None or math.isnan(value) else float(value)


def _whole(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else round(value)
