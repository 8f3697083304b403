"""The relay with real sockets: learning, restarts, delays, counters, settings while packets fly."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from waiting import stays, until

from plivo_nb.lab.network.network import Network
from plivo_nb.lab.network.relay import Address

RTP = bytes([0x80, 111]) + bytes(30)
STUN = b"\x00\x01" + bytes(18)


class Party(asyncio.DatagramProtocol):
    """One side of a call: a UDP socket that notes what it gets."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self.transport: asyncio.DatagramTransport

    @classmethod
    async def open(cls) -> Party:
        loop = asyncio.get_running_loop()
        transport, party = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        party.transport = transport
        return party

    @property
    def address(self) -> Address:
        name: Address = self.transport.get_extra_info("sockname")
        return name

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard.append((time.monotonic(), data))

    def send(self, data: bytes, to: Address) -> None:
        self.transport.sendto(data, to)

    async def hears(self, count: int, timeout_s: float = 2.0) -> list[bytes]:
        await until(lambda: len(self.heard) >= count, timeout_s)
        return [data for _, data in self.heard]


class Setup:
    """A network with one call between two parties; `to_callee` is where the caller sends to."""

    async def __aenter__(self) -> Setup:
        self.network = Network(seed=1)
        self.alice, self.bob = await Party.open(), await Party.open()
        self.network.open_call("key", "uuid", "alice", "bob")
        at_bob = self.network.describe("key", "caller", self.alice.address)
        at_alice = self.network.describe("key", "callee", self.bob.address)
        assert at_alice is not None
        assert at_bob is not None
        self.to_callee, self.to_caller = at_alice, at_bob
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.network.close()
        self.alice.transport.close()
        self.bob.transport.close()
        await asyncio.sleep(0)


async def test_packets_go_both_ways_and_are_counted() -> None:
    async with Setup() as s:
        s.alice.send(RTP + b"a", s.to_callee)
        s.alice.send(STUN, s.to_callee)
        assert await s.bob.hears(2) == [RTP + b"a", STUN]
        s.bob.send(RTP + b"b", s.to_caller)
        s.bob.send(bytes([0x80, 200]) + bytes(26), s.to_caller)
        await s.alice.hears(2)
        counters = s.network.counters()
        assert (counters["seen"], counters["forwarded"], counters["dropped"]) == (2, 2, 0)
        assert counters["to_callee"]["other_forwarded"] == 1
        assert counters["to_caller"]["rtcp_forwarded"] == 1
        assert counters["calls"][0]["call_uuid"] == "uuid"


async def test_both_sockets_are_on_loopback() -> None:
    async with Setup() as s:
        assert s.to_callee[0] == s.to_caller[0] == "127.0.0.1"


async def test_a_delay_is_exact_each_way() -> None:
    async with Setup() as s:
        s.network.set(delay_ms=120)
        began = time.monotonic()
        for _ in range(10):
            s.alice.send(RTP, s.to_callee)
        await s.bob.hears(10)
        late = [at - began - 0.120 for at, _ in s.bob.heard]
        assert min(late) > -0.002
        assert min(late) < 0.1  # a busy machine makes them wait


async def test_loss_set_for_one_direction_leaves_the_other() -> None:
    async with Setup() as s:
        s.network.set(direction="to_callee", loss=1.0)
        for _ in range(20):
            s.alice.send(RTP, s.to_callee)
            s.bob.send(RTP, s.to_caller)
        await s.alice.hears(20)
        counters = s.network.counters()
        assert counters["to_callee"]["rtp_dropped"] == 20
        assert counters["to_caller"]["rtp_dropped"] == 0
        assert s.bob.heard == []


async def test_the_same_seed_drops_the_same_packets_on_the_wire() -> None:
    async def lost() -> list[int]:
        async with Setup() as s:
            s.network.set(loss=0.3)
            for index in range(100):
                s.alice.send(RTP + bytes([index]), s.to_callee)
                await asyncio.sleep(0)
            await until(lambda: s.network.counters()["seen"] == 100)
            expected = 100 - s.network.counters()["dropped"]
            got = {data[-1] for data in await s.bob.hears(expected)}
            return [index for index in range(100) if index not in got]

    first = await lost()
    assert first == await lost()
    assert 15 < len(first) < 45


async def test_a_second_source_of_a_party_is_not_passed_on() -> None:
    async with Setup() as s:
        s.alice.send(STUN + b"1", s.to_callee)
        await s.bob.hears(1)
        stranger = await Party.open()
        stranger.send(STUN + b"2", s.to_callee)
        s.alice.send(STUN + b"3", s.to_callee)
        assert await s.bob.hears(2) == [STUN + b"1", STUN + b"3"]
        stranger.transport.close()


async def test_an_unannounced_source_is_learned() -> None:
    """A browser that hides its address behind a name (mDNS) announces nothing that could be used."""
    async with Setup() as s:
        s.network.open_call("two", "uuid-2", "alice", "bob")
        to_caller = s.network.describe("two", "caller", None)
        to_callee = s.network.describe("two", "callee", s.bob.address)
        assert to_caller is not None
        assert to_callee is not None
        s.bob.send(STUN, to_caller)
        await until(lambda: s.network.counters()["to_caller"]["dropped_no_address"] == 1)
        s.alice.send(STUN, to_callee)
        await s.bob.hears(1)
        s.bob.send(STUN, to_caller)
        await s.alice.hears(1)


async def test_a_new_description_lets_a_party_move() -> None:
    """ICE restart: checks of the new socket win, media of the old one pass until then."""
    async with Setup() as s:
        s.alice.send(RTP + b"old", s.to_callee)
        await s.bob.hears(1)
        moved = await Party.open()
        assert s.network.describe("key", "caller", moved.address) == s.to_caller
        s.alice.send(RTP + b"still", s.to_callee)
        await s.bob.hears(2)
        s.bob.send(STUN + b"to the new one", s.to_caller)
        await moved.hears(1)
        moved.send(STUN + b"new", s.to_callee)
        await s.bob.hears(3)
        s.bob.send(RTP + b"media", s.to_caller)
        assert (await moved.hears(2))[1] == RTP + b"media"
        assert s.alice.heard == []
        moved.transport.close()


async def test_an_ended_call_keeps_its_counters_and_passes_nothing() -> None:
    async with Setup() as s:
        s.alice.send(RTP, s.to_callee)
        await s.bob.hears(1)
        s.network.set(delay_ms=500)
        s.alice.send(RTP, s.to_callee)
        await until(lambda: s.network.counters()["seen"] == 2)
        s.network.close_call("key")
        await stays(lambda: len(s.bob.heard) == 1, 0.6)
        counters = s.network.counters()
        assert (counters["seen"], counters["forwarded"]) == (2, 1)
        assert counters["calls"][0]["active"] is False


async def test_settings_are_checked_kept_and_remembered() -> None:
    async with Setup() as s:
        s.network.set(loss=0.1)
        s.network.set(direction="to_caller", delay_ms=30)
        assert s.network.settings["to_callee"]["loss"] == s.network.settings["to_caller"]["loss"] == 0.1
        assert s.network.settings["to_callee"]["delay_ms"] == 0
        for wrong, named in [
            ({"speed": 1}, "speed"),
            ({"loss": 2}, "loss"),
            ({"direction": "up"}, "direction"),
            ({"call_uuid": "?", "loss": 0.5}, "no call"),
        ]:
            with pytest.raises(ValueError, match=named):
                s.network.set(**wrong)
        assert s.network.settings["to_callee"]["loss"] == 0.1
        s.network.clear()
        assert s.network.settings["to_callee"]["loss"] == 0
        assert [entry["what"] for entry in s.network.history] == ["set", "set", "clear"]


async def test_one_call_can_be_set_apart() -> None:
    async with Setup() as s:
        s.network.open_call("two", "uuid-2", "carol", "bob")
        entry = s.network.set(call_uuid="uuid-2", loss=1.0)
        assert entry["to_callee"]["loss"] == 1.0
        assert s.network.settings["to_callee"]["loss"] == 0
        s.alice.send(RTP, s.to_callee)
        await s.bob.hears(1)


async def test_the_log_tells_each_packets_fate() -> None:
    async with Setup() as s:
        s.alice.send(RTP, s.to_callee)
        await s.bob.hears(1)
        s.network.set(loss=1.0)
        s.alice.send(RTP, s.to_callee)
        await until(lambda: s.network.counters()["dropped"])
        fates = [
            (call, direction, kind, size, fate) for _, call, direction, kind, size, fate, _ in s.network.log()
        ]
        assert fates == [
            ("uuid", "to_callee", "rtp", 32, "forwarded"),
            ("uuid", "to_callee", "rtp", 32, "lost"),
        ]
        assert len(s.network.log(last=1)) == 1
