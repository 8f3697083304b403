"""A request and its responses at the client, with challenges answered (RFC 3261 section 22.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivo_nb.sip.digest import Challenge
from plivo_nb.sip.events import ChallengeIgnored

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.core import Core
    from plivo_nb.sip.message import Request, Response
    from plivo_nb.sip.timers import Timer
    from plivo_nb.sip.transaction import ClientTransaction, TransactionUser

    #: Called once with the final response, or None; whether the request timed out; and the time.
    OnFinal = Callable[[Response | None, bool, float], None]

_MAX_ATTEMPTS = 6


@dataclass(slots=True)
class _Answered:
    """A challenge that was answered, and how many requests have used its nonce."""

    challenge: Challenge
    count: int = 0


class ClientRequest:
    """Sends a request, and sends it again with credentials when it is challenged.

    All other responses go to the user. A second challenge of the same realm means that the credentials are
    wrong, unless it is stale: then the user gets the 401 or 407. The user also gets a challenge that must not
    be answered. Everybody on the way of a request can send one, and can guess the password from the answer:

        REGISTER                  any realm
        INVITE without a To tag   any realm, once, before any response but 100; the realm is known then
        everything else           407 in a known realm, never 401

    Args:
        core: the user agent's core.
        request: a complete request, with Via and CSeq.
        user: receives the responses.
        next_sequence: returns the CSeq number of the next attempt; None: the number is increased by one.
        limit_s: seconds that each attempt may wait for its final response; None: as its transaction may.
    """

    def __init__(
        self,
        core: Core,
        request: Request,
        user: TransactionUser,
        next_sequence: Callable[[], int] | None = None,
        limit_s: float | None = None,
    ) -> None:
        self.core = core
        self.request = request
        self.user = user
        self.transaction: ClientTransaction | None = None
        self._next_sequence = next_sequence
        self._answered: dict[tuple[bool, str], _Answered] = {}
        self._attempts = 0
        self._limit_s = limit_s
        self._limit: Timer | None = None
        self.may_retry = True
        initial = request.method == "INVITE" and request.to.tag is None
        self._any_realm = initial or request.method == "REGISTER"

    def start(self, now: float) -> None:
        """Send the request as it is now."""
        self._attempts += 1
        self._start_limit(now)
        self.transaction = self.core.layer.send_request(self.request, self, now)

    def _start_limit(self, now: float) -> None:
        self._stop_limit()
        if self._limit_s is not None:
            at = now + self._limit_s
            self._limit = self.core.timers.start(at, lambda then: self._overdue(at, then))

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _overdue(self, at: float, now: float) -> None:
        if now > at + 1.0:  # the application was blocked: what the server sent may not be read yet
            self._start_limit(now)
            return
        if self.transaction is not None and not self.transaction.finished:
            self.transaction.terminate()
            self.on_no_response(True, now)

    def redirect(self, uri: str, now: float) -> None:
        """Send the request to another URI, as a 3xx asks (section 8.1.3.4)."""
        self._answered.clear()  # the new target may ask for credentials as well, in a known realm
        self._any_realm = False
        self._prepare_attempt(uri)
        self._attempts = 0
        self.start(now)

    def on_response(self, response: Response, now: float) -> None:
        """Answer a challenge; give any other response to the user."""
        if response.status >= 200:
            self._stop_limit()
        elif response.status > 100 and self.request.method == "INVITE":
            self._any_realm = False
        if response.status in (401, 407) and self._take_challenges(response):
            self._prepare_attempt(self.request.uri)
            self.start(now)
        else:
            self.user.on_response(response, now)

    def on_no_response(self, timed_out: bool, now: float) -> None:
        """Pass it on to the user."""
        self._stop_limit()
        self.user.on_no_response(timed_out, now)

    def _take_challenges(self, response: Response) -> bool:
        """Take the challenges of a response; False where another attempt would not succeed."""
        if self.core.credentials is None or not self.may_retry or self._attempts >= _MAX_ATTEMPTS:
            return False
        chosen: dict[tuple[bool, str], Challenge] = {}
        for challenge in filter(self._may_answer, _challenges(response)):
            key = (challenge.proxy, challenge.realm)
            if key not in chosen or challenge.strength > chosen[key].strength:
                chosen[key] = challenge
        new = [key for key, challenge in chosen.items() if key not in self._answered or challenge.stale]
        for key in new:
            self._answered[key] = _Answered(chosen[key])
        if new and self._any_realm:
            self.core.known_realms.update(realm for _, realm in new)
            self._any_realm = self.request.method == "REGISTER"
        return bool(new)

    def _may_answer(self, challenge: Challenge) -> bool:
        """Whether this challenge gets credentials now, as the table of the class says."""
        if not challenge.usable:
            return False
        if self._any_realm or (challenge.proxy and challenge.realm in self.core.known_realms):
            return True
        status = 407 if challenge.proxy else 401
        self.core.emit(ChallengeIgnored(self.request.method, status, challenge.realm))
        return False

    def _prepare_attempt(self, uri: str) -> None:
        """Make the request of the next attempt: new branch and CSeq, credentials for all realms so far."""
        request = self.request.copy()
        request.uri = uri
        sequence = request.cseq.sequence + 1 if self._next_sequence is None else self._next_sequence()
        request.headers.set("CSeq", f"{sequence} {request.method}")
        request.headers.set("Via", self.core.new_via(request.via.transport))
        request.headers.remove("Authorization")
        request.headers.remove("Proxy-Authorization")
        credentials = self.core.credentials
        for answered in self._answered.values() if credentials is not None else ():
            assert credentials is not None
            answered.count += 1
            value = credentials.authorize(
                answered.challenge, request.method, uri, request.body, answered.count
            )
            request.headers.add(answered.challenge.header, value)
        self.request = request


def _challenges(response: Response) -> list[Challenge]:
    """All Digest challenges of a response; those that cannot be parsed are skipped."""
    found = []
    for name, proxy in (("WWW-Authenticate", False), ("Proxy-Authenticate", True)):
        for value in response.headers.get_all(name):
            try:
                found.append(Challenge.parse(value, proxy=proxy))
            except ValueError:
                continue
    return found


class _FinalOnly:
    """The user of a request that only needs its final response."""

    __slots__ = ("_on_final",)

    def __init__(self, on_final: OnFinal) -> None:
        self._on_final = on_final

    def on_response(self, response: Response, now: float) -> None:
        if response.status >= 200:
            self._on_final(response, False, now)

    def on_no_response(self, timed_out: bool, now: float) -> None:
        self._on_final(None, timed_out, now)


def send_request(
    core: Core,
    request: Request,
    now: float,
    on_final: OnFinal = lambda response, timed_out, at: None,
    next_sequence: Callable[[], int] | None = None,
    limit_s: float | None = None,
) -> ClientRequest:
    """Send a request other than INVITE.

    Args:
        core: the user agent's core.
        request: a complete request, with Via and CSeq.
        now: the time, in seconds.
        on_final: called once, as `OnFinal` says.
        next_sequence, limit_s: as of `ClientRequest`.
    """
    sent = ClientRequest(core, request, _FinalOnly(on_final), next_sequence, limit_s)
    sent.start(now)
    return sent
