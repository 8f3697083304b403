"""The registration of a user agent and its refreshes (RFC 3261 section 10, RFC 5626).

    off         --register-->              registering
    registering --2xx-->                   registered, until its refresh is due
                --5xx, 408, 480, nothing--> registering: ServerFailed, registers over the next connection
                --other 3xx-6xx-->         off: RegistrationFailed
    registered  --due-->                   refreshing (the binding still holds)
    refreshing  --2xx-->                   registered
                --5xx, 408, 480, nothing--> refreshing: ServerFailed, registers over the next connection
                --other 3xx-6xx-->         refused: RegistrationFailed, registers over the next connection
    any         --binding runs out-->      RegistrationFailed, once; the state stays
    any         --unregister-->            leaving
    leaving     --any answer-->            off: Unregistered

A binding belongs to its socket (RFC 5626), so a new socket registers again at once. `wanted` says whether
the application is to provide one: from `start` to `stop`, or to a refusal of the first registration.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from plivo_nb.sip.client_request import send_request
from plivo_nb.sip.events import Registered, RegistrationFailed, ServerFailed, Unregistered
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.values import parse_uri

if TYPE_CHECKING:
    from plivo_nb.sip.client_request import ClientRequest
    from plivo_nb.sip.core import Core
    from plivo_nb.sip.timers import Timer

_SERVER_FAILURES = (408, 430, 480)  # and 5xx: another server may take the registration
_MAX_INTERVAL_TRIES = 3
_MARGIN_S = 2.0  # a registration is refreshed at least this long before it runs out, if it lasts 4 s
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
    REFUSED = "refused"
    UNREGISTERING = "leaving"


class Registration:
    """The one registration of a user agent."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.state = RegistrationState.OFF
        self.expires_at: float | None = None  # when the server forgets us
        self.wanted = False  # whether the user wants to be registered
        self._was_bound = False  # since the user has asked for it
        self._attempt = 0  # names the REGISTER whose answer counts
        self._sequence = 0
        self._call_id = ""
        self._tag = ""
        self._expires_s = core.config.expires_s
        self._interval_tries = 0
        self._failure: tuple[int | None, str] = (None, "")  # the last ServerFailed
        self._timer: Timer | None = None  # of the next refresh
        self._expiry: Timer | None = None
        self._request: ClientRequest | None = None

    def start(self, now: float, *, new_credentials: bool) -> None:
        """Register, or refresh. `new_credentials`: with other credentials than before."""
        if new_credentials or not self._call_id:
            self._call_id, self._tag, self._sequence = (
                self.core.random_string(22),
                self.core.random_string(10),
                0,
            )
            self._was_bound = False
            self._unbind()
        self.wanted = True
        self._expires_s = self.core.config.expires_s
        self._interval_tries = 0
        self._register(now)

    def stop(self, now: float) -> None:
        """Remove our binding."""
        self._cancel_timer()
        self.wanted = False
        if self.state is RegistrationState.UNREGISTERING:
            return
        before, self.state = self.state, RegistrationState.UNREGISTERING
        self._attempt += 1
        if before is RegistrationState.OFF or not self.core.connected:
            self._unregistered()
        else:
            self._send(now)

    def transport_up(self, now: float, *, secure: bool | None = None) -> None:
        """Register again over a new socket. `secure`: for Via, where the socket is only a candidate."""
        if self.wanted:
            self._register(now, secure=secure)

    def transport_down(self, now: float) -> None:
        """The socket is lost: requests wait for the next one."""
        self._cancel_timer()
        self._attempt += 1
        if self.state is RegistrationState.UNREGISTERING:
            self._unregistered()

    # ---- REGISTER

    def _register(self, now: float, *, secure: bool | None = None) -> None:
        bound = self.expires_at is not None
        self.state = RegistrationState.REFRESHING if bound else RegistrationState.REGISTERING
        self._send(now, secure=secure)

    def _send(self, now: float, *, secure: bool | None = None) -> None:
        self._cancel_timer()
        if not self.core.connected and self.core.candidate_outbox is None:
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
        if secure is not None:
            request.headers.set("Via", core.new_via("WSS" if secure else "WS"))
        self._request = send_request(
            core, request, now, done, self._next_sequence, limit_s=core.config.response_s
        )

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def _answered(self, response: Response | None, timed_out: bool, now: float) -> None:
        if self.state is RegistrationState.UNREGISTERING:
            self._unregistered()
        elif response is None:
            reason = "the server does not answer" if timed_out else "Connection Error"
            self._server_failed(408 if timed_out else None, reason, silent=timed_out)
        elif response.status < 300:
            self._accepted(response, now)
        elif response.status == 423 and self._lengthen_interval(response):
            self._send(now)
        elif 500 <= response.status < 600 or response.status in _SERVER_FAILURES:
            wait_s = _seconds(response.headers.get("Retry-After"))
            self._server_failed(response.status, response.reason, None if wait_s is None else float(wait_s))
        else:
            self._refused(response.status, response.reason)

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
        refreshed, self.expires_at = self.expires_at is not None, now + expires_s
        self._was_bound = True
        # Before it runs out, and not all phones of a kernel (or of a world) at once.
        after_s = expires_s * (0.75 + 0.15 * self.core.random.random())
        # Servers count whole seconds, so that 5 s may be little more than 4.
        after_s = min(after_s, max(expires_s - _MARGIN_S, expires_s / 2))
        self._timer = self.core.timers.start(now + after_s, self._register)
        self._cancel_expiry()
        self._expiry = self.core.timers.start(self.expires_at, self._expired)
        self.core.emit(Registered(float(expires_s), refreshed))

    def _granted(self, response: Response) -> int:
        """The seconds that the server grants our Contact; a 200 lists the account's other Contacts too.

        A server may rewrite its host and port; the user part is random, so it names it too, and so does being
        the only one.
        """
        contacts = [contact for contact in response.contacts if contact.uri != "*"]
        ours = [
            contact
            for contact in contacts
            if contact.parameters.get("+sip.instance") == f"<{self.core.instance_id}>"
            or _user(contact.uri) == _user(self.core.contact_uri)
        ]
        for contact in ours or (contacts if len(contacts) == 1 else ()):
            seconds = _seconds(contact.parameters.get("expires"))
            if seconds:
                return seconds
        return _seconds(response.headers.get("Expires")) or self._expires_s

    def _server_failed(
        self, code: int | None, reason: str, retry_after_s: float | None = None, *, silent: bool = False
    ) -> None:
        """Wait for the next connection, which the application opens after `ServerFailed`."""
        self._failure = (code, reason)
        self.core.emit(ServerFailed(code, reason, retry_after_s, silent))

    def _refused(self, code: int, reason: str) -> None:
        """The server does not want us. A registration that held is tried again over the next connection."""
        self.wanted = self._was_bound
        self.state = RegistrationState.REFUSED if self.wanted else RegistrationState.OFF
        self._unbind()
        self.core.emit(RegistrationFailed(code, _cause_text(code), reason))

    def _expired(self, now: float) -> None:
        """The binding ran out: the refreshes failed, or there is no connection."""
        under_way = self.state is RegistrationState.REFRESHING and self.core.connected
        if self.expires_at is not None and now > self.expires_at + 1.0 and under_way:
            # The application was blocked, and the refresh was sent just now.
            self.expires_at = now
            self._expiry = self.core.timers.start(now + self.core.config.response_s, self._expired)
            return
        self._unbind()
        code, reason = self._failure
        self.core.emit(
            RegistrationFailed(code, _cause_text(code), reason or "The registration ran out", refused=False)
        )

    def _unbind(self) -> None:
        self.expires_at = None
        self._cancel_expiry()

    def _cancel_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _unregistered(self) -> None:
        self.state = RegistrationState.OFF
        self._was_bound = False
        self._unbind()
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


def _user(uri: str) -> str | None:
    try:
        return parse_uri(uri).user or None
    except ValueError:
        return None
