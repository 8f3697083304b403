"""Two transports on this machine: real ICE, real DTLS-SRTP, RTP-shaped packets."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from dataclasses import replace
from random import Random

import pytest
from transport_peers import LOOPBACK, RTCP, RTP, Peer, connect, describe
from waiting import until

from plivo_nb.media import sdp


async def test_packets_go_both_ways_unparsed(pair: tuple[Peer, Peer]) -> None:
    for here, there in (pair, pair[::-1]):
        assert here.transport.send(RTP)
        assert here.transport.send(RTCP)
        await until(lambda p=there: bool(p.rtp and p.rtcp))
        assert there.rtp == [RTP]
        assert there.rtcp == [RTCP]
    assert pair[0].states == [
        ("gathering", "gathering"),
        ("gathering", "complete"),
        ("ice", "checking"),
        ("ice", "connected"),
        ("dtls", "connecting"),
        ("dtls", "connected"),
    ]


async def test_garbage_from_strangers_does_no_harm(
    pair: tuple[Peer, Peer], caplog: pytest.LogCaptureFixture
) -> None:
    caller, callee = pair
    random = Random(1)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ports = [c.port for c in callee.transport.candidates if c.address == "127.0.0.1"]
    for first in (0, 1, 3, 4, 20, 22, 63, 64, 127, 128, 144, 191, 192, 255):
        for length in (0, 1, 7, 11, 12, 40, 1200, 9000, 60_000):
            stranger.sendto(bytes([first]) + random.randbytes(length), ("127.0.0.1", ports[0]))
            await asyncio.sleep(0)
    stranger.sendto(b"", ("127.0.0.1", ports[0]))
    stranger.close()
    assert caller.transport.send(RTP)
    assert callee.transport.send(RTCP)
    await until(lambda: callee.rtp == [RTP])
    await until(lambda: caller.rtcp == [RTCP])
    await until(lambda: callee.transport.counters.unreadable > 10)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


async def test_stats_have_w3c_names(pair: tuple[Peer, Peer]) -> None:
    pair[0].transport.send(RTP)
    stats = pair[0].transport.stats()
    assert stats["transport"]["dtlsState"] == "connected"
    assert stats["transport"]["iceRole"] == "controlling"
    assert stats["transport"]["dtlsRole"] == "server"
    assert stats["transport"]["tlsVersion"] in ("FEFD", "FEFC")
    assert "GCM" in stats["transport"]["srtpCipher"]
    assert stats["transport"]["dtlsCipher"]
    assert stats["transport"]["packetsSent"] == 1
    assert stats["transport"]["bytesSent"] > len(RTP)
    assert stats["candidate-pair"]["nominated"] is True
    assert stats["local-candidate"]["candidateType"] == "host"
    assert {"address", "port", "protocol"} <= stats["remote-candidate"].keys()


async def test_the_other_side_hears_the_end(pair: tuple[Peer, Peer]) -> None:
    caller, callee = pair
    before = time.monotonic()
    await caller.transport.close()
    assert time.monotonic() - before < 1.5
    await until(lambda: ("dtls", "closed") in callee.states)
    assert caller.transport.send(RTP) is False
    assert caller.states[-1] == ("ice", "closed")


async def test_nothing_is_left_after_closing() -> None:
    tasks = asyncio.all_tasks()
    caller, callee = Peer(), Peer()
    await connect(caller, callee)
    for peer in (caller, callee):
        await until(lambda p=peer: p.transport.dtls_state == "connected")
    await asyncio.gather(caller.transport.close(), callee.transport.close())
    await until(lambda: asyncio.all_tasks() == tasks)


async def test_closing_while_connecting_leaves_nothing() -> None:
    tasks = asyncio.all_tasks()
    caller, callee = Peer(), Peer()
    await caller.transport.gather(controlling=True)
    await callee.transport.gather(controlling=False)
    caller.transport.connect(describe(callee, "active"), dtls_client=False)
    await asyncio.sleep(0.1)
    await asyncio.gather(caller.transport.close(), callee.transport.close())
    await until(lambda: asyncio.all_tasks() == tasks)


async def test_another_peer_takes_the_call_over() -> None:
    """Early media came from one peer, the answer comes from another: a forked call."""
    caller, early, late = Peer(), Peer(), Peer()
    await connect(caller, early)
    await until(lambda: caller.transport.dtls_state == "connected")
    ports = {c.port for c in caller.transport.candidates}
    await late.transport.gather(controlling=False)
    caller.transport.connect(describe(late, "active"), dtls_client=False)
    late.transport.connect(describe(caller), dtls_client=True)
    await until(lambda: late.transport.dtls_state == "connected")
    await until(lambda: caller.transport.dtls_state == "connected")
    assert {c.port for c in caller.transport.candidates} == ports
    for here, there in ((caller, late), (late, caller)):
        assert here.transport.send(RTP)
        await until(lambda p=there: p.rtp == [RTP])
    assert early.rtp == []
    assert [state for what, state in caller.states if what == "dtls"] == [
        "connecting",
        "connected",
        "new",
        "connecting",
        "connected",
    ]
    await asyncio.gather(*(p.transport.close() for p in (caller, early, late)))


async def test_ice_restart_moves_a_running_flow_without_a_gap(pair: tuple[Peer, Peer]) -> None:
    caller, callee = pair
    sent: list[bytes] = []
    stop = asyncio.Event()

    async def flow() -> None:
        while not stop.is_set():
            packet = struct.pack("!BBHII", 0x80, 111, len(sent), 960 * len(sent), 7)
            sent.append(packet)
            assert caller.transport.send(packet)
            await asyncio.sleep(0.02)

    running = asyncio.create_task(flow())
    await until(lambda: len(callee.rtp) > 5)
    old = caller.transport.ice_ufrag, callee.transport.candidates
    await connect(caller, callee, restart=True)
    new_ports = {c.port for c in callee.transport.candidates}
    for peer in pair:
        await until(lambda p=peer: p.details.count("ICE restarted") == 1)
    await asyncio.sleep(1.5)  # longer than the old path is kept
    stop.set()
    await running
    await until(lambda: len(callee.rtp) == len(sent))
    assert callee.rtp == sent
    assert caller.transport.ice_ufrag != old[0]
    assert {c.port for c in old[1]}.isdisjoint(new_ports)
    assert caller.transport.stats()["remote-candidate"]["port"] in new_ports
    assert caller.states.count(("dtls", "connected")) == 1


async def test_a_restart_overtakes_a_first_attempt_that_hangs() -> None:
    """The first answer named an address where nobody is; the second, with a restart, the right one."""
    caller, callee = Peer(), Peer()
    await caller.transport.gather(controlling=True)
    await callee.transport.gather(controlling=False)
    nowhere = (sdp.Candidate("1", 1, "udp", 1, "127.0.0.1", 9, "host"),)
    caller.transport.connect(replace(describe(callee, "active"), candidates=nowhere), dtls_client=False)
    await asyncio.sleep(0.1)
    await connect(caller, callee, restart=True)
    for peer in (caller, callee):
        await until(lambda p=peer: p.transport.dtls_state == "connected")
    assert caller.transport.send(RTP)
    await until(lambda: bool(callee.rtp))
    await asyncio.gather(caller.transport.close(), callee.transport.close())


async def test_an_outage_is_told_and_so_is_its_end() -> None:
    config = replace(LOOPBACK, disconnected_after_s=0.3, failed_after_s=0.9)
    caller, callee = Peer(config), Peer(config)
    await connect(caller, callee)
    for peer in (caller, callee):
        await until(lambda p=peer: p.transport.dtls_state == "connected")
    base = time.monotonic()
    caller.transport.poll(base + 0.1)
    assert caller.transport.ice_state == "connected"
    caller.transport.poll(base + 0.5)
    assert caller.transport.ice_state == "disconnected"
    caller.transport.poll(base + 2.0)
    assert caller.transport.ice_state == "failed"
    assert caller.transport.send(RTP) is False
    callee.transport.send(RTP)
    await until(lambda: bool(caller.rtp))
    caller.transport.poll(time.monotonic())
    assert caller.transport.ice_state == "connected"
    assert caller.transport.send(RTP)
    await asyncio.gather(caller.transport.close(), callee.transport.close())


async def test_a_dead_peer_fails_in_the_time_given() -> None:
    caller, callee = Peer(replace(LOOPBACK, connect_timeout_s=0.5)), Peer()
    await caller.transport.gather(controlling=True)
    await callee.transport.gather(controlling=False)
    answer = describe(callee, "active")
    await callee.transport.close()
    caller.transport.connect(answer, dtls_client=False)
    await until(lambda: ("ice", "failed") in caller.states, timeout_s=3)
    assert "candidate pair" in caller.details[-1]
    await caller.transport.close()
