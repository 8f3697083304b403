"""The media stack (aiortc, PyAV, and the session that uses them): found at once, loaded in a thread."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from plivo_nb.late_import import import_in_thread

if TYPE_CHECKING:
    import concurrent.futures

PACKAGES = ("aioice", "aiortc", "av", "pylibsrtp")


def load() -> concurrent.futures.Future[Any]:
    """Load the media stack in a thread, once.

    Returns:
        A future of the module `plivo_nb.plane.media_session`; it has the exception if something is missing.
    """
    return import_in_thread("plivo_nb.plane.media_session", links=("av", "_core"))


def missing() -> str | None:
    """Which package is not installed, in words; None if all are. It only looks: nothing is loaded.

    Example:
        >>> missing() is None
        True
    """
    for name in PACKAGES:
        try:
            found = importlib.util.find_spec(name) is not None
        except (ImportError, ValueError) as error:
            return f"{error}"
        if not found:
            return f"No module named {name!r}"
    return None


def broken(why: object) -> str:
    """The sentence for users where the media stack cannot be loaded; `why` is an error or a sentence."""
    return f"The media stack (aiortc, PyAV) does not load here; reinstall plivo_nb. The cause: {why}"
