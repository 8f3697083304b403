"""Whether a request to one of the lab's servers comes from this machine, and not from a page of another site.

The servers listen on a loopback address, but every page that a browser on this machine shows can reach them.
A browser says where the page is from in Origin (RFC 6454), and which name it looked up in Host: a name
that was made to resolve to 127.0.0.1 (DNS rebinding) is refused.
"""

from __future__ import annotations

import http
from typing import TYPE_CHECKING

from plivo_nb.addresses import is_loopback_url

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response


def is_local(host: str | None, origin: str | None) -> bool:
    """Return whether Host is a loopback address or ``localhost``, and Origin absent or of such a host.

    Example:
        >>> is_local("127.0.0.1:5066", None), is_local("127.0.0.1:5066", "https://example.com")
        (True, False)
    """
    return is_loopback_url(f"//{host or ''}") and (origin is None or is_loopback_url(origin))


def refuse_others(connection: ServerConnection, request: Request) -> Response | None:
    """Answer 403 to a request that is not local; a `process_request` of websockets' `serve`."""
    hosts, origins = request.headers.get_all("Host"), request.headers.get_all("Origin")
    if len(hosts) == 1 and len(origins) <= 1 and is_local(hosts[0], origins[0] if origins else None):
        return None
    sentence = "The lab takes requests from this machine only: check Host and Origin.\n"
    return connection.respond(http.HTTPStatus.FORBIDDEN, sentence)
