"""What the phone's screen shows: a pure function of the client's state.

`screen_of` is the only place that decides it. The state comes first that concerns the user most: a call, then
the connection to the server, then ringing calls, then the call that ended last. Nothing of an earlier call is
ever shown with a later one, because a snapshot has at most one of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from plivo_nb.events import CallInfo

Kind = Literal["off", "waiting", "ready", "ringing", "talking", "held", "ended"]


@dataclass(frozen=True, slots=True)
class CurrentCall:
    """The client's current call.

    Attributes:
        peer: the other party.
        phase: as `Call.phase`.
        talked_s: seconds since the answer; None before it.
        on_hold: the far end has put the call on hold.
        media_lost: the media connection is interrupted.
    """

    peer: str
    phase: str
    talked_s: float | None = None
    on_hold: bool = False
    media_lost: bool = False


@dataclass(frozen=True, slots=True)
class EndedCall:
    """The call that ended last.

    Attributes:
        peer: the other party.
        why: why it ended, in plain words, such as ``you hung up``; see `why_ended`.
        talked_s: seconds from the answer to the end; None for a call that was not answered.
        mean_mos: mean MOS of the call; NaN where it has no sample.
    """

    peer: str
    why: str
    talked_s: float | None = None
    mean_mos: float = math.nan


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The client's state at one moment.

    Attributes:
        username: who is logged in or logging in; None: nobody.
        logged_in: registered at the server.
        connected: the signalling connection is open.
        reconnect_in_s: as `Client.reconnect_in_s`.
        ringing: the parties of the calls that are ringing here, the most recent last.
        call: the current call.
        ended: the call that ended last, until there is another one.
    """

    username: str | None = None
    logged_in: bool = False
    connected: bool = False
    reconnect_in_s: float | None = None
    ringing: tuple[str, ...] = ()
    call: CurrentCall | None = None
    ended: EndedCall | None = None


@dataclass(frozen=True, slots=True)
class Screen:
    """What is displayed, and which controls are enabled.

    Attributes:
        state: the state, such as ``In call``.
        extra: what belongs to the state: ``retry in 4 s``, or why a call ended; else empty.
        kind: what the state means, for its colour.
        peer: the other party; empty without one.
        talked_s: duration of the call, in seconds; None for a call that was not answered, or without one.
        note: a sentence; else empty.
        mean_mos: mean MOS of the call that ended; NaN where there is none.
        can_call, can_hang_up: whether these buttons are enabled.
        sends_tones: whether the pad sends tones; else it dials.
    """

    state: str
    kind: Kind
    extra: str = ""
    peer: str = ""
    talked_s: float | None = None
    note: str = ""
    mean_mos: float = math.nan
    can_call: bool = False
    can_hang_up: bool = False
    sends_tones: bool = False

    @property
    def words(self) -> str:
        """The state in one text, such as ``Connecting (retry in 4 s)`` or ``Ended (you hung up)``."""
        return f"{self.state} ({self.extra})" if self.extra else self.state


def screen_of(now: Snapshot) -> Screen:
    """What to display in this state.

    Example:
        >>> screen_of(Snapshot()).words
        'Not logged in'
        >>> screen_of(Snapshot("alice", logged_in=True, connected=True)).words
        'Ready'
    """
    if now.call is not None:
        return _in_call(now, now.call)
    if now.username is None or (not now.logged_in and now.reconnect_in_s is None):
        return Screen("Not logged in", "off", note="Log in to make and receive calls.")
    if not (now.logged_in and now.connected) or now.reconnect_in_s is not None:
        return Screen("Connecting", "waiting", _retry(now), note=_no_server(now))
    if now.ringing:
        return Screen(f"Incoming ({len(now.ringing)})", "ringing", peer=_parties(now.ringing))
    if now.ended is not None:
        ended = now.ended
        return Screen(
            "Ended", "ended", ended.why, ended.peer, ended.talked_s, mean_mos=ended.mean_mos, can_call=True
        )
    return Screen("Ready", "ready", can_call=True)


def _in_call(now: Snapshot, call: CurrentCall) -> Screen:
    talked_s = call.talked_s if call.phase == "answered" else None
    if talked_s is None:
        state = {"ringing": "Ringing", "answering": "Answering"}.get(call.phase, "Calling")
        return Screen(state, "waiting", peer=call.peer, note=_others(now), can_hang_up=True)
    server_lost = not now.connected or now.reconnect_in_s is not None
    if server_lost or call.media_lost:
        sentence = (
            "The connection to the server is lost; the call goes on."
            if server_lost
            else "The sound is interrupted."
        )
        return Screen("Reconnecting", "waiting", _retry(now), call.peer, talked_s, sentence,
                      can_hang_up=True, sends_tones=True)  # fmt: skip
    if call.on_hold:
        sentence = "The other side has put the call on hold."
        return Screen("On hold", "held", "", call.peer, talked_s, sentence,
                      can_hang_up=True, sends_tones=True)  # fmt: skip
    return Screen("In call", "talking", "", call.peer, talked_s, _others(now),
                  can_hang_up=True, sends_tones=True)  # fmt: skip


def _retry(now: Snapshot) -> str:
    """The countdown to the next attempt; while one is under way, nothing."""
    return f"retry in {math.ceil(now.reconnect_in_s)} s" if now.reconnect_in_s else ""


def _no_server(now: Snapshot) -> str:
    return "The server cannot be reached." if now.reconnect_in_s else "Waiting for the server."


def _parties(ringing: tuple[str, ...]) -> str:
    return ringing[-1] if len(ringing) == 1 else f"{ringing[-1]} and {len(ringing) - 1} more"


def _others(now: Snapshot) -> str:
    return f"Also ringing: {_parties(now.ringing)}." if now.ringing else ""


#: Why a call ended, by the cause in the words of Plivo's Browser SDK.
_CAUSES = {
    "Busy": "the other side is busy",
    "Rejected": "the other side declined",
    "Canceled": "the call was canceled",
    "No Answer": "nobody answered",
    "Unavailable": "the other side cannot be reached",
    "Not Found": "there is no such number or name",
    "Address Incomplete": "the number or name is not complete",
    "Authentication Error": "the server refused the user name or password",
    "Incompatible SDP": "the two sides have no codec in common",
    "SIP Failure Code": "the server refused the call",
    "Connection Error": "the connection to the server failed",
    "Request Timeout": "the server did not answer",
    "Redirected": "the server sent us to another address",
    "RTP Timeout": "no sound arrived any more",
    "User Denied Media Access": "the microphone cannot be used",
    "WebRTC Error": "the sound connection could not be made",
}
_LOCAL_CAUSES = {"Rejected": "you declined", "Canceled": "you gave up", "No Answer": "you did not answer"}
_STATES = {"ignored": "you ignored it", "canceled": "the caller gave up"}
_ORIGINATORS = {"local": "you hung up", "remote": "the other side hung up"}


def why_ended(info: CallInfo, cause: str | None) -> str:
    """Why a call ended, in plain words.

    Args:
        info: its final callInfo.
        cause: as `Call.cause`, or the cause of onCallFailed; None for a normal end.

    Example:
        >>> from plivo_nb.events import CallInfo
        >>> info = CallInfo("c-1", "OUTGOING", "sip:alice@phone.plivo.com", "busy", "failed", code=486)
        >>> why_ended(info, "Busy")
        'the other side is busy'
    """
    if cause is None:
        return _STATES.get(info.state) or _ORIGINATORS.get(info.originator or "", "the call was cut off")
    if info.originator == "local" and cause in _LOCAL_CAUSES:
        return _LOCAL_CAUSES[cause]
    words = _CAUSES.get(cause, cause)
    return f"{words} (SIP {info.code})" if cause == "SIP Failure Code" and info.code else words
