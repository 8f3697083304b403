"""A transport over a bad path: long round trips, outages, a peer that is gone."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from waiting import until

from plivo_nb import speech_path
from plivo_nb.media import sdp
from plivo_nb.media.audio.sources import AudioFile, Tone
from plivo_nb.media.codecs import Codec
from plivo_nb.media.rtp.audio_stream import AudioStream
from plivo_nb.media.transport.transport import Transport, TransportConfig


def rtp(number: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 111, number, 960 * number, 7)


def is_rtp(data: bytes) -> bool:
    """RFC 5761 section 4 and RFC 7983; SRTP leaves the header readable."""
    return 128 <= data[0] <= 191 and data[1] & 0x7F not in range(64, 96)


class Side(asyncio.DatagramProtocol):
    """One side's socket of the path."""

    def __init__(self, received: Callable[[bytes, tuple[str, int]], None]) -> None:
        self.received = received

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received(data, addr)


class Path:
    """Two sockets between two peers, with a delay in each direction, and a switch that drops all packets."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.dark = False
        self.loses: Callable[[bytes], bool] = lambda packet: False
        self.dropped = [0, 0]  # RTP packets from each side, by `loses`
        self._sources: list[tuple[str, int] | None] = [None, None]
        self._sockets: list[Side] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for side in (0, 1):
            make = lambda side=side: Side(lambda data, addr: self._carry(side, data, addr))  # noqa: E731
            _, protocol = await loop.create_datagram_endpoint(make, local_addr=("127.0.0.1", 0))
            self._sockets.append(protocol)

    def _carry(self, side: int, data: bytes, addr: tuple[str, int]) -> None:
        if self._sources[side] is None:
            self._sources[side] = addr
        if is_rtp(data) and self.loses(data):
            self.dropped[side] += 1
        elif addr == self._sources[side] and not self.dark:
            asyncio.get_running_loop().call_later(self.delay_s, self._deliver, 1 - side, data)

    def _deliver(self, side: int, data: bytes) -> None:
        to, sock = self._sources[side], self._sockets[side].transport
        if to is not None and not self.dark and not sock.is_closing():
            sock.sendto(data, to)

    def seen_from(self, side: int, text: str) -> str:
        """The other side's description, as `side` gets it."""
        candidate = next(c for c in sdp.parse(text).candidates if c.address == "127.0.0.1")
        if self._sources[1 - side] is None:
            self._sources[1 - side] = (candidate.address, candidate.port)
        return sdp.rewrite_candidates(text, *self._sockets[side].transport.get_extra_info("sockname"))

    def close(self) -> None:
        for protocol in self._sockets:
            protocol.transport.close()


class Peer:
    def __init__(self, config: TransportConfig) -> None:
        self.heard = 0
        self.states: list[str] = []
        self.transport = Transport(config, on_rtp=self._rtp, on_rtcp=self._rtp, on_state=self._state)

    def _rtp(self, data: bytes, now: float) -> None:
        self.heard += 1

    def _state(self, what: str, state: str, detail: str) -> None:
        if what == "ice":
            self.states.append(state)

    def text(self, setup: sdp.Setup) -> str:
        t = self.transport
        here = tuple(c for c in t.candidates if c.address == "127.0.0.1")
        local = sdp.Local(t.ice_ufrag, t.ice_pwd, here, t.fingerprint, 1, "x", setup)
        return sdp.build_offer(local, sdp.offered_formats(["OPUS"]))

    async def live(self) -> None:
        """Call `tick` as the plane does."""
        for number in itertools.count():
            await asyncio.sleep(0.02)
            self.transport.poll(time.monotonic())
            self.transport.send(rtp(number))


class Talker(Peer):
    """A peer that sends a tone and plays what it receives."""

    def __init__(self, config: TransportConfig, codec: Codec) -> None:
        super().__init__(config)
        self.stream = AudioStream(clock=time.monotonic)
        self.stream.configure(codec, [codec], {})
        self.stream.source = Tone(300)
        self.round_trips: set[float] = set()

    def _rtp(self, data: bytes, now: float) -> None:
        (self.stream.receive_rtp if is_rtp(data) else self.stream.receive_rtcp)(data, now)

    async def live(self) -> None:
        due = time.monotonic()
        while True:
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.transport.poll(time.monotonic())
            for packet in self.stream.tick(time.monotonic()):
                self.transport.send(packet)
            self.round_trips.add(self.stream.counters().rtt_s)


class Call:
    def __init__(self, path: Path, config: TransportConfig, peer: Callable[..., Any] = Peer) -> None:
        self.path = path
        self.peers = (peer(config), peer(config))

    async def start(self) -> None:
        await self.path.open()
        caller, callee = self.peers
        await caller.transport.gather(controlling=True)
        await callee.transport.gather(controlling=False)
        offer = sdp.parse(self.path.seen_from(1, caller.text("actpass")))
        answer = sdp.parse(self.path.seen_from(0, callee.text("active")), "answer")
        callee.transport.connect(offer, dtls_client=True)
        caller.transport.connect(answer, dtls_client=False)
        await until(lambda: {p.transport.dtls_state for p in self.peers} == {"connected"}, timeout_s=25)
        self._living = [asyncio.create_task(p.live()) for p in self.peers]

    async def stop(self) -> None:
        for task in self._living:
            task.cancel()
        await asyncio.gather(*self._living, return_exceptions=True)
        await asyncio.gather(*(p.transport.close() for p in self.peers))
        self.path.close()


@pytest.fixture
async def calls() -> AsyncIterator[Callable[..., Any]]:
    made: list[Call] = []

    async def make(delay_s: float = 0.0, peer: Callable[..., Any] = Peer, **limits: float) -> Call:
        config = replace(TransportConfig(loopback_candidates=True), **limits)
        call = Call(Path(delay_s), config, peer)
        made.append(call)
        await call.start()
        return call

    yield make
    for call in made:
        await call.stop()


async def test_a_round_trip_of_2_seconds_keeps_its_consent(calls: Callable[..., Any]) -> None:
    call = await calls(delay_s=1.0)
    connections = [p.transport._current for p in call.peers]
    await until(lambda: all(c.consent.responses >= 2 for c in connections), timeout_s=20)
    for peer, connection in zip(call.peers, connections, strict=True):
        assert peer.states == ["checking", "connected"]
        assert connection.consent.round_trip_time_s == pytest.approx(2.0, abs=0.3)
        assert peer.heard > 50


async def test_an_outage_is_disconnected_and_then_connected_again(calls: Callable[..., Any]) -> None:
    call = await calls(disconnected_after_s=1.0, failed_after_s=6.0)
    call.path.dark = True
    dark_since = time.monotonic()
    await until(lambda: all(p.states[-1] == "disconnected" for p in call.peers), timeout_s=3)
    assert time.monotonic() - dark_since > 0.8
    heard = [p.heard for p in call.peers]
    call.path.dark = False
    await until(lambda: all(p.states[-1] == "connected" for p in call.peers), timeout_s=2)
    await until(
        lambda: all(p.heard > before + 15 for p, before in zip(call.peers, heard, strict=True)), timeout_s=1
    )
    assert {p.transport.dtls_state for p in call.peers} == {"connected"}


async def test_a_path_that_stays_dark_has_failed_and_sends_no_more(calls: Callable[..., Any]) -> None:
    call = await calls(disconnected_after_s=0.5, failed_after_s=1.5)
    call.path.dark = True
    await until(lambda: all(p.states[-1] == "failed" for p in call.peers), timeout_s=4)
    for peer in call.peers:
        assert peer.states == ["checking", "connected", "disconnected", "failed"]
        assert peer.transport.send(rtp(1)) is False


async def test_strangers_do_not_keep_a_dark_path_alive(calls: Callable[..., Any]) -> None:
    call = await calls(disconnected_after_s=0.5, failed_after_s=5.0)
    call.path.dark = True
    port = next(c.port for c in call.peers[0].transport.candidates if c.address == "127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(40):
            for packet in (rtp(5) + bytes(40), bytes.fromhex("000100002112a442") + bytes(12), b"\x16" * 30):
                stranger.sendto(packet, ("127.0.0.1", port))
            await asyncio.sleep(0.03)
    assert call.peers[0].states[-1] == "disconnected"


async def lose_every_tenth(call: Call) -> None:
    """Drop single RTP packets, once both have received some: what is lost before the first is not known."""
    await until(lambda: all(p.stream.counters().packets_received > 5 for p in call.peers))
    call.path.loses = lambda packet: struct.unpack_from("!H", packet, 2)[0] % 10 == 0


@pytest.mark.parametrize("codec", [Codec("OPUS", 111, 48_000), Codec("PCMU", 0, 8_000)], ids=["opus", "pcmu"])
async def test_losses_are_those_of_the_path_and_each_is_replaced(
    calls: Callable[..., Any], codec: Codec
) -> None:
    call = await calls(delay_s=0.05, peer=lambda config: Talker(config, codec))
    one, other = call.peers
    await lose_every_tenth(call)
    await until(lambda: call.path.dropped[0] >= 25 and len(other.round_trips) >= 4, timeout_s=20)
    call.path.loses = lambda packet: False
    received = other.stream.counters().packets_received
    await until(lambda: other.stream.counters().packets_received > received + 15)
    counters = other.stream.counters()
    assert counters.packets_lost == call.path.dropped[0]
    assert counters.packets_expected == counters.packets_received + counters.packets_lost
    assert counters.packets_discarded >= counters.packets_late
    replaced = counters.packets_recovered + counters.concealed_samples / (codec.clock_rate // 50)
    assert replaced >= counters.packets_lost
    most = counters.fec_packets_received if codec.name == "OPUS" else 0  # G.711 has no redundancy
    assert counters.packets_recovered <= most
    round_trips_s = [rtt for rtt in one.round_trips | other.round_trips if rtt == rtt]
    assert min(round_trips_s) >= 0.0995


async def test_fec_recovers_most_single_losses_of_speech(calls: Callable[..., Any]) -> None:
    codec = Codec("OPUS", 111, 48_000)
    call = await calls(delay_s=0.05, peer=lambda config: Talker(config, codec))
    one, other = call.peers
    one.stream.source = AudioFile(speech_path(), loop=True)
    await lose_every_tenth(call)
    await until(lambda: call.path.dropped[0] >= 50, timeout_s=20)
    call.path.loses = lambda packet: False
    received = other.stream.counters().packets_received
    await until(lambda: other.stream.counters().packets_received > received + 15)
    counters = other.stream.counters()
    assert counters.packets_lost == call.path.dropped[0]
    assert counters.packets_recovered > 0.5 * counters.packets_lost
