"""A request of ours until its last response, answering challenges on the way (RFC 3261 section 22.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plivo_nb.sip.digest import Challenge

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.core import Core
    from plivo_nb.sip.message import Request, Response
    from plivo_nb.sip.transaction import ClientTransaction, ClientUser

_MAX_TRIES = 6


@dataclass(slots=True)
class _Answered:
    """A challenge that this exchange has an answer for, and how often its nonce was used."""

    challenge: Challenge
    count: int = 0


class ClientRequest:
    """Sends a request, again with credentials when it is challenged, and tells the user all other responses.

    A challenge of a realm that was answered already means that the credentials are wrong, unless it is stale:
    then the user gets the 401 or 407.

    Args:
        core: the user agent's core.
        request: complete, with Via and CSeq.
        user: who gets the responses.
        next_sequence: gives the CSeq number of a second try; None: the number after the first.
    """

    def __init__(
        self, core: Core, request: Request, user: ClientUser, next_sequence: Callable[[], int] | None = None
    ) -> None:
        self.core = core
        self.request = request
        self.user = user
        self.transaction: ClientTransaction | None = None
        self._next_sequence = next_sequence
        self._answered: dict[tuple[bool, str], _Answered] = {}
        self._tries = 0
        self.may_retry = True

    def start(self, now: float) -> None:
        """Send the request as it is now."""
        self._tries += 1
        self.transaction = self.core.layer.request(self.request, self, now)

    def again(self, uri: str, now: float) -> None:
        """Send it once more to another URI: how a redirection is followed (section 8.1.3.4)."""
        self._answered.clear()  # who is asked now may ask for credentials in turn
        self._renew(uri)
        self._tries = 0
        self.start(now)

    def on_response(self, response: Response, now: float) -> None:
        """Answer a challenge, or hand the response on."""
        if response.status in (401, 407) and self._accept(response):
            self._renew(self.request.uri)
            self.start(now)
        else:
            self.user.on_response(response, now)

    def on_no_response(self, timed_out: bool, now: float) -> None:
        """Hand it on."""
        self.user.on_no_response(timed_out, now)

    def _accept(self, response: Response) -> bool:
        """Take the challenges of a response; False where there is no sense in another try."""
        if self.core.credentials is None or not self.may_retry or self._tries >= _MAX_TRIES:
            return False
        chosen: dict[tuple[bool, str], Challenge] = {}
        for challenge in _challenges(response):
            if challenge.usable:  # the first of each realm is the one the server likes best (RFC 8760)
                chosen.setdefault((challenge.proxy, challenge.realm), challenge)
        news = [key for key, challenge in chosen.items() if key not in self._answered or challenge.stale]
        for key in news:
            self._answered[key] = _Answered(chosen[key])
        return bool(news)

    def _renew(self, uri: str) -> None:
        """Make the next try of the request: new branch, next CSeq, credentials for all realms so far."""
        request = self.request.copy()
        request.uri = uri
        sequence = request.cseq.sequence + 1 if self._next_sequence is None else self._next_sequence()
        request.headers.set("CSeq", f"{sequence} {request.method}")
        request.headers.set("Via", self.core.fresh_via())
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
    """All Digest challenges of a response; what cannot be read is passed over."""
    found = []
    for name, proxy in (("WWW-Authenticate", False), ("Proxy-Authenticate", True)):
        for value in response.headers.get_all(name):
            try:
                found.append(Challenge.parse(value, proxy=proxy))
            except ValueError:
                continue
    return found


class _FinalOnly:
    """The user of a request of which only the end matters."""

    __slots__ = ("_done",)

    def __init__(self, done: Callable[[Response | None, bool, float], None]) -> None:
        self._done = done

    def on_response(self, response: Response, now: float) -> None:
        if response.status >= 200:
            self._done(response, False, now)

    def on_no_response(self, timed_out: bool, now: float) -> None:
        self._done(None, timed_out, now)


def ask(
    core: Core,
    request: Request,
    done: Callable[[Response | None, bool, float], None],
    now: float,
    next_sequence: Callable[[], int] | None = None,
) -> ClientRequest:
    """Send a request other than INVITE; `done(response or None, timed_out, now)` is called once."""
    exchange = ClientRequest(core, request, _FinalOnly(done), next_sequence)
    exchange.start(now)
    return exchange
