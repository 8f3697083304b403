"""Why a call or a login ended, in the words of Plivo's Browser SDK, and the facts of the end for `callInfo`.

The words are those that https://www.plivo.com/docs/voice/sdk/browser/reference lists; the SIP codes behind
each are those of RFC 3261 section 21.
"""

from __future__ import annotations

from typing import Any

from plivo_nb.sip import events as sip

BUSY = "Busy"
REJECTED = "Rejected"
CANCELED = "Canceled"
NO_ANSWER = "No Answer"
UNAVAILABLE = "Unavailable"
NOT_FOUND = "Not Found"
ADDRESS_INCOMPLETE = "Address Incomplete"
AUTHENTICATION_ERROR = "Authentication Error"
INCOMPATIBLE_SDP = "Incompatible SDP"
SIP_FAILURE = "SIP Failure Code"
CONNECTION_ERROR = "Connection Error"
REQUEST_TIMEOUT = "Request Timeout"
REDIRECTED = "Redirected"
RTP_TIMEOUT = "RTP Timeout"
USER_DENIED_MEDIA = "User Denied Media Access"
WEBRTC_ERROR = "WebRTC Error"

_BY_CODE: dict[int, str] = {
    401: AUTHENTICATION_ERROR,
    403: REJECTED,
    404: NOT_FOUND,
    407: AUTHENTICATION_ERROR,
    408: UNAVAILABLE,
    410: UNAVAILABLE,
    424: ADDRESS_INCOMPLETE,
    430: UNAVAILABLE,
    480: UNAVAILABLE,
    484: ADDRESS_INCOMPLETE,
    486: BUSY,
    487: CANCELED,
    488: INCOMPATIBLE_SDP,
    600: BUSY,
    603: REJECTED,
    604: NOT_FOUND,
    606: INCOMPATIBLE_SDP,
}

# Codes of the plane's Failed and Fault messages.
_BY_MEDIA_CODE: dict[str, str] = {
    "IncompatibleSDP": INCOMPATIBLE_SDP,
    "ConnectionError": CONNECTION_ERROR,
    "Timeout": REQUEST_TIMEOUT,
    "NotAllowedError": USER_DENIED_MEDIA,
}


def of_sip(code: int | None, originator: str) -> str:
    """Return the cause of a failure with this SIP code; None is a server that is silent or lost.

    The code alone decides, as in the SDK. A Reason header (RFC 3326) changes nothing here: `facts_of` puts it
    into `callInfo`.

    Args:
        code: the final response's status code, or None when none came.
        originator: 'local', 'remote' or 'system', as in the SIP core's events.
    """
    if code is None:
        return CANCELED if originator == "local" else CONNECTION_ERROR
    if code == 408 and originator == "system":
        return REQUEST_TIMEOUT
    if code == 503 and originator == "system":
        return CONNECTION_ERROR
    if 300 <= code < 400:
        return REDIRECTED
    return _BY_CODE.get(code, SIP_FAILURE)


def of_media(code: str) -> str:
    """Return the cause of a media session's failure, by the plane's code."""
    return _BY_MEDIA_CODE.get(code, WEBRTC_ERROR)


def facts_of(event: sip.CallFailed | sip.Canceled | sip.Ended) -> dict[str, Any]:
    """Return `originator`, `code`, `reason` and `protocol` of `callInfo` for the event that ended a call.

    Also `contact`, where the call was redirected.

    A status code goes before the Reason header's cause (RFC 3326), the header's text before the phrase.
    """
    header = event.protocol_reason
    if isinstance(event, sip.Canceled):
        originator, code, phrase = "remote", None, ""
    else:
        originator, code, phrase = event.originator, event.code, event.reason
    return {
        "originator": originator,
        "code": code if code is not None or header is None else header.cause,
        "reason": (header.text if header else None) or phrase or None,
        "protocol": header.protocol if header else None,
    } | ({"contact": event.contact} if isinstance(event, sip.CallFailed) and event.contact else {})
