"""How a call ended, from what the SIP core tells: its state, the SDK's word, and the facts for `callInfo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivo_nb.engine import causes

if TYPE_CHECKING:
    from plivo_nb.events import CallState
    from plivo_nb.sip import events as sip
    from plivo_nb.sip.values import Reason


def of_failure(event: sip.CallFailed, *, hung_up: bool) -> tuple[CallState, str, dict[str, Any]]:
    """State, cause and facts of an outgoing call that was not answered.

    Args:
        event: as the SIP core tells it.
        hung_up: we gave it up ourselves.
    """
    facts = _facts("local" if hung_up else event.originator, event.code, event.reason, event.protocol_reason)
    if hung_up:
        return "canceled", causes.CANCELED, facts
    cause = causes.of_failure(event.code, event.originator, event.protocol_reason)
    return ("rejected" if cause == causes.REJECTED else "failed"), cause, facts


def of_cancel(event: sip.Canceled) -> dict[str, Any]:
    """Facts of an incoming call that its caller gave up; the Reason header may say why (RFC 3326)."""
    return _facts("remote", None, "", event.protocol_reason)


def of_end(event: sip.Ended, cause: str | None) -> dict[str, Any]:
    """Facts of an answered call's end.

    Args:
        event: as the SIP core tells it.
        cause: why we ended it ourselves, such as 'RTP Timeout'; else None.
    """
    facts = _facts(event.originator, event.code, event.reason, event.protocol_reason)
    return facts | {"reason": cause} if cause else facts


def _facts(originator: str, code: int | None, reason: str, header: Reason | None) -> dict[str, Any]:
    """A status code goes before the Reason header's own cause; the header's text before the phrase."""
    return {
        "originator": originator,
        "code": code if code is not None or header is None else header.cause,
        "reason": (header.text if header else None) or reason or None,
        "protocol": header.protocol if header else None,
    }
