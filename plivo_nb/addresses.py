"""Where an address leads, as far as its text says: to this machine, to the same host. No name is resolved."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address, or the name ``localhost`` (RFC 6761 section 6.3).

    Loopback addresses are those of 127.0.0.0/8, ``::1``, and the IPv4-mapped forms of the former
    (RFC 4291 section 2.5.5.2).

    Example:
        >>> is_loopback("::ffff:127.0.0.1"), is_loopback("localhost.example.com")
        (True, False)
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() in ("localhost", "localhost.")
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback if mapped is None else bool(mapped.is_loopback)


def is_loopback_url(url: str) -> bool:
    """Return whether the host of a URL is loopback; False for a URL without a valid host."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def is_same_secure_host(url: str, target: str) -> bool:
    """Return whether a redirect from one URL to another may be followed: to the same host, encrypted.

    Example:
        >>> is_same_secure_host("https://a.example/x", "https://a.example/y")
        True
        >>> is_same_secure_host("https://a.example/x", "https://b.example/x")
        False
    """
    try:
        old, new = urlsplit(url), urlsplit(target)
    except ValueError:
        return False
    return new.scheme in ("https", "wss") and bool(new.hostname) and new.hostname == old.hostname
