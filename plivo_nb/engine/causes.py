"""Why a call or a login ended, in the SDK's words (spec.md section 4).

The words are those of the SDK's documentation; the SIP codes behind each are RFC 3261 section 21's.
"""

from __future__ import annotations

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
}


def of_sip(code: int | None, originator: str) -> str:
    """The cause of a failure with this SIP code; without a code, of a silent or lost server.

    Args:
        code: the final response's status code, or None when none came.
        originator: 'local', 'remote' or 'system', as the SIP core tells it.
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
    """The cause of a media session's failure, by the plane's code."""
    return _BY_MEDIA_CODE.get(code, WEBRTC_ERROR)
