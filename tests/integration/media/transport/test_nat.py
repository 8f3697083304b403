"""NAT mapping by coturn at two loopback addresses, directly and behind a NAT of user space."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from turn_server import turn_server

from plivo_nb.media.transport.nat import nat_mapping

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTS = ("127.0.0.1", "127.0.0.2")


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with turn_server(tmp_path_factory.mktemp("coturn"), HOSTS) as port:
        yield port


class Nat(asyncio.DatagramProtocol):
    """A NAT for one client: forwards to the server from a socket of its own, and answers back."""

    def __init__(self, out: asyncio.DatagramTransport | None, server: tuple[str, int]) -> None:
        self.out, self.server = out, server
        self.client: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.inside = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.client = addr
        assert self.out is not None
        self.out.sendto(data, self.server)


class Outside(asyncio.DatagramProtocol):
    """The NAT's outer socket: gives each answer to the door that leads to its server."""

    def __init__(self) -> None:
        self.doors: dict[tuple[str, int], Nat] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        door = self.doors[addr]
        door.inside.sendto(data, door.client)  # type: ignore[attr-defined]


@pytest_asyncio.fixture(loop_scope="module")
async def doors(coturn: int) -> AsyncIterator[object]:
    """`await doors(shared)`: a URL for each server, behind one outer port or one for each."""
    loop = asyncio.get_running_loop()
    transports: list[asyncio.BaseTransport] = []

    async def open_doors(shared: bool) -> list[str]:
        urls, outer = [], None
        for host in HOSTS:
            if outer is None or not shared:
                outer = await loop.create_datagram_endpoint(Outside, local_addr=("0.0.0.0", 0))
                transports.append(outer[0])
            door, protocol = await loop.create_datagram_endpoint(
                lambda outer=outer, host=host: Nat(outer[0], (host, coturn)), local_addr=("127.0.0.1", 0)
            )
            transports.append(door)
            outer[1].doors[host, coturn] = protocol
            urls.append(f"stun:127.0.0.1:{door.get_extra_info('sockname')[1]}")
        return urls

    yield open_doors
    for transport in transports:
        transport.close()


async def test_two_servers_that_see_our_own_address_mean_no_nat(coturn: int) -> None:
    urls = [f"stun:{host}:{coturn}" for host in HOSTS]
    found = await nat_mapping(urls)
    assert (found.kind, found.problems) == ("none", {})
    assert set(found.mapped) == set(found.rtt_ms) == set(urls)
    assert len(set(found.mapped.values())) == 1


@pytest.mark.parametrize(("shared", "kind"), [(True, "endpoint-independent"), (False, "address-dependent")])
async def test_a_nat_is_known_by_the_ports_that_two_servers_see(doors, shared: bool, kind: str) -> None:
    assert (await nat_mapping(await doors(shared))).kind == kind


async def test_one_server_tells_that_udp_works_but_not_the_kind_of_a_nat(doors) -> None:
    urls = await doors(True)
    assert (await nat_mapping(urls[:1])).kind == "unknown"


async def test_servers_that_do_not_answer_or_exist_are_problems_in_time(coturn: int) -> None:
    loop = asyncio.get_running_loop()
    silent, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    with contextlib.closing(silent):
        port = silent.get_extra_info("sockname")[1]
        urls = [f"stun:127.0.0.1:{port}", "turn:127.0.0.1:3478", "nonsense", "stun:no-such-host.invalid"]
        began = loop.time()
        found = await nat_mapping(urls, timeout_s=0.6)
        assert loop.time() - began < 3
        assert found.kind == "blocked"
        assert set(found.problems) == set(urls)
        assert found.problems[urls[0]] == "no answer within 0.6 s"
        both = await nat_mapping([urls[0], f"stun:127.0.0.1:{coturn}"], timeout_s=0.6)
        assert (both.kind, set(both.problems)) == ("none", {urls[0]})
