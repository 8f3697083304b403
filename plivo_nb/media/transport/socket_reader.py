"""Reads the datagrams of all media sockets of an event loop in one go.

A loop of asyncio makes a callback of each socket that can be read, which takes longer than reading. Here the
sockets are watched by an epoll object of their own, which the loop watches: one callback for all.
"""

from __future__ import annotations

import asyncio
import logging
import select
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

_logger = logging.getLogger("plivo_nb.media.transport.socket_reader")

_LONGEST_DATAGRAM = 65_536
_AT_ONCE = 64  # datagrams in one turn of the loop, so that timers are not delayed by more than a few ms


class SocketReader:
    """Reads the sockets of one loop, on it. Without epoll (not on Linux), or on another kind of loop, asyncio
    reads them as before.

    Args:
        loop: the loop.

    Example:
        >>> import socket
        >>> class Printer(asyncio.DatagramProtocol):
        ...     def datagram_received(self, data, addr):
        ...         print(data)
        ...         got.set()
        >>> async def main():
        ...     global got
        ...     got = asyncio.Event()
        ...     loop = asyncio.get_running_loop()
        ...     sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ...     sock.setblocking(False)
        ...     sock.bind(("127.0.0.1", 0))
        ...     transport, printer = await loop.create_datagram_endpoint(Printer, sock=sock)
        ...     SocketReader.of(loop).add(sock, printer)
        ...     transport.sendto(b"to itself", sock.getsockname())
        ...     await asyncio.wait_for(got.wait(), 5)
        ...     SocketReader.of(loop).remove(sock)
        ...     transport.close()
        >>> asyncio.run(main())
        b'to itself'
    """

    _of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, SocketReader] = (
        weakref.WeakKeyDictionary()
    )

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> SocketReader:
        """Return the reader of this loop."""
        reader = cls._of_loops.get(loop)
        if reader is None:
            reader = cls._of_loops[loop] = cls(loop)
        return reader

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Any = weakref.proxy(loop)
        self._able = hasattr(select, "epoll") and isinstance(loop, asyncio.SelectorEventLoop)
        self._epoll: select.epoll | None = None
        self._sockets: dict[int, tuple[socket.socket, asyncio.DatagramProtocol]] = {}

    def add(self, sock: socket.socket, protocol: asyncio.DatagramProtocol) -> None:
        """Read a socket in asyncio's place.

        Args:
            sock: a non-blocking socket that a datagram transport of the loop has.
            protocol: takes the datagrams.
        """
        if not self._able:
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll.fileno(), self._read)
        number = sock.fileno()
        self._loop._remove_reader(number)  # the public one refuses the socket of a transport
        self._sockets[number] = (sock, protocol)
        self._epoll.register(number, select.EPOLLIN)

    def remove(self, sock: socket.socket) -> None:
        """Read a socket no longer, before it is closed; one that is not read is ignored."""
        number = sock.fileno()
        if self._epoll is None or self._sockets.get(number, (None,))[0] is not sock:
            return
        del self._sockets[number]
        self._epoll.unregister(number)
        if not self._sockets:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _read(self) -> None:
        assert self._epoll is not None
        sockets = self._sockets
        for number, _ in self._epoll.poll(0, _AT_ONCE):
            entry = sockets.get(number)
            if entry is None:  # removed by what another datagram caused
                continue
            sock, protocol = entry
            try:
                data, address = sock.recvfrom(_LONGEST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError as error:  # as an ICMP message makes it
                protocol.error_received(error)
                continue
            try:
                protocol.datagram_received(data, address)
            except Exception:
                _logger.exception("A datagram could not be processed.")
