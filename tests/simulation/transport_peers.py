"""Two transports on this machine, each with what it reported."""

from __future__ import annotations

import struct

from plivo_nb.media import sdp
from plivo_nb.media.transport.transport import Transport, TransportConfig

LOOPBACK = TransportConfig(loopback_candidates=True)
RTP = struct.pack("!BBHII", 0x80, 111, 1, 960, 0x11223344)
RTCP = struct.pack("!BBHI", 0x80, 201, 1, 0x11223344)


class Peer:
    """One side: a transport and what it reported."""

    def __init__(self, config: TransportConfig = LOOPBACK) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.states: list[tuple[str, str]] = []
        self.details: list[str] = []
        self.transport = Transport(
            config,
            on_rtp=lambda data, now: self.rtp.append(data),
            on_rtcp=lambda data, now: self.rtcp.append(data),
            on_state=self._state,
        )

    def _state(self, what: str, state: str, detail: str) -> None:
        self.states.append((what, state))
        self.details.append(detail)

    def local(self, setup: sdp.Setup) -> sdp.Local:
        transport = self.transport
        return sdp.Local(
            transport.ice_ufrag,
            transport.ice_pwd,
            transport.candidates,
            transport.fingerprint,
            1,
            "x",
            setup,
        )


def describe(peer: Peer, setup: sdp.Setup = "actpass") -> sdp.SessionDescription:
    """A peer's description, written and parsed as the other side receives it."""
    formats = sdp.offered_formats(["OPUS", "PCMU"])
    return sdp.parse(sdp.build_offer(peer.local(setup), formats), "offer" if setup == "actpass" else "answer")


async def connect(caller: Peer, callee: Peer, restart: bool = False) -> None:
    await caller.transport.gather(controlling=True, restart=restart)
    await callee.transport.gather(controlling=False, restart=restart)
    offer, answer = describe(caller), describe(callee, "active")
    callee.transport.connect(offer, dtls_client=True)
    caller.transport.connect(answer, dtls_client=False)
