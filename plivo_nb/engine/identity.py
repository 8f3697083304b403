"""What a call is: its direction, its parties, its id; and the snapshots of it that events carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivo_nb.events import CallInfo, CallState, Direction

if TYPE_CHECKING:
    from collections.abc import Mapping


class Identity:
    """The lasting facts of one call (spec.md section 4, `callInfo`).

    Args:
        direction: 'INCOMING' or 'OUTGOING'.
        src: outgoing: own SIP URI; incoming: FROM number or endpoint.
        dest: outgoing: what was dialled; incoming: own SIP URI.
        extra_headers: sent or received X-PH headers.

    Attributes:
        key: the SIP Call-ID, once there is one.
        uuid: X-CallUUID where the server gave one; the Call-ID once an event told that; else None.
    """

    def __init__(self, direction: Direction, src: str, dest: str, extra_headers: Mapping[str, str]) -> None:
        self.direction: Direction = direction
        self.src = src
        self.dest = dest
        self.extra_headers = dict(extra_headers)
        self.key: str | None = None
        self.uuid: str | None = None
        self._reported = False

    @property
    def peer(self) -> str:
        """The other side, for people."""
        return self.dest if self.direction == "OUTGOING" else self.src

    def learn_uuid(self, x_call_uuid: str | None) -> None:
        """Take the server's X-CallUUID, unless an event has told another id already: that one stays."""
        if x_call_uuid and not self._reported:
            self.uuid = x_call_uuid

    def info(self, state: CallState, **ending: Any) -> CallInfo:
        """A snapshot for an event; from the first one on, the call's id stays."""
        if self.uuid is None:
            self.uuid = self.key
        self._reported = self.uuid is not None
        return self.glance(state, **ending)

    def glance(self, state: CallState, **ending: Any) -> CallInfo:
        """A snapshot that is not tied to an event and settles nothing."""
        return CallInfo(
            callUUID=self.uuid,
            direction=self.direction,
            src=self.src,
            dest=self.dest,
            state=state,
            extraHeaders=dict(self.extra_headers),
            **ending,
        )


def why_unanswered(cause: str, info: CallInfo) -> str:
    """A sentence for people: who was called, and what came instead of an answer."""
    who = info.dest if info.direction == "OUTGOING" else info.src
    code = f" (SIP {info.code}{' ' + info.reason if info.reason else ''})" if info.code else ""
    return f"The call with {who} was not answered: {cause}{code}."
