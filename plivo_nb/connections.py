"""How connections to servers are made: certificates, the system's proxy, redirects."""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from typing import Any
from urllib.parse import urljoin, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from plivo_nb.addresses import is_loopback_url, is_same_secure_host

_REDIRECTS = (301, 302, 303, 307, 308)


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Return a context that trusts the system's certificate authorities, and those of a PEM file.

    Raises:
        OSError: the file cannot be read, or has no certificate in it (`ssl.SSLError`).
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def system_proxy(url: str) -> str | None:
    """Return the HTTP proxy that the system has for a URL, None for none; none leads to this machine."""
    parts = urlsplit(url)
    if is_loopback_url(url) or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)


class _Connect(connect):
    """`connect` that follows a redirect to the same host over wss only: the other one gets no password."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        if isinstance(exc, InvalidStatus) and exc.response.status_code in _REDIRECTS:
            target = urljoin(self.uri, exc.response.headers.get("Location", ""))
            if not is_same_secure_host(self.uri, target):
                return exc
        return super().process_redirect(exc)


async def websocket(url: str, *, ca_file: str | None = None, **settings: Any) -> connect:
    """Prepare a WebSocket connection, to be awaited or used with ``async with``.

    Args:
        url: ``ws://`` or ``wss://``.
        ca_file: PEM file with more certificate authorities.
        settings: as of `websockets.asyncio.client.connect`.

    Raises:
        OSError: the file cannot be used.
    """
    if urlsplit(url).scheme == "wss":
        settings["ssl"] = await asyncio.to_thread(tls_context, ca_file)  # reading takes 20 ms
    return _Connect(url, proxy=None if is_loopback_url(url) else True, **settings)
