"""The switch's own addresses: URIs of its domain and Route entries (RFC 3261 sections 16.4 and 16.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.lab.config import HOST
from plivo_nb.sip.values import parse_uri

if TYPE_CHECKING:
    from plivo_nb.sip.message import Request


class Addressing:
    """The domain and the addresses where the switch listens.

    Args:
        domain: the SIP domain.
        port: the port where the switch listens; more may be added to `ports`.
        host: the host where it listens.
    """

    def __init__(self, domain: str, port: int, host: str = HOST) -> None:
        self._host = host
        self.ports = {port}
        self._hosts = {domain, host, HOST, "localhost"}

    def is_ours(self, uri: str) -> bool:
        """Whether a URI belongs to this domain."""
        try:
            return parse_uri(uri).host in self._hosts
        except ValueError:
            return False

    def local_user(self, uri: str) -> str | None:
        """The user part of a URI of this domain; None for other URIs."""
        return user_of(uri) if self.is_ours(uri) else None

    def take_own_route(self, request: Request) -> bool:
        """Remove the switch's entry from the Route set; returns False if it is not the first."""
        routes = request.addresses("Route")
        if not routes:
            return False
        top = parse_uri(routes[0].uri)
        if top.host != self._host or top.port not in self.ports:
            return False
        request.headers.remove("Route")
        for route in routes[1:]:
            request.headers.add("Route", str(route))
        return True


def user_of(uri: str) -> str | None:
    """The user part of a SIP or TEL URI; None if there is none or the URI is malformed.

    Example:
        >>> user_of("sip:alice@phone.plivo.com"), user_of("nonsense")
        ('alice', None)
    """
    try:
        parsed = parse_uri(uri)
    except ValueError:
        return None
    return parsed.user or None
