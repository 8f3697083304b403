"""The object that `getPeerConnection()` returns: a media session with the names of W3C's webrtc-pc."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plivo_nb.engine.call_session import CallSession


class PeerConnection:
    """The states last reported by the I/O plane, and statistics on demand. For the kernel's loop only."""

    def __init__(self, session: CallSession) -> None:
        self._session = session

    @property
    def iceConnectionState(self) -> str:
        """new, checking, connected, disconnected, failed or closed."""
        return self._session.media.states["ice"]

    @property
    def iceGatheringState(self) -> str:
        """new, gathering or complete."""
        state = self._session.media.states["gathering"]
        return "complete" if state == "timeout" else state

    @property
    def connectionState(self) -> str:
        """new, connecting, connected, disconnected, failed or closed, as in webrtc-pc section 4.3.3."""
        states = {self._session.media.states["ice"], self._session.media.states["dtls"]}
        for state in ("failed", "disconnected"):
            if state in states:
                return state
        for state in ("closed", "new", "connected"):
            if states <= {state, "closed"}:
                return state
        return "connecting"

    @property
    def signalingState(self) -> str:
        """stable once answered, have-local-offer or have-remote-offer before, closed after the end."""
        match self._session.phase:
            case "answered":
                return "stable"
            case "over":
                return "closed"
        return "have-local-offer" if self._session.direction == "OUTGOING" else "have-remote-offer"

    async def getStats(self) -> dict[str, dict[str, Any]]:
        """W3C webrtc-stats by id: names and units as there (seconds, bytes, fractions 0..1)."""
        return await self._session.media.stats()

    def __repr__(self) -> str:
        return f"<PeerConnection {self.connectionState}, ICE {self.iceConnectionState}>"
