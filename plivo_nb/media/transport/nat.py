"""What a NAT does to UDP: the addresses that STUN servers see, asked from one socket (RFC 5780 section 4.3).

A NAT whose mapping depends on the destination gives each server another port. Two peers behind such NATs
reach each other through a TURN relay only.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aioice import stun
from aiortc.rtcicetransport import parse_stun_turn_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

Address = tuple[str, int]
MappingKind = Literal["blocked", "unknown", "none", "endpoint-independent", "address-dependent"]

_RETRY_S = 0.5  # RFC 8489 section 6.2.1: the first retransmission; the next ones after the same time here


@dataclass(frozen=True, slots=True)
class NatMapping:
    """What STUN servers said.

    Attributes:
        mapped: by the URL of the server, the address (host, port) from which it saw our request.
        rtt_ms: by the URL of the server, the time from the first request to the answer, in ms.
        problems: by the URL of the server, why there is no answer.
        local: the addresses of this machine from which they were asked.
    """

    mapped: dict[str, Address]
    rtt_ms: dict[str, float]
    problems: dict[str, str]
    local: frozenset[Address]

    @property
    def kind(self) -> MappingKind:
        """``blocked``: no answer; ``unknown``: one answer, through a NAT; ``none``: no NAT;
        ``endpoint-independent`` or ``address-dependent``: the NAT's mapping (RFC 4787 section 4.1).
        """
        seen = set(self.mapped.values())
        if not seen:
            return "blocked"
        if seen <= self.local:
            return "none"
        if len(self.mapped) == 1:
            return "unknown"
        return "endpoint-independent" if len(seen) == 1 else "address-dependent"


async def nat_mapping(urls: Sequence[str], timeout_s: float = 3.0) -> NatMapping:
    """Ask STUN servers, from one socket, for the address that they see.

    Args:
        urls: such as ``stun:stun.example.com:3478``; two are needed to tell the kind of a NAT.
        timeout_s: how long to wait for all answers, names included, in seconds.

    Returns:
        What they said. A server that does not answer, or whose URL is wrong, is in `problems`.
    """
    loop = asyncio.get_running_loop()
    transport, asking = await loop.create_datagram_endpoint(
        _Asking, local_addr=("0.0.0.0", 0), family=socket.AF_INET
    )
    mapped: dict[str, Address] = {}
    rtt_ms: dict[str, float] = {}
    problems: dict[str, str] = {}
    local: set[Address] = set()

    async def ask(url: str) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                server = await _resolved(url)
                began = loop.time()
                mapped[url] = await asking.mapped(server)
                rtt_ms[url] = 1000 * (loop.time() - began)
                local.add((_source_host(server), transport.get_extra_info("sockname")[1]))
        except TimeoutError:
            problems[url] = f"no answer within {timeout_s:g} s"
        except (OSError, ValueError) as error:
            problems[url] = str(error)

    try:
        await asyncio.gather(*(ask(url) for url in dict.fromkeys(urls)))
    finally:
        transport.close()
    return NatMapping(mapped, rtt_ms, problems, frozenset(local))


class _Asking(asyncio.DatagramProtocol):
    """Sends binding requests and takes their answers."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._waiting: dict[bytes, asyncio.Future[Address]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    async def mapped(self, server: Address) -> Address:
        """The address that the server sees; asks again until it answers or the caller gives up."""
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[request.transaction_id] = answer
        try:
            while True:
                self._transport.sendto(bytes(request), server)
                done, _ = await asyncio.wait([answer], timeout=_RETRY_S)
                if done:
                    return answer.result()  # type: ignore[no-any-return]
        finally:
            del self._waiting[request.transaction_id]
            answer.cancel()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        answer = self._waiting.get(message.transaction_id)
        if answer is None or answer.done() or message.message_class != stun.Class.RESPONSE:
            return
        mapped = message.attributes.get("XOR-MAPPED-ADDRESS") or message.attributes.get("MAPPED-ADDRESS")
        if mapped is not None:
            answer.set_result((str(mapped[0]), int(mapped[1])))

    def error_received(self, exc: Exception) -> None:
        """An ICMP error, of which the system does not say the server: that one does not answer."""


async def _resolved(url: str) -> Address:
    parsed = parse_stun_turn_uri(url)
    if parsed["scheme"] != "stun":
        raise ValueError(f"{url!r} is not the URL of a STUN server, such as 'stun:stun.example.com:3478'")
    infos = await asyncio.get_running_loop().getaddrinfo(
        parsed["host"], parsed["port"], family=socket.AF_INET, type=socket.SOCK_DGRAM
    )
    host, port = infos[0][4][:2]
    return str(host), int(port)


def _source_host(server: Address) -> str:
    """The address of this machine from which packets to the server leave; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(server)
        return str(probe.getsockname()[0])
