"""Session timers: a call whose other side has vanished ends by itself (RFC 4028).

We do not ask for them; when the other side or a proxy does, they are honoured: one side refreshes the
session by a re-INVITE at half its interval, and the other hangs up when no refresh comes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivo_nb.sip.values import parse_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.message import Request, Response
    from plivo_nb.sip.timers import Timer, Timers

MIN_INTERVAL_S = 90  # section 4: the smallest that anybody may ask for
MIN_SE = ("Min-SE", str(MIN_INTERVAL_S))


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """How long a session holds without a refresh, and whether refreshing is our task."""

    interval_s: int
    we_refresh: bool


def _session_expires(message: Request | Response) -> tuple[int, str | None] | None:
    value = message.headers.get("Session-Expires")
    if value is None:
        return None
    number, semicolon, rest = value.partition(";")
    if re.fullmatch(r"[0-9]{1,9}", number.strip()) is None:
        return None
    try:
        refresher = parse_parameters(semicolon + rest).get("refresher")
    except ValueError:
        refresher = None
    return int(number), refresher.lower() if refresher else None


def too_small(request: Request) -> bool:
    """Whether an INVITE asks for less than the minimum, and understands a 422 that says so (section 9)."""
    asked = _session_expires(request)
    return asked is not None and asked[0] < MIN_INTERVAL_S and "timer" in request.tokens("Supported")


def terms_to_answer(request: Request, response: Response) -> SessionTerms | None:
    """Answer the terms of an INVITE in our 2xx (section 9); None where none were asked for."""
    asked = _session_expires(request)
    if asked is None:
        return None
    interval, refresher = max(asked[0], MIN_INTERVAL_S), asked[1]
    theirs = "timer" in request.tokens("Supported")
    if refresher not in ("uac", "uas"):
        refresher = "uac" if theirs else "uas"
    if not theirs:
        refresher = "uas"  # a proxy asked; the caller cannot do it
    response.headers.set("Session-Expires", f"{interval};refresher={refresher}")
    if refresher == "uac":
        response.headers.add("Require", "timer")
    return SessionTerms(interval, refresher == "uas")


def terms_answered(response: Response) -> SessionTerms | None:
    """The terms in a 2xx to our INVITE (section 7.2); None where the session needs no refresh."""
    answered = _session_expires(response)
    if answered is None:
        return None
    return SessionTerms(max(answered[0], MIN_INTERVAL_S), answered[1] != "uas")


class SessionTimer:
    """The running timer of one call.

    Args:
        timers: where it runs.
        refresh: called when it is time for our re-INVITE.
        expired: called when the session is over for want of a refresh.
    """

    def __init__(
        self, timers: Timers, refresh: Callable[[float], None], expired: Callable[[float], None]
    ) -> None:
        self._timers = timers
        self._refresh = refresh
        self._expired = expired
        self._running: list[Timer] = []

    def restart(self, terms: SessionTerms | None, now: float) -> None:
        """Begin a new interval with these terms, or none (sections 7.2, 9 and 10)."""
        self.stop()
        if terms is None:
            return
        end = now + terms.interval_s - min(32.0, terms.interval_s / 3)
        self._running.append(self._timers.start(end, self._expired))
        if terms.we_refresh:
            self._running.append(self._timers.start(now + terms.interval_s / 2, self._refresh))

    def refresh_later(self, at: float) -> None:
        """Try the refresh once more, while the interval lasts."""
        if self._running:
            self._running.append(self._timers.start(at, self._refresh))

    def stop(self) -> None:
        """Forget the interval."""
        for timer in self._running:
            timer.cancel()
        self._running.clear()
