"""One callback of the loop reads all media sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
from typing import TYPE_CHECKING

import pytest
from waiting import until

from plivo_nb.media.transport.socket_reader import SocketReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="asyncio reads where there is no epoll")

Address = tuple[str, int]


class Taker(asyncio.DatagramProtocol):
    """Keeps what it is given; fails on request."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, Address]] = []
        self.errors: list[Exception] = []

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if data == b"fail":
            raise ValueError("as a fault in a session would")
        self.taken.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


@contextlib.asynccontextmanager
async def reading(peer: Address | None = None) -> AsyncIterator[tuple[socket.socket, Taker, SocketReader]]:
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    if peer is not None:
        sock.connect(peer)
    transport, taker = await loop.create_datagram_endpoint(Taker, sock=sock)
    reader = SocketReader.of(loop)
    reader.add(sock, taker)
    try:
        yield sock, taker, reader
    finally:
        reader.remove(sock)
        transport.close()


async def test_each_socket_gets_its_datagrams_in_order_with_their_sender() -> None:
    async with reading() as (one, of_one, _), reading() as (other, of_other, _):
        for number in range(100):
            one.sendto(b"%d" % number, other.getsockname())
            other.sendto(b"-%d" % number, one.getsockname())
        await until(lambda: len(of_one.taken) == len(of_other.taken) == 100)
        assert of_other.taken == [(b"%d" % number, one.getsockname()) for number in range(100)]
        assert of_one.taken == [(b"-%d" % number, other.getsockname()) for number in range(100)]


async def test_asyncio_does_not_read_them_too() -> None:
    async with reading() as (sock, taker, _):
        assert asyncio.get_running_loop()._selector.get_map().get(sock.fileno()) is None  # type: ignore[attr-defined]
        sock.sendto(b"once", sock.getsockname())
        await until(lambda: taker.taken)
        assert len(taker.taken) == 1


async def test_a_protocol_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async with reading() as (one, of_one, _), reading() as (other, of_other, _):
        with caplog.at_level(logging.ERROR):
            one.sendto(b"fail", one.getsockname())
            one.sendto(b"works", other.getsockname())
            one.sendto(b"works too", one.getsockname())
            await until(lambda: of_one.taken and of_other.taken)
        assert "A datagram could not be processed." in caplog.text


async def test_an_error_of_the_network_is_given_to_the_protocol() -> None:
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.bind(("127.0.0.1", 0))
    nobody = closed.getsockname()
    closed.close()
    async with reading(nobody) as (sock, taker, _):
        sock.send(b"to a port that nobody has")
        await until(lambda: taker.errors)
        assert isinstance(taker.errors[0], ConnectionRefusedError)


async def test_a_socket_that_was_removed_is_not_read_any_more() -> None:
    async with reading() as (one, of_one, reader), reading() as (other, of_other, _):
        reader.remove(one)
        reader.remove(one)  # again: nothing happens
        other.sendto(b"unread", one.getsockname())
        other.sendto(b"read", other.getsockname())
        await until(lambda: of_other.taken)
        assert of_one.taken == []
    assert SocketReader.of(asyncio.get_running_loop())._epoll is None, "closed with the last socket"
