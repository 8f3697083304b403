"""One call's media relay: two UDP sockets, one facing the caller, one facing the callee.

Each party gets the address of the socket that faces it as the other's only ICE candidate, so all its STUN,
DTLS and RTP packets pass the relay. The relay learns the source address of a party from its first packet
(symmetric). Packets from other sources of the same party are dropped, because an ICE check that is answered
from another socket than it was sent to does not succeed. After a new description (ICE restart) the relay
learns a new source.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

from plivo_nb.lab.config import HOST
from plivo_nb.lab.network.impairment import Kind, Path, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.lab.network.impairment import Fate, Impairment
    from plivo_nb.lab.network.knobs import Direction
    from plivo_nb.lab.sip.records import Side

Address = tuple[str, int]

OTHER: dict[Side, Side] = {"caller": "callee", "callee": "caller"}
_DIRECTION_FROM: dict[Side, Direction] = {"caller": "to_callee", "callee": "to_caller"}
_RECEIVE_BUFFER_BYTES = 1 << 20


class Port(asyncio.DatagramProtocol):
    """The socket that faces one party. It is bound when it is made; `open` starts receiving."""

    def __init__(self, received: Callable[[bytes, Address], None], host: str = HOST) -> None:
        self._received = received
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._socket.bind((host, 0))
        self.address: Address = self._socket.getsockname()
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = False

    async def open(self) -> None:
        """Start receiving. Earlier packets are in the socket's buffer."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)
        self._transport = transport
        self._close_if_late()

    def _close_if_late(self) -> None:
        if self._closed and self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """See `asyncio.DatagramProtocol`."""
        self._received(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors from a closed port of a party."""

    def send(self, data: bytes, to: Address) -> None:
        """Send now; if the socket's buffer is full, the packet is lost."""
        if self._closed:
            return
        if self._transport is not None:
            self._transport.sendto(data, to)
        else:  # the other port has received a packet before this one is open
            with contextlib.suppress(OSError):
                self._socket.sendto(data, to)

    def close(self) -> None:
        """Stop, and free the port number."""
        self._closed = True
        if self._transport is not None:
            self._transport.close()
        else:
            self._socket.close()


class Relay:
    """The media of one call.

    Args:
        key: the key of the call.
        impairments: the knobs of each direction.
        seed: the seed of each direction's random number streams.
        later: called as ``later(due, relay, side, kind, data)``; calls `deliver` at the time `due`.
        clock: returns the time in seconds; `due` is on this clock.
        note: called with the fate of each packet, for the log.
        host: the host of both sockets.
    """

    def __init__(
        self,
        key: str,
        impairments: dict[Direction, Impairment],
        seed: str,
        *,
        later: Callable[[float, Relay, Side, Kind, bytes], None],
        clock: Callable[[], float],
        note: Callable[[Relay, Direction, Kind, int, Fate, float], None],
        host: str = HOST,
    ) -> None:
        self.key = key
        self.paths: dict[Direction, Path] = {
            direction: Path(impairment, f"{seed}/{direction}")
            for direction, impairment in impairments.items()
        }
        self.ports: dict[Side, Port] = {
            "caller": Port(lambda data, source: self._receive("caller", data, source), host),
            "callee": Port(lambda data, source: self._receive("callee", data, source), host),
        }
        self.last_heard: float = clock()
        self.closed = False
        self._later = later
        self._clock = clock
        self._note = note
        self._learned: dict[Side, Address] = {}
        self._described: dict[Side, Address | None] = {"caller": None, "callee": None}
        self._relearning: set[Side] = set()
        self._former: dict[Side, Address] = {}

    async def open(self) -> None:
        """Start relaying."""
        for port in self.ports.values():
            await port.open()

    def describe(self, side: Side, candidate: Address | None) -> None:
        """Take a session description of `side`; `candidate` is where packets to it go until it sends."""
        if candidate is not None and candidate == self._described[side]:
            return
        self._described[side] = candidate
        if side in self._learned:
            self._relearning.add(side)

    def deliver(self, to: Side, kind: Kind, data: bytes) -> None:
        """Send a packet that is due."""
        if self.closed:
            return
        path = self.paths[_DIRECTION_FROM[OTHER[to]]]
        address = self._address_of(to, kind)
        if address is None:
            path.undeliverable(kind)
            return
        path.forwarded(kind, len(data))
        self.ports[to].send(data, address)

    def close(self) -> None:
        """Stop relaying and free both ports; packets in transit are discarded."""
        self.closed = True
        for port in self.ports.values():
            port.close()

    def _address_of(self, side: Side, kind: Kind) -> Address | None:
        described, learned = self._described[side], self._learned.get(side)
        if learned is None or (side in self._relearning and kind == "other"):
            return described or learned
        return learned

    def _accepts(self, side: Side, kind: Kind, source: Address) -> bool:
        learned = self._learned.get(side)
        if source == learned:
            return True
        if learned is None:
            self._learned[side] = source
            return True
        if side in self._relearning and kind == "other" and source != self._former.get(side):
            self._former[side] = learned
            self._learned[side] = source
            self._relearning.discard(side)
            return True
        return source == self._former.get(side) and kind != "other"

    def _receive(self, side: Side, data: bytes, source: Address) -> None:
        if self.closed or not data:
            return
        kind = kind_of(data)
        if not self._accepts(side, kind, source):
            return
        now = self._clock()
        self.last_heard = now
        direction = _DIRECTION_FROM[side]
        due_times, fate = self.paths[direction].schedule(kind, len(data), now)
        self._note(self, direction, kind, len(data), fate, (due_times[0] - now) if due_times else 0.0)
        for due in due_times:
            self._later(due, self, OTHER[side], kind, data)
