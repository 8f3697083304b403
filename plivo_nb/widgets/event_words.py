"""The client's events in plain words, for the phone's list of recent events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivo_nb.widgets.phone_view import peer_of
from plivo_nb.widgets.plain_warnings import words_of
from plivo_nb.widgets.screen import why_ended

if TYPE_CHECKING:
    from plivo_nb.events import EventName

#: The events that the phone listens to, and the words of those that need no more.
EVENT_WORDS: dict[EventName, str] = {
    "onLogin": "logged in",
    "onLoginFailed": "login failed: {0}",
    "onLogout": "logged out",
    "onCalling": "calling",
    "onCallRemoteRinging": "the other side is ringing",
    "onCallAnswered": "answered",
    "onCallTerminated": "{who}, call ended: {why}",
    "onCallFailed": "{who}, no call: {why}",
    "onIncomingCall": "incoming call from {who}",
    "onIncomingCallCanceled": "the caller hung up before the answer",
    "onIncomingCallIgnored": "incoming call ignored",
    "onMediaPermission": "{microphone}",
    "onConnectionChange": "{connection}",
    "onDtmfReceived": "tone received: {0[tone]}",
    "onMediaError": "{0[message]}",
    "mediaMetrics": "{warning}",
}


def event_text(name: EventName, *arguments: Any) -> str:
    """A short text for one event.

    Args:
        name: one of `EVENT_WORDS`.
        arguments: those of the event's callbacks.

    Example:
        >>> event_text("onConnectionChange", {"state": "connected"})
        'connected to the server'
    """
    words: dict[str, str] = {}
    match name:
        case "onCallTerminated":
            words = {"who": peer_of(arguments[0]), "why": why_ended(arguments[0], None)}
        case "onCallFailed":
            words = {"who": peer_of(arguments[1]), "why": why_ended(arguments[1], arguments[0])}
        case "onIncomingCall":
            words["who"] = peer_of(arguments[2])
        case "onMediaPermission":
            granted = arguments[0]["status"] == "success"
            words["microphone"] = "microphone ready" if granted else "no microphone; silence is sent"
        case "onConnectionChange":
            connected = arguments[0]["state"] == "connected"
            words["connection"] = "connected to the server" if connected else "connection to the server lost"
        case "mediaMetrics":
            metric = arguments[0]
            about = words_of(str(metric["type"]), str(metric.get("stream")))
            words["warning"] = about.what if metric.get("active") else f"no longer: {about.name}"
    return EVENT_WORDS[name].format(*arguments, **words)
