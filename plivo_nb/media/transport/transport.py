"""One transport, DTLS-SRTP over ICE, for unprotected RTP and RTCP packets.

It combines `ice` and `dtls` and adds what aioice and aiortc lack: ICE restart with an existing DTLS
association (RFC 8842 section 5.5), a new peer in the same call (early media from one, the answer from
another), and the states 'disconnected' and 'failed' of a path without packets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plivo_nb.media import sdp
from plivo_nb.media.transport.dtls import RTCP_SECOND_BYTES, DtlsSrtp, Switch, make_certificate
from plivo_nb.media.transport.ice import IceConfig, IceConnection, described

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.media.rtp.capture import Capture

_logger = logging.getLogger("plivo_nb.media.transport.transport")

_FIRST_CHECK_S = 1.0  # how long the controlling side has to check first
_OVERLAP_S = 1.0  # how long the old path still receives after an ICE restart


@dataclass(frozen=True, slots=True)
class TransportConfig(IceConfig):
    """The configuration of a transport.

    `disconnected_after_s` and `failed_after_s` count from the last packet received; `connect_timeout_s`
    limits the ICE checks and, separately, the DTLS handshake.
    """

    disconnected_after_s: float = 5.0
    failed_after_s: float = 30.0
    connect_timeout_s: float = 30.0


@dataclass(slots=True)
class PathCounters:
    """Packets and bytes since the start (W3C transport and candidate-pair statistics)."""

    packets_sent: int = 0
    bytes_sent: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    unreadable: int = 0


class Transport:
    """One ICE and DTLS-SRTP transport, for use on one event loop.

    Args:
        config: its configuration.
        on_rtp, on_rtcp: called with (decrypted packet, time.monotonic() seconds), in the socket's callback.
        on_state: called with (what, state, detail): ``ice`` checking, connected, disconnected, failed,
            closed; ``dtls`` connecting, connected, failed, closed; ``gathering`` gathering, timeout,
            complete.
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
        self._switch = Switch()
        self._dtls = DtlsSrtp(self._switch, self._dtls_changed, make_certificate())
        self._current: IceConnection | None = None
        self._next: IceConnection | None = None  # gathered, not yet connecting
        self._wanted: IceConnection | None = None  # the last one that was asked to connect
        self._latest: IceConnection | None = None  # the one that our description contains
        self._tasks: set[asyncio.Task[None]] = set()
        self._remote: sdp.SessionDescription | None = None
        self._received_at = 0.0
        self._closed = False
        #: Records every unprotected RTP and RTCP packet; None: no capture.
        self.capture: Capture | None = None

    # ------------------------------------------------------------ our side

    @property
    def dtls_state(self) -> str:
        """new, connecting, connected, closed or failed."""
        return self._dtls.state

    @property
    def connected(self) -> bool:
        """Whether packets can be sent: the DTLS association is established."""
        return self._dtls.connected

    @property
    def fingerprint(self) -> tuple[str, str]:
        """(hash name, value) of our certificate."""
        return self._dtls.fingerprint

    @property
    def ice_ufrag(self) -> str:
        """Our user fragment, after `gather(restart=True)` that of the restart."""
        return self._gathered.local_username

    @property
    def ice_pwd(self) -> str:
        """Our password, after `gather(restart=True)` that of the restart."""
        return self._gathered.local_password

    @property
    def candidates(self) -> tuple[sdp.Candidate, ...]:
        """The candidates gathered, by priority."""
        found = [described(c) for c in self._gathered.local_candidates]
        return tuple(sorted(found, key=lambda c: -c.priority))

    @property
    def _gathered(self) -> IceConnection:
        if self._latest is None:
            raise RuntimeError("gather() comes first")
        return self._latest

    async def gather(self, *, controlling: bool, restart: bool = False) -> None:
        """Gather candidates until the configured time-out; those found by then are used.

        Args:
            controlling: our ICE role, True for the offerer. It is needed here because the other side's checks
                may arrive before its answer.
            restart: create new ICE credentials and sockets for the next `connect`, while the present path
                stays in use (RFC 8445 section 9). Without it a second call does nothing.
        """
        if self._next is not None and restart:
            await self._next.close()
            self._next = None
        if self._latest is not None and not restart:
            return
        self._on_state("gathering", "gathering", "")
        connection = self._next = self._latest = IceConnection(
            self.config, controlling, self._datagram, self._on_received
        )
        await connection.gather_candidates()
        if connection.timed_out:
            limit = self.config.gathering_timeout_s
            self._on_state(
                "gathering", "timeout", f"A STUN or TURN server did not answer within {limit:g} s."
            )
        self._on_state("gathering", "complete", "")

    async def abandon_restart(self) -> None:
        """Drop a restart that was gathered but not connected; the present path is described again."""
        if self._next is not None and self._current is not None:
            await self._next.close()
            self._next, self._latest = None, self._current

    def restarted_by(self, remote: sdp.SessionDescription) -> bool:
        """Return whether this description restarts ICE (RFC 8839 section 4.4.1.1.1); ours must too."""
        known = self._remote
        return known is not None and (known.ice_ufrag, known.ice_pwd) != (remote.ice_ufrag, remote.ice_pwd)

    def changed_by(self, remote: sdp.SessionDescription) -> bool:
        """Return whether this description is another peer's.

        Another peer has another certificate, or answers a description of ours that restarts nothing with ICE
        credentials of its own (RFC 3261 section 13.2.1): a server has one certificate for all its calls.
        """
        known = self._remote
        if known is None:
            return False
        same_certificate = set(known.fingerprints) == set(remote.fingerprints)
        return not same_certificate or (self._next is None and self.restarted_by(remote))

    @property
    def received_at(self) -> float:
        """`time.monotonic()` of the last authenticated packet, ICE consent included; 0.0 before the first."""
        return self._received_at

    # ------------------------------------------------------------ connecting

    def connect(self, remote: sdp.SessionDescription, *, dtls_client: bool) -> None:
        """Start connecting. Returns at once; `on_state` reports the progress.

        A second call with the same ICE credentials does nothing. After `gather(restart=True)` the transport
        changes to a new path as soon as that works, and keeps the DTLS association. For another peer (see
        `changed_by`, and RFC 8842 section 5.5) it connects again, with the candidates that were gathered.

        Args:
            remote: the other side's description.
            dtls_client: whether we send the first DTLS message (our a=setup is active).

        Raises:
            IncompatibleSDP: the fingerprints have changed, but not the ICE credentials.
        """
        if self._closed:
            return
        if self.changed_by(remote):
            if not self.restarted_by(remote):
                raise sdp.IncompatibleSDP("The other side changed its certificate without an ICE restart.")
            self._forget_peer()
        if self._next is None:
            return
        if self._remote is not None and not self.restarted_by(remote):
            # The peer does not support ICE restarts (as stock aiortc): keep the present path.
            self._spawn(self._retire(self._next, 0.0))
            self._next, self._latest = None, self._current
            return
        connection = self._wanted = self._next
        self._next, self._remote = None, remote
        self._spawn(self._establish(connection, remote, dtls_client))

    def _forget_peer(self) -> None:
        """Prepare for another peer: a new DTLS association, and a new connection on the same sockets."""
        former = self._current
        self._spawn(self._dtls.close())
        self._switch = Switch()
        self._dtls = self._dtls.successor(self._switch)
        self._remote = self._current = None
        self._received_at = 0.0
        self._set_ice("checking")
        self._on_state("dtls", "new", "")
        if former is None:
            return
        if self._next is None:
            self._next = self._latest = former.successor()
        self._spawn(former.close())

    async def _establish(
        self, connection: IceConnection, remote: sdp.SessionDescription, dtls_client: bool
    ) -> None:
        if self.ice_state != "connected":
            self._set_ice("checking")
        first = self._current is None
        if first:
            self._current = connection
        try:
            if not (first or connection.ice_controlling):
                await self._first_check(connection)
            async with asyncio.timeout(self.config.connect_timeout_s):
                await connection.reach(remote)
        except asyncio.CancelledError:
            if not first:
                await connection.close()
            raise
        except (ConnectionError, TimeoutError):
            if connection is not self._wanted:
                await connection.close()
            elif first:
                self._set_ice("failed", "No path to the other side was found: no ICE candidate pair works.")
            else:
                _logger.warning("An ICE restart failed; the former path is kept.")
                await connection.close()
            return
        if connection is not self._wanted:
            await connection.close()  # a later restart replaced it
            return
        if self._current is not None and self._current is not connection:
            self._spawn(self._retire(self._current, _OVERLAP_S))
        self._current = self._switch.connection = connection
        self._on_received(connection)
        self._set_ice("connected", "" if first else "ICE restarted")
        if self._dtls.state == "new":
            limit_s = self.config.connect_timeout_s
            await self._dtls.handshake(remote.fingerprints, dtls_client, limit_s)

    async def _first_check(self, connection: IceConnection) -> None:
        """At a restart, wait until the controlling side checks, which it does once it has our answer.

        If our check overtook the answer, Chromium would create a pair of low priority and, while its former
        path works, drop that pair permanently.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_CHECK_S):
                await connection.asked.wait()

    def _dtls_changed(self, state: str, detail: str) -> None:
        self._on_state("dtls", state, detail)

    def _set_ice(self, state: str, detail: str = "") -> None:
        if state != self.ice_state or detail:
            self.ice_state = state
            self._on_state("ice", state, detail)

    # ------------------------------------------------------------ packets

    def send(self, data: bytes) -> bool:
        """Protect and send one RTP or RTCP packet; return False while there is no path."""
        connection = self._current
        if connection is None or self.ice_state == "failed":
            return False
        packet = self._dtls.protect(data)
        if packet is None or not connection.send_packet(packet):
            return False
        if self.capture is not None:
            pair = connection.pair
            if pair is not None:
                self.capture.add(time.monotonic(), pair.local_addr, pair.remote_addr, data, sent=True)
        counters = self.counters
        counters.packets_sent += 1
        counters.bytes_sent += len(packet)
        return True

    def _datagram(self, data: bytes) -> None:
        """Process a datagram that is not STUN (RFC 7983: 128-191 is RTP or RTCP, 20-63 DTLS)."""
        counters = self.counters
        counters.packets_received += 1
        counters.bytes_received += len(data)
        first = data[0]
        if not 127 < first < 192:
            if 19 < first < 64:
                self._switch.deliver(data)
            return
        if len(data) < 8:
            return
        packet = self._dtls.unprotect(data)
        if packet is None:
            counters.unreadable += 1
            return
        self._received_at = now = time.monotonic()
        if self.capture is not None:
            pair = self._current.pair if self._current is not None else None
            if pair is not None:
                self.capture.add(now, pair.remote_addr, pair.local_addr, packet, sent=False)
        if packet[1] in RTCP_SECOND_BYTES:
            self._on_rtcp(packet, now)
        else:
            self._on_rtp(packet, now)

    def _on_received(self, connection: IceConnection) -> None:
        if connection is self._current:
            self._received_at = time.monotonic()

    def poll(self, now: float) -> None:
        """Detect outages and recovery; to be called a few times a second."""
        if self.ice_state not in ("connected", "disconnected", "failed") or not self._received_at:
            return
        silent = now - self._received_at
        if silent >= self.config.failed_after_s:
            self._set_ice("failed", "" if self.ice_state == "failed" else _silence(silent))
        elif silent >= self.config.disconnected_after_s:
            if self.ice_state == "connected":
                self._set_ice("disconnected", _silence(silent))
        elif self.ice_state != "connected":
            self._set_ice("connected", "Packets are received again.")

    # ------------------------------------------------------------ close

    async def close(self) -> None:
        """Send DTLS close_notify, close all sockets and end all tasks, within 0.5 s."""
        if self._closed:
            return
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._dtls.close()
        finally:  # also when this is cancelled
            connections = [c for c in (self._current, self._next) if c is not None]
            await asyncio.gather(*(c.close() for c in connections))
        self._current = self._next = self._switch.connection = None
        self._set_ice("closed")

    async def _retire(self, connection: IceConnection, after_s: float) -> None:
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
        """Return W3C webrtc-stats of the transport, its candidate pair and that pair's candidates."""
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
                "dtlsRole": self._dtls.role,
                **self._dtls.ciphers(),
                "iceState": self.ice_state,
                **shared,
            }
        }
        connection = self._current
        if connection is None:
            return report
        report["transport"]["iceRole"] = "controlling" if connection.ice_controlling else "controlled"
        report["transport"]["iceLocalUsernameFragment"] = connection.local_username
        pair = connection.pair
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
            "requestsSent": connection.consent.requests,
            "responsesReceived": connection.consent.responses,
            "totalRoundTripTime": connection.consent.total_round_trip_time_s,
            **shared,
        }
        if connection.consent.round_trip_time_s is not None:
            report["candidate-pair"]["currentRoundTripTime"] = connection.consent.round_trip_time_s
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
    return f"Nothing was received from the other side for {seconds:.0f} s."
