"""The relay of one call: its sockets before they are open, and after they are closed."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from plivo_nb.lab.network.relay import Port


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        yield receiver


async def test_a_port_sends_before_it_is_open(receiver: socket.socket) -> None:
    port = Port(lambda data, source: None)
    try:
        port.send(b"early", receiver.getsockname())
        assert receiver.recvfrom(100) == (b"early", port.address)
    finally:
        port.close()


async def test_a_closed_port_sends_nothing_and_does_not_open(receiver: socket.socket) -> None:
    port = Port(lambda data, source: None)
    port.close()
    await port.open()
    port.send(b"late", receiver.getsockname())
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(100)
