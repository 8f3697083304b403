"""ICE: gathering, and which addresses are candidates."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace

import pytest
from transport_peers import LOOPBACK, Peer, connect, describe
from waiting import until

from plivo_nb.media.transport.transport import TransportConfig


async def test_gathering_ends_in_time_with_what_there_is() -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    port = silent.getsockname()[1]

    class Server:
        urls = (f"stun:127.0.0.1:{port}", f"turn:127.0.0.1:{port}")
        username = "u"
        credential = "c"

    peer = Peer(replace(LOOPBACK, ice_servers=(Server(),), gathering_timeout_s=0.3))
    before = time.monotonic()
    await peer.transport.gather(controlling=True)
    assert 0.25 < time.monotonic() - before < 2.5
    assert [state for what, state in peer.states if what == "gathering"] == [
        "gathering",
        "timeout",
        "complete",
    ]
    assert any(c.address == "127.0.0.1" for c in peer.transport.candidates)
    await peer.transport.close()
    silent.close()


@pytest.mark.parametrize("dscp", [True, False])
@pytest.mark.spec("2 dscp")
async def test_every_socket_is_marked(dscp: bool) -> None:
    peer = Peer(replace(LOOPBACK, dscp=dscp))
    await peer.transport.gather(controlling=True)
    connection = peer.transport._next
    assert connection is not None
    for protocol in connection._protocols:
        sock = protocol.transport.get_extra_info("socket")
        if sock.family == socket.AF_INET6:
            tos = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
        else:
            tos = sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)
        assert tos == (184 if dscp else 0)
    await peer.transport.close()


async def test_loopback_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **which: [])
    caller, callee = Peer(), Peer()
    await connect(caller, callee)
    for peer in (caller, callee):
        await until(lambda p=peer: p.transport.dtls_state == "connected")
        assert [c.address for c in peer.transport.candidates] == ["127.0.0.1"]
    await asyncio.gather(caller.transport.close(), callee.transport.close())


async def test_loopback_is_no_candidate_unless_asked_for() -> None:
    peer = Peer(TransportConfig())
    await peer.transport.gather(controlling=True)
    assert "127.0.0.1" not in {c.address for c in peer.transport.candidates}
    await peer.transport.close()


async def test_names_instead_of_addresses_do_no_harm() -> None:
    """A browser without microphone permission hides its addresses behind mDNS names: its checks show them."""
    caller, callee = Peer(), Peer()
    await caller.transport.gather(controlling=True)
    await callee.transport.gather(controlling=False)
    offer = describe(caller)
    hidden = tuple(replace(c, address="0f1e2d3c-aaaa-bbbb-cccc-000000000000.local") for c in offer.candidates)
    callee.transport.connect(replace(offer, candidates=hidden), dtls_client=True)
    caller.transport.connect(describe(callee, "active"), dtls_client=False)
    for peer in (caller, callee):
        await until(lambda p=peer: p.transport.dtls_state == "connected")
    await asyncio.gather(caller.transport.close(), callee.transport.close())
