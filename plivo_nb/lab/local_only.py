"""Whether a request to one of the lab's servers is meant for it, and not from a page of another site.

By default the servers listen on a loopback address, but every page that a browser on this machine shows can
reach them. A browser says where the page is from in Origin (RFC 6454), and which name it looked up in Host: a
name that was made to resolve to 127.0.0.1 (DNS rebinding) is refused.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from plivo_nb.addresses import is_loopback_url


def is_local(host: str | None, origin: str | None, *, own: str | None = None) -> bool:
    """Return whether Host is a loopback address or ``localhost``, and Origin absent or of such a host.

    Args:
        host: the header Host.
        origin: the header Origin.
        own: one more host that is taken, that of a lab which other computers reach.

    Example:
        >>> is_local("127.0.0.1:5066", None), is_local("127.0.0.1:5066", "https://example.com")
        (True, False)
    """
    return _is_of(f"//{host or ''}", own) and (origin is None or _is_of(origin, own))


def _is_of(url: str, own: str | None) -> bool:
    if is_loopback_url(url):
        return True
    try:
        return own is not None and urlsplit(url).hostname == own.lower()
    except ValueError:
        return False
