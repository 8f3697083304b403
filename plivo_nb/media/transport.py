"""ICE and DTLS-SRTP for one RTP session: the only file that touches aioice's and aiortc's private side.

`Transport` gives bytes in and out; RTP and RTCP arrive decrypted and unparsed, so that our own parsers do
the work.
What of the two libraries is worked around here, and until when (aiortc 1.16, aioice 0.13):

- Loopback is never a candidate, the gathering time-out is fixed at 5 s, sockets cannot be marked (DSCP):
  `_Connection.get_component_candidates` replaces theirs. Until https://github.com/aiortc/aioice/issues/2
  gives a choice of addresses, and the time-out can be set.
- A consent check is sent once and waits 0.5 s, so that calls with a longer round trip die after 30 s:
  `_Connection.query_consent`. Until https://github.com/aiortc/aioice/issues/58.
- No ICE restart, no state 'disconnected': `_Switch` stands where RTCDtlsTransport wants an RTCIceTransport,
  and the connection beneath it can be exchanged. Until https://github.com/aiortc/aiortc/issues/211.
- RTP costs a queue, a task switch and a second parse for each packet: `Transport._datagram` decrypts in the
  socket's callback. As long as RTP is our own.
- A refused certificate is only logged: `_Dtls` keeps the reason.
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

import pylibsrtp
from aioice import Candidate as IceCandidate
from aioice import ice, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import State
from aiortc.rtcicetransport import parse_stun_turn_uri

from plivo_nb.media import sdp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_logger = logging.getLogger("plivo_nb.media.transport")

_EXPEDITED_FORWARDING = 46 << 2  # RFC 3246, as the byte of the IP header
_CONSENT_INTERVAL_S = 2.5  # RFC 7675 says 5; browsers, and who wants to see an outage in 5 s, ask more often
_CONSENT_RETRANSMISSIONS = 2  # waits 0.5 + 1 + 2 s in all: a round trip of 3.5 s is tolerated
_OVERLAP_S = 1.0  # how long the old path is listened to after an ICE restart
_CLOSE_S = 0.4
_TURN_LIFETIME_S, _TURN_CHANNEL_S = 600, 500


class IceServer(Protocol):
    """One STUN or TURN server, as wire.IceServer has it."""

    @property
    def urls(self) -> tuple[str, ...]:
        """``stun:host:port``, ``turn:host:port?transport=tcp``, ``turns:host``."""

    @property
    def username(self) -> str | None:
        """TURN only."""

    @property
    def credential(self) -> str | None:
        """TURN only."""


@dataclass(frozen=True, slots=True)
class TransportConfig:
    """How a transport finds its way.

    `disconnected_after_s` and `failed_after_s` count from the last packet heard; `connect_timeout_s` bounds
    the ICE checks, and again the DTLS handshake.
    """

    ice_servers: Sequence[IceServer] = ()
    gathering_timeout_s: float = 2.0
    loopback_candidates: bool = False
    dscp: bool = True
    disconnected_after_s: float = 5.0
    failed_after_s: float = 30.0
    connect_timeout_s: float = 30.0


@dataclass(slots=True)
class PathCounters:
    """What went through since the start (W3C transport and candidate-pair statistics)."""

    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    srtp_errors: int = 0
    consent_requests: int = 0
    consent_responses: int = 0
    round_trip_time_s: float | None = None
    total_round_trip_time_s: float = 0.0


class Transport:
    """One ICE and DTLS-SRTP transport. Made, used and closed on one event loop.

    Args:
        config: where and how to gather.
        on_rtp, on_rtcp: called with (decrypted packet, time.monotonic() seconds), in the socket's callback.
        on_state: called with (what, state, detail): ``ice`` checking, connected, disconnected, failed,
            closed; ``dtls`` connecting, connected, failed, closed; ``gathering`` complete, timeout.
    """

    def __init__(
        self,
        config: TransportConfig,
        *,
        on_rtp: Callable[[bytes, float], None],
        on_rtcp: Callable[[bytes, float], None],
        on_state: Callable[[str, str, str], None],
    ) -> None:
        self.config = config
        self.counters = PathCounters()
        self.ice_state = "new"
        self._on_rtp, self._on_rtcp, self._on_state = on_rtp, on_rtcp, on_state
        self._certificate = RTCCertificate.generateCertificate()
        self._switch = _Switch()
        self._dtls = _Dtls(self._switch, self._certificate, self._dtls_changed)
        self._current: _Connection | None = None
        self._next: _Connection | None = None  # gathered, not yet connecting
        self._latest: _Connection | None = None  # the one our description speaks of
        self._tasks: set[asyncio.Task[None]] = set()
        self._remote: sdp.SessionDescription | None = None
        self._heard_at = 0.0
        self._closed = False

    # ------------------------------------------------------------ our side

    @property
    def dtls_state(self) -> str:
        """new, connecting, connected, closed or failed."""
        return self._dtls.state

    @property
    def fingerprint(self) -> tuple[str, str]:
        """(hash name, value) of our certificate."""
        first = self._certificate.getFingerprints()[0]
        return first.algorithm, first.value

    @property
    def ice_ufrag(self) -> str:
        """Our user fragment; of the restart, once that is gathered."""
        return self._gathered.local_username

    @property
    def ice_pwd(self) -> str:
        """Our password; of the restart, once that is gathered."""
        return self._gathered.local_password

    @property
    def candidates(self) -> tuple[sdp.Candidate, ...]:
        """What was gathered, best first."""
        found = [_from_aioice(c) for c in self._gathered.local_candidates]
        return tuple(sorted(found, key=lambda c: -c.priority))

    @property
    def _gathered(self) -> _Connection:
        if self._latest is None:
            raise RuntimeError("gather() comes first")
        return self._latest

    async def gather(self, *, controlling: bool, restart: bool = False) -> None:
        """Find our candidates, within the configured time; what was found until then is used.

        `restart` makes new ICE credentials and sockets for the next `connect`, while the present path goes on
        (RFC 8445 section 9). Without it, a second call does nothing. `controlling`: our ICE role, True for the
        offerer; it is needed now, for the other side's checks may come before its answer.
        """
        if self._next is not None and restart:
            await self._next.close()
            self._next = None
        if self._latest is not None and not restart:
            return
        connection = self._next = self._latest = _Connection(self, controlling)
        await connection.gather_candidates()
        if connection.timed_out:
            limit = self.config.gathering_timeout_s
            self._on_state(
                "gathering", "timeout", f"A STUN or TURN server did not answer within {limit:g} s."
            )
        self._on_state("gathering", "complete", "")

    async def abandon_restart(self) -> None:
        """Forget a restart that was gathered and came to nothing: the present path is described again."""
        if self._next is not None and self._current is not None:
            await self._next.close()
            self._next, self._latest = None, self._current

    def restarted_by(self, remote: sdp.SessionDescription) -> bool:
        """Whether this description starts ICE anew (RFC 8839 section 4.4.1.1.1): ours must follow."""
        known = self._remote
        return known is not None and (known.ice_ufrag, known.ice_pwd) != (remote.ice_ufrag, remote.ice_pwd)

    # ------------------------------------------------------------ connecting

    def connect(self, remote: sdp.SessionDescription, *, dtls_client: bool) -> None:
        """Go for the other side. Returns at once; `on_state` tells the rest.

        Called again with a description that changes nothing of ICE it does nothing; after
        `gather(restart=True)` it goes over to a new path as soon as that works; the DTLS association stays.

        Args:
            remote: the other side's description.
            dtls_client: whether we send the first DTLS message (our a=setup is active).

        Raises:
            IncompatibleSDP: the certificate's fingerprint is another one than before.
        """
        known = self._remote
        if known is not None and known.fingerprints != remote.fingerprints:
            raise sdp.IncompatibleSDP("The other side changed its certificate during the call.")
        if self._next is None or self._closed:
            return
        if known is not None and not self.restarted_by(remote):
            # The peer does not know ICE restarts (stock aiortc does not): the present path is what there is.
            self._spawn(self._retire(self._next, 0.0))
            self._next, self._latest = None, self._current
            return
        connection, self._next, self._remote = self._next, None, remote
        self._spawn(self._establish(connection, remote, dtls_client))

    async def _establish(
        self, connection: _Connection, remote: sdp.SessionDescription, dtls_client: bool
    ) -> None:
        if self.ice_state != "connected":
            self._set_ice("checking")
        first = self._current is None
        if first:
            self._current = connection
        try:
            async with asyncio.timeout(self.config.connect_timeout_s):
                await connection.reach(remote)
        except (ConnectionError, TimeoutError):
            if first:
                self._set_ice("failed", "No path to the other side was found: no ICE candidate pair works.")
            else:
                _logger.warning("An ICE restart failed; the former path is kept.")
                await connection.close()
            return
        if not first and self._current is not None:
            self._spawn(self._retire(self._current, _OVERLAP_S))
        self._current = self._switch.connection = connection
        self.heard()
        self._set_ice("connected", "" if first else "ICE restarted")
        if self._dtls.state == "new":
            await self._handshake(remote, dtls_client)

    async def _handshake(self, remote: sdp.SessionDescription, client: bool) -> None:
        self._dtls._set_role("client" if client else "server")
        prints = [RTCDtlsFingerprint(algorithm=name, value=value) for name, value in remote.fingerprints]
        try:
            async with asyncio.timeout(self.config.connect_timeout_s):
                await self._dtls.start(RTCDtlsParameters(fingerprints=prints))
        except TimeoutError:
            self._dtls.reason = "The other side did not answer the DTLS handshake."
            self._dtls._set_state(State.FAILED)

    def _dtls_changed(self, state: str, detail: str) -> None:
        self._on_state("dtls", state, detail)

    def _set_ice(self, state: str, detail: str = "") -> None:
        if state != self.ice_state or detail:
            self.ice_state = state
            self._on_state("ice", state, detail)

    # ------------------------------------------------------------ packets

    def send(self, data: bytes) -> bool:
        """Protect and send one RTP or RTCP packet; False where there is no path (yet, or any more)."""
        connection, session = self._current, self._dtls._tx_srtp
        if connection is None or session is None or self._dtls._state is not State.CONNECTED:
            return False
        pair = connection._nominated.get(1)
        if pair is None or self.ice_state == "failed":
            return False
        try:
            packet = session.protect_rtcp(data) if 192 <= data[1] <= 223 else session.protect(data)
        except pylibsrtp.Error:
            self.counters.srtp_errors += 1
            return False
        pair.protocol.transport.sendto(packet, pair.remote_addr)
        self.counters.packets_sent += 1
        self.counters.bytes_sent += len(packet)
        return True

    def _datagram(self, data: bytes) -> None:
        """One datagram that is not STUN (RFC 7983: 128-191 is RTP and RTCP, 20-63 DTLS)."""
        now = self._heard_at = time.monotonic()
        self.counters.packets_received += 1
        self.counters.bytes_received += len(data)
        first = data[0]
        if 19 < first < 64:
            self._switch.deliver(data)
            return
        session = self._dtls._rx_srtp
        if session is None or not 127 < first < 192 or len(data) < 8:
            return
        try:
            if 192 <= data[1] <= 223:  # RFC 5761 section 4
                self._on_rtcp(session.unprotect_rtcp(data), now)
            else:
                self._on_rtp(session.unprotect(data), now)
        except pylibsrtp.Error:
            self.counters.srtp_errors += 1

    def heard(self) -> None:
        """Note that the other side is there."""
        self._heard_at = time.monotonic()

    def poll(self, now: float) -> None:
        """Notice outages and recovery; to be called a few times a second."""
        if self.ice_state not in ("connected", "disconnected", "failed") or not self._heard_at:
            return
        silent = now - self._heard_at
        if silent >= self.config.failed_after_s:
            self._set_ice("failed", "" if self.ice_state == "failed" else _silence(silent))
        elif silent >= self.config.disconnected_after_s:
            if self.ice_state == "connected":
                self._set_ice("disconnected", _silence(silent))
        elif self.ice_state != "connected":
            self._set_ice("connected", "The other side is heard again.")

    # ------------------------------------------------------------ the end

    async def close(self) -> None:
        """Tell the other side (DTLS close_notify), close all sockets, end all tasks; in 0.5 s at most."""
        if self._closed:
            return
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        pump = self._dtls._task
        with contextlib.suppress(ConnectionError):
            await self._dtls.stop()
        self._switch.close()
        if pump is not None:
            await asyncio.gather(pump, return_exceptions=True)
        connections = [c for c in (self._current, self._next) if c is not None]
        await asyncio.gather(*(c.close() for c in connections))
        self._current = self._next = self._switch.connection = None
        self._set_ice("closed")

    async def _retire(self, connection: _Connection, after_s: float) -> None:
        try:
            await asyncio.sleep(after_s)
        finally:
            await connection.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("The transport failed.", exc_info=task.exception())
            self._set_ice("failed", f"The transport failed: {task.exception()!r}.")

    # ------------------------------------------------------------ statistics

    def stats(self) -> dict[str, dict[str, Any]]:
        """W3C webrtc-stats of the transport, its selected candidate pair and that pair's candidates."""
        counters = self.counters
        shared = {
            "packetsSent": counters.packets_sent,
            "packetsReceived": counters.packets_received,
            "bytesSent": counters.bytes_sent,
            "bytesReceived": counters.bytes_received,
        }
        report: dict[str, dict[str, Any]] = {
            "transport": {
                "type": "transport",
                "dtlsState": self.dtls_state,
                "dtlsRole": self._dtls._role if self._dtls._role != "auto" else "unknown",
                "iceState": self.ice_state,
                **shared,
            }
        }
        connection = self._current
        if connection is None:
            return report
        report["transport"]["iceRole"] = "controlling" if connection.ice_controlling else "controlled"
        report["transport"]["iceLocalUsernameFragment"] = connection.local_username
        pair = connection._nominated.get(1)
        if pair is None:
            return report
        report["transport"]["selectedCandidatePairId"] = "candidate-pair"
        report["candidate-pair"] = {
            "type": "candidate-pair",
            "transportId": "transport",
            "localCandidateId": "local-candidate",
            "remoteCandidateId": "remote-candidate",
            "state": "succeeded",
            "nominated": True,
            "requestsSent": counters.consent_requests,
            "responsesReceived": counters.consent_responses,
            "totalRoundTripTime": counters.total_round_trip_time_s,
            **shared,
        }
        if counters.round_trip_time_s is not None:
            report["candidate-pair"]["currentRoundTripTime"] = counters.round_trip_time_s
        for name, candidate in (("local", pair.local_candidate), ("remote", pair.remote_candidate)):
            report[f"{name}-candidate"] = {
                "type": f"{name}-candidate",
                "transportId": "transport",
                "address": candidate.host,
                "port": candidate.port,
                "protocol": candidate.transport.lower(),
                "candidateType": candidate.type,
                "priority": candidate.priority,
                "foundation": candidate.foundation,
            }
        return report


def _silence(seconds: float) -> str:
    return f"Nothing was heard from the other side for {seconds:.0f} s."


class _Switch:
    """Stands where RTCDtlsTransport wants an RTCIceTransport; the connection beneath it can be exchanged."""

    role = "controlled"  # asked only where the DTLS role is left open; ours never is

    def __init__(self) -> None:
        self.connection: _Connection | None = None
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def deliver(self, data: bytes) -> None:
        self._queue.put_nowait(data)

    def close(self) -> None:
        self._queue.put_nowait(None)

    async def _recv(self) -> bytes:
        data = await self._queue.get()
        if data is None:
            raise ConnectionError("the transport is closed")
        return data

    async def _send(self, data: bytes) -> None:
        if self.connection is None:
            raise ConnectionError("there is no path")
        await self.connection.send(data)


class _Dtls(RTCDtlsTransport):
    """RTCDtlsTransport for its handshake and its keys; keeps a sentence for what went wrong."""

    def __init__(
        self, switch: _Switch, certificate: RTCCertificate, changed: Callable[[str, str], None]
    ) -> None:
        super().__init__(cast(Any, switch), [certificate])
        self._changed = changed
        self.reason = ""

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        self.reason = (
            "The other side's certificate does not match the fingerprint of its SDP: "
            "the audio might go to somebody else, so the call is not connected."
        )
        super()._validate_peer_identity(remoteParameters)
        if self._state is not State.FAILED:
            self.reason = ""

    def _set_state(self, state: State) -> None:
        before = self._state
        super()._set_state(state)
        if state is before:
            return
        detail = ""
        if state is State.FAILED:
            detail = self.reason or "The DTLS handshake with the other side failed."
        elif state is State.CLOSED:
            detail = self.reason or "The DTLS association is closed."
        self._changed(self.state, detail)


class _Protocol(ice.StunProtocol):
    """A media socket. What is not STUN by its first byte (RFC 7983) is not tried as STUN."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if data and cast(bytes, data)[0] > 3:
            self.receiver.data_received(cast(bytes, data), 1)
        else:
            super().datagram_received(data, addr)


class _MarkedTurnUdp(turn.TurnClientUdpProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _mark(transport.get_extra_info("socket"))
        super().connection_made(transport)


class _MarkedTurnTcp(turn.TurnClientTcpProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _mark(transport.get_extra_info("socket"))
        super().connection_made(transport)


class _Connection(ice.Connection):
    """aioice's connection with our gathering, our consent checks, and its data handed on without a queue."""

    def __init__(self, owner: Transport, controlling: bool) -> None:
        super().__init__(ice_controlling=controlling)
        self.timed_out = False
        self._owner = owner
        self._turns: list[turn.TurnClientProtocol] = []

    async def reach(self, remote: sdp.SessionDescription) -> None:
        """Check the pairs with the other side's candidates until one works.

        Names (mDNS) are not resolved: such a peer's own checks show us its address. Where nothing else came
        we wait for them, so the end of candidates is not signalled.
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
        self._owner._datagram(data)

    def request_received(
        self, message: stun.Message, addr: tuple[str, int], protocol: ice.StunProtocol
    ) -> None:
        if self._owner._current is self:
            self._owner.heard()
        super().request_received(message, addr, protocol)

    async def query_consent(self) -> None:
        """Ask for consent (RFC 7675) as long as the connection lives; `Transport.poll` judges the answers."""
        counters = self._owner.counters
        while True:
            await asyncio.sleep(_CONSENT_INTERVAL_S * random.uniform(0.8, 1.2))
            pair = self._nominated.get(1)
            if pair is None or self.remote_password is None:
                continue
            counters.consent_requests += 1
            started = time.monotonic()
            with contextlib.suppress(stun.TransactionError):
                await pair.protocol.request(
                    self.build_request(pair, nominate=False),
                    pair.remote_addr,
                    integrity_key=self.remote_password.encode(),
                    retransmissions=_CONSENT_RETRANSMISSIONS,
                )
                counters.consent_responses += 1
                counters.round_trip_time_s = time.monotonic() - started
                counters.total_round_trip_time_s += counters.round_trip_time_s
                if self._owner._current is self:
                    self._owner.heard()

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[IceCandidate]:
        config = self._owner.config
        if config.loopback_candidates:
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
                    _logger.warning("An ICE server gave no candidate: %s", task.exception())
        return found

    async def close(self) -> None:
        try:
            async with asyncio.timeout(_CLOSE_S):
                await super().close()
        except TimeoutError:
            # A TURN server that does not answer any more; its allocation ends by itself.
            for inner in self._turns:
                inner.transport.close()

    async def _bind(self, address: str) -> _Protocol | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE)
            if self._owner.config.dscp:
                _mark(sock)
            sock.bind((address, 0))
        except OSError as error:
            sock.close()
            _logger.debug("No candidate at %s: %s", address, error)
            return None
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(lambda: _Protocol(self), sock=sock)
        protocol.local_candidate = _local_candidate("host", *sock.getsockname()[:2])
        return protocol

    def _ask_servers(self, hosts: Sequence[_Protocol]) -> list[Any]:
        """One STUN and one TURN server at most, as aiortc takes them; the rest is named in a warning."""
        work: list[Any] = []
        seen: set[str] = set()
        for server in self._owner.config.ice_servers:
            for url in server.urls:
                try:
                    parsed = parse_stun_turn_uri(url)
                except ValueError:
                    _logger.warning("%r is no STUN or TURN server's address; it is left out.", url)
                    continue
                kind = str(parsed["scheme"])[:4]
                if kind in seen or parsed["scheme"] == "stuns":
                    _logger.warning("%s is left out: one STUN and one TURN server are used.", url)
                    continue
                seen.add(kind)
                if kind == "stun":
                    v4 = [p for p in hosts if ipaddress.ip_address(p.local_candidate.host).version == 4]
                    work += [self._reflexive(p, parsed["host"], parsed["port"]) for p in v4]
                else:
                    work.append(self._relayed(parsed, server))
        return work

    async def _reflexive(self, protocol: _Protocol, host: str, port: int) -> IceCandidate:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        response, _ = await protocol.request(request, cast("tuple[str, int]", infos[0][4]))
        base = protocol.local_candidate
        address, mapped_port = response.attributes["XOR-MAPPED-ADDRESS"]
        return _local_candidate("srflx", address, mapped_port, base.host, base.port)

    async def _relayed(self, parsed: dict[str, Any], server: IceServer) -> IceCandidate:
        loop = asyncio.get_running_loop()
        address = (str(parsed["host"]), int(parsed["port"]))
        tcp = parsed["transport"] == "tcp"
        kind = _turn_class(tcp, self._owner.config.dscp)
        inner = kind(address, server.username, server.credential, _TURN_LIFETIME_S, _TURN_CHANNEL_S)
        outer: asyncio.BaseTransport
        if tcp:
            secure = True if parsed["scheme"] == "turns" else None
            outer, _ = await loop.create_connection(lambda: cast(Any, inner), *address, ssl=secure)
        else:
            outer, _ = await loop.create_datagram_endpoint(lambda: cast(Any, inner), remote_addr=address)
        protocol = _Protocol(self)
        relay = turn.TurnTransport(inner)
        try:
            await relay._connect(protocol)
        except BaseException:
            outer.close()
            raise
        self._turns.append(inner)
        related = relay.get_extra_info("related_address")
        protocol.local_candidate = _local_candidate("relay", *relay.get_extra_info("sockname"), *related)
        self._protocols.append(protocol)
        return protocol.local_candidate


def _turn_class(tcp: bool, marked: bool) -> Callable[..., turn.TurnClientProtocol]:
    if tcp:
        return _MarkedTurnTcp if marked else turn.TurnClientTcpProtocol
    return _MarkedTurnUdp if marked else turn.TurnClientUdpProtocol


def _mark(sock: Any) -> None:
    """Mark all that this socket sends as Expedited Forwarding (RFC 3246, RFC 8837)."""
    with contextlib.suppress(OSError):
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED_FORWARDING)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING)


def _local_candidate(
    kind: str, address: str, port: int, related: str | None = None, related_port: int | None = None
) -> IceCandidate:
    return IceCandidate(
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


def _from_aioice(c: IceCandidate) -> sdp.Candidate:
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


def _to_aioice(c: sdp.Candidate) -> IceCandidate:
    return IceCandidate(
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
