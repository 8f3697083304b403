"""The registration of a user agent and its refreshes (RFC 3261 section 10, RFC 5626).

    off         --register-->              registering
    registering --2xx-->                   registered, until its refresh is due
                --3xx-6xx-->               off: RegistrationFailed
    registered  --due-->                   refreshing (the binding still holds)
    refreshing  --2xx-->                   registered
                --5xx, 408, nothing-->     again after a pause; failed when the binding ran out
    any         --unregister-->            leaving
    leaving     --any answer-->            off: Unregistered

A binding belongs to its socket (RFC 5626), so a new socket registers again at once.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from plivo_nb.sip.client_request import send_request
from plivo_nb.sip.events import Registered, RegistrationFailed, Unregistered
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.values import NameAddr, parse_uri

if TYPE_CHECKING:
    from plivo_nb.sip.client_request import ClientRequest
    from plivo_nb.sip.core import Core
    from plivo_nb.sip.timers import Timer

_FIRST_PAUSE_S = 2.0
_LAST_PAUSE_S = 20.0
_MAX_INTERVAL_TRIES = 3
_CAUSE_TEXTS = {
    401: "Authentication Error",
    407: "Authentication Error",
    403: "Rejected",
    603: "Rejected",
    404: "Not Found",
    604: "Not Found",
    408: "Request Timeout",
    410: "Unavailable",
    480: "Unavailable",
}


class RegistrationState(Enum):
    """The state of a registration."""

    OFF = "off"
    REGISTERING = "registering"
    REGISTERED = "registered"
    REFRESHING = "refreshing"
    UNREGISTERING = "leaving"


class Registration:
    """The one registration of a user agent."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.state = RegistrationState.OFF
        self.expires_at: float | None = None  # when the server forgets us
        self._reported = False  # the user was told Registered and nothing since
        self._attempt = 0  # names the REGISTER whose answer counts
        self._sequence = 0
        self._call_id = ""
        self._tag = ""
        self._expires_s = core.config.expires_s
        self._interval_tries = 0
        self._pause_s = _FIRST_PAUSE_S
        self._timer: Timer | None = None
        self._request: ClientRequest | None = None

    @property
    def wanted(self) -> bool:
        """Whether the user wants to be registered."""
        return self.state not in (RegistrationState.OFF, RegistrationState.UNREGISTERING)

    def start(self, now: float, *, new_credentials: bool) -> None:
        """Register, or refresh. `new_credentials`: with other credentials than before."""
        if new_credentials or not self._call_id:
            self._call_id, self._tag, self._sequence = (
                self.core.random_string(22),
                self.core.random_string(10),
                0,
            )
            self._reported, self.expires_at = False, None
        self._expires_s = self.core.config.expires_s
        self._interval_tries = 0
        self._pause_s = _FIRST_PAUSE_S
        self.state = RegistrationState.REFRESHING if self._reported else RegistrationState.REGISTERING
        self._send(now)

    def stop(self, now: float) -> None:
        """Remove our binding."""
        self._cancel_timer()
        if self.state is RegistrationState.UNREGISTERING:
            return
        before, self.state = self.state, RegistrationState.UNREGISTERING
        self._attempt += 1
        if before is RegistrationState.OFF or not self.core.connected:
            self._unregistered()
        else:
            self._send(now)

    def transport_up(self, now: float) -> None:
        """Register again over a new socket."""
        if self.wanted:
            self.state = RegistrationState.REFRESHING if self._reported else RegistrationState.REGISTERING
            self._pause_s = _FIRST_PAUSE_S
            self._send(now)

    def transport_down(self, now: float) -> None:
        """The socket is lost: requests wait for the next one."""
        self._cancel_timer()
        self._attempt += 1
        if self.state is RegistrationState.UNREGISTERING:
            self._unregistered()

    # ---- REGISTER

    def _send(self, now: float) -> None:
        self._cancel_timer()
        if not self.core.connected:
            return
        expires_s = 0 if self.state is RegistrationState.UNREGISTERING else self._expires_s
        core = self.core
        request = Request("REGISTER", f"sip:{core.config.domain}")
        request.headers.add("To", f"<{core.address}>")
        request.headers.add("From", f"<{core.address}>;tag={self._tag}")
        request.headers.add("Call-ID", self._call_id)
        request.headers.add("CSeq", f"{self._next_sequence()} REGISTER")
        contact = f'<{core.contact_uri}>;+sip.ice;reg-id=1;+sip.instance="<{core.instance_id}>"'
        core.complete(request, contact=f"{contact};expires={expires_s}")
        request.headers.add("Expires", str(expires_s))
        self._attempt += 1
        attempt = self._attempt

        def done(response: Response | None, timed_out: bool, at: float) -> None:
            if attempt == self._attempt:
                self._answered(response, timed_out, at)

        if self._request is not None:
            self._request.may_retry = False  # this request replaces it
        self._request = send_request(core, request, now, done, self._next_sequence)

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def _answered(self, response: Response | None, timed_out: bool, now: float) -> None:
        if self.state is RegistrationState.UNREGISTERING:
            self._unregistered()
        elif response is None:
            self._refused(
                408 if timed_out else None, "Request Timeout" if timed_out else "Connection Error", now
            )
        elif response.status < 300:
            self._accepted(response, now)
        elif response.status == 423 and self._lengthen_interval(response):
            self._send(now)
        else:
            self._refused(response.status, response.reason, now, response)

    def _lengthen_interval(self, response: Response) -> bool:
        """Request at least the interval that the server requires (section 10.2.8)."""
        least = _seconds(response.headers.get("Min-Expires"))
        self._interval_tries += 1
        if least is None or least <= self._expires_s or self._interval_tries > _MAX_INTERVAL_TRIES:
            return False
        self._expires_s = least
        return True

    def _accepted(self, response: Response, now: float) -> None:
        expires_s = self._granted(response)
        self.core.service_route = response.values("Service-Route")
        self.state = RegistrationState.REGISTERED
        self.expires_at = now + expires_s
        self._pause_s = _FIRST_PAUSE_S
        # Before it runs out, and not all phones of a kernel (or of a world) at once.
        due = now + expires_s * (0.75 + 0.15 * self.core.random.random())
        self._timer = self.core.timers.start(due, self._refresh)
        refreshed, self._reported = self._reported, True
        self.core.emit(Registered(float(expires_s), refreshed))

    def _granted(self, response: Response) -> int:
        """The seconds that the server grants our Contact; a 200 lists the account's other Contacts too."""
        for contact in response.contacts:
            ours = contact.parameters.get("+sip.instance") == f"<{self.core.instance_id}>"
            if ours or _same_place(contact, self.core.contact_uri):
                seconds = _seconds(contact.parameters.get("expires"))
                if seconds:
                    return seconds
        return _seconds(response.headers.get("Expires")) or self._expires_s

    def _refresh(self, now: float) -> None:
        self.state = RegistrationState.REFRESHING if self._reported else RegistrationState.REGISTERING
        self._send(now)

    def _refused(self, code: int | None, reason: str, now: float, response: Response | None = None) -> None:
        passing = code is None or code in (408, 430, 480) or 500 <= code < 600
        if (self.state is RegistrationState.REGISTERING and self.expires_at is None) or not passing:
            self.state = RegistrationState.OFF
            self._reported, self.expires_at = False, None
            self.core.emit(RegistrationFailed(code, _cause_text(code), reason))
            return
        if self._reported and self.expires_at is not None and now >= self.expires_at:
            self._reported = False
            self.core.emit(RegistrationFailed(code, _cause_text(code), reason))
        wait = _seconds(response.headers.get("Retry-After")) if response is not None else None
        pause = min(float(wait), 60.0) if wait else self._pause_s
        self._pause_s = min(2 * self._pause_s, _LAST_PAUSE_S)
        self._timer = self.core.timers.start(now + pause, self._refresh)

    def _unregistered(self) -> None:
        self.state = RegistrationState.OFF
        self._reported, self.expires_at = False, None
        self.core.service_route = []
        self.core.emit(Unregistered())

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _cause_text(code: int | None) -> str:
    return "Connection Error" if code is None or code == 503 else _CAUSE_TEXTS.get(code, "SIP Failure Code")


def _seconds(value: str | None) -> int | None:
    match = None if value is None else re.match(r"[ \t]*([0-9]{1,10})", value)
    return None if match is None else min(int(match[1]), 2**31)


def _same_place(contact: NameAddr, uri: str) -> bool:
    try:
        theirs, ours = parse_uri(contact.uri), parse_uri(uri)
    except ValueError:
        return False
    return (theirs.user, theirs.host.lower(), theirs.port) == (ours.user, ours.host.lower(), ours.port)
