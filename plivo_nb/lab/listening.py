"""Where the lab's servers listen: an address, and TLS if other computers reach it.

On a loopback address nobody else hears what is said. On any other one, passwords and tokens would pass in
clear text, so that a certificate is required.
"""

from __future__ import annotations

import http
import socket
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plivo_nb.addresses import is_loopback
from plivo_nb.errors import LabError
from plivo_nb.lab.config import HOST
from plivo_nb.lab.local_only import is_local

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from plivo_nb.lab.config import LabConfig

_ANY_ADDRESS = ("", "0.0.0.0")


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens.

    Attributes:
        host: an IPv4 address of this computer, or a name of it; it stands in URLs.
        address: the IPv4 address to bind to.
        tls: the certificate of the server; None = not encrypted, on loopback only.

    Example:
        >>> Listening().websocket_url(5066), Listening().http_url(8080)
        ('ws://127.0.0.1:5066', 'http://127.0.0.1:8080')
    """

    host: str = HOST
    address: str = HOST
    tls: ssl.SSLContext | None = None

    def websocket_url(self, port: int) -> str:
        """The URL of a WebSocket server."""
        return f"{'ws' if self.tls is None else 'wss'}://{self.host}:{port}"

    def http_url(self, port: int) -> str:
        """The URL of an HTTP server."""
        return f"{'http' if self.tls is None else 'https'}://{self.host}:{port}"

    def takes(self, host: str | None, origin: str | None) -> bool:
        """Whether a request with these headers is meant for this server; see `is_local`."""
        return is_local(host, origin, own=self.host)

    def refuse_others(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer 403 to a request that is not taken; a `process_request` of websockets' `serve`."""
        hosts, origins = request.headers.get_all("Host"), request.headers.get_all("Origin")
        if len(hosts) == 1 and len(origins) <= 1 and self.takes(hosts[0], origins[0] if origins else None):
            return None
        sentence = "The lab takes no such requests: check Host and Origin.\n"
        return connection.respond(http.HTTPStatus.FORBIDDEN, sentence)


LOOPBACK = Listening()


def listening_of(config: LabConfig) -> Listening:
    """Check where a lab is to listen, and read its certificate.

    Raises:
        ValueError: others cannot reach this address, or it has no certificate that can be used.

    Example:
        >>> from plivo_nb.lab.config import LabConfig
        >>> listening_of(LabConfig()).host
        '127.0.0.1'
    """
    host = config.host
    if host in _ANY_ADDRESS or ":" in host or "/" in host:
        raise ValueError(
            f"host is an IPv4 address of this computer, or its name, by which others reach it; not {host!r}."
        )
    if config.certificate is None:
        if config.key is not None or config.ca is not None:
            raise ValueError("key and ca belong to a certificate: give certificate= too.")
        if not is_loopback(host):
            raise ValueError(
                f"A lab that other computers reach at {host} needs a TLS certificate for this address: give "
                "certificate and key (PEM files), or leave host out to serve this computer only."
            )
        return Listening(host, host)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        tls.load_cert_chain(config.certificate, config.key, password=lambda: "")  # never ask on the terminal
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The certificate {config.certificate} and its key cannot be used ({_reason(error)}): give PEM "
            "files of a certificate and of its unencrypted key."
        ) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=config.ca_file)
    except OSError as error:
        raise ValueError(f"The authority {config.ca_file} cannot be used ({_reason(error)}).") from error
    return Listening(host, host, tls)


def resolved(listening: Listening) -> Listening:
    """The same with the address of its host, if that is a name. It blocks while the name is looked up.

    A server that is bound to a name gets a port for each of its addresses; a relay would look it up for each
    call.

    Raises:
        LabError: the name has no IPv4 address.

    Example:
        >>> resolved(Listening("localhost", "localhost")).address
        '127.0.0.1'
    """
    try:
        return replace(listening, address=socket.gethostbyname(listening.host))
    except OSError as error:
        raise LabError(
            f"The name {listening.host} has no IPv4 address ({error.strerror}); give the address itself."
        ) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(reason).replace("_", " ").lower()
