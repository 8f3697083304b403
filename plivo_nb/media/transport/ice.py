"""ICE (RFC 8445) by aioice, with additions; the only module that uses aioice's private names.

Work-arounds for aioice 0.13, with the condition for their removal:

- Loopback is never a candidate, the gathering time-out is fixed at 5 s, DSCP cannot be set:
  `IceConnection.get_component_candidates` replaces aioice's. Until https://github.com/aiortc/aioice/issues/2
  lets addresses be chosen, and the time-out can be set.
- A consent check is sent once and times out after 0.5 s, so calls with a longer round trip end after 30 s:
  `IceConnection.query_consent`. Until https://github.com/aiortc/aioice/issues/58.
- Checks of a second peer that answered the same offer are refused, and that peer's ICE fails:
  `IceConnection._valid_username`. As long as aioice asks for more than RFC 8445 section 7.3.
- Each address that the other side checks from becomes a candidate, without limit:
  `IceConnection.check_incoming`. Until aioice limits its remote candidates.
- Each datagram is tried as STUN and then waits in a queue for a task: `_MediaSocket` and `data_received`
  pass it on at once, and `socket_reader` reads it. As long as RTP is processed here.
- Closing waits half a minute for a TURN server that does not answer: `IceConnection.close` has a time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from aioice import Candidate, Connection, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import CandidatePair, StunProtocol
from aiortc.rtcicetransport import parse_stun_turn_uri

from plivo_nb.media import sdp
from plivo_nb.media.transport.socket_reader import SocketReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_logger = logging.getLogger("plivo_nb.media.transport.ice")

_EXPEDITED_FORWARDING = 46 << 2  # RFC 3246, as the byte of the IP header
_CONSENT_INTERVAL_S = (
    2.5  # RFC 7675 says 5 s; browsers ask more often too, and outages are reported after 5 s
)
_CONSENT_RETRANSMISSIONS = 2  # waits of 0.5, 1 and 2 s: round trips up to 3.5 s are tolerated
_CLOSE_S = 0.4
_CLOSE_TASK = "_TurnTransport__close_task"
_TURN_LIFETIME_S, _TURN_CHANNEL_S = 600, 500
_HIDDEN = ("0.0.0.0", 0)


class IceServer(Protocol):
    """One STUN or TURN server, as `plivo_nb.plane.wire.IceServer`."""

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs: ``stun:host:port``, ``turn:host:port?transport=tcp`` or ``turns:host``."""

    @property
    def username(self) -> str | None:
        """For TURN only."""

    @property
    def credential(self) -> str | None:
        """For TURN only."""


@dataclass(frozen=True, slots=True)
class IceConfig:
    """Settings of the gathering of candidates.

    With `relay_only` there are those of TURN servers only (RFC 9429 section 3.5.3).
    """

    ice_servers: Sequence[IceServer] = ()
    relay_only: bool = False
    gathering_timeout_s: float = 2.0
    loopback_candidates: bool = False
    dscp: bool = True


@dataclass(slots=True)
class ConsentCounters:
    """The consent checks of a connection (W3C candidate-pair statistics)."""

    requests: int = 0
    responses: int = 0
    round_trip_time_s: float | None = None
    total_round_trip_time_s: float = 0.0


class _MediaSocket(StunProtocol):
    """A media socket, which parses a datagram as STUN only if its first byte says so (RFC 7983)."""

    receiver: IceConnection
    #: The socket, if it is our own; None for a relay.
    sock: socket.socket | None = None

    def datagram_received(self, data: Any, addr: tuple[Any, ...]) -> None:
        if not data:
            return
        if data[0] > 3:
            self.receiver.on_data(data)
            return
        try:
            super().datagram_received(data, addr)
        except Exception as error:
            # aioice's parser raises many types, and anyone can send a datagram.
            _logger.debug("A STUN message from %s is dropped: %r", addr, error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.sock is not None:
            SocketReader.of(asyncio.get_running_loop()).remove(self.sock)
        super().connection_lost(exc)


class _MarkedTurnUdp(turn.TurnClientUdpProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _mark(transport.get_extra_info("socket"))
        super().connection_made(transport)


class _MarkedTurnTcp(turn.TurnClientTcpProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _mark(transport.get_extra_info("socket"))
        super().connection_made(transport)


class IceConnection(Connection):
    """aioice's connection with other gathering and consent checks, and without a queue for received data.

    Args:
        config: how to gather.
        controlling: our role (RFC 8445 section 6.1.1), True for the offerer.
        on_data: called with each datagram that is not STUN.
        on_received: called at each check of the other side and each response to ours.
        credentials: our user fragment and password; by default random.
    """

    def __init__(
        self,
        config: IceConfig,
        controlling: bool,
        on_data: Callable[[bytes], None],
        on_received: Callable[[IceConnection], None],
        credentials: tuple[str, str] | None = None,
    ) -> None:
        ufrag, pwd = credentials or (None, None)
        super().__init__(ice_controlling=controlling, local_username=ufrag, local_password=pwd)
        self.timed_out = False
        self.consent = ConsentCounters()
        #: Set once the other side has checked one of our candidates.
        self.asked = asyncio.Event()
        #: How many checks came from addresses beyond the limit of candidates.
        self.ignored_checks = 0
        self._config = config
        self.on_data = on_data
        self._on_received = on_received
        self._path: tuple[CandidatePair, tuple[str, int]] | None = None  # a pair and its remote address
        self._relays: list[turn.TurnTransport] = []

    def successor(self) -> IceConnection:
        """Return a connection for another peer that answers our description; it takes over our sockets."""
        made = IceConnection(
            self._config,
            self.ice_controlling,
            self.on_data,
            self._on_received,
            (self.local_username, self.local_password),
        )
        made._protocols, self._protocols = self._protocols, []
        for protocol in made._protocols:
            protocol.receiver = made
        made._relays, self._relays = self._relays, []
        made._local_candidates, self._local_candidates = self._local_candidates, []
        made._local_candidates_start = made._local_candidates_end = True
        return made

    @property
    def pair(self) -> CandidatePair | None:
        """The candidate pair in use, or None."""
        return self._nominated.get(1)

    async def reach(self, remote: sdp.SessionDescription) -> None:
        """Check the pairs with the other side's candidates until one works.

        mDNS names are not resolved: such a peer's own checks show its address. If there are only names, the
        end of candidates is not signalled, to wait for these checks.
        """
        self.ice_controlling = self.ice_controlling or remote.ice_lite
        self.remote_is_lite = remote.ice_lite
        self.remote_username, self.remote_password = remote.ice_ufrag, remote.ice_pwd
        usable = [
            c
            for c in remote.candidates
            if c.component == 1 and c.protocol == "udp" and sdp.is_address(c.address)
        ]
        for candidate in usable:
            await self.add_remote_candidate(_to_aioice(candidate))
        if usable:
            await self.add_remote_candidate(None)
        await self.connect()

    def data_received(self, data: bytes, component: int) -> None:
        self.on_data(data)

    def send_packet(self, data: bytes) -> bool:
        """Send a media packet over the pair in use, directly to the socket if possible.

        If the socket is busy, asyncio's transport queues or drops the packet.

        Returns:
            False while there is no pair.
        """
        pair = self._nominated.get(1)
        if pair is None:
            return False
        path = self._path
        if path is None or path[0] is not pair:
            path = self._path = (pair, pair.remote_addr)
        address = path[1]
        protocol: Any = pair.protocol
        sock = protocol.sock
        if sock is not None:
            try:
                sock.sendto(data, address)
            except OSError:
                pass
            else:
                return True
        protocol.transport.sendto(data, address)
        return True

    def request_received(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        self.asked.set()
        super().request_received(message, addr, protocol)

    def _valid_username(self, username: str) -> bool:
        # Accept any peer with our description: in a forked call several have it, and none may fail
        # (RFC 8445 section 7.3 requires our part of the name only).
        return username.partition(":")[0] == self.local_username

    def check_incoming(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        self._on_received(self)  # here the message is authenticated
        if len(self._remote_candidates) >= sdp.MAX_CANDIDATES and not self._knows(addr):
            self.ignored_checks += 1
            if self.ignored_checks == 1:
                _logger.warning(
                    "The other side checks from more than %d addresses; the others are ignored.",
                    sdp.MAX_CANDIDATES,
                )
            return
        super().check_incoming(message, addr, protocol)

    def _knows(self, addr: tuple[str, int]) -> bool:
        return any((c._network_host, c.port) == addr for c in self._remote_candidates)

    async def query_consent(self) -> None:
        """Send consent checks (RFC 7675) until closed; `Transport.poll` detects missing responses."""
        consent = self.consent
        while True:
            await asyncio.sleep(_CONSENT_INTERVAL_S * random.uniform(0.8, 1.2))
            pair = self.pair
            if pair is None or self.remote_password is None:
                continue
            consent.requests += 1
            started = time.monotonic()
            with contextlib.suppress(stun.TransactionError):
                await pair.protocol.request(
                    self.build_request(pair, nominate=False),
                    pair.remote_addr,
                    integrity_key=self.remote_password.encode(),
                    retransmissions=_CONSENT_RETRANSMISSIONS,
                )
                consent.responses += 1
                consent.round_trip_time_s = time.monotonic() - started
                consent.total_round_trip_time_s += consent.round_trip_time_s
                self._on_received(self)

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[Candidate]:
        config = self._config
        if config.relay_only:
            addresses = []
        elif config.loopback_candidates:
            addresses = [*addresses, "127.0.0.1"]
        hosts = [protocol for address in addresses if (protocol := await self._bind(address)) is not None]
        self._protocols += hosts
        found = [protocol.local_candidate for protocol in hosts]
        tasks = [asyncio.ensure_future(work) for work in self._ask_servers(hosts)]
        if tasks:
            try:
                done, pending = await asyncio.wait(tasks, timeout=config.gathering_timeout_s)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            self.timed_out = bool(pending)
            for task in done:
                if task.exception() is None:
                    found.append(task.result())
                else:
                    _logger.warning("An ICE server returned no candidate: %s", task.exception())
        return found

    async def close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await super().close()
        except TimeoutError:
            # The TURN server does not answer; its allocation expires. The relay's private task would continue
            # to ask it; when cancelled, it closes its socket (aioice's TurnTransport._close).
            tasks = [task for relay in self._relays if (task := getattr(relay, _CLOSE_TASK)) is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _bind(self, address: str) -> _MediaSocket | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE)
            if self._config.dscp:
                _mark(sock)
            sock.bind((address, 0))
        except OSError as error:
            sock.close()
            _logger.debug("No candidate at %s: %s", address, error)
            return None
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: _MediaSocket(self), sock=sock)
        _read_small(transport)
        protocol.sock = sock
        SocketReader.of(loop).add(sock, protocol)
        protocol.local_candidate = _local_candidate("host", *sock.getsockname()[:2])
        return protocol

    def _ask_servers(self, hosts: Sequence[_MediaSocket]) -> list[Any]:
        """Return the tasks for at most one STUN and one TURN server; log a warning about the others."""
        work: list[Any] = []
        seen: set[str] = set()
        for server in self._config.ice_servers:
            for url in server.urls:
                try:
                    parsed = parse_stun_turn_uri(url)
                except ValueError:
                    _logger.warning("%r is not the URL of a STUN or TURN server; it is ignored.", url)
                    continue
                kind = str(parsed["scheme"])[:4]
                if kind in seen or parsed["scheme"] == "stuns":
                    _logger.warning("%s is ignored: at most one STUN and one TURN server are used.", url)
                    continue
                seen.add(kind)
                if kind == "stun":
                    v4 = [p for p in hosts if ipaddress.ip_address(p.local_candidate.host).version == 4]
                    work += [self._reflexive(p, parsed["host"], parsed["port"]) for p in v4]
                else:
                    work.append(self._relayed(parsed, server))
        if self._config.relay_only and not work:
            _logger.warning("There is no way for media: 'relay' needs a TURN server, and none was given.")
        return work

    async def _reflexive(self, protocol: _MediaSocket, host: str, port: int) -> Candidate:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        response, _ = await protocol.request(request, cast("tuple[str, int]", infos[0][4]))
        base = protocol.local_candidate
        address, mapped_port = response.attributes["XOR-MAPPED-ADDRESS"]
        return _local_candidate("srflx", address, mapped_port, base.host, base.port)

    async def _relayed(self, parsed: dict[str, Any], server: IceServer) -> Candidate:
        loop = asyncio.get_running_loop()
        address = (str(parsed["host"]), int(parsed["port"]))
        tcp = parsed["transport"] == "tcp"
        kind = _turn_class(tcp, self._config.dscp)
        inner = kind(address, server.username, server.credential, _TURN_LIFETIME_S, _TURN_CHANNEL_S)
        outer: asyncio.BaseTransport
        if tcp:
            secure = True if parsed["scheme"] == "turns" else None
            outer, _ = await loop.create_connection(lambda: cast(Any, inner), *address, ssl=secure)
        else:
            outer, _ = await loop.create_datagram_endpoint(lambda: cast(Any, inner), remote_addr=address)
            _read_small(outer)
        protocol = _MediaSocket(self)
        relay = turn.TurnTransport(inner)
        try:
            await relay._connect(protocol)
        except BaseException:
            outer.close()
            raise
        self._relays.append(relay)
        related = relay.get_extra_info("related_address")
        if self._config.relay_only:
            related = _HIDDEN  # the other side is not told an address of ours
        protocol.local_candidate = _local_candidate("relay", *relay.get_extra_info("sockname"), *related)
        self._protocols.append(protocol)
        return protocol.local_candidate


def _turn_class(tcp: bool, marked: bool) -> Callable[..., turn.TurnClientProtocol]:
    if tcp:
        return _MarkedTurnTcp if marked else turn.TurnClientTcpProtocol
    return _MarkedTurnUdp if marked else turn.TurnClientUdpProtocol


def _read_small(transport: Any) -> None:
    """Read into a buffer of one datagram; asyncio allocates 256 KiB for each, which takes 17 us a packet."""
    if hasattr(transport, "max_size"):  # not on uvloop, which has one buffer for all
        transport.max_size = 65_536


def _mark(sock: Any) -> None:
    """Mark all packets of this socket as Expedited Forwarding (RFC 3246, RFC 8837)."""
    with contextlib.suppress(OSError, AttributeError):  # not every system has IPV6_TCLASS
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED_FORWARDING)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING)


def _local_candidate(
    kind: str, address: str, port: int, related: str | None = None, related_port: int | None = None
) -> Candidate:
    return Candidate(
        foundation=candidate_foundation(kind, "udp", related or address),
        component=1,
        transport="udp",
        priority=candidate_priority(1, kind),
        host=address,
        port=port,
        type=kind,
        related_address=related,
        related_port=related_port,
    )


def described(c: Candidate) -> sdp.Candidate:
    """Convert a candidate from aioice to SDP."""
    return sdp.Candidate(
        c.foundation,
        c.component,
        c.transport,
        c.priority,
        c.host,
        c.port,
        c.type,
        c.related_address,
        c.related_port,
    )


def _to_aioice(c: sdp.Candidate) -> Candidate:
    return Candidate(
        c.foundation,
        c.component,
        c.protocol,
        c.priority,
        c.address,
        c.port,
        c.type,
        c.related_address,
        c.related_port,
    )
