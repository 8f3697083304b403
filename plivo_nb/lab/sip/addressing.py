"""Which addresses are the switch's own (RFC 3261 sections 16.4 and 16.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip.values import parse_uri

if TYPE_CHECKING:
    from plivo_nb.sip.message import Request

HOST = "127.0.0.1"


class Addressing:
    """Knows the domain and the places where the switch listens.

    Args:
        domain: the SIP domain.
        port: where it listens; `ports` may get more.
    """

    def __init__(self, domain: str, port: int) -> None:
        self.ports = {port}
        self._hosts = {domain, HOST, "localhost"}

    def is_ours(self, uri: str) -> bool:
        """Whether a URI is of this domain."""
        try:
            return parse_uri(uri).host in self._hosts
        except ValueError:
            return False

    def local_user(self, uri: str) -> str | None:
        """The user that a URI of this domain names; None for others."""
        return user_of(uri) if self.is_ours(uri) else None

    def take_own_route(self, request: Request) -> bool:
        """Take our own entry off the Route set; False if it is not on top."""
        routes = request.addresses("Route")
        if not routes:
            return False
        top = parse_uri(routes[0].uri)
        if top.host != HOST or top.port not in self.ports:
            return False
        request.headers.remove("Route")
        for route in routes[1:]:
            request.headers.add("Route", str(route))
        return True


def user_of(uri: str) -> str | None:
    """The user part of a SIP or TEL URI; None where there is none, or the URI cannot be read."""
    try:
        parsed = parse_uri(uri)
    except ValueError:
        return None
    return parsed.user or None
