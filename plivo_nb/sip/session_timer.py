"""Session timers: a call ends when the other side stops refreshing it (RFC 4028).

We do not request them. Where the other side or a proxy does, one side refreshes the session by a re-INVITE at
half the interval, and the other sends BYE when no refresh comes.
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

MIN_INTERVAL_S = 90  # the minimum (section 4)
MIN_SE = ("Min-SE", str(MIN_INTERVAL_S))


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """The interval of a session without a refresh, and whether we are the refresher."""

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


def interval_too_small(request: Request) -> bool:
    """Whether a request asks for less than the minimum and supports the 422 for it (section 9)."""
    asked = _session_expires(request)
    return asked is not None and asked[0] < MIN_INTERVAL_S and "timer" in request.tokens("Supported")


def accept_terms(request: Request, response: Response) -> SessionTerms | None:
    """Put the terms that a request asks for into our 2xx (section 9); None where it asks for none."""
    asked = _session_expires(request)
    if asked is None:
        return None
    interval, refresher = max(asked[0], MIN_INTERVAL_S), asked[1]
    theirs = "timer" in request.tokens("Supported")
    if refresher not in ("uac", "uas"):
        refresher = "uac" if theirs else "uas"
    if not theirs:
        refresher = "uas"  # a proxy asked; the UAC does not support it
    response.headers.set("Session-Expires", f"{interval};refresher={refresher}")
    if refresher == "uac":
        response.headers.add("Require", "timer")
    return SessionTerms(interval, refresher == "uas")


def terms_of(response: Response) -> SessionTerms | None:
    """The terms in a 2xx to our INVITE (section 7.2); None where the session needs no refresh."""
    answered = _session_expires(response)
    if answered is None:
        return None
    return SessionTerms(max(answered[0], MIN_INTERVAL_S), answered[1] != "uas")


class SessionTimer:
    """The session timer of one call.

    Args:
        timers: timers of the user agent.
        refresh: called when our re-INVITE is due.
        expired: called when the interval ends without a refresh.
    """

    def __init__(
        self, timers: Timers, refresh: Callable[[float], None], expired: Callable[[float], None]
    ) -> None:
        self._timers = timers
        self._refresh = refresh
        self._expired = expired
        self._running: list[Timer] = []
        self._terms: SessionTerms | None = None

    def restart(self, terms: SessionTerms | None, now: float) -> None:
        """Start a new interval; None stops the timer (sections 7.2, 9 and 10)."""
        self.stop()
        self._terms = terms
        if terms is None:
            return
        end = now + terms.interval_s - min(32.0, terms.interval_s / 3)
        self._running.append(self._timers.start(end, self._expired))
        if terms.we_refresh:
            self._running.append(self._timers.start(now + terms.interval_s / 2, self._refresh))

    def add_terms(self, request: Request) -> None:
        """Ask in a re-INVITE of ours for the present interval and refresher (section 7.4)."""
        if self._terms is not None:
            refresher = "uac" if self._terms.we_refresh else "uas"
            request.headers.set("Session-Expires", f"{self._terms.interval_s};refresher={refresher}")

    def refresh_later(self, at: float) -> None:
        """Try the refresh again, within the interval."""
        if self._running:
            self._running.append(self._timers.start(at, self._refresh))

    def stop(self) -> None:
        """Stop the timer."""
        for timer in self._running:
            timer.cancel()
        self._running.clear()
