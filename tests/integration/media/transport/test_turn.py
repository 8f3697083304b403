"""Calls through coturn, over UDP and over TCP, where nothing but the relay is known of either side."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from turn_server import turn_server
from waiting import until

from plivo_nb.media import sdp
from plivo_nb.media.transport.transport import Transport, TransportConfig

EF = 184


@dataclass(frozen=True)
class Server:
    urls: tuple[str, ...]
    username: str | None = "alice"
    credential: str | None = "alice-secret"


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real TURN server; its port."""
    with turn_server(tmp_path_factory.mktemp("coturn")) as port:
        yield port


class Peer:
    def __init__(self, url: str) -> None:
        self.rtp: list[bytes] = []
        self.states: list[tuple[str, str]] = []
        config = TransportConfig(ice_servers=(Server((url,)),), loopback_candidates=True)
        self.transport = Transport(
            config,
            on_rtp=lambda data, now: self.rtp.append(data),
            on_rtcp=lambda data, now: None,
            on_state=lambda what, state, detail: self.states.append((what, state)),
        )

    def description(self, setup: sdp.Setup) -> sdp.SessionDescription:
        """What the other side learns: the relay, and nothing else."""
        t = self.transport
        relays = tuple(c for c in t.candidates if c.type == "relay")
        assert len(relays) == 1
        local = sdp.Local(t.ice_ufrag, t.ice_pwd, relays, t.fingerprint, 1, "x", setup)
        text = sdp.build_offer(local, sdp.offered_formats(["OPUS"]))
        return sdp.parse(text, "offer" if setup == "actpass" else "answer")


@pytest.fixture(params=["udp", "tcp"])
async def pair(coturn: int, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Peer, Peer]]:
    url = f"turn:127.0.0.1:{coturn}?transport={request.param}"
    caller, callee = Peer(url), Peer(url)
    await asyncio.gather(
        caller.transport.gather(controlling=True), callee.transport.gather(controlling=False)
    )
    offer, answer = caller.description("actpass"), callee.description("active")
    callee.transport.connect(offer, dtls_client=True)
    caller.transport.connect(answer, dtls_client=False)
    yield caller, callee
    before = time.monotonic()
    await asyncio.gather(caller.transport.close(), callee.transport.close())
    assert time.monotonic() - before < 3.0


async def test_packets_go_through_the_relay(pair: tuple[Peer, Peer]) -> None:
    caller, callee = pair
    await until(lambda: {p.transport.dtls_state for p in pair} == {"connected"}, timeout_s=10)
    sent = [struct.pack("!BBHII", 0x80, 111, n, 960 * n, 7) for n in range(100)]
    for packet in sent:
        assert caller.transport.send(packet)
        await asyncio.sleep(0.002)
    await until(lambda: len(callee.rtp) >= len(sent), timeout_s=10, describe=lambda: len(callee.rtp))
    assert callee.rtp == sent
    stats = caller.transport.stats()
    # On one machine a permission for one address is one for all: the far end may also come without its relay.
    kinds = {stats[f"{side}-candidate"]["candidateType"] for side in ("local", "remote")}
    assert "relay" in kinds
    assert kinds <= {"relay", "prflx", "host"}


async def test_the_socket_to_the_server_is_marked(pair: tuple[Peer, Peer]) -> None:
    connection = pair[0].transport._current or pair[0].transport._latest
    assert connection is not None
    (relay,) = connection._relays
    inner = relay._TurnTransport__inner_protocol  # type: ignore[attr-defined]  # aioice keeps it private
    sock = inner.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == EF


async def test_a_wrong_password_leaves_the_other_candidates(coturn: int) -> None:
    server = Server((f"turn:127.0.0.1:{coturn}",), "alice", "wrong")
    config = TransportConfig(ice_servers=(server,), loopback_candidates=True)
    states: list[tuple[str, str]] = []
    transport = Transport(
        config,
        on_rtp=lambda data, now: None,
        on_rtcp=lambda data, now: None,
        on_state=lambda what, state, detail: states.append((what, state)),
    )
    await transport.gather(controlling=True)
    assert {c.type for c in transport.candidates} == {"host"}
    assert states == [("gathering", "gathering"), ("gathering", "complete")]
    await transport.close()


async def test_a_stun_server_gives_a_reflexive_candidate(coturn: int) -> None:
    transport = Transport(
        TransportConfig(ice_servers=(Server((f"stun:127.0.0.1:{coturn}",)),), loopback_candidates=True),
        on_rtp=lambda data, now: None,
        on_rtcp=lambda data, now: None,
        on_state=lambda what, state, detail: None,
    )
    await transport.gather(controlling=True)
    reflexive = [c for c in transport.candidates if c.type == "srflx"]
    assert reflexive
    assert all(c.related_address is not None for c in reflexive)
    await transport.close()
